"""The bridge: what the broker sends is in the database before it is acknowledged.

Belongs here: the writer's loop and its three ways of keeping a message safe. Does not belong here: the broker
(`broker`), the database (`store`), the disk (`spool`), what messages say (`feeds`).

Where a message is while the database is away: first with the broker, unacknowledged; after `hold_s`, or when as many
are unacknowledged as the broker will send, on the gateway's disk. Once anything lies there, everything goes there
first, so that the order stays. When the disk takes no more, messages stay with the broker again, and the bridge says
so. With a way to the cloud nothing is held at the broker: from the disk it is forwarded without the database.
"""

from __future__ import annotations

import gc
import random
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from prodlytics.db.connect import DatabaseUnavailable
from prodlytics.edge.broker import Address, Broker
from prodlytics.edge.cloud.ahead import Ahead
from prodlytics.edge.cloud.at_risk import AtRisk
from prodlytics.edge.cloud.forwarder import Forwarder, Route
from prodlytics.edge.feeds import Feeds
from prodlytics.edge.inbox import Inbox, Message
from prodlytics.edge.mtconnect import to_cloud, to_database
from prodlytics.edge.probe import Metrics, Probe
from prodlytics.edge.sparkplug_host import Presence, Rebirths
from prodlytics.edge.spool import Spool, SpoolError
from prodlytics.edge.store import Store, Written
from prodlytics.plant.model import Plant

log = structlog.get_logger("prodlytics.bridge")

BATCH_MESSAGES = 5_000
BATCH_BYTES = 4 * 2**20
SETTLE_EVERY_S = 60.0
#: A change of state has left for the cloud 30 s after its arrival: when it has waited for company (`urgent_s`, 20 s at
#: most, counted from its arrival), or when the database that hung meanwhile is given up. Twice this where a name stands
#: for two addresses, which are tried one after the other.
PATIENCE_BESIDE_CLOUD_S = 12.0


@dataclass(frozen=True)
class Options:
    """How a bridge behaves.

    Attributes:
        url: The product's database.
        broker: Where messages come from; none where all machines are asked by MTConnect.
        folder: For the spool and the lock.
        ca_file: Authority of the broker's certificate.
        http_host: Where metrics and health are served.
        http_port: The same; 0 takes a free one.
        linger_s: How long a batch is gathered. 35 ms keeps 120 messages a second under 15 % of a core, and what was
            published visible within 50 ms.
        hold_s: How long messages stay with the broker while the database is away.
        patience_s: After how long without an answer the database counts as away.
        receive_maximum: Messages the broker sends before the first is acknowledged; MQTT allows 65,535.
        inbox_bytes: Bytes that may wait in memory.
        spool_limit_bytes: How large the spool may grow.
        cloud: Where samples are forwarded once they are stored.
    """

    url: str
    broker: Address | None
    folder: Path
    ca_file: Path | None = None
    http_host: str = "127.0.0.1"
    http_port: int = 9108
    linger_s: float = 0.035
    hold_s: float = 60.0
    patience_s: float = 10.0
    receive_maximum: int = 20_000
    inbox_bytes: int = 64 * 2**20
    spool_limit_bytes: int = 20_000_000_000
    cloud: Route | None = None


