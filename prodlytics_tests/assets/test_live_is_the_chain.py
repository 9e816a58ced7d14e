"""A live figure never differs from what the chain would store at the same instant, whatever came when."""

from __future__ import annotations

import datetime as dt
import random
from itertools import pairwise
from typing import Any

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlytics.assets.live_inputs import moment, plan_around, settled
from prodlytics.assets.live_oee import compute
from prodlytics.db.connect import connect
from prodlytics.db.frames import read
from prodlytics.db.queries import sql
from prodlytics.db.telemetry import write_samples
from prodlytics.kpi.live_oee import running_shift
from prodlytics.kpi.oee import ELEMENTS, RATIOS
from prodlytics.plant.model import Plant
from prodlytics_tests.assets.chain_by_hand import arrive, hold_back, run_chain, shift_sums
from prodlytics_tests.db.samples import Row, batch
from prodlytics_tests.kpi.feed import plant_of

#: Six in the evening before the night in which Chicago's clocks go back.
BEGIN = dt.datetime(2026, 10, 31, 23, tzinfo=dt.UTC)
HOURS = 15
LATE = dt.timedelta(hours=2)
STATES = {"metric": "State", "map": {"1": "running", "2": "idle", "3": "fault", "4": "setup"}}
GOOD, REJECT, TOTAL = ({"metric": name, "counts": name.lower()} for name in ("Good", "Reject", "Total"))
MACHINES: dict[str, dict[str, Any]] = {
    "controller": {"state": STATES, "counters": [GOOD, REJECT], "fault_metric": "Fault"},
    "toggles": {"state": {**STATES, "settle_s": 45}, "counters": [GOOD], "fault_metric": "Fault"},
    "total less rejects": {"state": STATES, "counters": [TOTAL, REJECT]},
    "only counts": {"state": {"source": "counts"}, "counters": [GOOD]},
    "says how long": {"state": {**STATES, "duration_metric": "Held"}, "counters": [GOOD], "silence_after_s": None},
    "people book": {"state": {"source": "operator"}, "counters": []},
}


def plant(kind: str) -> Plant:
    parts = [
        {"number": "P30", "name": "Thirty", "ideal_cycle_time_ms": {"M1": 30_000}},
        {"number": "P50", "name": "Fifty", "ideal_cycle_time_ms": {"M1": 50_000}},
    ]
    machine = {"ideal_cycle_time_ms": 40_000, "silence_after_s": 400, "micro_stop_s": 150, "max_parts_per_s": 1}
    return plant_of(parts, **(machine | MACHINES[kind]))


def feed(machine: dict[str, Any], chance: random.Random) -> list[Row]:
    """What a machine says, polled or on change, with stops, silences, resets and wrong readings."""
    rows: list[Row] = []

    def say(metric: str, second: float, value: float | None, quality: int = 192) -> None:
        time = BEGIN + dt.timedelta(seconds=second)
        rows.append(("M1", metric, "", time, value, None, quality, None))

    polled = {name: chance.random() < 0.6 for name in ("State", "Good", "Reject", "Total", "Fault")}
    count = {"Good": 100.0, "Reject": 0.0, "Total": 100.0}
    state, second, shown = 1, 0.0, dict.fromkeys((*polled, "Held"), -1.0)
    until_next = chance.uniform(100, 4000)
    while second < HOURS * 3600:
        step = chance.choice([20.0, 30.0, 40.0])
        second += step if chance.random() > 0.01 else chance.uniform(300, 2500)
        until_next -= step
        if until_next < 0:
            state = chance.choice([1, 1, 2, 3, 4])
            until_next = chance.choice([30.0, 60.0, 140.0, 160.0, 400.0, 900.0, 4000.0])
        if state == 1:
            bad = chance.random() < 0.05
            count["Reject" if bad else "Good"] += 1
            count["Total"] += 1
        if chance.random() < 0.003:
            count = dict.fromkeys(count, 0.0)
        now = {**count, "State": float(state), "Fault": float(chance.choice([7, 8])) if state == 3 else 0.0}
        for name in (*(counter["metric"] for counter in machine["counters"]), "State", "Fault"):
            wrong = chance.random() < 0.02
            if polled[name] or now[name] != shown[name] or wrong:
                say(name, second, now[name] + (900 if wrong else 0), 192 if chance.random() > 0.01 else 0)
                shown[name] = now[name]
        if "duration_metric" in machine["state"]:
            say("Held", second, step)
            say("State", second, float(state))
    seen: dict[tuple[str, dt.datetime], Row] = {(row[1], row[3]): row for row in rows}
    return list(seen.values())


