"""Ten thousand orders of a system that is never quite right: what stands here in the end is what a model says.

The model knows rows, not our code: the newest version of an order counts, what is gone is cancelled at a full pass,
what is broken changes nothing. Pages come in any order; passes break off on the line or in the database and are
repeated.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from prodlytics.sources.ask import SourceUnavailableError
from prodlytics.sources.connectors import sync
from prodlytics_tests.sources.landing_place import at, landing_plant, rows
from prodlytics_tests.sources.said_there import SaidThere

PLANT = landing_plant()
ORDERS, DEFECTS = 10_000, 0.05
PAGE = 500
#: Hours at which the system is asked; a full pass comes after a day.
PASSES = (0, 0.25, 0.5, 24.5, 24.75, 49)

#: All is written, and the database fails before the commit.
CRASH = """
CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the database died'; END $$;
CREATE TRIGGER crash BEFORE INSERT OR UPDATE ON sync_state FOR EACH ROW EXECUTE FUNCTION crash();
"""

Row = dict[str, Any]


@dataclass
class World:
    """What the system has, what it says of it, and what should stand here."""

    chance: random.Random
    orders: dict[str, Row] = field(default_factory=dict)
    here: dict[str, Row] = field(default_factory=dict)
    refused: set[tuple[str, str]] = field(default_factory=set)
    next_number: int = 0

    def add(self, now: str) -> None:
        """A new order."""
        number = f"WO-{self.next_number:06d}"
        self.next_number += 1
        self.orders[number] = {
            "work_order": number, "part_number": f"P-{self.chance.randrange(400)}", "status": "open",
            "order_qty": self.chance.randrange(1, 900), "completed_qty": 0, "customer_name": None, "order_unit": "EA",
            "due_date": "2026-12-01", "source_modified_at": now,
        }  # fmt: skip

    def live(self, now: str) -> None:
        """Some orders are worked on, closed, reopened, cancelled, deleted, and new ones come."""
        for number in list(self.orders):
            what = self.chance.random()
            if what < 0.01:
                del self.orders[number]
            elif what < 0.08:
                change: Row = {"completed_qty": self.chance.randrange(900)}
                if what < 0.04:
                    change = {"status": self.chance.choice(["open", "closed", "cancelled"])}
                self.orders[number] = self.orders[number] | change | {"source_modified_at": now}
        for _ in range(ORDERS // 100):
            self.add(now)

    def says(self) -> list[Row]:
        """Every order, and so many broken or doubled rows among them."""
        orders = list(self.orders.values())
        told = list(orders)
        for _ in range(int(ORDERS * DEFECTS)):
            row = dict(self.chance.choice(orders))
            match self.chance.randrange(7):
                case 0:
                    pass  # the same once more
                case 1:  # an older version of it
                    row |= {"completed_qty": 901, "source_modified_at": "2026-01-05T00:00:00+00:00"}
                case 2:  # another one of the same moment
                    row["order_qty"] = 1000
                case 3:
                    row["work_order"] = None
                case 4:
                    row |= {"work_order": row["work_order"] + "X", "order_qty": "plenty"}
                case 5:
                    row |= {"work_order": row["work_order"] + "Y", "status": None}
                case 6:
                    row |= {"work_order": row["work_order"] + "Z", "status": "sleeping"}
            told.append(row)
        self.chance.shuffle(told)
        return told

    def expect(self, said: list[Row], since: str | None) -> None:
        """What a pass that goes through changes here; `since` is None for a full one."""
        versions: dict[str, dict[str, Row]] = {}
        for row in said:
            if problem := _broken(row):
                self.refused.add((problem, json.dumps(row, sort_keys=True)))
            else:
                versions.setdefault(row["work_order"], {})[json.dumps(row, sort_keys=True)] = row
        for number, told in versions.items():
            times = Counter(row["source_modified_at"] for row in told.values())
            if max(times.values()) > 1:
                self.refused |= {("conflict", text) for text in told}
                continue
            newest = max(told.values(), key=lambda row: str(row["source_modified_at"]))
            known = self.here.get(number)
            if known is None or newest["source_modified_at"] >= known["source_modified_at"]:
                self.here[number] = newest
        if since is None:
            mentioned = {row["work_order"] for row in said}
            for number, row in self.here.items():
                if row["status"] == "open" and number not in mentioned:
                    self.here[number] = row | {"status": "cancelled"}


def _broken(row: Row) -> str | None:
    if row["work_order"] is None or row["status"] is None:
        return "missing_field"
    if row["order_qty"] == "plenty":
        return "bad_number"
    return "bad_status" if row["status"] == "sleeping" else None


class InPages(SaidThere):
    """Pages of a size a real system has."""

    def pages(self, since: dt.datetime | None) -> Any:
        found = [row for row in self.rows if since is None or row["source_modified_at"] >= since.isoformat()]
        for number, begin in enumerate(range(0, len(found), PAGE)):
            if self.fails_after is not None and number >= self.fails_after:
                raise SourceUnavailableError("the line broke")
            yield found[begin : begin + PAGE]


def _ask(url: str, said: list[Row], now: dt.datetime, chance: random.Random) -> None:
    """Ask until it goes through: the line breaks, the database gives up in the middle, a pass is repeated."""
    adapter = InPages("orders", "work_orders", said)
    with psycopg.connect(url, autocommit=True) as conn:
        adapter.fails_after = chance.randrange(3)
        with pytest.raises(SourceUnavailableError):
            sync(conn, PLANT, adapter, now)
        adapter.fails_after = None
        conn.execute(CRASH)
        with pytest.raises(psycopg.errors.RaiseException):
            sync(conn, PLANT, adapter, now)
        conn.execute("DROP FUNCTION crash() CASCADE")
        for _ in range(2):
            sync(conn, PLANT, adapter, now)


@pytest.mark.parametrize("seed", [1, 2])
def test_ten_thousand_orders_end_as_a_model_says(plain_database: str, seed: int) -> None:
    world = World(random.Random(seed))
    newest = full_at = None
    for hours in PASSES:
        now = at(hours * 3600) - dt.timedelta(days=3)
        if hours == 0:
            for _ in range(ORDERS):
                world.add(now.isoformat())
        else:
            world.live(now.isoformat())
        said = world.says()
        full = full_at is None or now - full_at >= dt.timedelta(days=1)
        since = None if full or newest is None else (newest - dt.timedelta(minutes=10)).isoformat()
        if full:
            full_at = now
        world.expect([row for row in said if since is None or row["source_modified_at"] >= since], since)
        newest = now
        _ask(plain_database, said, now, world.chance)
    found = rows(
        plain_database, "SELECT work_order, status, part_number, order_qty::int, completed_qty::int,"
        " source_modified_at FROM work_orders",
    )  # fmt: skip
    expected = {
        (row["work_order"], row["status"], row["part_number"], row["order_qty"], row["completed_qty"],
         dt.datetime.fromisoformat(row["source_modified_at"]))
        for row in world.here.values()
    }  # fmt: skip
    assert len(expected) > ORDERS
    assert set(found) ^ expected == set()
    refused = dict(rows(plain_database, "SELECT reason, count(*) FROM quarantine GROUP BY 1"))
    assert refused == Counter(reason for reason, _ in world.refused)
    assert set(refused) == {"missing_field", "bad_number", "bad_status", "conflict"}
