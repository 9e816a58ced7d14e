"""Fixtures of the tests of what lands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from prodlytics_tests.servers.azurite import BlobStorage

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient


@pytest.fixture
def container(azurite: BlobStorage, monkeypatch: pytest.MonkeyPatch) -> ContainerClient:
    """The empty container `incoming`, which the landing place reaches by its connection string."""
    from azure.storage.blob import ContainerClient

    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    client = ContainerClient.from_connection_string(azurite.connection_string, "incoming")
    client.create_container()
    return client
