"""Mosquitto, the MQTT broker: Debian's package, unpacked and started.

Belongs here: the packages, a configuration that loses nothing, starting and stopping. Does not belong here: topics.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from prodlytics.db.unprivileged import identity
from prodlytics_tests.servers.fetch import unpack
from prodlytics_tests.servers.ports import free_port, wait_for

_PACKAGES = """
    mosquitto mosquitto-clients libmosquitto1 libcjson1 libwebsockets19t64 libdlt2 libwrap0
    libc6 libssl3t64 libsystemd0 libcap2 libzstd1 zlib1g libgcc-s1
"""
_PROGRAMS = ("usr/sbin/mosquitto", "usr/bin/mosquitto_pub", "usr/bin/mosquitto_sub", "usr/bin/mosquitto_passwd")


@dataclass
class Broker:
    """A broker that can be stopped, killed and started again on the same port with the same persistent state."""

    root: Path
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it listens."""
        with (self.folder / "mosquitto.log").open("ab") as log:
            process = subprocess.Popen(
                [str(self.root / "usr/sbin/mosquitto"), "-c", str(self.folder / "mosquitto.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env={"LC_ALL": "C"}, **identity().popen,
            )  # fmt: skip
        self.process = process
        wait_for(self.port, lambda: process.poll() is None, "Mosquitto")

    def stop(self) -> None:
        """Ask it to end, so that it saves its state."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.process = None

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(timeout=30)
            self.process = None

    def restart_with(self, setting: str) -> None:
        """Start it again with one more line of configuration."""
        self.stop()
        with (self.folder / "mosquitto.conf").open("a", encoding="utf-8") as conf:
            conf.write(f"{setting}\n")
        self.start()

    def client(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `mosquitto_pub` or `mosquitto_sub` against it."""
        return subprocess.run(
            [str(self.root / "usr/bin" / program), "-h", "127.0.0.1", "-p", str(self.port), *arguments],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip


@contextmanager
def running() -> Iterator[Broker]:
    """A broker of the caller's own, because tests stop and kill it; its state is deleted afterwards.

    Raises:
        Unavailable: This machine cannot have it; says why.
    """
    root = unpack("mosquitto", _PACKAGES.split(), _PROGRAMS)
    # Beside what was unpacked: there the broker's user can enter, which is not so in root's temporary folders.
    with TemporaryDirectory(prefix="state-", dir=root.parent) as name:
        folder, port = Path(name), free_port()
        log = folder / "mosquitto.log"
        log.touch()
        identity().own(folder, log)
        (folder / "mosquitto.conf").write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            "autosave_interval 5\nmax_inflight_messages 0\nmax_queued_messages 0\nmax_queued_bytes 0\n"
            "set_tcp_nodelay true\n",
            encoding="utf-8",
        )
        broker = Broker(root, folder, port)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()
