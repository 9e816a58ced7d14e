"""The pure calculation against a sweep over all edges, to the microsecond."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd
from hypothesis import HealthCheck, given, settings

from prodlytics.kpi.downtime_events import derive_downtime_events
from prodlytics.kpi.machine_time import derive_machine_time
from prodlytics.plant.calendar import plan_rows
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi import floor
from prodlytics_tests.ledger.shops import entry_frame, shops, state_frame
from prodlytics_tests.ledger.sweep import Piece, Shop, instant, ledger, us


def derived(plant: Plant, shop: Shop, low: int, high: int) -> pd.DataFrame:
    machine = plant.machines[0]
    plan = plan_rows(plant, machine, instant(low), instant(high))
    states = state_frame(list(shop.states))
    stops = derive_downtime_events(
        plant, machine, states, plan, entry_frame(list(shop.said)), floor.orders(), floor.NOW
    )
    return derive_machine_time(plant, machine, plan, states, stops, instant(low), instant(high))


def pieces_of(rows: pd.DataFrame) -> list[Piece]:
    def when(time: Any) -> int:
        return us(time.to_pydatetime())

    def stop(name: str | None) -> int | None:
        return None if name is None else us(dt.datetime.fromisoformat(name.split("@")[1]))

    return [
        Piece(
            when(row["starts_at"]), when(row["ends_at"]), row["bucket"], row["plan"], row["state"], row["reason_code"],
            stop(row["stop_id"]), row["shift"], row["production_date"], when(row["time_bucket"]),
        )
        for row in rows.to_dict("records")
    ]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made=shops())
def test_every_microsecond_is_what_the_rules_say(made: tuple[Plant, Shop, int, int]) -> None:
    plant, shop, low, high = made
    assert pieces_of(derived(plant, shop, low, high)) == ledger(shop, low, high)
