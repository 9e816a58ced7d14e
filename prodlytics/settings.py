"""Every environment variable of the product, in one class.

Belongs here: names, types and defaults of what the environment may say. Does not belong here: anything about the
plant itself (that is `plant.yaml`). Reading settings opens nothing and starts nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _shipped(folder: str, packaged: str) -> Path:
    """A folder of the source tree, or its twin inside the installed package."""
    here = Path(__file__).resolve().parent
    source = here.parent / folder
    return source if source.is_dir() else here / packaged


#: The plant that ships with the product, for the demo and as a template.
DEMO_PLANT = _shipped("deploy/plants", "_plants") / "demo.yaml"


class Settings(BaseSettings):
    """What the environment says (prefix `PRODLYTICS_`); relative paths are below the working directory."""

    model_config = SettingsConfigDict(env_prefix="PRODLYTICS_", extra="ignore")

    database_url: SecretStr | None = None
    "The product's database; without it the embedded PostgreSQL in `home` is used."
    plant: Path = DEMO_PLANT
    "The plant file."
    home: Path = Path(".prodlytics")
    "Where the embedded database, the demo's landing place and Dagster's files lie."
    archive_url: str | None = None
    "A folder or an Azure container; without it `home`/archive."
    landing_url: str | None = None
    "Where files for us arrive, a folder or an Azure container; without it `home`/landing."
    dagster_web: str | None = None
    "Dagster's web server, http://127.0.0.1:3000, for the watchdog to ask whether the code location is loaded."
    mqtt_url: SecretStr | None = None
    "The MQTT broker: mqtt://host:1883, or mqtts://user:password@host:8883."
    mqtt_ca_file: Path | None = None
    "Authority that signed the broker's certificate, where it is not one the system knows."
    bridge_http: str = "127.0.0.1:9108"
    "Where the bridge serves /healthz and /metrics."
    bridge_spool: Path | None = None
    "Where the bridge keeps messages while the database is away; without it `home`/bridge."
    bridge_hold_s: float = 60.0
    "For how long messages stay with the broker while the database is away, before they go to the spool."
    bridge_patience_s: float = 10.0
    "After how long without an answer the database counts as away."
    bridge_spool_limit_mb: int = 20_000
    "How large the spool may grow; then messages stay with the broker."

    iothub_connection_string: SecretStr | None = None
    "Device of Azure IoT Hub to which stored samples are forwarded: HostName=...;DeviceId=...;SharedAccessKey=..."
    iothub_cert_file: Path | None = None
    "Certificate of the device, where the connection string says x509=true."
    iothub_key_file: Path | None = None
    "Key of that certificate."
    iothub_ca_file: Path | None = None
    "Authority that signed the hub's certificate, where it is not one the system knows."
    iothub_token_s: Annotated[int, Field(ge=10)] = 3600
    "For how long a token for the hub is good; a new one is made in time."
    cloud_limit_mb: int = 2_000
    "How much may wait on the disk for the hub; then what may be dropped gives way, oldest first."

    @property
    def archive_place(self) -> str:
        """The archive as a URL or folder."""
        return self.archive_url or str((self.home / "archive").resolve())

    @property
    def landing_place(self) -> str:
        """The landing place as a URL or folder."""
        return self.landing_url or str((self.home / "landing").resolve())

    @property
    def truth_place(self) -> Path:
        """Where the simulator writes what really happened; the product never reads it."""
        return self.home / "truth"