class Bridge:
    """One bridge of one plant."""

    def __init__(self, plant: Plant, options: Options) -> None:
        """Take the spool and the port; nothing is connected yet.

        Raises:
            AlreadyRunningError: Another bridge runs here.
            SpoolError: The folder cannot be used.
            OSError: The port is in use.
        """
        self.options = options
        self.metrics = Metrics()
        self._feeds = feeds = Feeds(plant)
        self._spool = Spool(options.folder, options.spool_limit_bytes)
        feeds.sessions = self._spool.sessions
        self._forwarder = Forwarder(plant, options.cloud, self.metrics) if options.cloud else None
        self._ahead = Ahead(plant, self._spool, self._forwarder) if self._forwarder else None
        self._inbox = Inbox(options.inbox_bytes)
        # What comes while the database hangs must not wait too long for its way to the cloud.
        patience_s = min(options.patience_s, PATIENCE_BESIDE_CLOUD_S) if options.cloud else options.patience_s
        self._store = Store(options.url, feeds, patience_s)
        self._broker = Broker(
            options.broker, f"prodlytics-bridge-{plant.plant}", feeds.subscriptions, self._inbox.put,
            receive_maximum=options.receive_maximum, ca_file=options.ca_file,
            presence=Presence(plant.plant) if feeds.speaks_sparkplug else None,
        )  # fmt: skip
        self._rebirths = Rebirths(self._broker.publish)
        self._stop = threading.Event()
        self._agents = [
            to_database(plant, agent, options.url, options.patience_s, self.metrics, self._forwarder)
            for agent in plant.agents
        ]
        if self._forwarder is not None:
            self._agents += [to_cloud(plant, agent, self._forwarder) for agent in plant.agents]
        self._away_since: float | None = None
        self._spool_problem: str | None = None
        self._said_at_risk: AtRisk | None = None
        self._pending: list[Message] = []
        self._retry_at = 0.0
        self._retries = 0
        self.probe = Probe(self.metrics, self.problems, options.http_host, options.http_port, self.notices)

    def run(self) -> None:
        """Work until `stop`; what has arrived by then is stored or left with the broker.

        Raises:
            AlreadyRunningError: Another bridge feeds this plant into the database.
        """
        self.probe.start()
        try:
            self._greet()
            # What is loaded stays: looking through pandas for garbage takes as long as several batches.
            gc.freeze()
            self._broker.start()
            if self._forwarder is not None:
                self._forwarder.start()
            threading.Thread(target=self._keep_settling, name="settle", daemon=True).start()
            agents = [threading.Thread(target=reader.run, args=(self._stop,), daemon=True) for reader in self._agents]
            for thread in agents:
                thread.start()
            while not self._stop.is_set():
                self._step(wait_s=0.5)
            self._finish()
            for thread in agents:
                thread.join(1.0)  # what an agent has not told yet, it tells the next time
        finally:
            self._inbox.close()
            self._broker.stop()
            self._store.close()
            self._spool.close()
            if self._forwarder is not None:
                self._forwarder.stop()
            self.probe.stop()

    def stop(self) -> None:
        """Ask `run` to end; safe in a signal handler."""
        self._stop.set()

    def problems(self) -> list[str]:
        """What is wrong right now, for people."""
        found = []
        gone = self._broker.disconnected_at
        if gone is not None:
            found.append(f"No broker for {time.monotonic() - gone:.0f} s: {self._broker.why}.")
        if self._away_since is not None:
            found.append(f"No database for {time.monotonic() - self._away_since:.0f} s; {len(self._spool)} spooled.")
        if self._spool_problem:
            found.append(f"{self._spool_problem} Messages stay with the broker.")
        return found + (self._forwarder.problems() if self._forwarder is not None else [])

    def notices(self) -> list[str]:
        """What people should know and no restart would mend: an agent may be switched off with its machine."""
        return [problem for reader in self._agents if (problem := reader.problem())]

    def _greet(self) -> None:
        """Meet the database before the broker: of two bridges the second must not take the first one's session."""
        try:
            self._store.write([])
        except DatabaseUnavailable as error:
            self._database_failed(error)

    def _step(self, wait_s: float) -> None:
        """One round: take what came, make it safe, acknowledge it."""
        wait_s = 0.01 if self._pending or (len(self._spool) and self._away_since is None) else wait_s
        if not self._pending:
            self._pending = self._inbox.take(BATCH_MESSAGES, BATCH_BYTES, wait_s, self._linger())
        if len(self._spool) or self._must_spool():
            self._spool_pending()
            self._drain()
        elif self._pending:
            self._write_pending()
        elif self._away_since is not None:
            self._try_database()
        self._report()

    def _linger(self) -> float:
        return 0.0 if len(self._spool) else self.options.linger_s

    def _must_spool(self) -> bool:
        if self._away_since is None or not self._pending:
            return False
        waiting = len(self._inbox) + len(self._pending)
        full = waiting >= self.options.receive_maximum or self._inbox.size_bytes >= self.options.inbox_bytes // 2
        hold_s = 0.0 if self._ahead is not None else self.options.hold_s
        return full or time.monotonic() - self._away_since >= hold_s

    def _write_pending(self) -> None:
        if time.monotonic() < self._retry_at:
            self._stop.wait(min(0.1, self._retry_at - time.monotonic()))
            return
        if self._write(self._pending):
            self._remember()
            self._safe()

    def _remember(self) -> None:
        """Keep what edge nodes said of themselves, before their messages are acknowledged."""
        try:
            self._spool.remember(self._feeds.sessions)
        except SpoolError as error:
            log.error("births_not_kept", problem=str(error))  # they are asked for after a restart

    def _spool_pending(self) -> None:
        if not self._pending:
            return
        try:
            self._spool.append(self._pending)
        except SpoolError as error:
            if self._spool_problem is None:
                log.error("spool_refuses", problem=str(error))
            self._spool_problem = str(error)
            self._stop.wait(1.0)
            return
        self._safe()

    def _drain(self) -> None:
        """Forward what came into the spool, and store its oldest messages if the database is there."""
        if not len(self._spool):
            return
        try:
            if self._ahead is not None:
                self._ahead.read_on(self._feeds.sessions)
            if time.monotonic() < self._retry_at:
                return
            messages, last = self._spool.oldest(BATCH_MESSAGES, BATCH_BYTES)
            if self._write(messages, forward=False) and self._forwarded_up_to(last):
                self._spool.drop(last, self._feeds.sessions)
                if not self._pending:
                    self._spool_problem = None
                if not len(self._spool):
                    log.info("spool_empty")
                    if self._ahead is not None:
                        self._ahead.rest()
        except SpoolError as error:
            log.error("spool_unreadable", problem=str(error))
            self._spool_problem = str(error)
            self._stop.wait(1.0)

    def _forwarded_up_to(self, last: int) -> bool:
        """Forward spooled messages before they leave the spool; whether what is at risk then could be said."""
        reached = 0
        while self._ahead is not None and reached < last:
            reached = self._ahead.read_on(self._feeds.sessions, leaving=True)
        return self._say_what_is_at_risk()

    def _say_what_is_at_risk(self) -> bool:
        """What the cloud may never get is in the quarantine before the broker or the spool forgets it."""
        if self._forwarder is None or self._forwarder.at_risk == self._said_at_risk:
            return True
        risk = self._forwarder.at_risk
        try:
            self._store.state_at_risk(risk, self._said_at_risk)
        except DatabaseUnavailable as error:
            self._database_failed(error)
            return False
        self._said_at_risk = risk
        return True

    def _try_database(self) -> None:
        if time.monotonic() >= self._retry_at:
            self._write([])

    def _write(self, messages: list[Message], *, forward: bool = True) -> bool:
        try:
            written = self._store.write(messages)
        except DatabaseUnavailable as error:
            self._database_failed(error)
            return False
        if self._away_since is not None:
            log.info("database_back", away_s=round(time.monotonic() - self._away_since, 1), spooled=len(self._spool))
        self._away_since, self._retries, self._retry_at = None, 0, 0.0
        self._count(messages, written)
        self.metrics.rebirths.inc(self._rebirths.ask(written.rebirths))
        if self._forwarder is None or not forward:
            return True
        self._forwarder.take(written.batches, messages[0].arrived_us if messages else None)
        return self._say_what_is_at_risk()

    def _database_failed(self, error: DatabaseUnavailable) -> None:
        self.metrics.failures.inc()
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.error("database_away", problem=str(error))
        self._retries += 1
        # Jitter: a dozen gateways must not all knock at the moment a server comes back.
        self._retry_at = time.monotonic() + min(5.0, 0.2 * 2**self._retries) * random.uniform(0.5, 1.0)

    def _safe(self) -> None:
        self._broker.acknowledge(self._pending)
        # On the disk or, past an empty spool, in the database: none of them stays with the broker.
        self._pending, self._spool_problem = [], None

    def _count(self, messages: list[Message], written: Written) -> None:
        if not messages:
            return
        self.metrics.messages.inc(len(messages))
        self.metrics.count(written)
        self.metrics.batch.observe(len(messages))
        self.metrics.lag.observe(max(0.0, time.time() - messages[0].arrived_us / 1e6))

    def _report(self) -> None:
        self.metrics.waiting.set(len(self._inbox) + len(self._pending))
        self.metrics.spooled.set(len(self._spool))
        self.metrics.spooled_bytes.set(self._spool.size_bytes if len(self._spool) else 0)
        self.metrics.connected.set(self._broker.connected.is_set())

    def _finish(self) -> None:
        """Store what has arrived, for as long as that goes well; the rest stays with the broker."""
        until = time.monotonic() + self.options.patience_s
        while (self._pending or len(self._inbox)) and self._away_since is None and time.monotonic() < until:
            self._step(wait_s=0.0)
        log.info("stopped", left_with_broker=len(self._inbox) + len(self._pending), spooled=len(self._spool))

    def _keep_settling(self) -> None:
        while not self._stop.wait(SETTLE_EVERY_S):
            try:
                self._store.settle()
            except DatabaseUnavailable:
                continue
