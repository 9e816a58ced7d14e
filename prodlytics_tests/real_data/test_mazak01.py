"""A real machining centre: all its events and a month of its samples go in; half a year of days is counted anew."""

from __future__ import annotations

import datetime as dt
import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from prodlytics_tests.real_data.brute_force import (
    Clock,
    Hours,
    days,
    mazak_alarms,
    mazak_parts,
    mazak_rows,
    mazak_states,
    text_lines,
)
from prodlytics_tests.real_data.real_run import RealRun, real_run

#: The shop's clock; days begin at midnight.
SHOP = Clock(ZoneInfo("America/New_York"))
#: The days that are derived, with both changes of the clock; to the end of the file (2018-06-28) it takes 40 s.
FIRST, LAST = dt.date(2016, 10, 5), dt.date(2017, 3, 31)
#: The month that is reported and archived as well.
MONTH_FIRST, MONTH_LAST = dt.date(2016, 11, 1), dt.date(2016, 11, 30)


@pytest.fixture(scope="module")
def raw(shared_data: Path) -> Path:
    return shared_data / "nist_mazak01" / "events.txt.gz"


@pytest.fixture(scope="module")
def samples(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sensor channels of November 2016 (UTC)."""
    month = tmp_path_factory.mktemp("samples") / "samples_2016-11.txt.gz"
    with gzip.open(month, "wt", encoding="utf-8", compresslevel=1) as file:
        for line in text_lines(shared_data / "nist_mazak01" / "samples.txt.gz"):
            if line.startswith("2016-12"):
                break
            if line.startswith("2016-11"):
                file.write(line + "\n")
    return month


@pytest.fixture(scope="module")
def mazak(plain_server: str, raw: Path, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRun]:
    with real_run(
        plain_server,
        "mazak01",
        tmp_path_factory.mktemp("mazak01"),
        {"telemetry/events.txt.gz": raw, "telemetry/samples_2016-11.txt.gz": samples},
        days=(FIRST.isoformat(), LAST.isoformat()),
        closed=(MONTH_FIRST.isoformat(), MONTH_LAST.isoformat()),
    ) as run:
        yield run


def expected_hours(raw: Path) -> Hours:
    return SHOP.hours(mazak_states(raw, SHOP.opens(LAST + dt.timedelta(days=1))), FIRST, LAST)


def test_every_row_is_stored(mazak: RealRun, raw: Path, samples: Path) -> None:
    came = sum(1 for _ in text_lines(raw)) + sum(1 for _ in text_lines(samples))
    assert came == 153_066 + 209_195
    assert mazak.said("rows_are_accounted_for")["machine_telemetry"] == (
        f"{came} rows in = {came} stored + 0 quarantined + 0 duplicates, from 2 files."
    )
    assert mazak.said("files_are_claimed") == {"machine_telemetry": "Every landed file has a format."}
    assert mazak.rows("SELECT count(*)::int FROM telemetry_sample") == [(came,)]
    assert mazak.rows("SELECT count(*)::int FROM quarantine") == [(0,)]


def test_every_sample_is_what_the_file_says(mazak: RealRun, raw: Path, samples: Path) -> None:
    expected = Counter(row[1] for path in (raw, samples) for row in mazak_rows(path))
    assert dict(mazak.rows("SELECT metric_name, count(*)::int FROM machine_telemetry GROUP BY 1")) == expected
    values = Counter((key, float(value)) for _, key, value in mazak_rows(samples))
    found = mazak.rows(
        "SELECT metric_name, value, count(*)::int FROM machine_telemetry WHERE source = 'samples' GROUP BY 1, 2"
    )
    assert Counter({(key, value): count for key, value, count in found}) == values


def test_hours_in_each_native_state_of_each_day(mazak: RealRun, raw: Path) -> None:
    spans = [(start, end, native) for _, start, end, _, native in mazak.states()]
    found = SHOP.hours(spans, FIRST, LAST)
    expected = expected_hours(raw)
    assert found == expected
    assert {state for _, state in found} == {
        "ACTIVE", "READY", "INTERRUPTED", "FEED_HOLD", "STOPPED", "UNAVAILABLE", None,
    }  # fmt: skip


def test_states_are_cut_at_midnight_and_cover_every_day(mazak: RealRun) -> None:
    covered: Counter[dt.date] = Counter()
    for _, start, end, _, _ in mazak.states():
        assert SHOP.day(start) == SHOP.day(end - 1)
        covered[SHOP.day(start)] += end - start
    for date in days(FIRST, LAST):
        assert covered[date] == SHOP.opens(date + dt.timedelta(days=1)) - SHOP.opens(date)
    assert covered[dt.date(2016, 11, 6)] == 25 * 3_600_000_000
    assert covered[dt.date(2017, 3, 12)] == 23 * 3_600_000_000


def test_the_ledger_has_the_same_hours(mazak: RealRun, raw: Path) -> None:
    means = {"ACTIVE": "running", "UNAVAILABLE": "unknown", None: "unknown"}
    expected: Counter[tuple[str, dt.date, str]] = Counter()
    for (date, native), time in expected_hours(raw).items():
        expected["Mazak01", date, means.get(native, "idle")] += time
    assert mazak.ledger_hours() == expected


def test_items_and_rejects_of_each_day(mazak: RealRun, raw: Path) -> None:
    """The part counter of this machine has never been wired: it shows 0 whenever it is there."""
    expected = +Counter({("Mazak01", date, "good"): made for date, made in mazak_parts(raw, SHOP).items()})
    assert mazak.parts() == expected
    assert mazak.rows("SELECT count(*)::int FROM production_events WHERE event_type <> 'alarm'") == [(0,)]


def test_alarms(mazak: RealRun, raw: Path) -> None:
    expected = [alarm for alarm in mazak_alarms(raw) if FIRST <= SHOP.day(alarm[0]) <= LAST]
    rows = mazak.rows(
        "SELECT ((extract(epoch FROM time AT TIME ZONE 'UTC') * 1000000))::bigint, event_key, coalesce(fault_code, '')"
        " FROM production_events WHERE event_type = 'alarm'"
    )
    assert Counter((time, key.split("/")[0], code) for time, key, code in rows) == Counter(expected)
    assert len(rows) > 1000


def test_a_report_of_each_day_of_the_month(mazak: RealRun, raw: Path) -> None:
    reports, hours = mazak.reported(), expected_hours(raw)
    assert sorted(reports) == list(days(MONTH_FIRST, MONTH_LAST))
    for date, summary in reports.items():
        unknown = hours[date, "UNAVAILABLE"] + hours[date, None]
        known = sum(time for (day, _), time in hours.items() if day == date) - unknown
        assert summary["unknown_minutes"] == pytest.approx(unknown / 60e6, abs=1e-6)
        # All time is planned and only what is known counts.
        assert summary["planned_minutes"] == pytest.approx(known / 60e6, abs=1e-6)
        assert summary["good"] in (0, None)
    assert mazak.rows("SELECT count(DISTINCT production_date)::int FROM archive_manifest") == [(30,)]


def test_every_rule_of_the_ledger_holds_on_every_day(mazak: RealRun) -> None:
    assert mazak.broken_rules(FIRST, LAST) == {}
