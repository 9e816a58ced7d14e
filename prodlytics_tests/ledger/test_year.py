"""Four weeks of the simulated year, twelve machines, a change of clocks: every rule for every hour, shift and day."""

from __future__ import annotations

import datetime as dt

from prodlytics.plant.calendar import production_day
from prodlytics_tests.ledger.chain import FROM_STATES, Chain
from prodlytics_tests.ledger.invariants import broken_rules
from prodlytics_tests.ledger.simulated_year import plant_of, year


def test_every_rule_holds_for_every_hour_shift_and_day(plain_database: str) -> None:
    plant, first, days = plant_of(12), dt.date(2026, 2, 20), 28
    last = first + dt.timedelta(days=days - 1)
    chain = Chain(plant, plain_database)
    states, parts = year(plant, first, days)
    chain.put("machine_states", states)
    chain.put("production_events", parts)
    chain.derive(first, last, ["plan_calendar", *FROM_STATES])
    opens, closes = production_day(plant, first)[0], production_day(plant, last)[1]
    assert broken_rules(plain_database, opens, closes) == {}
    hours = chain.rows("oee_hourly")
    assert len(hours) >= 12 * (24 * days - 1)
    ledger_us = sum((end - start) // dt.timedelta(microseconds=1) for _, start, end, *_ in chain.rows("machine_time"))
    assert ledger_us == 12 * ((closes - opens) // dt.timedelta(microseconds=1))
