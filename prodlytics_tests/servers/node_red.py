"""Node-RED from the npm registry, for the flow we ship.

Belongs here: starting with a flow file, stopping. Does not belong here: what the flow does.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from prodlytics_tests.servers.npm import node, unpacked
from prodlytics_tests.servers.place import CACHE
from prodlytics_tests.servers.ports import free_port, wait_for

_LOCK = Path(__file__).with_name("node_red_lock")


@dataclass(frozen=True)
class NodeRed:
    """A running Node-RED."""

    port: int
    log: Path


@contextmanager
def running(flow: str = "[]") -> Iterator[NodeRed]:
    """Node-RED with a flow (JSON), on loopback, in a folder of its own.

    Raises:
        Unavailable: This machine cannot have it; says why.
    """
    program = unpacked("node-red", _LOCK) / "node_modules" / "node-red" / "red.js"
    with TemporaryDirectory(prefix="state-", dir=CACHE) as name:
        folder, port = Path(name), free_port()
        (folder / "flows.json").write_text(flow, encoding="utf-8")
        settings = {
            "uiHost": "127.0.0.1", "uiPort": port, "flowFile": "flows.json", "httpAdminRoot": False,
            "telemetry": {"enabled": False}, "credentialSecret": False,
        }  # fmt: skip
        (folder / "settings.js").write_text(f"module.exports = {json.dumps(settings)}\n", encoding="utf-8")
        log = folder / "node-red.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(node()), str(program), "--userDir", str(folder), "--settings", str(folder / "settings.js")],
                cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            wait_for(port, lambda: process.poll() is None, "Node-RED")
            yield NodeRed(port, log)
        finally:
            process.terminate()
            process.wait(timeout=30)
