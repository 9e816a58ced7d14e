"""The same quantity from several mouths: cases written down by hand."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodlytics.kpi.cycles import counted_cycles
from prodlytics.kpi.oee_shift import derive_oee_shift
from prodlytics.kpi.reconciliation import (
    COLUMNS,
    counted_until,
    difference_share,
    reconcile_orders,
    reconcile_shifts,
)
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.floor import DAY, NOW, at, calendar, entry, events, ledger_of, plant, states

TWO_SHIFTS = calendar((60, "planned", "Shift 1", DAY), (60, "planned", "Shift 2", DAY))


def said(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows of operator_entries with everything that counts."""
    frame = floor.entries(*rows)
    for name in ("reject_quantity", "measure", "figure"):
        frame[name] = pd.Series([row.get(name) for row in rows], dtype=object)
    return frame


def figure(start: float, end: float | None, measure: str, value: float, **more: Any) -> dict[str, Any]:
    return entry(start, end, kind="figure", measure=measure, figure=value, **more)


def shifts_of(where: Plant, made: pd.DataFrame, state: pd.DataFrame, plan: pd.DataFrame = TWO_SHIFTS) -> pd.DataFrame:
    start, end = plan["starts_at"].iloc[0].to_pydatetime(), plan["ends_at"].iloc[-1].to_pydatetime()
    ledger = ledger_of(where, state, plan, start, end)
    return derive_oee_shift(where, where.machines[0], ledger, made, floor.orders(), start, end, NOW)


def reconciled(
    *rows: dict[str, Any],
    made: pd.DataFrame,
    where: Plant | None = None,
    cycles: pd.DataFrame | None = None,
    state: pd.DataFrame | None = None,
) -> dict[tuple[str, str], dict[str, Any]]:
    """Rows of two shifts of an hour each, by shift and measure."""
    where = where or plant()
    shifts = shifts_of(where, made, states((120, "running")) if state is None else state)
    frame = reconcile_shifts(where, where.machines[0], shifts, TWO_SHIFTS, said(*rows), cycles, NOW)
    assert list(frame.columns) == COLUMNS
    return {(row["shift"], row["measure"]): row for row in frame.to_dict("records")}


def missing(value: Any) -> bool:
    return bool(pd.isna(value))


def test_nobody_but_the_machine_says_anything() -> None:
    rows = reconciled(made=events((10, 40), (50, 0, 2)))
    row = rows["Shift 1", "good_count"]
    assert row["machine_value"] == 40
    for side in ("erp", "operator", "vendor", "paper", "cycle"):
        assert missing(row[f"{side}_value"])
        assert missing(row[f"{side}_difference"])
        assert missing(row[f"{side}_share"])
    assert row["null_reason"] == (
        "erp: per_order_only; operator: not_reported; vendor: not_reported; paper: not_reported; "
        "cycle: not_a_cycle_count"
    )
    assert rows["Shift 2", "good_count"]["machine_value"] == 0  # heard all the time: nothing was made
    assert ("Shift 1", "availability") not in rows  # nobody else gave one


def test_a_shift_of_which_nothing_is_known_has_no_count() -> None:
    row = reconciled(made=events(), state=states((60, "running"), (60, "unknown")))["Shift 2", "parts"]
    assert missing(row["machine_value"])
    assert row["null_reason"].startswith("machine: no_data")


def test_scrap_that_people_counted() -> None:
    """Machine 20 rejects; people counted 12 and 6 in the shift: 2 less, a tenth of the larger."""
    rows = reconciled(
        entry(0, 30, kind="scrap", quantity=12), entry(30, 60, kind="scrap", quantity=6),
        made=events((20, 0, 20), (70, 0, 3)),
    )  # fmt: skip
    row = rows["Shift 1", "reject_count"]
    assert (row["machine_value"], row["operator_value"], row["operator_difference"]) == (20, 18, 2)
    assert row["operator_share"] == pytest.approx(0.1)
    assert missing(rows["Shift 2", "reject_count"]["operator_value"])


