"""Scrap: every reject once, with the reason it was given and what it cost."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.datasets.models import validate
from prodlytics.kpi.scrap_events import derive_scrap_events
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.floor import at, calendar, costs, entries, entry, events

PLAN = calendar((480, "planned"))
COSTS = costs(("P30", "2026-01-01", 2.5), ("P30", "2026-03-02", 3.0), ("P30", "2026-03-03", 9.0))


def scrap_of(
    made: pd.DataFrame, said: pd.DataFrame | None = None, plant: Plant | None = None, plan: pd.DataFrame = PLAN
) -> pd.DataFrame:
    plant = plant or floor.plant()
    said = entries() if said is None else said
    return derive_scrap_events(plant, plant.machines[0], made, said, COSTS, plan, at(-60), at(480), floor.NOW)


def brief(scrap: pd.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return [
        ((row["time"] - at(0)).total_seconds() / 60, row["quantity"], *(row[name] for name in columns))
        for _, row in scrap.iterrows()
    ]


def test_a_row_per_reject_and_none_for_good_parts_and_rework() -> None:
    scrap = scrap_of(events((10, 5), (20, 0, 2, 0, "P30"), (30, 0, 0, 4), (40, 0, 1)))
    assert brief(scrap, "part_number", "scrap_reason", "event_key") == [
        (20, 2, "P30", None, "Reject"), (40, 1, None, None, "Reject")
    ]  # fmt: skip
    assert not validate("scrap_events", scrap).problems


def test_what_it_cost() -> None:
    # Material of the day 3.00; 30 s of labour at 30/h and of the machine at 60/h are 0.25 and 0.50.
    row = scrap_of(events((20, 0, 4, 0, "P30"))).iloc[0]
    assert (row["material_cost"], row["labor_cost"], row["machine_cost"], row["currency"]) == (12.0, 1.0, 2.0, "USD")


def test_what_nobody_knows_has_no_cost() -> None:
    plant = floor.plant({"labor_rate_per_h": None, "ideal_cycle_time_ms": None})
    row = scrap_of(events((20, 0, 4, 0, "elsewhere")), plant=plant).iloc[0]
    assert row[["material_cost", "labor_cost", "machine_cost"]].isna().all()
    row = scrap_of(events((20, 0, 4, 0, "P30")), plant=plant).iloc[0]
    assert (row["material_cost"], row["machine_cost"]) == (12.0, 2.0)
    assert pd.isna(row["labor_cost"])


def test_a_price_in_another_currency_is_no_price() -> None:
    plant = floor.plant(currency="EUR")
    row = scrap_of(events((20, 0, 4, 0, "P30")), plant=plant).iloc[0]
    assert pd.isna(row["material_cost"])
    assert row["currency"] == "EUR"


def test_the_production_day_comes_from_the_calendar() -> None:
    yesterday = floor.DAY - dt.timedelta(days=1)
    plan = calendar((60, "planned", "Shift 3", yesterday), (60, "planned"))
    scrap = scrap_of(events((30, 0, 1, 0, "P30"), (60, 0, 1, 0, "P30")), plan=plan)
    assert scrap["production_date"].tolist() == [yesterday, floor.DAY]
    assert scrap["material_cost"].tolist() == [2.5, 3.0]


class TestReasons:
    made = events((10, 0, 2), (20, 0, 3), (30, 0, 1))

    def test_go_to_rejects_of_their_span_in_time_order(self) -> None:
        said = entries(
            entry(5, 25, kind="scrap", quantity=4, scrap_reason="burr", scrap_category="SURFACE", entered_by="B7")
        )
        assert brief(
            scrap_of(self.made, said), "scrap_reason", "scrap_category", "operator_id", "event_key"
        ) == [
            (10, 2, "burr", "SURFACE", "B7", "Reject"),
            (20, 2, "burr", "SURFACE", "B7", "Reject"),
            (20, 1, None, None, None, "Reject#2"),
            (30, 1, None, None, None, "Reject"),
        ]  # fmt: skip

    def test_a_span_is_half_open(self) -> None:
        said = entries(entry(10, 30, kind="scrap", quantity=99, scrap_reason="burr"))
        assert [row[2] for row in brief(scrap_of(self.made, said), "scrap_reason")] == ["burr", "burr", None]

    def test_several_entries_share_one_event(self) -> None:
        said = entries(
            entry(15, 25, kind="scrap", quantity=1, scrap_reason="burr"),
            entry(16, 25, kind="scrap", quantity=1, scrap_reason="dent"),
        )
        assert brief(scrap_of(self.made, said), "scrap_reason", "event_key")[1:4] == [
            (20, 1, "burr", "Reject"), (20, 1, "dent", "Reject#2"), (20, 1, None, "Reject#3")
        ]  # fmt: skip

    def test_without_a_quantity_all_of_the_span_is_meant(self) -> None:
        said = entries(entry(5, 25, kind="scrap", scrap_reason="burr"))
        assert [row[2] for row in brief(scrap_of(self.made, said), "scrap_reason")] == ["burr", "burr", None]

    def test_without_an_end_the_last_rejects_before_it_are_meant(self) -> None:
        said = entries(entry(21, None, kind="scrap", quantity=4, scrap_reason="burr"))
        assert brief(scrap_of(self.made, said), "scrap_reason") == [
            (10, 1, "burr"), (10, 1, None), (20, 3, "burr"), (30, 1, None)
        ]  # fmt: skip

    def test_but_not_those_of_long_ago(self) -> None:
        said = entries(entry(35, None, kind="scrap", quantity=9, scrap_reason="burr"))
        assert brief(scrap_of(self.made, said), "scrap_reason") == [(10, 2, None), (20, 3, "burr"), (30, 1, "burr")]

    def test_more_explained_than_rejected_makes_no_scrap(self) -> None:
        said = entries(entry(0, 480, kind="scrap", quantity=100, scrap_reason="burr"))
        assert scrap_of(self.made, said)["quantity"].sum() == 6

    def test_reasons_for_stops_say_nothing_about_scrap(self) -> None:
        said = entries(entry(0, 480, reason_code="MECH_A", quantity=3))
        assert scrap_of(self.made, said)["scrap_reason"].isna().all()

    def test_a_reason_of_the_machine_stays_until_a_person_says_otherwise(self) -> None:
        made = self.made.assign(reject_reason="R17")
        said = entries(entry(5, 15, kind="scrap", quantity=1, scrap_reason="burr"))
        assert brief(scrap_of(made, said), "scrap_reason")[:3] == [(10, 1, "burr"), (10, 1, "R17"), (20, 3, "R17")]


def test_where_no_machine_counts_the_entries_are_the_scrap() -> None:
    plant = floor.plant({"counters": [{"metric": "Good", "counts": "good"}]})
    said = entries(
        entry(10, 20, kind="scrap", quantity=3, scrap_reason="burr", scrap_category="SURFACE", part_number="P30",
              work_order="W1", source_key="tablet:1"),
        entry(30, None, kind="scrap", quantity=None, scrap_reason="who knows how many"),
    )  # fmt: skip
    scrap = scrap_of(events((5, 10)), said, plant)
    assert brief(scrap, "event_key", "part_number", "work_order", "material_cost", "operator_id") == [
        (10, 3, "tablet:1", "P30", "W1", 9.0, "B42")
    ]


def test_bookings_of_people_know_their_rejects() -> None:
    plant = floor.plant({"counters": [], "state": {"source": "operator"}})
    said = entries(entry(5, 15, kind="scrap", quantity=1, scrap_reason="burr"))
    assert brief(scrap_of(events((10, 50, 2)), said, plant), "scrap_reason") == [(10, 1, "burr"), (10, 1, None)]


def test_no_rejects_no_rows() -> None:
    scrap = scrap_of(events((10, 5)), entries(entry(0, 480, kind="scrap", quantity=3, scrap_reason="burr")))
    assert scrap.empty
    assert not validate("scrap_events", scrap).problems


@settings(max_examples=150, deadline=None)
@given(
    rejects=st.lists(st.tuples(st.integers(0, 479), st.integers(1, 9)), max_size=15, unique_by=lambda r: r[0]),
    said=st.lists(
        st.tuples(
            st.integers(0, 479), st.none() | st.integers(1, 200), st.none() | st.integers(1, 20),
            st.sampled_from(["burr", "dent", "crack"]),
        ),
        max_size=6,
    ),
)  # fmt: skip
def test_every_reject_is_there_once_and_no_entry_explains_more_than_it_said(rejects: Any, said: Any) -> None:
    rows = [
        entry(
            start, None if length is None else start + length, kind="scrap", quantity=quantity, scrap_reason=f"{why}{n}"
        )
        for n, (start, length, quantity, why) in enumerate(said)
    ]
    scrap = scrap_of(events(*((minute, 0, count) for minute, count in rejects)), entries(*rows))
    assert not scrap.duplicated(["time", "event_key"]).any()
    counted = scrap.groupby("time")["quantity"].sum()
    assert {(time - at(0)).total_seconds() / 60: count for time, count in counted.items()} == dict(rejects)
    for n, (start, length, quantity, why) in enumerate(said):
        mine = scrap[scrap["scrap_reason"] == f"{why}{n}"]
        assert quantity is None or mine["quantity"].sum() <= quantity
        first, last = (at(start - 15), at(start)) if length is None else (at(start), at(start + length - 1e-9))
        assert mine["time"].between(first, last).all()
