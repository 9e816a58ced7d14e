"""`prodlytics explain` on simulated days in a real database: every number can be had again from what it shows."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from prodlytics.ops.explain import NothingToExplainError, explain_day, explain_hour
from prodlytics_tests.end_to_end.plant_run import MACHINES, PlantRun, plant_run
from prodlytics_tests.servers.databases import migrated_database
from prodlytics_tests.test_cli import one_sentence, prodlytics

#: The 25 hours of the day on which the clocks go back in Chicago.
LONG_DAY = "2026-10-31"


@pytest.fixture(scope="module")
def computed(plain_server: str, story: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantRun]:
    with migrated_database(plain_server) as url:
        run = plant_run(url, story, tmp_path_factory.mktemp("explain"))
        assert not run.load_and_derive().errors
        yield run


@pytest.fixture
def explain(computed: PlantRun, tmp_path: Path) -> Explain:
    return Explain(computed, tmp_path)


class Explain:
    """The command against the computed database."""

    def __init__(self, run: PlantRun, home: Path) -> None:
        self.url, self.plant_file, self.home = run.url, run.plant_file, home

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return prodlytics(
            "explain", *arguments, home=self.home, PRODLYTICS_DATABASE_URL=self.url,
            PRODLYTICS_PLANT=str(self.plant_file),
        )  # fmt: skip

    def query(self, text: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url) as conn:
            return conn.execute(text, values).fetchall()


def oee_from(rows: list[dict[str, str]]) -> dict[str, Decimal | None]:
    """OEE by hour, from nothing but the rows of the CSV: what a spreadsheet does."""
    hours: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        hours[row["hour_utc"]].append(row)
    found: dict[str, Decimal | None] = {}
    for hour, inside in hours.items():
        planned = sum(Decimal(row["planned_us"]) for row in inside if row["record"] == "interval")
        no_cycle = any(row["record"] == "count" and row["ideal_good_us"] == "" for row in inside)
        good = sum(Decimal(row["ideal_good_us"] or 0) for row in inside if row["record"] == "count")
        found[hour] = None if not planned or no_cycle else good / planned
    return found


def stored_oee(explain: Explain, machine: str, day: str) -> dict[str, float | None]:
    rows = explain.query(
        "SELECT to_char(time_bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"'), oee"
        " FROM oee_hourly WHERE machine_id = %s AND production_date = %s",
        machine,
        day,
    )
    return dict(rows)  # type: ignore[arg-type]


@pytest.mark.parametrize(("machine", "day", "hours"), [
    ("Press01", LONG_DAY, 25), ("Pack01", "2026-11-02", 24), ("Mill02", "2026-10-30", 24),
])  # fmt: skip
def test_the_csv_of_a_day_gives_the_oee_of_every_hour(explain: Explain, machine: str, day: str, hours: int) -> None:
    done = explain(machine, day, "--csv")
    assert (done.returncode, done.stderr) == (0, "")
    table = stored_oee(explain, machine, day)
    again = oee_from(list(csv.DictReader(io.StringIO(done.stdout))))
    assert len(again) == hours
    assert set(again) == set(table)
    for hour, oee in again.items():
        stored = table[hour]
        assert (oee is None) == (stored is None), hour
        assert oee is None or float(oee) == pytest.approx(stored, abs=1e-12), hour


def test_the_day_of_an_hour_is_the_same_csv(explain: Explain) -> None:
    assert explain("Press01", "2026-11-02T10", "--csv").stdout == explain("Press01", "2026-11-02", "--csv").stdout


def test_every_hour_of_every_machine_is_what_its_parts_give(computed: PlantRun) -> None:
    with psycopg.connect(computed.url) as conn:
        found = [
            one
            for machine in computed.plant.machines
            for day in computed.days[:-1]
            for one in explain_day(conn, computed.plant, machine, dt.date.fromisoformat(day))
        ]
    assert len(found) == len(MACHINES) * (4 * 24 + 25)
    assert [(one.machine_id, one.starts_at, one.verdict) for one in found if one.verdict] == []
    odd = [(one.machine_id, i) for one in found for i in one.intervals if i.expected_bucket != i.bucket]
    assert odd == []


def test_an_hour_in_text_names_sources_people_and_calendar(explain: Explain) -> None:
    (machine, bucket), *_ = explain.query(
        "SELECT d.machine_id, to_char(m.time_bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI\"Z\"')"
        " FROM downtime_events d JOIN machine_time m ON m.stop_id = d.stop_id AND m.starts_at = d.time_start"
        " WHERE d.reason_source = 'operator' AND d.bucket = 'failure' ORDER BY d.time_start LIMIT 1"
    )
    done = explain(str(machine), str(bucket))
    assert (done.returncode, done.stderr) == (0, "")
    for said in (
        "timetable since",
        "kepserverex: ",
        "telemetry/",
        "operator ",
        "reason: ",
        "Revision 1",
        "Never restated",
    ):
        assert said in done.stdout, said
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


def test_a_screen_that_knows_only_ascii_shows_the_page(computed: PlantRun, tmp_path: Path) -> None:
    settings = {"PRODLYTICS_DATABASE_URL": computed.url, "PYTHONIOENCODING": "ascii"}
    done = prodlytics("explain", "Press01", "2026-10-30T10", home=tmp_path, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert "-----" in done.stdout


def test_the_hour_that_occurs_twice_needs_its_offset(explain: Explain) -> None:
    asked = explain("Press01", "2026-11-01T01")
    assert asked.returncode == 2
    said = one_sentence(asked)
    assert "2026-11-01T01:00-05:00" in said
    assert "2026-11-01T01:00-06:00" in said
    first, second = (explain("Press01", f"2026-11-01T01:00-0{offset}:00", "--json") for offset in (5, 6))
    starts = [json.loads(one.stdout)["starts_at"] for one in (first, second)]
    assert starts == ["2026-11-01T06:00:00+00:00", "2026-11-01T07:00:00+00:00"]


def test_a_changed_row_is_told_and_fails(explain: Explain) -> None:
    change = "UPDATE oee_hourly SET oee = oee + %s WHERE machine_id = 'Press01' AND time_bucket = '2026-10-30 15:00+00'"
    before = explain.query(
        "SELECT oee FROM oee_hourly WHERE machine_id = 'Press01' AND time_bucket = '2026-10-30 15:00+00'"
    )
    assert before[0][0] is not None
    with psycopg.connect(explain.url, autocommit=True) as conn:
        conn.execute(change, (0.05,))
        wrong, as_csv = explain("Press01", "2026-10-30T10"), explain("Press01", "2026-10-30", "--csv")
        conn.execute(change, (-0.05,))
    assert wrong.returncode == as_csv.returncode == 1
    assert "The stored row is not what its parts give: oee stored" in " ".join(wrong.stdout.split())
    assert "oee stored" in one_sentence(as_csv)
    assert explain("Press01", "2026-10-30T10").returncode == 0


def test_an_hour_after_all_that_is_computed_says_how_far_that_is(computed: PlantRun) -> None:
    machine = computed.plant.machines[0]
    with (
        psycopg.connect(computed.url) as conn,
        pytest.raises(NothingToExplainError, match=r"computed until 2026-11-0. ..:.. only"),
    ):
        explain_hour(conn, computed.plant, machine, dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("Pres01", "2026-11-02T10"), 2, "did you mean Press01"),
        (("Press01", "2999-01-01T10"), 2, "has not begun yet"),
        (("Press01", "2025-12-31T10"), 2, "first production day, 2026-01-01"),
        (("Press01", "yesterday"), 2, "2026-11-20T10"),
        (("Press01", "2026-13-01T10"), 2, "is not an hour"),
        (("Press01", "2026-03-08T02"), 2, "does not exist"),
        (("Press01", "2026-11-02"), 2, "is not an hour"),
        (("Press01", "2026-02-30", "--csv"), 2, "is not a day"),
        (("Press01", "2026-11-02T10", "--csv", "--json"), 2, "--csv and --json"),
        (("Press01", "2026-10-01T10"), 1, "prodlytics backfill 2026-10-01"),
        (("Press01", "2026-10-01", "--csv"), 1, "prodlytics backfill 2026-10-01"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(
    explain: Explain, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = explain(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in one_sentence(done)


def test_dagster_shows_the_same(computed: PlantRun, explain: Explain) -> None:
    """The hours, the time per bucket and an explained hour are on the page of the materialization, in bounded size."""
    day = "2026-10-30"
    with dg.DagsterInstance.ephemeral() as instance:
        assert computed.runner(instance).run("chain", first=day)
        shown = {name: _metadata(instance, computed, name) for name in ("oee_hourly", "machine_time")}
    for texts in shown.values():
        assert sum(map(len, texts.values())) < 50_000
    table = [line.strip("|").split("|") for line in shown["oee_hourly"]["hours"].splitlines() if line.startswith("|")]
    rows = explain.query(
        "SELECT machine_id, to_char(time_bucket AT TIME ZONE 'America/Chicago', 'MM-DD HH24:MI'), oee FROM oee_hourly"
        " WHERE production_date = %s AND planned_time_us > 0",
        day,
    )
    assert {(machine, f"{hour}-0500"): f"{oee:.1%}" for machine, hour, oee in rows} == {
        (row[0], row[1]): row[5] for row in table[2:]
    }
    hour = shown["oee_hourly"]["newest_closed_hour"]
    assert "OEE" in hour
    assert "timetable since" in hour
    sums = [line.strip("|").split("|") for line in shown["machine_time"]["time"].splitlines()[2:]]
    assert len(sums) == len(computed.plant.machines) + 1
    for row in sums:
        assert sum(round(float(share) * 10) for share in row[1:-2]) == 1000, row
        assert float(row[-1]) == (24 if row[0] != "all machines" else 24 * len(MACHINES))


def _metadata(instance: dg.DagsterInstance, run: PlantRun, name: str) -> dict[str, str]:
    event = instance.get_latest_materialization_event(dg.AssetKey([run.plant.plant, name]))
    assert event is not None
    assert event.asset_materialization is not None
    return {name: str(value.value) for name, value in event.asset_materialization.metadata.items()}