def test_a_count_over_the_edge_of_a_shift_is_in_the_shift_of_its_middle_and_says_so() -> None:
    rows = reconciled(entry(40, 70, kind="scrap", quantity=5), made=events((50, 0, 5)))
    assert rows["Shift 1", "reject_count"]["operator_value"] == 5
    assert rows["Shift 1", "reject_count"]["remark"] == "entry_crosses_shift"


def test_what_was_taken_back_was_not_said() -> None:
    rows = reconciled(
        entry(0, 60, kind="scrap", quantity=5, source_key="five"),
        entry(0, 60, kind="undo", undoes="five", source_key="undo"),
        made=events((50, 0, 4)),
    )
    assert missing(rows["Shift 1", "reject_count"]["operator_value"])


def test_bookings_beside_counters_are_compared_and_make_no_parts() -> None:
    rows = reconciled(
        entry(0, 60, kind="production", quantity=49, reject_quantity=1), made=events((30, 50), (59, 0, 1))
    )
    assert (rows["Shift 1", "good_count"]["machine_value"], rows["Shift 1", "good_count"]["operator_value"]) == (50, 49)
    assert rows["Shift 1", "reject_count"]["operator_difference"] == 0


def test_a_machine_without_counters_cannot_contradict_its_bookings() -> None:
    by_hand = plant({"counters": [], "state": {"source": "operator"}, "silence_after_s": None})
    row = reconciled(entry(0, 60, kind="production", quantity=49), made=events((30, 49)), where=by_hand)[
        "Shift 1", "good_count"
    ]
    assert missing(row["machine_value"])
    assert missing(row["operator_difference"])
    assert row["operator_value"] == 49
    assert row["null_reason"].startswith("machine: counted_by_people")


def test_paper_and_vendor_each_on_their_side_and_the_latest_counts() -> None:
    """48 good pieces of an ideal minute in a planned hour: OEE 0.8."""
    rows = reconciled(
        figure(0, 60, "oee", 0.70, source="machinemetrics"),
        figure(0, 60, "oee", 0.60, entered_at=at(70)),
        figure(0, 60, "oee", 0.77, entered_at=at(80), source="supervisor"),
        figure(0, 60, "availability", 0.9, source="machinemetrics"),
        figure(0, 60, "good_count", 47, source="erp"),
        made=events((30, 48)),
    )
    oee = rows["Shift 1", "oee"]
    assert oee["machine_value"] == pytest.approx(0.8)
    assert (oee["vendor_difference"], oee["paper_difference"]) == (pytest.approx(0.1), pytest.approx(0.03))
    assert rows["Shift 1", "availability"]["vendor_difference"] == pytest.approx(0.1)
    assert rows["Shift 1", "good_count"]["erp_difference"] == 1


def test_a_figure_of_half_a_shift_is_not_compared_with_all_of_it() -> None:
    rows = reconciled(figure(0, 30, "oee", 0.70), figure(65, None, "oee", 0.5), made=events((30, 48)))
    assert missing(rows["Shift 1", "oee"]["paper_value"])
    assert "paper: figure_of_part_of_the_shift" in rows["Shift 1", "oee"]["null_reason"]
    assert rows["Shift 2", "oee"]["paper_value"] == 0.5  # without an end: the shift it lies in


def test_cycles_against_everything_that_was_made() -> None:
    """30 good, 3 reject, 2 rework, and 5 good over a silence: 40 parts; the counter says 41."""
    where = plant({"counters": [*floor.SETTINGS["machines"][0]["counters"], {"metric": "C", "counts": "cycles"}]})
    cycles = pd.DataFrame({"time": pd.to_datetime([at(10), at(59), at(61)], utc=True), "cycles": [21.0, 20.0, 7.0]})
    made = events((10, 30), (20, 0, 3), (30, 0, 0, 2), (59, 5, 0, 0, None, "estimated"))
    rows = reconciled(made=made, where=where, cycles=cycles)
    row = rows["Shift 1", "parts"]
    assert (row["machine_value"], row["cycle_value"], row["cycle_difference"], row["gap_value"]) == (40, 41, -1, 5)
    assert row["remark"] == "counted_over_silence"
    assert rows["Shift 2", "parts"]["cycle_value"] == 7


