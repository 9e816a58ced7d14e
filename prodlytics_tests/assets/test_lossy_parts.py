"""Losses come out the same from the parts that say more than ledger and orders as from all of them."""

from __future__ import annotations

import datetime as dt
import random

import pandas as pd
import pytest

from prodlytics.assets.inputs import of_machine, parts_of
from prodlytics.db.connect import connect
from prodlytics.db.frames import read
from prodlytics.db.telemetry import write_samples
from prodlytics.kpi.losses import derive_losses
from prodlytics.plant.calendar import production_day
from prodlytics_tests.assets.chain_by_hand import run_chain
from prodlytics_tests.assets.test_live_is_the_chain import BEGIN, HOURS, MACHINES, feed, plant, say_and_order
from prodlytics_tests.db.samples import batch


@pytest.mark.parametrize("kind", ["controller", "people book"])
@pytest.mark.parametrize("seed", range(3))
def test_the_same_losses(plain_database: str, kind: str, seed: int) -> None:
    chance, where = random.Random(seed), plant(kind)
    now = BEGIN + dt.timedelta(hours=HOURS)
    with connect(plain_database) as conn:
        if kind != "people book":
            write_samples(conn, batch(feed(MACHINES[kind], chance)), ingested_at=BEGIN)
        say_and_order(conn, chance)
        # One order that is worked on beside all others, and one that starts with another.
        conn.execute(
            "INSERT INTO work_orders (work_order, part_number, machine_id, status, started_at, ended_at, source)"
            " SELECT work_order || 'x', 'P50', machine_id, status, started_at, NULL, source FROM work_orders"
            " WHERE work_order IN ('W1', 'W2')"
        )
        for number in range(HOURS):
            booked = BEGIN + dt.timedelta(hours=number, minutes=chance.randint(0, 20))
            conn.execute(
                "INSERT INTO operator_entries (source_key, machine_id, kind, starts_at, ends_at, part_number, quantity,"
                " reject_quantity, entered_by, entered_at, source)"
                " VALUES (%s, 'M1', 'production', %s, %s, %s, 9, %s, 'Bob', %s, 'operator')",
                (f"b{number}", booked, booked + dt.timedelta(minutes=30), chance.choice(["P30", "P50", None]),
                 chance.choice([0, 0, 2]), booked),
            )  # fmt: skip
        run_chain(conn, where, now, days=1)
        start, end = production_day(where, BEGIN.date())[0], now
        shifts = read(conn, "SELECT * FROM oee_shift")
        ledger, orders, scrap = (
            of_machine(conn, f"select_{name}", "M1", start, end) for name in ("ledger", "orders", "scrap")
        )
        parts = [of_machine(conn, "select_lossy_parts", "M1", start, end), parts_of(conn, "M1", start, end)]
    machine, before = where.machines[0], ledger.iloc[:0]
    few, every = (
        derive_losses(where, machine, ledger, before, read, orders, scrap, shifts, start, end, now) for read in parts
    )
    assert 0 < len(parts[0]) < len(parts[1])
    assert len(every) > 5
    pd.testing.assert_frame_equal(few, every, check_exact=True)
