"""The bridge from the MQTT broker to the database: a service of its own that needs no Dagster."""
