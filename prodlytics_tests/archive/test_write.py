"""A day in the archive is the day in the database, for every reader and once."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodlytics.archive.errors import ArchiveError
from prodlytics.archive.store import ArchiveStore
from prodlytics.archive.write import archive_days
from prodlytics.datasets.registry import DATASETS, Dataset
from prodlytics.db.connect import connect
from prodlytics_tests.archive.floor import CODE, FIRST, add_scrap, archive, day, duck, manifest

SUMS = "count(*), sum(quantity), sum(material_cost), min(time), max(time), count(scrap_reason)"


def _file(folder: Path, number: int = 0, dataset: str = "scrap_events") -> Path:
    return folder / f"plant=small/dataset={dataset}/date={day(number).production_date}/part-0.parquet"


def test_duckdb_finds_the_rows_of_the_database(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    for number, rows in enumerate((1440, 700, 3)):
        add_scrap(conn, number, rows)
        archive(conn, store, number)
    expected = conn.execute(f"SELECT production_date, {SUMS} FROM scrap_events GROUP BY 1 ORDER BY 1").fetchall()
    found = duck(folder, f"SELECT date, {SUMS} FROM {{files}} GROUP BY 1 ORDER BY 1")
    assert found == expected
    assert duck(folder, "SELECT DISTINCT plant, dataset FROM {files}") == [("small", "scrap_events")]


def test_telemetry_on_every_kind_of_database(database: str, store: ArchiveStore, folder: Path) -> None:
    with connect(database) as conn:
        conn.execute("INSERT INTO tag (machine_id, metric_name, unit, source) VALUES ('M2', 'Speed', 'rpm', 'opc'), "
                     "('M1', 'Speed', 'rpm', 'opc'), ('M1', 'Program', NULL, 'opc')")  # fmt: skip
        conn.execute(
            "INSERT INTO telemetry_sample SELECT tag_id, %s + i * interval '10 s', i / 7.0, NULL, 192, 1000, 2000 "
            "FROM tag, generate_series(0, 8639) i WHERE metric_name = 'Speed'",
            (day().start,),
        )
        conn.execute(
            "INSERT INTO telemetry_sample SELECT tag_id, %s, NULL, 'O1234 é', 64, NULL, 5 FROM tag "
            "WHERE metric_name = 'Program'",
            (day().start,),
        )
        conn.commit()
        result = archive(conn, store, dataset="machine_telemetry")
        rows = conn.execute("SELECT * FROM machine_telemetry").fetchall()
        columns = [name for name in DATASETS["machine_telemetry"].columns]
        expected = conn.execute(
            f'SELECT {", ".join(columns)} FROM machine_telemetry ORDER BY machine_id, metric_name COLLATE "C", time'
        ).fetchall()
    assert result.row_count == len(rows) == 2 * 8640 + 1
    assert duck(folder, f"SELECT {', '.join(columns)} FROM {{files}}", "machine_telemetry") == expected


def test_file_is_typed_sorted_and_compressed(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    for machine in ("b", "A", "a"):
        add_scrap(conn, 0, 100, machine=machine)
    archive(conn, store)
    schema = pq.read_schema(_file(folder))
    assert schema.field("time").type == schema.field("as_of").type == pa.timestamp("us", tz="UTC")
    assert schema.field("production_date").type == pa.date32()
    assert schema.field("material_cost").type == schema.field("quantity").type == pa.decimal128(38, 18)
    rows = pq.read_table(_file(folder)).select(["machine_id", "time", "event_key"]).to_pylist()
    assert rows == sorted(rows, key=lambda row: (row["machine_id"], row["time"], row["event_key"]))
    group = pq.ParquetFile(_file(folder)).metadata.row_group(0)
    for number in range(group.num_columns):
        assert group.column(number).compression == "ZSTD"
        assert group.column(number).is_stats_set
    assert [column.column_index for column in group.sorting_columns] == [schema.names.index(n) for n in rows[0]]


def test_rows_belong_to_the_day_in_which_they_start(
    conn: psycopg.Connection, store: ArchiveStore, folder: Path
) -> None:
    edge = day(1).start
    microsecond = dt.timedelta(microseconds=1)
    for name, time in (("last", edge - microsecond), ("first", edge)):
        conn.execute(
            "INSERT INTO scrap_events (time, machine_id, event_key, quantity, currency, production_date, as_of) "
            "VALUES (%s, 'M1', %s, 1, 'USD', %s, %s)",
            (time, name, FIRST, edge),
        )
    conn.commit()
    for number in (0, 1, 2):
        archive(conn, store, number)
    found = duck(folder, "SELECT event_key, date FROM {files} ORDER BY time")
    assert found == [("last", day(0).production_date), ("first", day(1).production_date)]


def test_manifest_describes_the_file(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    add_scrap(conn, 0, 10)
    result = archive(conn, store)
    row = conn.execute(
        "SELECT path, content_hash, row_count, size_bytes, first_time, last_time, code_version, schema_json "
        "FROM archive_manifest"
    ).fetchone()
    assert row is not None
    data = _file(folder).read_bytes()
    assert row[:7] == (
        _file(folder).relative_to(folder).as_posix(), hashlib.sha256(data).hexdigest(), 10, len(data),
        day().start, day().start + dt.timedelta(minutes=9), CODE,
    )  # fmt: skip
    assert (result.action, result.version) == ("written", 1)
    assert {"name": "quantity", "type": "decimal128(38, 18)", "database_type": "numeric"} in row[7]["columns"]
    assert row[7]["sorted_by"] == ["machine_id", "time", "event_key"]


def test_an_unchanged_day_writes_nothing(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    add_scrap(conn, 0, 50)
    archive(conn, store)
    before = (_file(folder).stat().st_mtime_ns, _file(folder).stat().st_ino, manifest(conn), store.list())
    rows = conn.execute("SELECT xmin, * FROM archive_manifest").fetchall()
    assert archive(conn, store).action == "unchanged"
    assert (_file(folder).stat().st_mtime_ns, _file(folder).stat().st_ino, manifest(conn), store.list()) == before
    assert conn.execute("SELECT xmin, * FROM archive_manifest").fetchall() == rows


def test_a_restated_day_supersedes_the_one_before(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    add_scrap(conn, 0, 50)
    archive(conn, store)
    first = _file(folder).read_bytes()
    for version in (2, 3):
        conn.execute("UPDATE scrap_events SET scrap_reason = %s", (f"restated {version}",))
        conn.commit()
        result = archive(conn, store)
        assert (result.action, result.version) == ("written", version)
    versions = manifest(conn)
    assert [(version, current) for _, version, current, _ in versions] == [(1, False), (2, False), (3, True)]
    assert store.list() == sorted(path for *_, path in versions)
    assert (folder / versions[0][3]).read_bytes() == first
    assert all(path.startswith("superseded/") for *_, path in versions[:2])
    for *_, path in versions:
        hashes = conn.execute("SELECT content_hash FROM archive_manifest WHERE path = %s", (path,)).fetchone()
        assert hashes == (store.sha256(path),)
    assert duck(folder, "SELECT count(*), min(scrap_reason), max(scrap_reason) FROM {files}") == [
        (50, "restated 3", "restated 3")
    ]


def test_a_day_without_rows_is_archived_as_such(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    assert archive(conn, store).row_count == 0
    assert duck(folder, "SELECT count(*) FROM {files}") == [(0,)]
    assert archive(conn, store).action == "unchanged"


def test_money_adds_up_to_the_last_digit(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    add_scrap(conn, 0, 1000, cost="0.1")
    archive(conn, store)
    # 0.1 * (0 + 1 + ... + 999); doubles would miss it.
    assert duck(folder, "SELECT sum(material_cost) FROM {files}") == [(Decimal("49950.000000000000000000"),)]


def test_digits_that_do_not_fit_are_rounded_and_counted(
    conn: psycopg.Connection, store: ArchiveStore, folder: Path
) -> None:
    add_scrap(conn, 0, 3)
    conn.execute("UPDATE scrap_events SET material_cost = 0.12345678901234567850 WHERE time = %s", (day().start,))
    conn.commit()
    result = archive(conn, store)
    assert result.rounded == {"scrap_events.material_cost": 1}
    assert (Decimal("0.123456789012345678"),) in duck(folder, "SELECT material_cost FROM {files}")
    stored = conn.execute("SELECT schema_json -> 'rounded' FROM archive_manifest").fetchone()
    assert stored == ({"scrap_events.material_cost": 1},)


def test_a_number_that_is_none_is_named(conn: psycopg.Connection, store: ArchiveStore) -> None:
    add_scrap(conn, 0, 1)
    conn.execute("UPDATE scrap_events SET material_cost = 'NaN'")
    conn.commit()
    with pytest.raises(ArchiveError, match=r"^Cannot archive scrap_events.material_cost: NaN does not fit"):
        archive(conn, store)
    conn.rollback()
    assert manifest(conn) == []
    assert store.list() == []


def test_reports_go_by_their_date(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    for number in (0, 1):
        conn.execute(
            "INSERT INTO daily_report (production_date, plant_oee, summary, html, plain_text, fingerprint, as_of) "
            "VALUES (%s, 0.7, %s, '<p>', 'text', 'f', now())",
            (day(number).production_date, json.dumps({"oee": 0.7})),
        )
    conn.commit()
    for number in (0, 1):
        archive(conn, store, number, "daily_report")
    found = duck(folder, "SELECT date, production_date, summary FROM {files} ORDER BY 1", "daily_report")
    assert found == [(day(n).production_date, day(n).production_date, '{"oee": 0.7}') for n in (0, 1)]


def test_a_column_named_like_a_level_of_the_layout_stays_readable(
    conn: psycopg.Connection, store: ArchiveStore, folder: Path
) -> None:
    quarantine = Dataset(
        "quarantine", "edge", "", ("quarantine_id",), (), (), span=("quarantined_at", "quarantined_at")
    )
    conn.execute(
        "INSERT INTO quarantine (dataset, reason, detail, origin, fingerprint, quarantined_at) "
        "VALUES ('work_orders', 'r', 'd', 'o', 'f', %s)",
        (day().start,),
    )
    conn.commit()
    archive_days(conn, store, "small", quarantine, [day()], CODE)
    found = duck(folder, "SELECT dataset, dataset_value FROM {files}", "quarantine")
    assert found == [("quarantine", "work_orders")]


def test_large_days_come_in_equal_row_groups(conn: psycopg.Connection, store: ArchiveStore, folder: Path) -> None:
    conn.execute("INSERT INTO tag (machine_id, metric_name, source) VALUES ('M1', 'Speed', 'opc')")
    conn.execute(
        "INSERT INTO telemetry_sample SELECT tag_id, %s + i * interval '1 ms', i, NULL, 192, 0, 0 "
        "FROM tag, generate_series(0, 299999) i",
        (day().start,),
    )
    conn.commit()
    archive(conn, store, dataset="machine_telemetry")
    file = pq.ParquetFile(_file(folder, dataset="machine_telemetry"))
    groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    assert [group.num_rows for group in groups] == [131_072, 131_072, 300_000 - 2 * 131_072]
    time = file.schema_arrow.names.index("time")
    edges = [(g.column(time).statistics.min, g.column(time).statistics.max) for g in groups]
    assert edges == sorted(edges)
    assert duck(folder, "SELECT count(*), sum(value) FROM {files}", "machine_telemetry") == [
        (300_000, 299_999 * 300_000 / 2)
    ]
