"""A real machine that tells every few minutes what it did since, against a count of the raw file."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from prodlytics_tests.real_data.brute_force import Clock, Hours, days, sme_alarms, sme_items, sme_rows, sme_states
from prodlytics_tests.real_data.real_run import RealRun, real_run, us

SHOP = Clock(ZoneInfo("Europe/Madrid"))
FIRST, LAST = dt.date(2022, 8, 31), dt.date(2022, 9, 16)


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> Path:
    return shared_data / "sme" / "asset_1.csv"


@pytest.fixture(scope="module")
def sme(plain_server: str, raw: Path, shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRun]:
    whole = (FIRST.isoformat(), LAST.isoformat())
    # Somebody left a note beside the data.
    files = {"telemetry/asset_1.csv": raw, "README.md": shared_data / "README.md"}
    with real_run(plain_server, "sme", tmp_path_factory.mktemp("sme"), files, days=whole, closed=whole) as run:
        yield run


def expected_hours(raw: Path) -> Hours:
    return SHOP.hours(sme_states(raw), FIRST, LAST)


def test_every_cell_is_stored(sme: RealRun, raw: Path) -> None:
    cells = sum(1 for row in sme_rows(raw) for name, cell in row.items() if name not in ("ts", "asset") and cell != "")
    assert sme.said("rows_are_accounted_for")["machine_telemetry"] == (
        f"{cells} rows in = {cells} stored + 0 quarantined + 0 duplicates, from 1 files."
    )
    assert sme.rows("SELECT count(*)::int FROM telemetry_sample") == [(cells,)]
    assert sme.rows("SELECT count(*)::int FROM quarantine") == [(0,)]


def test_a_file_nobody_described_is_named(sme: RealRun) -> None:
    found = [check for check in sme.outcome.failed_checks if check.name == "files_are_claimed"]
    assert found
    assert all(check.severity == "WARN" and "README.md" in check.says for check in found)


def test_hours_in_each_status_of_each_day(sme: RealRun, raw: Path) -> None:
    found = SHOP.hours(((start, end, native) for _, start, end, _, native in sme.states()), FIRST, LAST)
    assert found == expected_hours(raw)
    assert {status for _, status in found} == {"1", "2", "3", None}
    assert found[FIRST, "2"] == 20_000_000


def test_the_ledger_has_the_same_hours(sme: RealRun, raw: Path) -> None:
    means = {"1": "running", "2": "running", "3": "fault", None: "unknown"}
    expected: Counter[tuple[str, dt.date, str]] = Counter()
    for (date, status), time in expected_hours(raw).items():
        expected["Asset1", date, means[status]] += time
    assert sme.ledger_hours() == expected


def test_items_and_rejects_of_each_day(sme: RealRun, raw: Path) -> None:
    items = sme_items(raw, SHOP)
    assert sme.parts() == +Counter({("Asset1", date, "good"): made for date, made in items.items()})
    assert items.total() == 12_940
    reports = sme.reported()
    assert sorted(reports) == list(days(FIRST, LAST))
    for date, summary in reports.items():
        assert (summary["good"] or 0) + summary["gap_parts"] == items[date]
        assert not summary["reject"]


def test_items_outside_oee_are_those_without_time(sme: RealRun, raw: Path) -> None:
    """Rows that speak of no time at all; what is dated at midnight was made in the time before it."""
    without_time = 0
    for row in sme_rows(raw):
        if float(row["status_time"]) == 0:
            without_time += int(float(row["items"]))
    assert sme.rows("SELECT sum(gap_good_count)::int FROM oee_hourly") == [(without_time,)]


def test_alarms(sme: RealRun, raw: Path) -> None:
    rows = sme.rows("SELECT time FROM production_events WHERE event_type = 'alarm'")
    assert sorted(us(time) for (time,) in rows) == sme_alarms(raw)


def test_every_rule_of_the_ledger_holds_on_every_day(sme: RealRun) -> None:
    assert sme.broken_rules(FIRST, LAST) == {}
