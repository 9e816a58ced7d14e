"""What came again is stored once, together with what is new in the same batch."""

from __future__ import annotations

import json
import time

import psycopg

from prodlytics.edge.feeds import Feeds
from prodlytics.edge.inbox import Message
from prodlytics.edge.store import Store
from prodlytics.plant.load import load_plant
from prodlytics.settings import DEMO_PLANT

NOW_MS = int(time.time() * 1000)


def message(tag: str, nth: int, value: float) -> Message:
    record = {"id": f"AB_Line1.{tag}", "v": value, "q": True, "t": NOW_MS + nth}
    return Message("kepware/line1", json.dumps(record).encode(), NOW_MS * 1000)


def test_messages_that_come_again_are_stored_once_beside_new_ones_of_a_new_tag(database: str) -> None:
    store = Store(database, Feeds(load_plant(DEMO_PLANT)), 10.0)
    known = [message("Press01.Power_kW", nth, nth) for nth in range(5)]
    new = [message("Press02.Power_kW", nth, 10.0 + nth) for nth in range(3)]
    assert (store.write(known).samples, store.write([]).samples) == (5, 0)
    again = store.write([*known[2:], *new])
    assert (again.samples, again.duplicates, again.quarantined) == (3, 3, {})
    assert store.write([message("Press02.Power_kW", 9, 19.0)]).samples == 1
    store.close()
    with psycopg.connect(database) as conn:
        found = conn.execute(
            "SELECT machine_id, value FROM machine_telemetry WHERE metric_name = 'Power_kW' ORDER BY 1, 2"
        ).fetchall()
    assert found == [
        *(("Press01", float(nth)) for nth in range(5)),
        *(("Press02", value) for value in (10.0, 11.0, 12.0, 19.0)),
    ]
