"""Machines that are asked: MTConnect agents over HTTP.

Belongs here: when an agent is asked, and the two who keep what it says: the database and the way to the cloud. Does not
belong here: what is asked (`ring`), how samples are stored (`store`).

Where we stopped is stored in the same transaction as the samples, so a kill neither loses nor doubles any. While the
database is away, nothing is asked for it: the agent's ring is the buffer. The way to the cloud asks for itself, with a
place of its own in the ring, so it needs no database; and what its disk does not take stays in the ring.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import psycopg
import structlog

from prodlytics.db import telemetry
from prodlytics.db.connect import DatabaseUnavailable, connect
from prodlytics.db.queries import sql
from prodlytics.edge.cloud.forwarder import Forwarder
from prodlytics.edge.probe import Metrics
from prodlytics.edge.ring import AgentError, Cursor, RefusedError, Ring
from prodlytics.edge.spool import SpoolError
from prodlytics.edge.store import bridge_conninfo, first_line, store_parsed, watched
from prodlytics.formats.mtconnect import Header
from prodlytics.formats.sample import Parsed
from prodlytics.plant.model import Agent, Plant

log = structlog.get_logger("prodlytics.bridge")

LONGEST_WAIT_S = 60.0
#: For the cloud: a change of state must leave soon after the agent is back.
LONGEST_WAIT_FOR_CLOUD_S = 5.0


def to_database(
    plant: Plant, agent: Agent, url: str, patience_s: float, metrics: Metrics, forwarder: Forwarder | None = None
) -> AgentReader:
    """A reader that stores.

    Args:
        plant: Whose machines they are.
        agent: The agent.
        url: The product's database.
        patience_s: How long a statement may take before the database counts as away.
        metrics: Where to count.
        forwarder: The way to the cloud, if there is one: what it got before the database is stored as well.
    """
    return AgentReader(plant, agent, _Database(plant, agent, url, patience_s, metrics, forwarder), metrics)


def to_cloud(plant: Plant, agent: Agent, forwarder: Forwarder) -> AgentReader:
    """A reader that forwards."""
    return AgentReader(plant, agent, _Cloud(agent, forwarder), None, LONGEST_WAIT_FOR_CLOUD_S)


class AgentReader:
    """Reads one agent until told to stop."""

    def __init__(
        self,
        plant: Plant,
        agent: Agent,
        keeper: _Database | _Cloud,
        metrics: Metrics | None,
        longest_wait_s: float = LONGEST_WAIT_S,
    ) -> None:
        """Ask and open nothing yet."""
        self._agent, self._keeper, self._metrics = agent, keeper, metrics
        self._ring = Ring(plant, agent, keeper)
        self._longest_wait_s = longest_wait_s
        self._failures = 0
        self._failing_since: float | None = None
        self._why = ""

    def run(self, stop: threading.Event) -> None:
        """Ask again and again; whatever goes wrong is said and tried again."""
        while not stop.is_set():
            stop.wait(self.step())
        self._keeper.close()

    def problem(self) -> str | None:
        """What is wrong right now, for people."""
        since = self._failing_since
        if since is None:
            return None
        return f"Agent {self._agent.name}{self._keeper.whose} for {time.monotonic() - since:.0f} s: {self._why}"

    def step(self) -> float:
        """Ask once and keep the answer; how long to wait until the next time, in seconds."""
        try:
            more = self._ring.ask()
        except (AgentError, DatabaseUnavailable, SpoolError) as error:
            return self._failed(str(error))
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._keeper.close()
            return self._failed(f"The database went away: {first_line(error)}.")
        if self._failing_since is not None:
            log.info("agent_back", agent=self._agent.name)
        self._failing_since, self._failures = None, 0
        self._count_up(1)
        return 0.0 if more else self._agent.interval_s

    def _failed(self, why: str) -> float:
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            log.error("agent_fails", agent=self._agent.name, problem=why)
        self._why = why
        self._failures += 1
        self._count_up(0)
        return min(self._longest_wait_s, 0.5 * 2.0 ** min(self._failures, 10)) * random.uniform(0.5, 1.0)

    def _count_up(self, up: int) -> None:
        if self._metrics is not None:
            self._metrics.agents.labels(self._agent.name).set(up)


class _Database:
    """Samples and cursor in one transaction."""

    whose = ""

    def __init__(
        self, plant: Plant, agent: Agent, url: str, patience_s: float, metrics: Metrics, forwarder: Forwarder | None
    ) -> None:
        self._plant, self._metrics, self._forwarder = plant, metrics, forwarder
        self._url, self._patience_s = bridge_conninfo(url, patience_s), patience_s
        self._source = f"mtconnect/{agent.name}"
        self.origin = f"mtconnect agent {agent.name}"
        self._conn: psycopg.Connection[Any] | None = None
        self._tags = telemetry.TagIds()

    def stopped_at(self) -> Cursor | None:
        """Where the samples in the database end."""
        with watched(self._connection(), self._patience_s) as conn, conn.transaction():
            row = conn.execute(sql("select_sync_cursor"), {"source": self._source}).fetchone()
        return None if row is None else Cursor(int(row[0]["instance_id"]), int(row[0]["next_sequence"]))

    def begins_at(self, header: Header) -> int:
        """Now, or where the cloud began while there was no database yet."""
        said = None if self._forwarder is None else self._forwarder.reached(self._source)
        if said is not None:
            cloud = json.loads(said)
            if cloud["instance_id"] == header.instance_id:
                return max(header.first_sequence, min(header.next_sequence, int(cloud["first_sequence"])))
        return header.next_sequence

    def keep(self, batches: Sequence[Parsed], after: Cursor) -> None:
        """Store them, and `after` as the cursor."""
        now = dt.datetime.now(dt.UTC)
        try:
            with watched(self._connection(), self._patience_s) as conn, conn.transaction():
                written = store_parsed(conn, self._plant, batches, now, self._tags, self.origin)
                said = {
                    "source": self._source, "dataset": "machine_telemetry", "cursor": json.dumps(asdict(after)),
                    "now": now, "records": written.samples + written.duplicates,
                }  # fmt: skip
                conn.execute(sql("upsert_sync_success"), said)
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            self._tags.forget()
            raise RefusedError(first_line(error)) from error
        self._metrics.count(written)

    def close(self) -> None:
        """Close the connection; the next statement opens another."""
        self._tags.forget()
        if self._conn is not None:
            with contextlib.suppress(psycopg.Error):
                self._conn.close()
            self._conn = None

    def _connection(self) -> psycopg.Connection[Any]:
        if self._conn is None:
            self._conn = connect(self._url)
        return self._conn


class _Cloud:
    """Samples and cursor in one transaction of the outbox. What cannot be read is explained beside the database."""

    whose = ", for the cloud,"

    def __init__(self, agent: Agent, forwarder: Forwarder) -> None:
        self._forwarder = forwarder
        self._source = f"mtconnect/{agent.name}"
        self.origin = f"mtconnect agent {agent.name}"

    def stopped_at(self) -> Cursor | None:
        """Where the samples in the outbox end."""
        place = self._place()
        return None if place is None else Cursor(place["instance_id"], place["next_sequence"])

    def begins_at(self, header: Header) -> int:
        """Now."""
        return header.next_sequence

    def keep(self, batches: Sequence[Parsed], after: Cursor) -> None:
        """Choose among them, and keep what is chosen with `after` as the cursor."""
        place = self._place()
        known = place is not None and place["instance_id"] == after.instance_id
        first = place["first_sequence"] if place is not None and known else after.next_sequence
        reached = json.dumps({**asdict(after), "first_sequence": first})
        good = [parsed.good for parsed in batches if len(parsed.good)]
        self._forwarder.offer(good, reached=(self._source, reached))

    def close(self) -> None:
        """The outbox is the forwarder's."""

    def _place(self) -> dict[str, int] | None:
        said = self._forwarder.reached(self._source)
        return None if said is None else json.loads(said)
