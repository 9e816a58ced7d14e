"""The ledger in the database against sets of time that PostgreSQL computes from the same rules."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlytics.plant.calendar import production_date_of, production_day
from prodlytics.plant.model import Plant
from prodlytics_tests.ledger.chain import Chain
from prodlytics_tests.ledger.shops import entry_frame, shops, state_frame
from prodlytics_tests.ledger.sweep import Shop, State, instant

ORACLE = (Path(__file__).parent / "multirange_oracle.sql").read_text("utf-8")
FOUND = """
SELECT bucket, plan, state, reason_code,
       to_char(rtrim(split_part(stop_id, '@', 2), 'Z')::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.US') AS stop,
       shift, production_date, time_bucket, range_agg(tstzrange(starts_at, ends_at)) AS time
FROM machine_time WHERE machine_id = %(machine)s AND starts_at >= %(low)s AND starts_at < %(high)s
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
"""
DAY = dt.timedelta(days=1)


@pytest.fixture(scope="module")
def url(plain_server: str) -> Any:
    from prodlytics_tests.servers.databases import migrated_database

    with migrated_database(plain_server) as found:
        yield found


def cut_at_days(plant: Plant, states: list[State]) -> list[State]:
    """As they are stored: without a hole, cut where a production day ends."""
    holes = [State(a.end, b.start, "unknown", None, a.end) for a, b in pairwise(states) if a.end < b.start]
    cut: list[State] = []
    for state in sorted([*states, *holes]):
        start = state.start
        while start < state.end:
            closes = production_day(plant, production_date_of(plant, instant(start)))[1]
            end = min(state.end, (closes - instant(0)) // dt.timedelta(microseconds=1))
            cut.append(state._replace(start=start, end=end, began=min(state.began, state.start)))
            start = end
    return cut


def tell(chain: Chain, shop: Shop) -> None:
    """States, entries and the oracle's own tables."""
    plant = chain.plant
    chain.empty()
    chain.put("machine_states", state_frame(cut_at_days(plant, list(shop.states))))
    said = entry_frame(list(shop.said))
    chain.put("operator_entries", said.assign(source="operator"))
    reasons = [
        (reason.code, reason.name, category.code, category.name, category.loss, category.equipment)
        for category in plant.reasons
        for reason in category.reasons
    ]
    names = ["reason_code", "reason_name", "reason_category", "category_name", "loss", "is_equipment"]
    chain.put("reason_codes", pd.DataFrame(reasons, columns=names))


def oracle_tables(conn: psycopg.Connection[Any], plant: Plant, shop: Shop, days: list[dt.date]) -> None:
    conn.execute("CREATE TEMP TABLE oracle_fault ON COMMIT DROP AS SELECT 'E1' AS fault_code, 'MECH_A' AS reason")
    conn.execute("CREATE TEMP TABLE oracle_micro (since date, seconds float) ON COMMIT DROP")
    conn.execute("CREATE TEMP TABLE oracle_day (opens timestamptz, closes timestamptz) ON COMMIT DROP")
    with conn.cursor() as cursor:
        cursor.executemany("INSERT INTO oracle_micro VALUES (%s, %s)", list(shop.micro_stop_s.items()))
        # Wall time in the zone, by PostgreSQL's own rules.
        cursor.executemany(
            "INSERT INTO oracle_day VALUES"
            " ((%s::date + %s::time) AT TIME ZONE %s, (%s::date + 1 + %s::time) AT TIME ZONE %s)",
            [(day, plant.day_boundary, plant.timezone) * 2 for day in days],
        )


def days_between(plant: Plant, low: int, high: int) -> list[dt.date]:
    first, last = (production_date_of(plant, instant(edge)) for edge in (low, high - 1))
    return [first + n * DAY for n in range((last - first).days + 1)]


LEDGER = ("downtime_events", "machine_time")


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=shops(size=14), at_random=st.randoms(use_true_random=False))
def test_the_ledger_is_what_sets_of_time_say(url: str, made: tuple[Plant, Shop, int, int], at_random: Any) -> None:
    """Days are computed in two windows in any order, one day of them twice."""
    plant, shop, low, high = made
    chain = Chain(plant, url)
    tell(chain, shop)
    days = days_between(plant, low, high)
    chain.derive(days[0], days[-1], ["plan_calendar"])
    between = at_random.randrange(len(days))
    windows = [(days[0], days[between]), (days[between], days[-1])]
    at_random.shuffle(windows)
    for first, last in windows:
        chain.derive(first, last, LEDGER)
    chain.heal(LEDGER)
    window = {
        "machine": "M1",
        "low": production_day(plant, days[0])[0],
        "high": production_day(plant, days[-1])[1],
    }
    with psycopg.connect(url) as conn:
        oracle_tables(conn, plant, shop, [days[0] - DAY, *days, days[-1] + DAY])
        expected = conn.execute(ORACLE, window).fetchall()
        assert conn.execute(FOUND, window).fetchall() == expected
