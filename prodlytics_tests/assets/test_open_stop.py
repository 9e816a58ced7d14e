"""A stop that still lasts is as long as what was heard of it, at every chain."""

from __future__ import annotations

import datetime as dt

from prodlytics.db.connect import connect
from prodlytics.db.telemetry import write_samples
from prodlytics_tests.assets.chain_by_hand import arrive, hold_back, run_chain
from prodlytics_tests.db.samples import Row, batch
from prodlytics_tests.kpi.feed import plant_of

#: Monday, the beginning of a shift at six in Chicago.
BEGIN = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
FAULT_FROM, FAULT_TO = 3600, 12_600


def test_it_grows_until_it_ends(plain_database: str) -> None:
    plant = plant_of(
        state={"metric": "State", "map": {"1": "running", "3": "fault"}}, silence_after_s=400, micro_stop_s=120
    )
    rows: list[Row] = [
        ("M1", "State", "", BEGIN + dt.timedelta(seconds=second), 3.0 if FAULT_FROM <= second < FAULT_TO else 1.0,
         None, 192, None)
        for second in range(0, 4 * 3600 + 1, 60)
    ]  # fmt: skip
    told = []
    with connect(plain_database) as conn:
        write_samples(conn, batch(rows), ingested_at=BEGIN)
        hold_back(conn)
        for hour in (2, 3, 3, 4):
            now = BEGIN + dt.timedelta(hours=hour)
            arrive(conn, now)
            conn.execute("DELETE FROM dirty_mark")
            run_chain(conn, plant, now)
            marks = conn.execute("SELECT count(*) FROM dirty_mark WHERE dataset = 'losses'").fetchone()
            ((is_open, minutes),) = conn.execute("SELECT time_end IS NULL, duration_min FROM downtime_events")
            told.append((is_open, minutes, marks))
    assert [(is_open, minutes) for is_open, minutes, _ in told] == [(True, 60), (True, 120), (True, 120), (False, 150)]
    assert told[0][2] != (0,)
    assert told[2][2] == (0,), "a stop that merely lasts is no news for what was computed from it"
