"""Each test server does the one thing it is there for."""

from __future__ import annotations

from azure.storage.blob import BlobServiceClient

from prodlytics_tests.servers.azurite import BlobStorage
from prodlytics_tests.servers.mosquitto import Broker


def test_azurite_keeps_a_blob(azurite: BlobStorage) -> None:
    service = BlobServiceClient.from_connection_string(azurite.connection_string)
    container = service.create_container("smoke")
    container.upload_blob("folder/file", b"content")
    assert container.download_blob("folder/file").readall() == b"content"


def test_mosquitto_keeps_a_retained_message_when_it_is_restarted(mosquitto: Broker) -> None:
    mosquitto.client("mosquitto_pub", "-t", "plant/machine", "-m", "hello", "-r", "-q", "1")
    mosquitto.stop()
    mosquitto.start()
    heard = mosquitto.client("mosquitto_sub", "-t", "plant/#", "-C", "1", "-W", "30")
    assert heard.stdout == "hello\n"
