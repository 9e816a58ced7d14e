"""Four weeks of the simulated year, twelve machines, a change of clocks: every rule for every hour, shift and day."""

from __future__ import annotations

import datetime as dt
from typing import LiteralString

import psycopg

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


def test_the_rules_see_what_is_wrong(plain_database: str) -> None:
    """A ledger that is wrong by one microsecond, one bucket or one hour breaks rules."""
    plant, day = plant_of(2), dt.date(2026, 3, 3)
    chain = Chain(plant, plain_database)
    states, parts = year(plant, day, 1)
    chain.put("machine_states", states)
    chain.put("production_events", parts)
    chain.derive(day, names=["plan_calendar", *FROM_STATES])
    opens, closes = production_day(plant, day)

    def broken_by(statement: LiteralString) -> set[str]:
        """Rules broken after a statement, which is taken back."""
        with psycopg.connect(plain_database) as conn:
            kept = chain.tables(["machine_time", "oee_hourly"])
            conn.execute(statement)
            conn.commit()
            broken = set(broken_rules(plain_database, opens, closes))
        for name in ("machine_time", "oee_hourly"):
            chain.one(name, day, day)
        assert chain.tables(["machine_time", "oee_hourly"]) == kept
        return broken

    one = "WHERE (machine_id, starts_at) = (SELECT machine_id, starts_at FROM machine_time WHERE bucket = 'running'"
    one += " ORDER BY starts_at OFFSET 3 LIMIT 1)"
    assert "intervals follow each other without gap or overlap" in broken_by(f"DELETE FROM machine_time {one}")
    assert "intervals follow each other without gap or overlap" in broken_by(
        f"UPDATE machine_time SET ends_at = ends_at + interval '1 microsecond' {one}"
    )
    assert "running outranks everything, and nothing else is running" in broken_by(
        f"UPDATE machine_time SET bucket = 'failure' {one}"
    )
    assert "planned time is running and all losses, to the microsecond" in broken_by(
        "UPDATE oee_hourly SET failure_us = failure_us + 1"
    )
    assert "every hour of the ledger has its row, with its time to the microsecond" in broken_by(
        "DELETE FROM oee_hourly WHERE machine_id = 'Press01'"
    )
