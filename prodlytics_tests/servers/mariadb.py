"""MariaDB with its ODBC driver: Debian's packages, unpacked and started.

Belongs here: the packages, starting and stopping, the driver. Does not belong here: databases on it. The driver is
loaded into our own Python, which has the machine's C library: it comes from an older release than the server, whose
programs bring a library of their own.
"""

from __future__ import annotations

import ctypes
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from prodlytics.db.unprivileged import identity
from prodlytics_tests.servers.fetch import unpack
from prodlytics_tests.servers.place import Unavailable
from prodlytics_tests.servers.ports import free_port, wait_for

_PACKAGES = """
    mariadb-server mariadb-server-core mariadb-common
    libc6 libssl3t64 libsystemd0 libcap2 libzstd1 liblz4-1 zlib1g libgcc-s1 libstdc++6 libpcre2-8-0 libnuma1 liburing2
    libaio1t64 libcrypt1 libfmt10 libpmem1 libdaxctl1 libndctl6 libkmod2 liblzma5 libuuid1 libbz2-1.0 libncurses6
    libtinfo6
"""
_DRIVER_PACKAGES = "libodbc2 libodbcinst2 odbc-mariadb libmariadb3 libltdl7 libssl3 zlib1g libzstd1"
_DRIVER_SUITE = "bookworm"
_TABLES = ("mariadb_system_tables.sql", "mariadb_performance_tables.sql", "mariadb_system_tables_data.sql")


@dataclass(frozen=True)
class MariaDB:
    """A running server."""

    port: int
    password: str
    driver: Path

    def url(self, database: str) -> str:
        """As plant.yaml says it: without login."""
        return f"mariadb+pyodbc://127.0.0.1:{self.port}/{database}?driver={self.driver}"


@contextmanager
def running() -> Iterator[MariaDB]:
    """A server of the caller's own; `root` logs in with its password.

    Raises:
        Unavailable: This machine cannot have it; says why.
    """
    driver = load_driver()
    root = unpack("mariadb", _PACKAGES.split(), ["usr/sbin/mariadbd"])
    with TemporaryDirectory(prefix="state-", dir=root.parent) as name:
        folder, port, password = Path(name), free_port(), secrets.token_hex(16)
        data, log, first = folder / "data", folder / "server.log", folder / "first.sql"
        data.mkdir()
        first.write_text(f"ALTER USER root@localhost IDENTIFIED BY '{password}';", encoding="utf-8")
        log.touch()
        identity().own(folder, data, log, first)
        share = root / "usr/share/mariadb"
        command = [
            str(root / "usr/sbin/mariadbd"), "--no-defaults", f"--datadir={data}", f"--lc-messages-dir={share}",
            f"--character-sets-dir={share / 'charsets'}", "--character-set-server=utf8mb4", "--skip-log-bin",
            f"--plugin-dir={root / 'usr/lib/mysql/plugin'}", "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0",
        ]  # fmt: skip
        tables = "CREATE DATABASE mysql;\nUSE mysql;\n" + "".join(
            (share / file).read_text(encoding="utf-8") for file in _TABLES
        )
        with log.open("ab") as said:
            made = subprocess.run(
                [*command, "--bootstrap"], input=tables.encode(), stdout=said, stderr=said, cwd="/",
                env={"LC_ALL": "C"}, check=False, timeout=120, **identity().popen,
            )  # fmt: skip
            if made.returncode != 0:
                raise Unavailable(f"MariaDB could not be set up: {_last(log)}")
            server = subprocess.Popen(
                [*command, f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 'socket'}",
                 f"--init-file={first}"],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", env={"LC_ALL": "C"}, **identity().popen,
            )  # fmt: skip
        try:
            wait_for(port, lambda: server.poll() is None, "MariaDB")
            # It listens before it answers, and drops who comes too early.
            until = time.monotonic() + 60
            while "ready for connections" not in log.read_text(encoding="utf-8", errors="replace"):
                if server.poll() is not None or time.monotonic() > until:
                    raise Unavailable(f"MariaDB does not answer: {_last(log)}")
                time.sleep(0.05)
            yield MariaDB(port, password, driver)
        finally:
            server.terminate()
            server.wait(timeout=60)


@cache
def load_driver() -> Path:
    """The driver's file, after making unixODBC known to this process, which pyodbc looks for by name.

    Raises:
        Unavailable: This machine cannot have it; says why.
    """
    root = unpack("odbc-mariadb", _DRIVER_PACKAGES.split(), ["usr/lib"], suite=_DRIVER_SUITE, own_loader=False)
    (folder,) = (file.parent for file in root.glob("usr/lib/*/libodbc.so.2"))
    try:
        ctypes.CDLL(str(folder / "libodbc.so.2"), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        raise Unavailable(f"unixODBC cannot be loaded: {error}") from error
    return folder / "odbc" / "libmaodbc.so"


def _last(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
