"""The embedded server: made once, found again, whole after a kill, and never two of one folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from prodlytics.db import embedded
from prodlytics.db.connect import DatabaseUnavailable, connect
from prodlytics.db.migrate import migrate
from prodlytics.db.unprivileged import identity, place_outside
from prodlytics_tests.servers.place import PROJECT

START = """
import sys
from pathlib import Path
from prodlytics.db.embedded import ensure_running
ensure_running(Path(sys.argv[1]))
"""


@contextmanager
def fresh_home(mode: int) -> Iterator[Path]:
    (PROJECT / ".cache").mkdir(exist_ok=True)
    above = Path(tempfile.mkdtemp(dir=PROJECT / ".cache", prefix="embedded-"))
    above.chmod(mode)
    yield above / "home"
    embedded.remove(above / "home")
    shutil.rmtree(above)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with fresh_home(0o755) as folder:
        yield folder


@pytest.fixture(params=[0o755, 0o700], ids=["open", "closed"])
def any_home(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The same, and one below a folder that only its owner may enter: as in root's home, the server cannot."""
    with fresh_home(request.param) as folder:
        yield folder


def server_pid(home: Path) -> int:
    return int((home / "database" / "data" / "postmaster.pid").read_text().splitlines()[0])


def note(url: str, text: str) -> None:
    with connect(url) as conn:
        conn.execute("CREATE TABLE IF NOT EXISTS note (word text)")
        conn.execute("INSERT INTO note VALUES (%s)", (text,))


def notes(url: str) -> list[str]:
    with connect(url) as conn:
        return [word for (word,) in conn.execute("SELECT word FROM note ORDER BY 1").fetchall()]


def setting(url: str, name: str) -> str:
    with connect(url) as conn:
        row = conn.execute("SELECT current_setting(%s)", (name,)).fetchone()
        assert row is not None
        return str(row[0])


def test_made_safe_and_complete(any_home: Path) -> None:
    url = embedded.ensure_running(any_home)
    parts = psycopg.conninfo.conninfo_to_dict(url)
    secret = any_home / "database.password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert (parts["host"], parts["dbname"]) == ("127.0.0.1", "prodlytics")
    # A power cut must not cost data; only on this machine, only with the password.
    expected = {"fsync": "on", "jit": "off", "listen_addresses": "127.0.0.1", "unix_socket_directories": ""}
    assert {name: setting(url, name) for name in expected} == expected
    assert setting(url, "password_encryption") == "scram-sha-256"
    with pytest.raises(DatabaseUnavailable, match="password"):
        connect(psycopg.conninfo.make_conninfo(url, password="guess"))
    assert psutil.Process(server_pid(any_home)).uids().effective != 0
    assert len(migrate(url).applied) > 0
    dagster = embedded.dagster_url(any_home)
    assert dagster.startswith("postgresql+psycopg2://")
    with connect(dagster.replace("+psycopg2", "")) as conn:
        assert conn.info.dbname == "dagster"


def test_found_again_while_running_and_after_a_stop(home: Path) -> None:
    url = embedded.ensure_running(home)
    first = server_pid(home)
    note(url, "kept")
    assert embedded.ensure_running(home) == url
    assert server_pid(home) == first
    embedded.stop(home)
    embedded.stop(home)
    with pytest.raises(DatabaseUnavailable):
        connect(url)
    assert embedded.ensure_running(home) == url
    assert notes(url) == ["kept"]


def test_killed_it_comes_back_with_what_was_committed(any_home: Path) -> None:
    url = embedded.ensure_running(any_home)
    note(url, "committed")
    with closing(connect(url)) as open_end:
        open_end.execute("INSERT INTO note VALUES ('not committed')")
        os.kill(server_pid(any_home), signal.SIGKILL)
        assert embedded.ensure_running(any_home) == url
        assert notes(url) == ["committed"]


def test_starters_at_once_get_the_same_server(home: Path) -> None:
    starters = [subprocess.Popen([sys.executable, "-c", START, str(home)]) for _ in range(3)]
    assert [starter.wait() for starter in starters] == [0, 0, 0]
    first = server_pid(home)
    embedded.ensure_running(home)
    assert server_pid(home) == first
    folder = str((home / "database" / "data").resolve())
    servers = [p.pid for p in psutil.process_iter(["cmdline"]) if folder in (p.info["cmdline"] or [])]
    assert servers == [first]


def test_a_port_taken_meanwhile_is_left_to_its_owner(home: Path) -> None:
    url = embedded.ensure_running(home)
    note(url, "kept")
    embedded.stop(home)
    port = int(psycopg.conninfo.conninfo_to_dict(url)["port"] or 0)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        moved = embedded.ensure_running(home)
        assert moved != url
        assert notes(moved) == ["kept"]
    assert embedded.ensure_running(home) == moved


def test_a_half_made_data_folder_is_made_anew(home: Path) -> None:
    # What a kill in the middle of the first start leaves.
    half = home / "database" / "data.half"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    (home / "database.password").write_text("of a server that never was")
    assert setting(embedded.ensure_running(home), "fsync") == "on"


def test_a_pid_file_that_names_another_program_does_not_stop_it(home: Path) -> None:
    url = embedded.ensure_running(home)
    note(url, "kept")
    pid_file = home / "database" / "data" / "postmaster.pid"
    written = pid_file.read_text().splitlines()
    os.kill(server_pid(home), signal.SIGKILL)
    psutil.wait_procs([p for p in psutil.process_iter() if p.pid == int(written[0])])
    with subprocess.Popen(["sleep", "60"], **identity().popen) as somebody:
        pid_file.write_text("\n".join([str(somebody.pid), *written[1:]]) + "\n")
        identity().own(pid_file)
        assert embedded.ensure_running(home) == url
        assert notes(url) == ["kept"]
        somebody.kill()


def test_removed_leaves_nothing_of_the_database(any_home: Path) -> None:
    embedded.ensure_running(any_home)
    data = (any_home / "database").resolve()
    (any_home / "archive").mkdir()
    embedded.remove(any_home)
    assert not data.exists()
    assert sorted(path.name for path in any_home.iterdir()) == ["archive", "database.lock"]
    embedded.remove(any_home)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatabaseUnavailable, match=r"^The embedded database cannot be kept in .*file/home: .*\.$"):
        embedded.ensure_running(tmp_path / "file" / "home")


def test_a_link_in_a_shared_place_is_not_followed(tmp_path: Path) -> None:
    place = place_outside(tmp_path, "prodlytics-test")
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    place.rmdir()
    place.symlink_to(tmp_path)
    try:
        with pytest.raises(PermissionError, match="belongs to somebody else"):
            place_outside(tmp_path, "prodlytics-test")
    finally:
        place.unlink()