def say_and_order(conn: psycopg.Connection[Any], chance: random.Random) -> None:
    """Orders one after the other, reasons and bookings of people."""
    for number in range(HOURS // 3):
        begin = BEGIN + dt.timedelta(hours=3 * number, minutes=chance.randint(-50, 50))
        conn.execute(
            "INSERT INTO work_orders (work_order, part_number, machine_id, status, started_at, ended_at, source)"
            " VALUES (%s, %s, 'M1', 'open', %s, %s, 'test')",
            (f"W{number}", chance.choice(["P30", "P50", None]), begin, begin + dt.timedelta(hours=3)),
        )
    for number in range(HOURS * 2):
        begin = BEGIN + dt.timedelta(minutes=30 * number + chance.randint(0, 10))
        kind = chance.choice(["reason", "production"])
        conn.execute(
            "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, ends_at, reason_code, quantity,"
            " entered_by, entered_at, source) VALUES (%s, 'M1', %s, %s, %s, %s, %s, 'Ann', %s, 'operator')",
            (f"e{number}", kind, begin, begin + dt.timedelta(minutes=chance.randint(5, 29)),
             chance.choice(["MECH_A", "SETUP_A", "PM_A", "MATL_A"]) if kind == "reason" else None,
             chance.randint(1, 20) if kind == "production" else None, begin),
        )  # fmt: skip


def come(conn: psycopg.Connection[Any], now: dt.datetime) -> None:
    """What arrives by `now`: one sample in eleven comes two hours late."""
    on_time = "(extract(epoch from c.time)::bigint / 10 + c.tag_id) %% 11 <> 0"
    arrive(conn, now, on_time)
    arrive(conn, now - LATE)


def assert_live_is_the_chain(conn: psycopg.Connection[Any], where: Plant, now: dt.datetime) -> None:
    computed = compute(conn, where, now)
    with conn.transaction(force_rollback=True):
        run_chain(conn, where, now)
        stored = shift_sums(conn, where, computed.rows)
        state = read(conn, "SELECT state FROM machine_states ORDER BY starts_at DESC LIMIT 1")["state"]
    names = [*ELEMENTS, *RATIOS[:4]]
    pd.testing.assert_frame_equal(
        computed.rows[names].astype(float), stored[names].astype(float), check_exact=True, obj=f"at {now}"
    )
    heard = computed.rows["last_heard_at"].iloc[0]
    if pd.notna(heard) and heard == pd.Timestamp(computed.as_of):
        silence_s = where.machines[0].silence_after_s
        if silence_s is None or now - computed.as_of <= dt.timedelta(seconds=silence_s):
            assert computed.rows["state"].tolist() == state.tolist()


@pytest.mark.parametrize("kind", list(MACHINES))
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10**6),
    # Dirty marks are quarter hours: what is stored is most nearly out of date where the chain ran just after one began.
    chains=st.lists(st.tuples(st.integers(4, HOURS * 4 - 4), st.integers(0, 99)), min_size=2, max_size=4),
    after=st.lists(st.integers(1, 1900), min_size=4, max_size=4),
)
def test_live_is_the_chain(
    plain_database: str, kind: str, seed: int, chains: list[tuple[int, int]], after: list[int]
) -> None:
    chance, where = random.Random(seed), plant(kind)
    with connect(plain_database) as conn, conn.transaction(force_rollback=True):
        write_samples(conn, batch(feed(MACHINES[kind], chance)), ingested_at=BEGIN)
        say_and_order(conn, chance)
        hold_back(conn)
        for (quarter, second), later in zip(sorted(chains), after, strict=False):
            now = BEGIN + dt.timedelta(seconds=900 * quarter + second)
            come(conn, now)
            run_chain(conn, where, now)
            come(conn, now + dt.timedelta(seconds=later))
            assert_live_is_the_chain(conn, where, now + dt.timedelta(seconds=later))


def test_after_a_chain_only_what_came_since_is_read(plain_database: str) -> None:
    """An hour after the chain the raw samples of that hour are derived again, not the shift."""
    where = plant("controller")
    chain, now = BEGIN + dt.timedelta(hours=10, minutes=2), BEGIN + dt.timedelta(hours=11)
    rows: list[Row] = [
        ("M1", metric, "", BEGIN + dt.timedelta(seconds=second), value, None, 192, None)
        for second in range(0, 11 * 3600, 10)
        for metric, value in (("State", 1.0), ("Good", float(second // 60)), ("Reject", 0.0), ("Fault", 0.0))
    ]
    with connect(plain_database) as conn:
        write_samples(conn, batch(rows), ingested_at=BEGIN)
        hold_back(conn)
        arrive(conn, chain)
        run_chain(conn, where, chain)
        arrive(conn, now)
        shifts = {"M1": running_shift(plan_around(where, where.machines[0], now), now)}
        starts = settled(conn, where, shifts, moment(conn, where, now))
    assert chain - dt.timedelta(minutes=30) < starts["M1"] < chain


@pytest.mark.parametrize("seed", range(8))
def test_walking_finds_the_silences_that_reading_finds(plain_database: str, seed: int) -> None:
    chance = random.Random(seed)
    seconds = sorted({chance.randint(-20_000, 120_000) for _ in range(chance.choice([0, 1, 40, 400]))})
    with connect(plain_database) as conn:
        rows: list[Row] = [
            ("M1", chance.choice("abc"), "", BEGIN + dt.timedelta(seconds=s), 1.0, None, 192, None) for s in seconds
        ]
        write_samples(conn, batch(rows), ingested_at=BEGIN)
        for _ in range(20):
            low = chance.choice([*seconds, 0, 7])
            high = low + chance.choice([0, 100, 5000, 60_000])
            now = BEGIN + dt.timedelta(seconds=high - chance.choice([0, 0, 2000]))
            limit_s = chance.choice([10, 300, 3000])
            asked = {
                "machine_id": "M1", "start": BEGIN + dt.timedelta(seconds=low), "now": now,
                "end": BEGIN + dt.timedelta(seconds=high), "silence_us": limit_s * 1e6,
            }  # fmt: skip
            inside = [s for s in seconds if low <= s < high]
            heard = [*[s for s in seconds if s < low][-1:], *inside, *[s for s in seconds if s >= high][:1]]
            expected = [
                (BEGIN + dt.timedelta(seconds=a), BEGIN + dt.timedelta(seconds=b))
                for a, b in pairwise(heard)
                if b - a > limit_s and a < high
            ]
            if heard and heard[-1] < high and (now - BEGIN).total_seconds() - heard[-1] > limit_s:
                expected.append((BEGIN + dt.timedelta(seconds=heard[-1]), None))
            assert conn.execute(sql("select_silences"), asked).fetchall() == expected
            assert conn.execute(sql("select_feed_gaps"), asked).fetchall() == expected
