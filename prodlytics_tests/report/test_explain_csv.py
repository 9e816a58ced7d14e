"""The day for a spreadsheet: what adds up to what, and that no cell runs as a formula."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest

from prodlytics.report.explain_csv import COLUMNS, day_as_csv
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.explained_floor import explained
from prodlytics_tests.kpi.floor import at, calendar, entries, entry, events, states

PLANNED = calendar((480, "planned"))


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_an_hour_by_hand() -> None:
    said = states((40, "running"), (15, "fault"), (5, "unknown"))
    made = events((10, 20), (30, 0, 2), (58, 3))
    rows = rows_of(day_as_csv(explained(floor.plant(), said, PLANNED, made)))
    assert [row["record"] for row in rows] == ["hour", *["interval"] * 3, *["count"] * 3]

    def total(column: str) -> Decimal:
        return sum((Decimal(row[column]) for row in rows if row[column]), Decimal(0))

    # 40 min run and 15 min down are planned; 5 min are unknown. 20 good and 2 rejects at 60 s, 3 outside OEE.
    assert (total("duration_us"), total("planned_us"), total("run_us")) == (3_600_000_000, 3_300_000_000, 2_400_000_000)
    assert (total("ideal_us"), total("ideal_good_us")) == (1_320_000_000, 1_200_000_000)
    assert (total("good_count"), total("reject_count"), total("gap_good_count")) == (20, 2, 3)
    assert float(rows[0]["oee"]) == pytest.approx(1200 / 3300)


def test_times_are_local_with_offset_and_utc() -> None:
    row = rows_of(day_as_csv(explained(floor.plant(), states((60, "running")), PLANNED, events())))[1]
    assert row["starts_at"] == "2026-03-02T06:00:00-06:00"
    assert row["starts_at_utc"] == "2026-03-02T12:00:00+00:00"


@pytest.mark.parametrize("typed", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "'quoted", "  =1"])
def test_what_people_typed_is_never_a_formula_and_comes_back_whole(typed: str) -> None:
    said = states((30, "running"), (10, "idle"), (20, "running"))
    reasons = entries(entry(30, 40, reason_code="MATL_A", note=typed, entered_by=typed))
    rows = rows_of(day_as_csv(explained(floor.plant(), said, PLANNED, events(), reasons=reasons)))
    cell = next(row["note"] for row in rows if row["note"])
    assert cell.startswith("'")
    assert cell.removeprefix("'") == typed
    assert next(row["said_by"] for row in rows if row["said_by"]) == f"'{typed}"
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("typed", ["\t=1", "\r=1", "\n=1", "\x0b@1"])
def test_control_characters_are_blanks_and_hide_no_formula(typed: str) -> None:
    said = states((30, "running"), (10, "idle"), (20, "running"))
    reasons = entries(entry(30, 40, reason_code="MATL_A", note=typed))
    text = day_as_csv(explained(floor.plant(), said, PLANNED, events(), reasons=reasons))
    assert next(row["note"] for row in rows_of(text) if row["note"]) == f"' {typed[1:]}"
    assert len(text.splitlines()) == len(rows_of(text)) + 1


def test_commas_and_quotes_stay_in_their_cell() -> None:
    said = states((30, "running"), (10, "idle"), (20, "running"))
    typed = 'no, "really" not; | at all'
    reasons = entries(entry(30, 40, reason_code="MATL_A", note=typed))
    rows = rows_of(day_as_csv(explained(floor.plant(), said, PLANNED, events(), reasons=reasons)))
    assert typed in [row["note"] for row in rows]
    assert {len(row) for row in rows} == {len(COLUMNS)}


def test_a_part_without_ideal_cycle_has_no_ideal_time_rather_than_none() -> None:
    plant = floor.plant({"ideal_cycle_time_ms": None}, parts=[])
    rows = rows_of(day_as_csv(explained(plant, states((60, "running")), PLANNED, events((10, 5), (20, 0, 1)))))
    assert [(row["ideal_us"], row["ideal_good_us"]) for row in rows if row["record"] == "count"] == [
        ("", ""),
        ("", "0"),
    ]


def test_an_interval_has_the_stop_it_is_a_part_of() -> None:
    said = states((50, "running"), (30, "fault", "E1"), (40, "running"))
    rows = rows_of(day_as_csv(explained(floor.plant(), said, PLANNED, events())))
    stopped = [row for row in rows if row["stop_id"]]
    assert [row["duration_us"] for row in stopped] == ["600000000", "1200000000"]
    assert {row["stop_started_at_utc"] for row in stopped} == {at(50).isoformat()}
    assert {row["reason"] for row in stopped} == {"Bearing"}
