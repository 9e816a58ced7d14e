"""MTBF and MTTR: published figures, what is a failure, what is censored."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest

from prodlytics.kpi.reliability import failures
from prodlytics_tests.kpi import floor, rolled
from prodlytics_tests.kpi.floor import entries, entry, states


def stops(*rows: tuple[Any, ...], reasons: pd.DataFrame | None = None, **more: Any) -> pd.DataFrame:
    """Failures of a machine that is planned all day."""
    plant = floor.plant()
    said = states(*rows, is_open=more.pop("is_open", False))
    plan = more.pop("plan", None)
    if plan is None:
        plan = floor.calendar((1440, "planned"), (1440, "planned", "Shift 1", floor.DAY + dt.timedelta(days=1)))
    return failures(plant, floor.stops_of(plant, said, plan, reasons, **more))


def test_reference_160_hours_4_failures_6_hours_of_repair() -> None:
    """Case of the reference: MTBF 38.5 h, MTTR 1.5 h; with the failures + 1 of ISO 22400-2 30.8 and 1.2."""
    hours = [(34, 1), (40, 2), (40, 2.5), (30, 0.5), (10, 0)]
    said = states(*[(h * 60, name) for run, down in hours for h, name in ((run, "running"), (down, "fault")) if h])
    rows = rolled.rollup_of(floor.plant(), said, floor.calendar((9600, "planned")), floor.events(), 9600)
    for level, period in (("machine", "day"), ("line", "week"), ("plant", "shift")):
        row = rolled.one(rows, level, period)
        assert (row["failures"], row["open_failures"], row["mttr_is_lower_bound"]) == (4, 0, False)
        assert (row["mtbf_h"], row["mttr_h"]) == (38.5, 1.5)
        assert (row["mtbf_iso_h"], row["mttr_iso_h"]) == (pytest.approx(30.8), pytest.approx(1.2))


def test_published_example_of_24_hours_with_two_outages() -> None:
    """Atlassian's glossary: two outages, two hours together, in 24 hours. MTBF (24 - 2) / 2 = 11 h, MTTR 1 h.

    The textbook identity availability = MTBF / (MTBF + MTTR) gives 22 / 24.
    """
    said = states((600, "running"), (90, "fault"), (600, "running"), (30, "fault"), (120, "running"))
    rows = rolled.rollup_of(floor.plant(), said, floor.calendar((1440, "planned")), floor.events())
    row = rolled.one(rows, "machine", "day")
    assert (row["mtbf_h"], row["mttr_h"]) == (11.0, 1.0)
    assert row["mtbf_h"] / (row["mtbf_h"] + row["mttr_h"]) == pytest.approx(row["availability"])


@pytest.mark.parametrize(
    ("state", "reason", "counts"),
    [
        ("fault", None, True),
        ("fault", "MECH_A", True),
        ("idle", "MECH_A", True),
        ("starved", None, False),
        ("blocked", None, False),
        ("idle", None, False),
        ("setup", None, False),
        ("fault", "MATL_A", False),
        ("fault", "SETUP_A", False),
        ("fault", "PM_A", False),
    ],
)
def test_what_is_a_failure_of_equipment(state: str, reason: str | None, counts: bool) -> None:
    """The controller's fault, or what people call the machine's own; their word outranks the controller's."""
    said = entries(entry(60, 90, reason_code=reason)) if reason else None
    assert len(stops((60, "running"), (30, state), (60, "running"), reasons=said)) == counts


def test_a_category_that_is_not_about_equipment_does_not_count() -> None:
    """A worn tool is lost as a failure, but the machine did not break."""
    tool = {"code": "TOOL", "name": "Tool", "loss": "failure", "reasons": [{"code": "TOOL_A", "name": "Worn"}]}
    plant = floor.plant(reasons=[*floor.SETTINGS["reasons"], tool])
    said = states((60, "running"), (30, "fault"), (60, "running"))
    of_tool = floor.stops_of(
        plant, said, floor.calendar((150, "planned")), entries(entry(60, 90, reason_code="TOOL_A"))
    )
    assert of_tool["bucket"].tolist() == ["failure"]
    assert failures(plant, of_tool).empty