def test_cycle_counters_are_read_like_all_counters() -> None:
    """16 bits: 65530 to 4 is 10 cycles; the first reading is a baseline; readings outside the window do not count."""
    counter = {"metric": "C", "counts": "cycles", "width_bits": 16}
    where = plant({"counters": [counter], "max_parts_per_s": 10})
    samples = pd.DataFrame(
        {
            "time": pd.to_datetime([at(0), at(1), at(2), at(70)], utc=True),
            "metric_name": "C",
            "native_code": "",
            "value": [65520.0, 65530.0, 4.0, 9.0],
            "value_text": None,
            "quality": 192,
        }
    )
    found = counted_cycles(where, where.machines[0], samples, at(0), at(60))
    assert found is not None
    assert found["cycles"].tolist() == [10.0, 10.0]
    assert counted_cycles(plant(), plant().machines[0], samples.iloc[:0], at(0), at(60)) is None


def orders(**order: Any) -> pd.DataFrame:
    """One order as the ERP reports it."""
    row = {
        "work_order": "WO-1", "started_at": at(0), "ended_at": at(300), "is_closed": True, "completed_qty": 98.0,
        "scrap_qty": 2.0, "reported_at": at(310),
    } | order  # fmt: skip
    frame = pd.DataFrame([row])
    for name in ("started_at", "ended_at", "reported_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


def order_rows(reported: pd.DataFrame, *rows: dict[str, Any], first: dt.datetime | None = None) -> dict[str, Any]:
    counts = pd.DataFrame(
        [{"work_order": "WO-1", "good_count": 100.0, "reject_count": 2.0, "gap_good_count": 10.0,
          "gap_reject_count": 0.0}]
    )  # fmt: skip
    where = plant()
    frame = reconcile_orders(where, where.machines[0], reported, counts, said(*rows), first or at(-1), NOW)
    assert list(frame.columns) == COLUMNS
    return {row["measure"]: row for row in frame.to_dict("records")}


def test_an_order_over_its_life() -> None:
    rows = order_rows(orders(), entry(0, 60, kind="production", quantity=99, work_order="WO-1"))
    good = rows["good_count"]
    assert (good["machine_value"], good["erp_value"], good["erp_difference"]) == (100, 98, 2)
    assert good["erp_share"] == pytest.approx(0.02)
    assert (good["operator_value"], good["gap_value"], good["shift"]) == (99, 10, "")
    assert good["production_date"] == DAY
    assert rows["reject_count"]["erp_share"] == 0


def test_what_the_erp_did_not_report_is_missing() -> None:
    rows = order_rows(orders(scrap_qty=float("nan")))
    assert missing(rows["reject_count"]["erp_value"])
    assert "erp: not_reported" in rows["reject_count"]["null_reason"]


def test_an_open_order_is_compared_as_it_was_when_it_was_reported() -> None:
    reported = orders(is_closed=False, ended_at=pd.NaT, reported_at=at(120))
    assert counted_until(reported, NOW) == [at(120)]
    row = order_rows(reported)["good_count"]
    assert (row["erp_value"], row["remark"]) == (98, "order_open")
    never = orders(is_closed=False, ended_at=pd.NaT, reported_at=pd.NaT)
    assert "erp: order_open" in order_rows(never)["good_count"]["null_reason"]


def test_of_an_order_from_before_the_data_the_machine_saw_only_a_part() -> None:
    row = order_rows(orders(), first=at(30))["good_count"]
    assert missing(row["machine_value"])
    assert row["null_reason"].startswith("machine: begun_before_data")


numbers = st.floats(0, 1e9, allow_nan=False)


@given(one=numbers, other=numbers)
def test_the_share_of_a_difference(one: float, other: float) -> None:
    share = difference_share(one, other)
    assert 0 <= share <= 1
    assert share == difference_share(other, one)
    assert (share == 0) == (one == other) or share < 1e-12
