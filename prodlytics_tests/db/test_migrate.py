"""Migrations: twice is harmless, half-way is recoverable, two at once wait for each other, an edited one is refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from prodlytics.db.connect import DatabaseUnavailable, connect
from prodlytics.db.migrate import MigrationError, migrate
from prodlytics.db.sqlfiles import sql_folder
from prodlytics_tests.servers.databases import empty_database, url_of

MIGRATIONS = sorted(file.name for file in (sql_folder() / "migrations").glob("*.sql"))


@pytest.fixture
def empty(database: str) -> Iterator[str]:
    """An empty database on each kind of server."""
    with empty_database(url_of(database, "postgres")) as url:
        yield url


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """A folder of three migrations of our own, without views and roles."""
    folder = tmp_path / "sql" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_first.sql").write_text("CREATE TABLE first (n integer)")
    (folder / "0002_second.sql").write_text("CREATE TABLE second (n integer); INSERT INTO first VALUES (1)")
    (folder / "0003_third.sql").write_text("CREATE TABLE third (n integer)")
    return folder.parent


def tables(url: str) -> set[str]:
    with connect(url) as conn:
        return {name for (name,) in conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def shape(url: str) -> list[tuple[object, ...]]:
    """Every column and constraint readers and writers see."""
    with connect(url) as conn:
        columns = conn.execute(
            "SELECT table_name, column_name, data_type, is_nullable, column_default, is_generated,"
            " generation_expression FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        ).fetchall()
        constraints = conn.execute(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'c') ORDER BY 1, 2"
        ).fetchall()
        return columns + constraints


def test_all_once_then_none(empty: str) -> None:
    first = migrate(empty)
    before = shape(empty)
    second = migrate(empty)
    assert (first.applied, first.already) == (MIGRATIONS, 0)
    assert (second.applied, second.already) == ([], len(MIGRATIONS))
    assert shape(empty) == before


def test_same_tables_on_every_kind_of_server(database: str, plain_database: str) -> None:
    assert shape(database) == shape(plain_database)


def test_a_broken_migration_leaves_those_before_it_and_the_next_run_goes_on(empty: str, sql: Path) -> None:
    second = sql / "migrations" / "0002_second.sql"
    whole = second.read_text()
    second.write_text("CREATE TABLE second (n integer); INSERT INTO nowhere VALUES (1)")
    with pytest.raises(MigrationError, match=r"0002_second\.sql failed and was rolled back: .*nowhere"):
        migrate(empty, sql)
    assert tables(empty) == {"schema_migration", "first"}
    second.write_text(whole)
    report = migrate(empty, sql)
    assert (report.applied, report.already) == (["0002_second.sql", "0003_third.sql"], 1)
    assert tables(empty) == {"schema_migration", "first", "second", "third"}


def test_a_killed_migration_leaves_nothing_of_itself(empty: str, sql: Path) -> None:
    second = sql / "migrations" / "0002_second.sql"
    whole = second.read_text()
    second.write_text("CREATE TABLE second (n integer); SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(MigrationError, match=r"0002_second\.sql"):
        migrate(empty, sql)
    assert tables(empty) == {"schema_migration", "first"}
    second.write_text(whole)
    assert migrate(empty, sql).applied == ["0002_second.sql", "0003_third.sql"]


def test_an_edited_migration_is_refused_before_anything_is_done(empty: str, sql: Path) -> None:
    migrate(empty, sql)
    (sql / "migrations" / "0001_first.sql").write_text("CREATE TABLE other (n integer)")
    (sql / "migrations" / "0004_fourth.sql").write_text("CREATE TABLE fourth (n integer)")
    with pytest.raises(MigrationError, match=r"0001_first\.sql was edited after it had been applied"):
        migrate(empty, sql)
    assert "fourth" not in tables(empty)


def test_a_missing_file_of_an_applied_migration_does_not_matter(empty: str, sql: Path) -> None:
    # A newer program has migrated this database; an older one of the same schema may still look at it.
    migrate(empty, sql)
    (sql / "migrations" / "0003_third.sql").unlink()
    assert migrate(empty, sql).applied == []


def test_two_at_once_apply_each_migration_once(empty: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        reports = [future.result() for future in [pool.submit(migrate, empty) for _ in range(2)]]
    assert sorted(len(report.applied) for report in reports) == [0, len(MIGRATIONS)]
    assert sorted(report.already for report in reports) == [0, len(MIGRATIONS)]


def test_a_second_run_waits_for_the_first(empty: str, sql: Path) -> None:
    with ThreadPoolExecutor(1) as pool, connect(empty, autocommit=True) as first:
        # Stands for a run that is under way: it holds the lock that every run takes.
        first.execute("SELECT pg_advisory_lock(hashtextextended('prodlytics/migrate', 0))")
        second = pool.submit(migrate, empty, sql)
        while not first.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchall():
            assert not second.done()
        assert tables(empty) == set()
        first.execute("SELECT pg_advisory_unlock_all()")
        assert len(second.result().applied) == 3


def test_views_and_roles_are_renewed_on_every_run(empty: str, sql: Path) -> None:
    shutil.copytree(sql_folder() / "migrations", sql / "migrations", dirs_exist_ok=True)
    (sql / "views").mkdir()
    view = sql / "views" / "reader.sql"
    view.write_text("CREATE OR REPLACE VIEW reader AS SELECT 1 AS n")
    migrate(empty, sql)
    view.write_text("CREATE OR REPLACE VIEW reader AS SELECT 2 AS n")
    migrate(empty, sql)
    with connect(empty) as conn:
        assert conn.execute("SELECT n FROM reader").fetchall() == [(2,)]


def test_no_database_is_one_sentence_without_the_password() -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        migrate("postgresql://somebody:hush-hush@127.0.0.1:1/nothing")
    assert "127.0.0.1:1/nothing" in str(caught.value)
    assert "hush-hush" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_password_is_one_sentence_without_it(plain_database: str) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(plain_database)
    wrong = psycopg.conninfo.make_conninfo(plain_database, password="hush-hush")
    with pytest.raises(DatabaseUnavailable, match="password") as caught:
        connect(wrong)
    assert "hush-hush" not in str(caught.value)
    assert str(parts["password"]) not in str(caught.value)


def test_an_unreadable_url_says_what_to_write() -> None:
    with pytest.raises(DatabaseUnavailable, match="write postgresql://"):
        connect("postgresql//user:hush@nowhere")