def test_a_micro_stop_is_no_failure() -> None:
    assert stops((60, "running"), (1, "fault", "E1"), (60, "running")).empty


def test_a_stop_with_two_causes_is_one_failure_with_the_time_of_both() -> None:
    """Material first, then a bearing, then the controller's unexplained fault: 20 + 30 minutes of repair."""
    said = entries(entry(60, 70, reason_code="MATL_A"), entry(70, 90, reason_code="MECH_A"))
    found = stops((60, "running"), (60, "fault"), (60, "running"), reasons=said)
    assert len(found) == 1
    assert found["repair_time_us"].iloc[0] == 50 * 60_000_000
    assert found["started_at"].iloc[0] == floor.at(70)


def test_a_repair_over_midnight_counts_where_it_began_and_whole() -> None:
    """Down from 22 h into the day until 2 h into the next: one failure of 4 h in the first day, none in the second."""
    plan = floor.calendar((1440, "planned"), (1440, "planned", "Shift 1", floor.DAY + dt.timedelta(days=1)), start=0)
    said = states((1320, "running"), (240, "fault"), (1320, "running"))
    rows = rolled.rollup_of(floor.plant(), said, plan, floor.events(), 2880)
    first, second = (
        rolled.one(rows, "machine", "day", period_start=floor.DAY + dt.timedelta(days=n)) for n in range(2)
    )
    assert (first["failures"], first["mttr_h"], first["failure_us"]) == (1, 4.0, 120 * rolled.MINUTE)
    assert (second["failures"], second["failure_us"]) == (0, 120 * rolled.MINUTE)
    assert pd.isna(second["mtbf_h"])
    assert second["mtbf_lower_bound_h"] == 22.0
    week = rolled.one(rows, "machine", "week")
    assert (week["failures"], week["mtbf_h"], week["mttr_h"]) == (1, 44.0, 4.0)


def test_a_break_is_no_repair_time() -> None:
    plan = floor.calendar((90, "planned"), (30, "break"), (120, "planned"))
    found = stops((60, "running"), (90, "fault"), (90, "running"), plan=plan)
    assert found["repair_time_us"].tolist() == [60 * 60_000_000]


def test_an_open_failure_counts_and_its_repair_is_a_bound() -> None:
    """Known until minute 240: one repair of 30 min is over, one has lasted 60 min. MTTR is at least 45 min."""
    said = states((60, "running"), (30, "fault"), (90, "running"), (60, "fault"), is_open=True)
    plan = floor.calendar((480, "planned"))
    plant = floor.plant()
    of_machine = floor.stops_of(plant, said, plan, as_of=floor.at(240))
    found = failures(plant, of_machine)
    assert found["is_open"].tolist() == [False, True]
    shifts = rolled.shifts_of(plant, said, plan, floor.events(), 240)
    rows = rolled.derive_kpi_rollup(plant, shifts, of_machine, plan, floor.at(240))
    row = rolled.one(rows, "machine", "shift")
    assert (row["failures"], row["open_failures"], row["mttr_is_lower_bound"]) == (2, 1, True)
    assert (row["mtbf_h"], row["mttr_h"]) == (150 / 60 / 2, 0.75)


def test_no_failure_has_no_mtbf_but_a_bound_and_parts_cannot_fail() -> None:
    rows = rolled.rollup_of(
        floor.plant(), states((480, "running")), floor.calendar((480, "planned")), floor.events(), 480
    )
    row, part = rolled.one(rows, "machine", "day"), rolled.one(rows, "part", "day")
    assert (row["failures"], row["mtbf_lower_bound_h"], row["reliability_null_reason"]) == (0, 8.0, "no_failures")
    assert pd.isna(row["mtbf_h"])
    assert pd.isna(row["mttr_h"])
    assert pd.isna(part["failures"])
    assert part["reliability_null_reason"] == "not_equipment"
