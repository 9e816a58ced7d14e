"""TimescaleDB, Apache edition, on PostgreSQL 17: Debian's packages, unpacked and started.

Belongs here: the packages, the configuration, starting and stopping. Does not belong here: databases on it.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from prodlytics.db.unprivileged import identity
from prodlytics_tests.servers.databases import drop_all
from prodlytics_tests.servers.fetch import reachable, unpack
from prodlytics_tests.servers.place import CACHE, Unavailable, shared
from prodlytics_tests.servers.ports import free_port

_NAME = "timescaledb"
_PACKAGES = """
    postgresql-17 postgresql-17-timescaledb postgresql-client-17
    libpq5 libc6 libssl3t64 libxml2 libpam0g libzstd1 liblz4-1 zlib1g libicu76 libldap2 libgssapi-krb5-2 libkrb5-3
    libk5crypto3 libcom-err2 libkrb5support0 libkeyutils1 libsasl2-2 libsystemd0 libnuma1 liblzma5 libgcc-s1
    libstdc++6 libaudit1 libcap2 libcap-ng0 libreadline8t64 libtinfo6 libselinux1 libpcre2-8-0 libxxhash0
"""
_POSTGRES = "usr/lib/postgresql/17"
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_preload_libraries = 'timescaledb'
timescaledb.telemetry_level = off
shared_buffers = '256MB'
fsync = off
jit = off
timezone = 'UTC'
"""


@contextmanager
def running() -> Iterator[str]:
    """URL of the running server's database `postgres`.

    Raises:
        Unavailable: This machine cannot have it; says why.
    """
    with shared(_NAME, _start, _stop) as url:
        yield url


@contextmanager
def durable() -> Iterator[str]:
    """URL of a server of the caller's own that flushes every commit to the disk: for what is measured.

    Raises:
        Unavailable: This machine cannot have it; says why.
    """
    programs = _home() / "root"
    with TemporaryDirectory(prefix="state-", dir=programs.parent) as name:
        home = Path(name)
        home.chmod(0o755)
        (home / "root").symlink_to(programs)
        data = home / "data"
        _create(home, data, _CONFIGURATION.replace("fsync = off", "fsync = on"))
        try:
            yield _serve(home, data)
        finally:
            _run(home, "pg_ctl", "-D", str(data), "-m", "fast", "-w", "stop")


def _start() -> str:
    home = _home()
    data = home / "data"
    if not data.exists():
        _create(home, data, _CONFIGURATION)
    return _serve(home, data)


def _home() -> Path:
    return unpack(_NAME, _PACKAGES.split(), [f"{_POSTGRES}/bin", f"{_POSTGRES}/lib"]).parent


def _serve(home: Path, data: Path) -> str:
    """Start the server unless it runs."""
    status = _run(home, "pg_ctl", "-D", str(data), "status", check=False)
    if status != 0:
        port = free_port()
        _run(home, "pg_ctl", "-D", str(data), "-l", str(home / "server.log"), "-o", f"-p {port}", "-w", "start")
    port = int((data / "postmaster.pid").read_text(encoding="utf-8").splitlines()[3])
    password = (home / "password").read_text(encoding="utf-8")
    return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"


def _stop() -> None:
    drop_all(_start())
    home = reachable(CACHE / _NAME, "prodlytics-test")
    _run(home, "pg_ctl", "-D", str(home / "data"), "-m", "fast", "-w", "stop")


def _create(home: Path, data: Path, settings: str) -> None:
    """Make the data folder, under another name until it is whole."""
    half, password, log = home / "data.half", home / "password", home / "server.log"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    for private in (password, log):
        private.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(24), encoding="utf-8")
    identity().own(half, password, log)
    _run(
        home, "initdb", "-D", str(half), "-U", "postgres", "--auth=scram-sha-256", "--pwfile", str(password),
        "--encoding=UTF8", "--locale=C.UTF-8",
    )  # fmt: skip
    with (half / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write(settings)
    half.rename(data)


def _run(home: Path, program: str, *arguments: str, check: bool = True) -> int:
    # Output to a file: a server that inherits a pipe keeps it open for ever.
    with (home / "command.log").open("w+", encoding="utf-8") as output:
        done = subprocess.run(
            [str(home / "root" / _POSTGRES / "bin" / program), *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", check=False,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}, **identity().popen,
        )  # fmt: skip
        output.seek(0)
        lines = output.read().strip().splitlines()
    if check and done.returncode != 0:
        raise Unavailable(f"TimescaleDB: {program} failed: {lines[-1] if lines else 'no output'}")
    return done.returncode
