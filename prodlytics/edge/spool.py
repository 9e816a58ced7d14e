"""Messages on the gateway's own disk, for as long as the database is away.

Belongs here: keeping messages in order, safely, until they are stored, and what edge nodes said of themselves before
them. Does not belong here: when that is done (`bridge`). SQLite: a commit is on the disk (`synchronous=FULL`), a kill
leaves it whole, a full disk is an error that says so.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from prodlytics.edge import sparkplug_memory
from prodlytics.edge.inbox import Message
from prodlytics.edge.sparkplug_memory import Memory


class SpoolError(Exception):
    """The spool cannot take or give messages; one sentence for people."""


class AlreadyRunningError(Exception):
    """Another bridge uses the same spool or feeds the same database; one sentence for people."""


def open_alone(path: Path, lock: Path) -> tuple[int, sqlite3.Connection]:
    """Open a file whose commits survive a power cut, for this process alone.

    Args:
        path: The file.
        lock: Held by the process that has it open; in the same folder, which is made.

    Returns:
        The open lock, and the connection, for several threads: SQLite serializes their statements, not transactions.

    Raises:
        AlreadyRunningError: Another process has it open.
        SpoolError: The folder cannot be written.
    """
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SpoolError(f"The spool folder {lock.parent} cannot be used: {error.strerror}.") from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise AlreadyRunningError(
            f"Another bridge is running here: it holds {lock}. Two would write everything twice."
        ) from None
    try:
        file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        raise SpoolError(f"The spool {path} cannot be opened: {error}.") from error
    return held, file


class Spool:
    """A queue of messages in a file; one process at a time."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        """Open or make it.

        Raises:
            AlreadyRunningError: Another process has it open.
            SpoolError: The folder cannot be written.
        """
        self.path = folder / "spool.sqlite"
        self._lock, self._file = open_alone(self.path, folder / "bridge.lock")
        try:
            (page_size,) = self._file.execute("PRAGMA page_size").fetchone()
            self._file.execute(f"PRAGMA max_page_count = {max(1, limit_bytes // page_size)}")
            self._file.execute(
                "CREATE TABLE IF NOT EXISTS message (place INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL,"
                " payload BLOB NOT NULL, arrived_us INTEGER NOT NULL)"
            )
            self._file.execute("CREATE TABLE IF NOT EXISTS forwarded (place INTEGER NOT NULL)")
            self._file.execute("INSERT INTO forwarded SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM forwarded)")
            self.forwarded = int(self._file.execute("SELECT place FROM forwarded").fetchone()[0])
            "The place up to which the cloud has what is in here."
            self.sessions: Memory = sparkplug_memory.recall(self._file)
            "Of Sparkplug nodes, after the messages before those in here."
            self._depth = int(self._file.execute("SELECT count(*) FROM message").fetchone()[0])
        except sqlite3.Error as error:
            raise SpoolError(f"The spool {self.path} cannot be opened: {error}.") from error

    def __len__(self) -> int:
        return self._depth

    @property
    def size_bytes(self) -> int:
        """What it takes on the disk."""
        return sum(file.stat().st_size for file in self.path.parent.glob("spool.sqlite*"))

    def append(self, messages: Sequence[Message]) -> None:
        """Keep messages; when this returns they survive a power cut.

        Raises:
            SpoolError: The disk is full or broken; none of them is kept.
        """
        try:
            self._file.execute("BEGIN")
            self._file.executemany(
                "INSERT INTO message (topic, payload, arrived_us) VALUES (?, ?, ?)",
                [(message.topic, message.payload, message.arrived_us) for message in messages],
            )
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise SpoolError(
                f"The spool {self.path} takes no more: {error}. Is the disk full, or its limit reached?"
            ) from error
        self._depth += len(messages)

    def oldest(self, most: int, most_bytes: int) -> tuple[list[Message], int]:
        """The messages that have waited longest, and the place up to which they reach.

        Raises:
            SpoolError: The file cannot be read.
        """
        return self.after(0, most, most_bytes)

    def after(self, place: int, most: int, most_bytes: int, upto: int | None = None) -> tuple[list[Message], int]:
        """The messages after a place, and the place up to which they reach; none and 0 where there are none.

        Raises:
            SpoolError: The file cannot be read.
        """
        taken: list[Message] = []
        last = size = 0
        end = 2**63 - 1 if upto is None else upto
        try:
            rows = self._file.execute(
                "SELECT place, topic, payload, arrived_us FROM message WHERE place > ? AND place <= ?"
                " ORDER BY place LIMIT ?",
                (place, end, most),
            )
            for at, topic, payload, arrived_us in rows:
                size += len(payload)
                if taken and size > most_bytes:
                    break
                taken.append(Message(topic, payload, arrived_us))
                last = at
        except sqlite3.Error as error:
            raise SpoolError(f"The spool {self.path} cannot be read: {error}.") from error
        return taken, last

    def was_forwarded(self, last: int) -> None:
        """The cloud has the messages up to a place.

        Raises:
            SpoolError: The file cannot be written; they are offered to the cloud once more.
        """
        try:
            self._file.execute("UPDATE forwarded SET place = ?", (last,))
        except sqlite3.Error as error:
            raise SpoolError(f"The spool {self.path} cannot be written: {error}.") from error
        self.forwarded = last

    def drop(self, last: int, sessions: Memory) -> None:
        """Forget messages up to a place: they are in the database, and the sessions are those after them.

        Raises:
            SpoolError: The file cannot be written; they will be stored once more, which changes nothing.
        """
        try:
            self._file.execute("BEGIN")
            # Together: read once more by what was said after them, messages would get wrong names.
            dropped = self._file.execute("DELETE FROM message WHERE place <= ?", (last,)).rowcount
            sparkplug_memory.write(self._file, self.sessions, sessions)
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise SpoolError(f"The spool {self.path} cannot be written: {error}.") from error
        self._depth -= dropped
        self.sessions = sessions

    def remember(self, sessions: Memory) -> None:
        """Keep what is known of Sparkplug nodes; births survive a power cut, sequence numbers a kill.

        Raises:
            SpoolError: The file cannot be written; after a restart the births have to be asked for.
        """
        if sessions is self.sessions or not sessions:
            return
        sure = sparkplug_memory.births_differ(self.sessions, sessions)
        try:
            # Every batch carries sequence numbers: waiting for the disk each time would wear it and slow the bridge.
            self._file.execute(f"PRAGMA synchronous = {'FULL' if sure else 'NORMAL'}")
            self._file.execute("BEGIN")
            sparkplug_memory.write(self._file, self.sessions, sessions)
            self._file.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise SpoolError(f"What edge nodes announced cannot be kept in {self.path}: {error}.") from error
        finally:
            self._file.execute("PRAGMA synchronous = FULL")
        self.sessions = sessions

    def close(self) -> None:
        """Close the file and let another bridge have it."""
        self._file.close()
        os.close(self._lock)

    def _roll_back(self) -> None:
        if self._file.in_transaction:
            self._file.execute("ROLLBACK")
