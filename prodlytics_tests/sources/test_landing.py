"""Landed files into a real database: once, whole or not at all, never forgotten."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import os
import threading
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prodlytics.sources import unpack
from prodlytics.sources.landing import LandingReport, load_pending, pending, unclaimed
from prodlytics.sources.place import LandingUnavailable
from prodlytics_tests.sources.landing_place import (
    DAY,
    assert_accounted,
    at,
    books,
    kep,
    landing_plant,
    put,
    rows,
    samples,
)

PLANT = landing_plant()
RUN = "AB.Press01.MachineState"


def load(url: str, folder: Path) -> LandingReport:
    return load_pending(url, PLANT, str(folder))


def waiting(url: str, folder: Path) -> list[str]:
    with psycopg.connect(url) as conn:
        return [file.name for file in pending(PLANT, str(folder), conn)]


def test_a_file_becomes_samples_quarantine_books_and_marks(database: str, tmp_path: Path) -> None:
    put(
        tmp_path, "telemetry/a.ndjson", kep((RUN, 0, 1), ("AB.Press01.ToolID", 1, "T1")) + kep(("X.Y.z", 2, 1)) + b"{\n"
    )
    assert waiting(database, tmp_path) == ["telemetry/a.ndjson"]

    report = load(database, tmp_path)

    assert report == LandingReport(1, 0, 4, 2, 2, 0)
    assert samples(database) == [
        ("Press01", "MachineState", at(0), 1.0, None, 192),
        ("Press01", "ToolID", at(1), None, "T1", 192),
    ]
    assert rows(database, "SELECT reason, origin, position FROM quarantine ORDER BY position") == [
        ("unknown_machine", "telemetry/a.ndjson", 3),
        ("bad_json", "telemetry/a.ndjson", 4),
    ]
    assert rows(database, "SELECT first_time, last_time, error FROM landed_file") == [(at(0), at(1), None)]
    assert rows(database, "SELECT dataset, machine_id, quarter FROM dirty_mark ORDER BY 1") == [
        ("anomaly_scores", "Press01", DAY),
        ("archive/machine_telemetry", "Press01", DAY),
        ("data_quality", "Press01", DAY),
        ("machine_states", "Press01", DAY),
        ("production_events", "Press01", DAY),
        ("reconciliation", "Press01", DAY),
        ("sensor_delivery", "Press01", DAY),
        ("stop_features", "Press01", DAY),
    ]
    assert_accounted(database)
    assert waiting(database, tmp_path) == []


def test_the_same_content_is_never_loaded_twice(plain_database: str, tmp_path: Path) -> None:
    path = put(tmp_path, "telemetry/a.ndjson", kep((RUN, 0, 1)))
    assert load(plain_database, tmp_path).files == 1
    before = rows(plain_database, "SELECT xmin, ctid FROM telemetry_sample")
    os.utime(path, (1, 1))
    assert load(plain_database, tmp_path).files == 0
    path.unlink()
    put(tmp_path, "telemetry/a.ndjson", kep((RUN, 0, 1)))
    assert load(plain_database, tmp_path).files == 0
    assert waiting(plain_database, tmp_path) == []
    assert rows(plain_database, "SELECT xmin, ctid FROM telemetry_sample") == before
    assert len(books(plain_database)) == 1


def test_a_file_that_grew_brings_what_is_new(database: str, tmp_path: Path) -> None:
    first = kep((RUN, 0, 1)) + b"broken\n"
    put(tmp_path, "telemetry/a.ndjson", first)
    load(database, tmp_path)
    put(tmp_path, "telemetry/a.ndjson", first + kep((RUN, 5, 2)))
    report = load(database, tmp_path)
    assert (report.rows_in, report.rows_stored, report.rows_quarantined, report.rows_duplicate) == (3, 1, 0, 2)
    assert [row[3] for row in samples(database)] == [1.0, 2.0]
    assert_accounted(database)


def test_of_two_values_for_one_instant_the_later_published_stays(database: str, tmp_path: Path) -> None:
    put(tmp_path, "telemetry/1.ndjson", kep((RUN, 0, 1), sent=100))
    put(tmp_path, "telemetry/2.ndjson", kep((RUN, 0, 2), sent=300))
    put(tmp_path, "telemetry/3.ndjson", kep((RUN, 0, 3), sent=200))
    put(
        tmp_path,
        "telemetry/4.ndjson",
        kep((RUN, 9, 1), sent=100) + kep((RUN, 9, 2), sent=50) + kep((RUN, 9, 1), sent=9),
    )
    load(database, tmp_path)
    assert [row[3] for row in samples(database)] == [2.0, 1.0]
    assert len(rows(database, "SELECT FROM quarantine WHERE reason = 'conflict'")) == 3
    assert_accounted(database)


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("telemetry/bad.parquet", b"PAR1 and then nothing", "not Parquet"),
        ("telemetry/bad.csv.gz", gzip.compress(b"time,machine,metric,value\n" * 9999)[:-20], "gzip file is damaged"),
        ("telemetry/bad.ndjson.gz", b"{}", "not gzip"),
        ("telemetry/bad.csv", b"", "empty"),
        ("telemetry/bad.csv", b"a,b\n1,2\n", "'time'"),
        ("telemetry/bad.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "header cannot be read"),
    ],
)
def test_a_corrupt_file_is_recorded_once_and_blocks_nobody(
    plain_database: str, tmp_path: Path, name: str, data: bytes, why: str
) -> None:
    put(tmp_path, name, data)
    put(tmp_path, "telemetry/z.ndjson", kep((RUN, 0, 1)))
    report = load(plain_database, tmp_path)
    assert (report.files, report.files_with_error, report.rows_stored) == (2, 1, 1)
    [(error,)] = rows(plain_database, f"SELECT error FROM landed_file WHERE name = '{name}'")
    assert why in error
    assert rows(plain_database, "SELECT reason, detail FROM quarantine") == [("unreadable_file", error)]
    assert load(plain_database, tmp_path).files == 0
    put(tmp_path, name, kep((RUN, 7, 1)) if "ndjson.gz" not in name else gzip.compress(kep((RUN, 7, 1))))
    assert load(plain_database, tmp_path).files == 1
    assert_accounted(plain_database)


def test_nothing_of_a_file_that_breaks_in_the_middle_stays(
    plain_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = b"".join(kep((RUN, i, i)) for i in range(2000))
    whole = gzip.compress(lines)
    put(tmp_path, "telemetry/cut.ndjson.gz", whole[: len(whole) // 2])
    monkeypatch.setattr("prodlytics.formats.kepserverex.BATCH", 100)
    load(plain_database, tmp_path)
    assert samples(plain_database) == []
    assert rows(plain_database, "SELECT * FROM dirty_mark") == []
    put(tmp_path, "telemetry/cut.ndjson.gz", whole)
    assert load(plain_database, tmp_path).rows_stored == 2000
    assert_accounted(plain_database)


def test_a_file_that_unpacks_to_too_much_is_refused(
    plain_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "UNPACKED_LIMIT", 10_000)
    put(tmp_path, "telemetry/bomb.ndjson.gz", gzip.compress(b"\n" * 1_000_000))
    put(tmp_path, "telemetry/bomb.csv.gz", gzip.compress(b"\n" * 1_000_000))
    put(tmp_path, "telemetry/bomb.parquet.gz", gzip.compress(b"\n" * 1_000_000))
    assert load(plain_database, tmp_path).files_with_error == 3
    assert all("unpacks to more than" in error for (error,) in rows(plain_database, "SELECT error FROM landed_file"))


def test_what_nobody_finished_or_nobody_claims_is_left_alone(plain_database: str, tmp_path: Path) -> None:
    for name in ("a.ndjson.tmp", ".a.ndjson", "a.ndjson.part", ".a.ndjson.swp", ".hidden/a.ndjson"):
        put(tmp_path, f"telemetry/{name}", kep((RUN, 0, 1)))
    put(tmp_path, "elsewhere/a.ndjson", kep((RUN, 0, 1)))
    assert waiting(plain_database, tmp_path) == []
    assert unclaimed(PLANT, str(tmp_path)) == ["elsewhere/a.ndjson"]


def test_a_link_out_of_the_folder_is_not_followed(plain_database: str, tmp_path: Path) -> None:
    outside = put(tmp_path, "secret/a.ndjson", kep((RUN, 0, 1)))
    inside = tmp_path / "landing"
    (inside / "telemetry").mkdir(parents=True)
    (inside / "telemetry" / "a.ndjson").symlink_to(outside)
    (inside / "more").symlink_to(outside.parent)
    assert waiting(plain_database, inside) == []
    assert unclaimed(PLANT, str(inside)) == []


def test_no_landing_place_is_one_sentence(plain_database: str, tmp_path: Path) -> None:
    with pytest.raises(LandingUnavailable, match="does not exist: create it"):
        load(plain_database, tmp_path / "nowhere")
    with pytest.raises(LandingUnavailable, match="cannot be used"):
        load_pending(plain_database, PLANT, "nonsense://x/y")


@pytest.mark.parametrize("suffix", [".parquet", ".parquet.gz"])
def test_parquet_arrives(database: str, tmp_path: Path, suffix: str) -> None:
    sink = io.BytesIO()
    n = 1000
    times = pa.array([at(i) for i in range(n)], pa.timestamp("us", "UTC"))
    table = pa.table(
        {"time": times, "machine": ["Press01"] * n, "metric": ["x"] * n, "value": [float(i) for i in range(n)]}
    )
    pq.write_table(table, sink)
    data = sink.getvalue()
    put(tmp_path, f"telemetry/a{suffix}", gzip.compress(data) if suffix.endswith("gz") else data)
    assert load(database, tmp_path) == LandingReport(1, 0, n, n, 0, 0)
    assert [row[2:4] for row in samples(database)] == [(at(i), float(i)) for i in range(n)]
    assert len(rows(database, "SELECT FROM dirty_mark")) == 8 * 2


def test_a_machine_that_is_added_is_read_again(plain_database: str, tmp_path: Path) -> None:
    put(tmp_path, "telemetry/a.ndjson", kep((RUN, 0, 1), ("New.Lathe.x", 0, 5), ("Nobody.x", 0, 5)))
    put(tmp_path, "telemetry/b.ndjson", kep((RUN, 1, 1)))
    load(plain_database, tmp_path)
    machines = [machine.model_dump() for machine in PLANT.machines]
    machines[1]["aliases"] = ["New.Lathe"]
    changed = landing_plant(machines=machines)

    report = load_pending(plain_database, changed, str(tmp_path))

    assert report.files == 1
    assert books(plain_database) == [("telemetry/a.ndjson", 3, 2, 1, 0), ("telemetry/b.ndjson", 1, 1, 0, 0)]
    assert [row[0] for row in samples(plain_database)] == ["Press01", "Press01", "Robot01"]
    assert rows(plain_database, "SELECT payload LIKE '%Nobody%' FROM quarantine") == [(True,)]
    assert_accounted(plain_database)
    assert load_pending(plain_database, changed, str(tmp_path)).files == 0


def test_two_loaders_at_once_store_once(database: str, tmp_path: Path) -> None:
    for n in range(12):
        put(tmp_path, f"telemetry/{n}.ndjson", b"".join(kep((RUN, i, 1), ("Robot01.x", i, n)) for i in range(200)))
    failures: list[BaseException] = []

    def run() -> None:
        try:
            load(database, tmp_path)
        except BaseException as error:  # noqa: BLE001 shown by the assertion below
            failures.append(error)

    loaders = [threading.Thread(target=run) for _ in range(3)]
    for loader in loaders:
        loader.start()
    for loader in loaders:
        loader.join()
    assert failures == []
    assert len(books(database)) == 12
    assert sum(row[1] for row in books(database)) == 12 * 400
    assert len(samples(database)) == 400
    assert_accounted(database)


def test_only_the_dataset_asked_for(plain_database: str, tmp_path: Path) -> None:
    put(tmp_path, "telemetry/a.ndjson", kep((RUN, 0, 1)))
    put(tmp_path, "costs/a.csv", "part,since,cost\nP1,2026-01-01,1.5\n")
    assert load_pending(plain_database, PLANT, str(tmp_path), dataset="part_costs").files == 1
    assert waiting(plain_database, tmp_path) == ["telemetry/a.ndjson"]


def test_a_clock_gone_wrong_is_quarantined_with_its_time(plain_database: str, tmp_path: Path) -> None:
    ahead = (dt.datetime.now(dt.UTC) - DAY + dt.timedelta(days=2)).total_seconds()
    put(tmp_path, "telemetry/a.ndjson", kep((RUN, ahead, 1), (RUN, -86_400 * 4000, 1), (RUN, 0, 1)))
    load(plain_database, tmp_path)
    assert rows(plain_database, "SELECT reason, event_time < now() FROM quarantine ORDER BY position") == [
        ("future_time", False),
        ("before_first_day", True),
    ]


def test_a_late_state_of_a_machine_that_settles_is_asked_for_an_hour_further(
    plain_database: str, tmp_path: Path
) -> None:
    """What toggles belongs to a state of up to an hour before it, maybe of the day before."""
    state = {"map": {"1": "running"}, "settle_s": 3}
    machine = {"id": "Press01", "name": "One", "line": "L1", "aliases": ["AB.Press01"], "state": state}
    put(tmp_path, "telemetry/a.ndjson", kep(("AB.Press01.MachineState", 0, 1)))
    load_pending(plain_database, landing_plant(machines=[machine]), str(tmp_path))
    found = rows(plain_database, "SELECT quarter FROM dirty_mark WHERE dataset = 'machine_states' ORDER BY 1")
    assert found == [(at(0),), (at(3600),)]
    assert rows(plain_database, "SELECT quarter FROM dirty_mark WHERE dataset = 'production_events'") == [(at(0),)]
