"""Messages into the database: one batch, one transaction.

Belongs here: the writer's connection, its patience, what happens to a batch that the database refuses. Does not belong
here: when to write (`bridge`), how samples are stored (`db.telemetry`).
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import make_conninfo

from prodlytics.db import dirty, quarantine, telemetry
from prodlytics.db.connect import DatabaseUnavailable, connect
from prodlytics.db.frames import microseconds
from prodlytics.db.queries import sql
from prodlytics.edge.cloud.at_risk import AtRisk
from prodlytics.edge.feeds import Feeds, Read
from prodlytics.edge.inbox import Message
from prodlytics.edge.spool import AlreadyRunningError
from prodlytics.formats.sample import Parsed, losers_of
from prodlytics.formats.sparkplug_session import NodeId
from prodlytics.plant.model import Plant
from prodlytics.sources.live_sources import store_live_sources
from prodlytics.sources.touched import concerned

if TYPE_CHECKING:
    import pandas as pd

#: Of what comes live, for restatements.
CAUSE = "live feed"
#: Up to here a batch is one statement: COPY in a transaction is five round trips. With 200 samples COPY is faster.
FEW_SAMPLES = 100


@dataclass
class Written:
    """What became of messages.

    Attributes:
        samples: Samples stored that were not there before.
        duplicates: Samples that were there already: redelivered.
        quarantined: Reason to number of records.
        newest: Machine to its newest sample, seconds since 1970 UTC.
        rebirths: Sparkplug nodes that have to say their birth again.
        batches: The samples that hold, stored now or before, in the shape of `formats.sample`.
    """

    samples: int = 0
    duplicates: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    newest: dict[str, float] = field(default_factory=dict)
    rebirths: set[NodeId] = field(default_factory=set)
    batches: list[pd.DataFrame] = field(default_factory=list)

    def add(self, other: Written) -> None:
        """Another part of the same messages."""
        self.samples += other.samples
        self.duplicates += other.duplicates
        for reason, count in other.quarantined.items():
            self.quarantined[reason] = self.quarantined.get(reason, 0) + count
        for machine, newest in other.newest.items():
            self.newest[machine] = max(newest, self.newest.get(machine, newest))
        self.rebirths |= other.rebirths
        self.batches += other.batches


class Store:
    """The database as the bridge sees it."""

    def __init__(self, url: str, feeds: Feeds, patience_s: float) -> None:
        """Open nothing yet.

        Args:
            url: The product's database.
            feeds: How messages are read.
            patience_s: How long a statement may take before the database counts as away: a server that hangs keeps
                its connections open.
        """
        self._url = bridge_conninfo(url, patience_s)
        self._feeds = feeds
        self._patience_s = patience_s
        self._conn: psycopg.Connection[Any] | None = None
        self._tags = telemetry.TagIds()
        self._all_new = True

    def write(self, messages: Sequence[Message]) -> Written:
        """Store messages; when this returns they are committed.

        Raises:
            DatabaseUnavailable: The database is away or hangs; nothing may be acknowledged, all may be sent again.
            AlreadyRunningError: Another bridge feeds this plant into this database.
        """
        try:
            return self._attempt(messages)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise DatabaseUnavailable(f"The database went away: {first_line(error)}.") from error
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            self._tags.forget()
            return self._apart(messages, error)

    def close(self) -> None:
        """Close the connection; the next write opens another."""
        self._tags.forget()
        if self._conn is not None:
            with contextlib.suppress(psycopg.Error):
                self._conn.close()
            self._conn = None

    def settle(self) -> None:
        """Turn what arrived into dirty marks, on a connection of its own: it may wait for a computation."""
        with connect(self._url) as conn:
            dirty.settle_arrivals(conn)

    def state_at_risk(self, risk: AtRisk | None, before: AtRisk | None) -> None:
        """Say in the quarantine what may never reach the cloud, instead of what was said before.

        Raises:
            DatabaseUnavailable: The database is away or hangs.
        """
        try:
            with watched(self._connection(), self._patience_s) as conn, conn.transaction():
                if before is not None and (risk is None or risk.since_us == before.since_us):
                    said = {"dataset": "machine_telemetry", "name": _origin(before)}
                    conn.execute(sql("delete_quarantined_file"), said)
                if risk is not None:
                    quarantine.store(conn, "machine_telemetry", _not_forwarded(risk), origin=_origin(risk))
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self.close()
            raise DatabaseUnavailable(f"The database went away: {first_line(error)}.") from error

    def _connection(self) -> psycopg.Connection[Any]:
        if self._conn is None:
            conn = connect(self._url, autocommit=True)
            try:
                with watched(conn, self._patience_s):
                    self._begin(conn)
            except BaseException:
                conn.close()
                raise
            self._conn = conn
        return self._conn

    def _begin(self, conn: psycopg.Connection[Any]) -> None:
        held = conn.execute(
            "SELECT pg_try_advisory_lock(hashtextextended('prodlytics/bridge/' || %s, 0))",
            (self._feeds.plant.plant,),
        ).fetchone()
        if not held or not held[0]:
            raise AlreadyRunningError(
                f"Another bridge feeds plant {self._feeds.plant.plant} into this database. Stop it first."
            )
        try:
            # What is written from now on can be read in the live views, though no Dagster ever runs.
            store_live_sources(conn, self._feeds.plant, dt.datetime.now(dt.UTC))
        except psycopg.errors.UndefinedTable as error:
            raise DatabaseUnavailable("The database is older than this bridge: migrate it first.") from error

    def _attempt(self, messages: Sequence[Message]) -> Written:
        """One transaction; two where messages came again for the first time."""
        try:
            with watched(self._connection(), self._patience_s) as conn:
                now = dt.datetime.now(dt.UTC)
                read = self._feeds.parse(messages, now)
                written = self._write_few(conn, read, now) or self._write(conn, read, now)
        except psycopg.errors.UniqueViolation:
            if not self._all_new:
                raise
            self._all_new = False
            self._tags.forget()
            return self._attempt(messages)
        written.rebirths |= read.rebirths
        self._all_new = not written.duplicates
        self._feeds.keep(read)
        return written

    def _write_few(self, conn: psycopg.Connection[Any], read: Read, now: dt.datetime) -> Written | None:
        """A small batch in one statement, as nearly all are that come live; None where it takes more."""
        good = [parsed.good for parsed in read.parsed if len(parsed.good)]
        explained = any(len(parsed.bad) for parsed in read.parsed)
        if not self._all_new or explained or len(good) != 1 or len(good[0]) > FEW_SAMPLES:
            return None
        few = telemetry.few_samples(conn, good[0], ingested_at=now, tags=self._tags)
        if few is None:
            return None
        telemetry.write_few(conn, few, concerned(self._feeds.plant, few.touched, now), CAUSE)
        return Written(len(good[0]), newest=_newest(good[0]), batches=good)

    def _write(self, conn: psycopg.Connection[Any], read: Read, now: dt.datetime) -> Written:
        with conn.transaction():
            return store_parsed(conn, self._feeds.plant, read.parsed, now, self._tags, all_new=self._all_new)

    def _apart(self, messages: Sequence[Message], error: psycopg.Error) -> Written:
        """Find the message the database refuses, put it into quarantine and store the others."""
        if len(messages) > 1:
            half = len(messages) // 2
            written = self.write(messages[:half])
            written.add(self.write(messages[half:]))
            return written
        import pandas as pd

        written = Written()
        refused = {
            "reason": "refused_by_database",
            "detail": first_line(error),
            "payload": messages[0].payload[:2000].decode("utf-8", "backslashreplace"),
        }
        with watched(self._connection(), self._patience_s) as conn, conn.transaction():
            _quarantine(conn, pd.DataFrame([refused]), written, origin=f"mqtt topic {messages[0].topic}")
        # What a birth said holds all the same: the metrics after it must not lose their names.
        self._feeds.keep(self._feeds.parse(messages, dt.datetime.now(dt.UTC)))
        return written


@contextlib.contextmanager
def watched(conn: psycopg.Connection[Any], patience_s: float) -> Iterator[psycopg.Connection[Any]]:
    """Hang up on a server that does not answer: waiting for it would be waiting for ever."""
    watch = _WATCHDOG.begin(conn, patience_s)
    try:
        yield conn
    finally:
        _WATCHDOG.end(watch)


class _Watchdog:
    """One thread for all transactions: a thread for each took longer than the COPY of a small batch."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: dict[int, tuple[float, psycopg.Connection[Any]]] = {}
        self._last = 0
        self._looks_at = float("inf")
        self._thread: threading.Thread | None = None

    def begin(self, conn: psycopg.Connection[Any], patience_s: float) -> int:
        until = time.monotonic() + patience_s
        with self._changed:
            self._last += 1
            self._watches[self._last] = until, conn
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            elif until < self._looks_at:
                self._changed.notify()
            return self._last

    def end(self, watch: int) -> None:
        with self._changed:
            self._watches.pop(watch, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for watch, (until, conn) in list(self._watches.items()):
                    if until <= now:
                        del self._watches[watch]
                        _hang_up(conn)
                self._looks_at = min((until for until, _ in self._watches.values()), default=float("inf"))
                self._changed.wait(None if self._looks_at == float("inf") else max(0.0, self._looks_at - now))


_WATCHDOG = _Watchdog()


def _hang_up(conn: psycopg.Connection[Any]) -> None:
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(conn.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def bridge_conninfo(url: str, patience_s: float) -> str:
    """How a bridge connects: a line that went dead is noticed, a server that hangs is not waited for longer."""
    return make_conninfo(
        url, tcp_user_timeout=str(int(patience_s * 1000)), keepalives_idle="5", connect_timeout=str(ceil(patience_s))
    )


def store_parsed(
    conn: psycopg.Connection[Any],
    plant: Plant,
    batches: Iterable[Parsed],
    now: dt.datetime,
    tags: telemetry.TagIds,
    origin: str = "mqtt",
    *,
    all_new: bool = False,
) -> Written:
    """Store samples, put the rest into quarantine, and say what has to be computed anew, in the caller's transaction.

    Args:
        conn: Open connection inside a transaction.
        plant: Says what new samples concern.
        batches: What was read.
        now: Our clock.
        tags: Tag ids known from earlier batches.
        origin: For people who look into the quarantine.
        all_new: See `telemetry.write_samples`.
    """
    written = Written()
    touched: set[telemetry.Moment] = set()
    for parsed in batches:
        if len(parsed.bad):
            _quarantine(conn, parsed.bad, written, origin)
        if parsed.good.empty:
            continue
        result = telemetry.write_samples(conn, parsed.good, ingested_at=now, tags=tags, all_new=all_new)
        written.samples += result.stored
        written.duplicates += result.duplicates
        if len(result.conflicts):
            _quarantine(conn, losers_of(result.conflicts), written, origin)
        lost = parsed.good["position"].isin(result.conflicts["position"]) if len(result.conflicts) else None
        written.batches.append(parsed.good if lost is None else parsed.good[~lost])
        written.add(Written(newest=_newest(parsed.good)))
        touched |= result.touched
    for datasets, moments in concerned(plant, touched, now):
        if moments:
            dirty.note_arrivals(conn, moments, datasets, CAUSE)
    return written


def _newest(samples: pd.DataFrame) -> dict[str, float]:
    """Machine to its newest sample, seconds since 1970; by hand, since `groupby` costs as much as the COPY."""
    import numpy as np

    machines = samples["machine_id"].array
    newest = np.full(len(machines.categories), -np.inf)
    np.maximum.at(newest, machines.codes, microseconds(samples["time"]) / 1e6)
    return {str(machines.categories[nth]): float(newest[nth]) for nth in np.flatnonzero(np.isfinite(newest))}


def _quarantine(conn: psycopg.Connection[Any], rows: Any, written: Written, origin: str = "mqtt") -> None:
    # Without a position: a message that is delivered again is the same row.
    quarantine.store(conn, "machine_telemetry", rows.assign(position=None), origin=origin)
    for reason, count in rows["reason"].value_counts().items():
        written.quarantined[str(reason)] = written.quarantined.get(str(reason), 0) + int(count)


def _origin(risk: AtRisk) -> str:
    return f"cloud, disk refuses since {_instant(risk.since_us)}"


def _not_forwarded(risk: AtRisk) -> pd.DataFrame:
    import pandas as pd

    lost = f"; {risk.lost} more are lost for it, there were too many for the memory" if risk.lost else ""
    detail = (
        f"{risk.waiting} changes of state, faults, alarms and counters that are stored here wait for the cloud in the "
        f"bridge's memory only, since its disk takes none: should the bridge die, they are missing there{lost}"
    )
    said = {"since": _instant(risk.since_us), "waiting": risk.waiting, "lost": risk.lost}
    return pd.DataFrame([{"reason": "not_forwarded", "detail": detail, "payload": json.dumps(said)}])


def _instant(at_us: int) -> str:
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=at_us)).isoformat()


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
