"""Samples on the gateway's disk until the hub has them.

Belongs here: keeping them in order with a sequence, knowing those that were kept before, what gives way when there is
no room. Does not belong here: which are kept (`choice`), when they leave (`packing`, `forwarder`).

A sample gets its sequence once: whatever the broker delivers again, or the spool, is recognised by its content.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from prodlytics.edge.cloud.choice import Chosen, Kind
from prodlytics.edge.cloud.packing import Waiting
from prodlytics.edge.spool import SpoolError, open_alone

#: So many of the newest samples are recognised when they come again: more than a broker redelivers.
REMEMBERED = 200_000
#: What a waiting sample takes on the disk beside its text.
ROW_BYTES = 80
#: How many of the oldest give way together.
_THINNED_TOGETHER = 10_000


class Outbox:
    """A queue of samples in a file; used by the thread that stores and the one that sends."""

    def __init__(self, folder: Path, limit_bytes: int, clock_ns: Callable[[], int] = time.time_ns) -> None:
        """Open or make it; `clock_ns` says since when a sample waits.

        Raises:
            AlreadyRunningError: Another process has it open.
            SpoolError: The folder cannot be written.
        """
        self.path = folder / "outbox.sqlite"
        self._limit_bytes, self._clock_ns = limit_bytes, clock_ns
        self._depth = self._bytes = self._rest = self._forgotten = 0
        self._guard = threading.Lock()
        self._lock, self._file = open_alone(self.path, folder / "cloud.lock")
        try:
            for statement in (
                "CREATE TABLE IF NOT EXISTS stream (name TEXT NOT NULL)",
                "CREATE TABLE IF NOT EXISTS known (seq INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE)",
                "CREATE TABLE IF NOT EXISTS waiting (seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL,"
                " since_us INTEGER NOT NULL, body TEXT NOT NULL)",
                "CREATE TABLE IF NOT EXISTS reached (source TEXT PRIMARY KEY, place TEXT NOT NULL)",
            ):
                self._file.execute(statement)
            self._file.execute(
                "INSERT INTO stream SELECT ? WHERE NOT EXISTS (SELECT 1 FROM stream)",
                (secrets.token_hex(4),),
            )
            self.stream = str(self._file.execute("SELECT name FROM stream").fetchone()[0])
            self.reached: dict[str, str] = dict(self._file.execute("SELECT source, place FROM reached").fetchall())
            "Source to the place up to which its samples were offered to us, as `append` was told."
            self._count_anew()
        except sqlite3.Error as error:
            raise SpoolError(f"The outbox {self.path} cannot be opened: {error}.") from error

    def __len__(self) -> int:
        return self._depth

    @property
    def size_bytes(self) -> int:
        """What the waiting samples take, nearly."""
        return self._bytes

    def append(self, samples: Sequence[Chosen], reached: tuple[str, str] | None = None) -> int:
        """Keep samples; when this returns they survive a power cut. Returns how many gave way for want of room.

        Only what may be dropped gives way: first the oldest that waits, then what comes. `reached`, a source and a
        place in it, is kept together with them.

        Raises:
            SpoolError: The disk is full or broken, or all that waits must not be dropped; none of these is kept.
        """
        now_us = self._clock_ns() // 1000
        with self._guard:
            try:
                self._file.execute("BEGIN IMMEDIATE")
                thinned, samples = self._make_room(samples)
                for one in samples:
                    digest = hashlib.blake2b(one.body.encode(), digest_size=12).digest()
                    new = self._file.execute("INSERT OR IGNORE INTO known (digest) VALUES (?)", (digest,))
                    if new.rowcount:
                        since_us = now_us if one.since_us is None else min(one.since_us, now_us)
                        self._file.execute(
                            "INSERT INTO waiting VALUES (?, ?, ?, ?)",
                            (new.lastrowid, int(one.kind), since_us, one.body),
                        )
                        self._add(one.kind, one.body, 1)
                if reached is not None:
                    self._file.execute("INSERT OR REPLACE INTO reached VALUES (?, ?)", reached)
                self._forget_old()
                self._file.execute("COMMIT")
            except (sqlite3.Error, SpoolError) as error:
                self._roll_back()
                if isinstance(error, SpoolError):
                    raise
                raise SpoolError(f"The outbox {self.path} takes no more: {error}. Is the disk full?") from error
            if reached is not None:
                self.reached[reached[0]] = reached[1]
        return thinned

    def oldest(self, most: int) -> list[Waiting]:
        """The samples that have waited longest, in the order of their sequence.

        Raises:
            SpoolError: The file cannot be read.
        """
        with self._guard:
            try:
                rows = self._file.execute(
                    "SELECT seq, kind, since_us, body FROM waiting ORDER BY seq LIMIT ?", (most,)
                ).fetchall()
            except sqlite3.Error as error:
                raise SpoolError(f"The outbox {self.path} cannot be read: {error}.") from error
        return [Waiting(seq, Kind(kind), since_us, body) for seq, kind, since_us, body in rows]

    def drop(self, samples: Sequence[Waiting]) -> None:
        """Forget samples: the hub has them.

        Raises:
            SpoolError: The file cannot be written; they will be sent once more, with the same sequence.
        """
        if not samples:
            return
        with self._guard:
            try:
                self._file.execute("DELETE FROM waiting WHERE seq <= ?", (samples[-1].seq,))
                for one in samples:
                    self._add(one.kind, one.body, -1)
            except sqlite3.Error as error:
                self._roll_back()
                raise SpoolError(f"The outbox {self.path} cannot be written: {error}.") from error

    def close(self) -> None:
        """Close the file and let another process have it."""
        with self._guard:
            self._file.close()
            os.close(self._lock)

    def _make_room(self, samples: Sequence[Chosen]) -> tuple[int, Sequence[Chosen]]:
        wanted = sum(len(one.body) + ROW_BYTES for one in samples)
        thinned = 0
        while self._bytes + wanted > self._limit_bytes and self._rest:
            thinned += self._thin()
        if self._bytes + wanted > self._limit_bytes:
            kept = [one for one in samples if one.kind is not Kind.REST]
            thinned += len(samples) - len(kept)
            if self._bytes + sum(len(one.body) + ROW_BYTES for one in kept) > self._limit_bytes:
                raise SpoolError(
                    f"The outbox {self.path} is full with what must not be dropped: the hub was away for too long, or "
                    "PRODLYTICS_CLOUD_LIMIT_MB is too small."
                )
            samples = kept
        return thinned, samples

    def _thin(self) -> int:
        rows = self._file.execute(
            "DELETE FROM waiting WHERE seq IN (SELECT seq FROM waiting WHERE kind = ? ORDER BY seq LIMIT ?)"
            " RETURNING body",
            (int(Kind.REST), _THINNED_TOGETHER),
        ).fetchall()
        for (body,) in rows:
            self._add(Kind.REST, body, -1)
        return len(rows)

    def _forget_old(self) -> None:
        (newest,) = self._file.execute("SELECT coalesce(max(seq), 0) FROM known").fetchone()
        # In pieces: a statement for every sample would double the work.
        if newest - self._forgotten > REMEMBERED + 10_000:
            self._forgotten = newest - REMEMBERED
            self._file.execute("DELETE FROM known WHERE seq <= ?", (self._forgotten,))

    def _add(self, kind: Kind, body: str, count: int) -> None:
        self._depth += count
        self._bytes += count * (len(body) + ROW_BYTES)
        self._rest += count * (kind is Kind.REST)

    def _count_anew(self) -> None:
        row = self._file.execute(
            "SELECT count(*), coalesce(sum(length(body) + ?), 0), count(*) FILTER (WHERE kind = ?) FROM waiting",
            (ROW_BYTES, int(Kind.REST)),
        ).fetchone()
        self._depth, self._bytes, self._rest = (int(number) for number in row)
        self._forgotten = int(self._file.execute("SELECT coalesce(min(seq), 1) - 1 FROM known").fetchone()[0])

    def _roll_back(self) -> None:
        if self._file.in_transaction:
            self._file.execute("ROLLBACK")
        self._count_anew()
