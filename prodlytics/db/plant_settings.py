"""Remembering which plant file stored figures were computed with, and marking the days that another one reaches.

Belongs here: noticing a new version in one transaction, and holding a version while rows are computed with it. Does not
belong here: what a derivation reads of a plant file and what differs (`prodlytics.plant`).

Why nothing is lost: who computes holds the lock of the settings together with others, from before it reads until its
rows are committed, and computes only while its own plant file is the newest version. Who brings a newer one takes that
lock alone. So it sees every day that was computed with the old version and marks it, in the transaction in which the
version becomes the newest; a run that still has the old file computes nothing any more.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from prodlytics.datasets.registry import DERIVED
from prodlytics.db import dirty, locks
from prodlytics.db.ideal_cycles import with_ideal_cycles
from prodlytics.db.queries import sql
from prodlytics.plant.calendar import HOUR, production_date_of, production_day
from prodlytics.plant.changed import (
    REPORT,
    WHOLE_PLANT,
    Reached,
    as_plant,
    changes,
    reached,
    recorded,
    refuse_moved,
)

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Plant

_LOCK = "plant settings"
_UNREADABLE = "plant file: the settings of before were recorded by a program version that knew others"

Days = dict[str, list[dt.date]]


class SettingsChangedError(RuntimeError):
    """Another run noticed a newer plant file while this one was under way; the text says what happens now."""


@dataclass(frozen=True)
class Version:
    """A version of the plant settings.

    Attributes:
        number: Rises with every change.
        plant: The plant file, completed by what other systems say of ideal cycles.
        marked: Days of a machine and dataset that were marked when it was noticed; 0 if it was there before.
    """

    number: int
    plant: Plant
    marked: int = 0


def notice(conn: psycopg.Connection[Any], plant: Plant) -> Version:
    """Make this plant file the version in force, and mark the computed days on which it says something else.

    What other systems say of ideal cycles belongs to it. The first version of all is only recorded. One that is in
    force already costs two reads. Afterwards the connection is in no transaction.

    Raises:
        InstallationChangedError: Plant id, time zone or day boundary are not those of the database.
    """
    with conn.transaction():
        if (version := _in_force(conn, known := with_ideal_cycles(conn, plant))) is not None:
            return version
        locks.lock(conn, _LOCK)
        # Another run may have been quicker, and other cycles may have been brought meanwhile.
        if (version := _in_force(conn, known := with_ideal_cycles(conn, plant))) is not None:
            return version
        before = _settings(conn)
        marks = [] if before is None else _marks(conn, before, known)
        _leave(conn, known, marks)
        return _record(conn, before, known, marks)


def _in_force(conn: psycopg.Connection[Any], known: Plant) -> Version | None:
    """The newest version, if it says what is known now."""
    newest = conn.execute(sql("select_settings_version")).fetchone()
    return None if newest is None or newest[1] != _digest(recorded(known)) else Version(newest[0], known)


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def hold(conn: psycopg.Connection[Any], version: Version) -> None:
    """Keep this version in force until the caller's transaction ends.

    Raises:
        SettingsChangedError: A newer one has been noticed; nothing was computed with the old one since.
    """
    locks.lock_shared(conn, _LOCK)
    newest = conn.execute(sql("select_settings_version")).fetchone()
    if newest is not None and newest[0] != version.number:
        raise SettingsChangedError(
            f"The plant file changed while this run was under way (noticed {newest[2]:%Y-%m-%d %H:%M} UTC), so the run "
            "stopped before it computed anything with the old one. Nothing is lost: the days are marked, and the next "
            "hourly run computes them; or run it again now."
        )


def refuse_moved_installation(conn: psycopg.Connection[Any], plant: Plant) -> None:
    """Refuse a plant file whose production days are not those of the database, before anything else is done.

    Raises:
        InstallationChangedError: With one sentence for people.
    """
    is_new = conn.execute("SELECT to_regclass('plant_settings') IS NULL").fetchone() == (True,)
    before = None if is_new else _settings(conn)
    if before is not None:
        refuse_moved(before, recorded(plant))


def latest_changes(conn: psycopg.Connection[Any], most: int) -> list[tuple[Any, ...]]:
    """Noticed at, setting, old value, new value, first and last computed day it reached; the newest first."""
    return conn.execute(sql("select_settings_changes"), {"most": most}).fetchall()


def machines_gone(conn: psycopg.Connection[Any], plant: Plant) -> list[str]:
    """Machines that have computed rows and are not in the plant file."""
    rows = conn.execute(sql("select_machines_gone"), {"machines": [machine.id for machine in plant.machines]})
    return [machine for (machine,) in rows.fetchall()]


def _settings(conn: psycopg.Connection[Any]) -> dict[str, Any] | None:
    row = conn.execute(sql("select_newest_settings")).fetchone()
    return None if row is None else row[1]


def _marks(conn: psycopg.Connection[Any], before: Mapping[str, Any], plant: Plant) -> list[Reached]:
    """What has to be computed again because the settings of before are not those of now."""
    refuse_moved(before, recorded(plant))
    days = _computed_days(conn, plant)
    reports = [day for (day,) in conn.execute("SELECT production_date FROM daily_report ORDER BY 1").fetchall()]
    try:
        old = as_plant(before)
    except ValidationError:
        every = [(name, machine, day) for name in DERIVED for machine, some in days.items() for day in some]
        every += [(REPORT, WHOLE_PLANT, day) for day in reports]
        return [Reached(name, machine, day, _UNREADABLE) for name, machine, day in every]
    return reached(old, plant, days, DERIVED, reports)


def _computed_days(conn: psycopg.Connection[Any], plant: Plant) -> Days:
    """Production days that each machine has rows of."""
    span = conn.execute(sql("select_computed_span")).fetchone()
    if span is None or span[0] is None:
        return {}
    first, last = (production_date_of(plant, moment) for moment in span)
    dates = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    edges = [production_day(plant, date) for date in dates]
    found: Days = {}
    rows = conn.execute(
        sql("select_computed_days"),
        {
            "machines": [machine.id for machine in plant.machines],
            "days": dates,
            "starts": [start for start, _ in edges],
            "ends": [end for _, end in edges],
        },
    )
    for machine, day in rows:
        found.setdefault(machine, []).append(day)
    return found


def _leave(conn: psycopg.Connection[Any], plant: Plant, marks: Iterable[Reached]) -> None:
    by_dataset: dict[str, list[tuple[str, dt.datetime, str]]] = {}
    starts: dict[dt.date, dt.datetime] = {}
    for dataset, machine, day, cause in marks:
        if day not in starts:
            # Not its first minutes: a boundary at ten past shares a quarter hour with the day before.
            starts[day] = production_day(plant, day)[0] + HOUR
        by_dataset.setdefault(dataset, []).append((machine, starts[day], cause))
    for dataset in sorted(by_dataset):
        dirty.mark_each(conn, dataset, by_dataset[dataset])


def _record(
    conn: psycopg.Connection[Any], before: Mapping[str, Any] | None, known: Plant, marks: list[Reached]
) -> Version:
    from psycopg.types.json import Jsonb

    settings = recorded(known)
    days = [mark.day for mark in marks]
    row = conn.execute(
        sql("insert_settings"),
        {
            "fingerprint": _digest(settings),
            "settings": Jsonb(settings),
            "first_day": min(days, default=None),
            "last_day": max(days, default=None),
            "marked": len(marks),
        },
    ).fetchone()
    assert row is not None
    told = [] if before is None else changes(before, settings)
    with conn.cursor() as cursor:
        cursor.executemany(
            sql("insert_settings_change"),
            [{"version": row[0], "position": n, **change._asdict()} for n, change in enumerate(told, start=1)],
        )
    return Version(row[0], known, len(marks))
