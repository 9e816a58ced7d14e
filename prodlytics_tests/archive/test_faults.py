"""Whatever goes wrong, nothing is lost, nothing counts twice, and one sentence says what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from prodlytics.archive.errors import ArchiveError
from prodlytics.archive.store import ArchiveStore
from prodlytics.db.connect import connect
from prodlytics_tests.archive.floor import add_scrap, archive, duck, manifest

PATH = "plant=small/dataset=scrap_events/date=2026-11-20/part-0.parquet"
RUN = """
import resource, sys
from prodlytics.archive.errors import ArchiveError
from prodlytics.archive.store import ArchiveStore
from prodlytics.db.connect import connect
from prodlytics_tests.archive.floor import archive
url, folder, limit = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
with connect(url) as conn:
    try:
        print(archive(conn, ArchiveStore(folder)).action)
    except ArchiveError as error:
        sys.exit(str(error))
"""


def _start(url: str, folder: Path, limit: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN, url, str(folder), str(limit)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _kill(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()


def _wait_until_blocked(conn: psycopg.Connection) -> None:
    """Until another connection to this database waits for a lock; other tests' databases are on the same server."""
    for _ in range(600):
        waiting = conn.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database"
            " WHERE NOT granted AND d.datname = current_database()"
        ).fetchone()
        if waiting and waiting[0]:
            return
        time.sleep(0.05)
    raise AssertionError("nobody came to wait")


def _wait_until_gone(conn: psycopg.Connection) -> None:
    """Until the server has noticed that the killed client is not there any more."""
    for _ in range(600):
        others = conn.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        conn.rollback()
        if others and not others[0]:
            return
        time.sleep(0.05)
    raise AssertionError("the killed client's connections are still there")


@pytest.mark.parametrize("archived_before", [False, True])
def test_killed_between_publishing_and_the_manifest(
    plain_database: str, conn: psycopg.Connection, store: ArchiveStore, folder: Path, archived_before: bool
) -> None:
    add_scrap(conn, 0, 100)
    first = archive(conn, store) if archived_before else None
    old = (folder / PATH).read_bytes() if archived_before else b""
    add_scrap(conn, 0, 40, machine="M2")
    with connect(plain_database) as blocker:
        # Readers of the manifest pass, its writers wait: the file is published, the manifest is not switched.
        blocker.execute("LOCK TABLE archive_manifest IN EXCLUSIVE MODE")
        process = _start(plain_database, folder)
        _wait_until_blocked(blocker)
        _kill(process)
        blocker.rollback()
    assert duck(folder, "SELECT count(*) FROM {files}") == [(140,)]
    assert [version for _, version, _, _ in manifest(conn)] == ([1] if first else [])
    conn.rollback()
    _wait_until_gone(conn)

    healed = archive(conn, store)

    assert (healed.action, healed.row_count, healed.version) == ("written", 140, 2 if first else 1)
    versions = manifest(conn)
    assert [(version, current) for _, version, current, _ in versions] == (
        [(1, False), (2, True)] if first else [(1, True)]
    )
    # Every file is in the manifest, every version has its file, and the one before is what it was.
    assert store.list() == sorted(path for *_, path in versions)
    if first:
        assert (folder / versions[0][3]).read_bytes() == old
    assert store.sha256(PATH) == healed.content_hash
    assert archive(conn, store).action == "unchanged"


def test_killed_after_publishing_and_then_restated_again(
    plain_database: str, conn: psycopg.Connection, store: ArchiveStore, folder: Path
) -> None:
    add_scrap(conn, 0, 100)
    archive(conn, store)
    add_scrap(conn, 0, 40, machine="M2")
    with connect(plain_database) as blocker:
        blocker.execute("LOCK TABLE archive_manifest IN EXCLUSIVE MODE")
        process = _start(plain_database, folder)
        _wait_until_blocked(blocker)
        _kill(process)
        blocker.rollback()
    _wait_until_gone(conn)
    unrecorded = store.sha256(PATH)
    add_scrap(conn, 0, 7, machine="M3")
    assert archive(conn, store).version == 2
    versions = manifest(conn)
    for *_, path in versions:
        row = conn.execute("SELECT content_hash FROM archive_manifest WHERE path = %s", (path,)).fetchone()
        assert row == (store.sha256(path),)
    # The file nobody recorded is kept too, but not where anybody reads it.
    extra = set(store.list()) - {path for *_, path in versions}
    assert [store.sha256(path) for path in extra] == [unrecorded]
    assert all(path.startswith("superseded/") for path in extra)
    assert duck(folder, "SELECT count(*) FROM {files}") == [(147,)]


