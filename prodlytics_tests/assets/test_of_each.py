"""What is read of many machines at once is what each of them has, in its own span and in order."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from prodlytics.assets.inputs import AT_ONCE, of_each, of_machine, parts_of, span_of_each, widened
from prodlytics.db.connect import connect
from prodlytics.db.frames import read
from prodlytics_tests.kpi.feed import plant_of

BEGIN = dt.datetime(2026, 3, 2, 6, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
#: More than are read at once; the last one says nothing.
MACHINES = [f"M{number}" for number in range(1, 2 * AT_ONCE + 3)]
QUERIES = (
    "select_ledger", "select_lossy_parts", "select_orders", "select_plan", "select_rejects", "select_scrap",
    "select_states", "select_stops", "select_entries",
)  # fmt: skip


@pytest.fixture
def told(plain_database: str) -> str:
    """Every machine but the last counts parts, some bad, some booked, two at one instant; and changes its state."""
    with connect(plain_database) as conn:
        conn.execute(
            "INSERT INTO production_events (time, machine_id, event_type, event_key, part_number, good_count,"
            " reject_count, since, flag, as_of)"
            " SELECT %(begin)s + (n * (m + 7) || ' min')::interval, 'M' || m,"
            " CASE WHEN n %% 5 = 0 THEN 'reject' WHEN n %% 7 = 0 THEN 'alarm' ELSE 'cycle_complete' END, key,"
            " CASE WHEN n %% 3 = 0 THEN 'P' || n %% 2 END, (n %% 5 <> 0)::int, (n %% 5 = 0)::int,"
            " CASE WHEN n %% 4 > 0 THEN %(begin)s + ((n - 1) * (m + 7) || ' min')::interval END,"
            " CASE WHEN n %% 11 = 0 THEN 'estimated' END, now()"
            " FROM generate_series(1, %(machines)s) m, generate_series(1, 150) n, unnest(ARRAY['b', 'a']) key",
            {"begin": BEGIN, "machines": len(MACHINES) - 1},
        )
        conn.execute(
            "INSERT INTO machine_states (machine_id, starts_at, ends_at, state, state_started_at, is_open, as_of)"
            " SELECT 'M' || m, at, at + interval '50 min', CASE WHEN n %% 3 = 0 THEN 'running' ELSE 'idle' END, at,"
            " false, now() FROM generate_series(1, %(machines)s) m, generate_series(0, 60) n,"
            " LATERAL (SELECT %(begin)s + (n * 50 + m || ' min')::interval AS at) t",
            {"begin": BEGIN, "machines": len(MACHINES) - 1},
        )
    return plain_database


def test_each_machine_gets_its_own(told: str) -> None:
    plant = plant_of([], ideal_cycle_time_ms=1000)
    plant = plant.model_copy(
        update={"machines": tuple(plant.machines[0].model_copy(update={"id": name}) for name in MACHINES)}
    )
    with connect(told) as conn:
        spans = widened(conn, "select_stop_span", span_of_each(plant, BEGIN + DAY / 2, BEGIN + DAY))
        found = {machine.id: frames for machine, *frames in of_each(conn, plant, spans, *QUERIES, "select_parts")}
        assert list(found) == MACHINES
        assert len({start for start, _ in spans.values()}) > AT_ONCE
        for name, frames in found.items():
            for query, frame in zip(QUERIES, frames, strict=False):
                alone = of_machine(conn, query, name, *spans[name])
                pd.testing.assert_frame_equal(frame, alone, check_dtype=len(alone) > 0, obj=f"{query} of {name}")
            pd.testing.assert_frame_equal(frames[-1], parts_of(conn, name, *spans[name]))


def test_packed_parts_are_the_rows_of_the_table(told: str) -> None:
    with connect(told) as conn:
        for name in ("M1", "M3", MACHINES[-1]):
            every = read(
                conn,
                "SELECT time, event_type, event_key, part_number, good_count, reject_count, rework_count, since, flag"
                " FROM production_events WHERE machine_id = %(machine)s AND time >= %(start)s AND time < %(end)s"
                " AND event_type <> 'alarm' ORDER BY time, event_type, event_key",
                {"machine": name, "start": BEGIN + DAY / 4, "end": BEGIN + DAY},
            )
            pd.testing.assert_frame_equal(parts_of(conn, name, BEGIN + DAY / 4, BEGIN + DAY), every)
            assert len(every) == 0 or {"a", "b"} == set(every["event_key"])
            assert every["time"].dtype == every["since"].dtype == "datetime64[us, UTC]"
