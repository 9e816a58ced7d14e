"""From the bridge to Azure IoT Hub: what was stored is forwarded, beside the database and never in its way."""