def test_killed_while_writing(plain_database: str, conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    add_scrap(conn, 0, 100)
    archive(conn, store)
    add_scrap(conn, 0, 40, machine="M2")
    with connect(plain_database) as blocker:
        blocker.execute("LOCK TABLE scrap_events IN ACCESS EXCLUSIVE MODE")
        process = _start(plain_database, folder)
        _wait_until_blocked(blocker)
        _kill(process)
        blocker.rollback()
    _wait_until_gone(conn)
    assert duck(folder, "SELECT count(*) FROM {files}") == [(100,)]
    assert archive(conn, store).version == 2
    assert duck(folder, "SELECT count(*) FROM {files}") == [(140,)]


def test_what_killed_writers_leave_is_swept_away(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    (folder / ".incoming").mkdir(parents=True)
    old, fresh = folder / ".incoming/prodlytics-1.parquet", folder / ".incoming/prodlytics-2.parquet"
    old.write_bytes(b"half")
    fresh.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86400
    os.utime(old, (two_days_ago, two_days_ago))
    archive(conn, store)
    assert not old.exists()
    assert fresh.exists()
    assert store.list() == [PATH]


def test_two_runs_at_once_make_one_version(plain_database: str, conn: psycopg.Connection, store: ArchiveStore) -> None:
    add_scrap(conn, 0, 2000)

    def run(_: int) -> str:
        with connect(plain_database) as own:
            return archive(own, store).action

    with ThreadPoolExecutor(4) as pool:
        actions = sorted(pool.map(run, range(4)))
    assert actions == ["unchanged", "unchanged", "unchanged", "written"]
    assert [version for _, version, _, _ in manifest(conn)] == [1]


def test_a_flipped_bit_is_found_and_mended(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    add_scrap(conn, 0, 100)
    content = archive(conn, store).content_hash
    damaged = bytearray((folder / PATH).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / PATH).write_bytes(damaged)
    result = archive(conn, store)
    assert (result.action, result.version, result.content_hash) == ("repaired", 1, content)
    assert store.sha256(PATH) == content
    assert len([path for path in store.list() if "unrecorded" in path]) == 1
    assert archive(conn, store).action == "unchanged"


def test_a_lost_file_is_written_again(conn: psycopg.Connection, store: ArchiveStore) -> None:
    add_scrap(conn, 0, 100)
    content = archive(conn, store).content_hash
    store.delete(PATH)
    assert archive(conn, store).action == "repaired"
    assert store.sha256(PATH) == content
    assert [version for _, version, _, _ in manifest(conn)] == [1]


def test_no_room_on_the_disk(plain_database: str, conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    add_scrap(conn, 0, 10)
    archive(conn, store)
    add_scrap(conn, 0, 40_000, machine="M2")
    process = _start(plain_database, folder, limit=20_000)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert said.startswith(f"Cannot write scrap_events of 2026-11-20 to {folder}: the file would be larger")
    assert said.count("\n") == 1
    assert [version for _, version, _, _ in manifest(conn)] == [1]
    assert store.list() == [PATH]
    assert list((folder / ".incoming").iterdir()) == []
    assert duck(folder, "SELECT count(*) FROM {files}") == [(10,)]


def test_a_file_where_the_folder_should_be(conn: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArchiveError, match=r"^Cannot write to the archive .*/file/x: a file stands where a folder"):
        archive(conn, ArchiveStore(tmp_path / "file" / "x"))


def test_a_table_that_is_not_there(conn: psycopg.Connection, store: ArchiveStore) -> None:
    conn.execute("DROP TABLE scrap_events")
    conn.commit()
    with pytest.raises(ArchiveError, match=r"no scrap_events.machine_id; run `prodlytics migrate`\.$"):
        archive(conn, store)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3://bucket/x", "^Cannot use s3:// as an archive: write a folder or abfs://"),
        ("abfs://c@a.dfs.core.windows.net/x?sig=secret", "^Cannot use an archive URL with a query"),
    ],
)
def test_a_url_nobody_can_use(url: str, says: str) -> None:
    with pytest.raises(ArchiveError, match=says) as error:
        ArchiveStore(url)
    assert "secret" not in str(error.value)
