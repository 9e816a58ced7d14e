"""From "this machine, this hour" to its explanation: finding the hour, reading the tables.

Belongs here: wall time to the hour that contains it, the reads, and one clear sentence where there is nothing to
explain. Does not belong here: what made the number (`kpi.explain`), how it is shown (`report.explain_text`).
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from typing import TYPE_CHECKING, Any

from prodlytics.datasets.registry import DATASETS
from prodlytics.db.frames import read
from prodlytics.db.ideal_cycles import with_ideal_cycles
from prodlytics.db.queries import sql
from prodlytics.plant.calendar import day_hours, production_date_of, production_day

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg

    from prodlytics.kpi.explain import Background, Material
    from prodlytics.kpi.explained import Entry, Explanation, Mark
    from prodlytics.plant.model import Machine, Plant

_HOUR = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<hour>\d{1,2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2}))?)?"
    r"(?:Z|(?P<offset>[+-]\d{2}:?\d{2}))?)?",
    re.IGNORECASE,
)
_US = dt.timedelta(microseconds=1)
_SHOW = "write plant-local time, e.g. 2026-11-20T10 or 2026-11-20T10:00-06:00"


class NoSuchHourError(ValueError):
    """The machine or the hour asked for does not exist; the text is one sentence."""


class NothingToExplainError(ValueError):
    """The hour exists, but there is nothing in the tables yet; the text is one sentence that says what to do."""


def find_machine(plant: Plant, name: str) -> Machine:
    """The machine with this id, in whatever case.

    Raises:
        NoSuchHourError: There is none.
    """
    for machine in plant.machines:
        if machine.id.lower() == name.lower():
            return machine
    ids = [machine.id for machine in plant.machines]
    close = difflib.get_close_matches(name, ids, n=1)
    meant = f"did you mean {close[0]}?" if close else f"there are {', '.join(ids[:20])}."
    raise NoSuchHourError(f"Plant {plant.plant} has no machine {name!r}: {meant}")


def explain_from(
    conn: psycopg.Connection[Any], plant: Plant, machine: str, hour: str, *, whole_day: bool = False
) -> list[Explanation]:
    """What somebody asked for on the command line: one hour, or all hours of its production day.

    Args:
        conn: An open connection.
        plant: The plant.
        machine: As written.
        hour: As written; for a whole day a date will do.
        whole_day: All hours of the production date that the hour belongs to.

    Raises:
        NoSuchHourError: There is no such machine or hour.
        NothingToExplainError: The hour has not been computed, or the database has no such tables yet.
    """
    from psycopg.errors import UndefinedColumn, UndefinedTable

    asked = find_machine(plant, machine)
    try:
        plant = with_ideal_cycles(conn, plant)
        if whole_day and _is_day(hour):
            return explain_day(conn, plant, asked, find_day(plant, hour))
        one = explain_hour(conn, plant, asked, find_instant(plant, hour, dt.datetime.now(dt.UTC)))
        return explain_day(conn, plant, asked, one.production_date) if whole_day else [one]
    except (UndefinedTable, UndefinedColumn) as error:
        raise NothingToExplainError("The database is not at this version yet: run prodlytics migrate.") from error


def _is_day(text: str) -> bool:
    """Whether a day is asked for, without an hour."""
    found = _HOUR.fullmatch(text.strip())
    return found is not None and found["hour"] is None


def find_day(plant: Plant, text: str) -> dt.date:
    """A production day as written.

    Raises:
        NoSuchHourError: It is no date, or lies before the plant's first day or in the future.
    """
    try:
        date = dt.date.fromisoformat(text.strip())
    except ValueError as error:
        raise NoSuchHourError(f"{text!r} is not a day: write YYYY-MM-DD, e.g. 2026-11-20.") from error
    _refuse_before_first_day(plant, date)
    now = dt.datetime.now(dt.UTC)
    if date > now.date() + dt.timedelta(days=2) or production_day(plant, date)[0] > now:
        raise NoSuchHourError(f"The production day {date} has not begun yet.")
    return date


def find_instant(plant: Plant, text: str, now: dt.datetime) -> dt.datetime:
    """The instant that an hour as written begins at, or lies in: `2026-11-20T10`, with minutes or an offset.

    Raises:
        NoSuchHourError: It is no time, does not exist or exists twice in the plant's zone, lies in the future or
            before the plant's first day.
    """
    try:
        instant = _instant(plant, text)
    except (ValueError, OverflowError) as error:
        if isinstance(error, NoSuchHourError):
            raise
        raise NoSuchHourError(f"{text!r} is not an hour: {_SHOW}.") from error
    if instant > now:
        raise NoSuchHourError(f"{_local(plant, instant)} has not begun yet: it is {_local(plant, now)} in the plant.")
    _refuse_before_first_day(plant, production_date_of(plant, instant))
    return instant


def _instant(plant: Plant, text: str) -> dt.datetime:
    found = _HOUR.fullmatch(text.strip())
    if found is None or found["hour"] is None:
        raise NoSuchHourError(f"{text!r} is not an hour: {_SHOW}.")
    time = dt.time(int(found["hour"]), int(found["minute"] or 0), int(found["second"] or 0))
    wall = dt.datetime.combine(dt.date.fromisoformat(found["date"]), time)
    if not 1970 <= wall.year < 9999:
        raise ValueError("no plant has such a time")
    if text.strip().upper().endswith("Z"):
        return wall.replace(tzinfo=dt.UTC)
    if found["offset"]:
        return dt.datetime.fromisoformat(f"{wall.isoformat()}{found['offset']}").astimezone(dt.UTC)
    return _of_wall_time(plant, wall)


def _of_wall_time(plant: Plant, wall: dt.datetime) -> dt.datetime:
    both = [wall.replace(tzinfo=plant.zone, fold=fold) for fold in (0, 1)]
    real = {one.astimezone(dt.UTC): one for one in both}
    real = {utc: one for utc, one in real.items() if utc.astimezone(plant.zone).replace(tzinfo=None) == wall}
    if not real:
        raise NoSuchHourError(
            f"{wall:%H:%M} does not exist on {wall:%Y-%m-%d} in {plant.timezone}: the clocks jump over it."
        )
    if len(real) > 1:
        first, second = (one.isoformat(timespec="minutes") for _, one in sorted(real.items()))
        raise NoSuchHourError(
            f"{wall:%H:%M} occurs twice on {wall:%Y-%m-%d} in {plant.timezone}, where the clocks go back: "
            f"write {first} for the first or {second} for the second."
        )
    return next(iter(real))


def _refuse_before_first_day(plant: Plant, date: dt.date) -> None:
    if date < plant.first_day:
        raise NoSuchHourError(f"{date} is before the plant's first production day, {plant.first_day}.")


def explain_hour(conn: psycopg.Connection[Any], plant: Plant, machine: Machine, instant: dt.datetime) -> Explanation:
    """The explanation of the hour that contains an instant; where the production date changes inside it, of that part.

    Raises:
        NothingToExplainError: The hour has no row in `oee_hourly`.
    """
    from prodlytics.kpi.explain import NotInLedgerError, explain, stored_rows

    opens, closes = day_hours(plant, instant, instant + _US)[0]
    span = {"machine_id": machine.id, "start": opens, "end": closes}
    rows = stored_rows(read(conn, sql("select_oee_of_hours"), span))
    if not rows:
        raise NothingToExplainError(_nothing(conn, plant, machine, opens))
    row = [one for one in rows if one["time_bucket"] <= instant][-1:] or rows[:1]
    material = read_material(conn, plant, machine, opens, closes)
    background = read_background(conn, material, row[0]["time_bucket"], closes)
    try:
        return explain(material, row[0], background)
    except NotInLedgerError as error:
        raise NothingToExplainError(str(error)) from error


def explain_day(conn: psycopg.Connection[Any], plant: Plant, machine: Machine, date: dt.date) -> list[Explanation]:
    """The explanations of all hours of a production date, in order, without background but what waits.

    Raises:
        NothingToExplainError: The day has no row in `oee_hourly`.
    """
    from prodlytics.kpi.explain import Background, NotInLedgerError, explain, stored_rows

    rows = stored_rows(read(conn, sql("select_oee_of_machine_day"), {"machine_id": machine.id, "date": date}))
    if not rows:
        raise NothingToExplainError(_nothing(conn, plant, machine, production_day(plant, date)[0]))
    first, last = rows[0]["time_bucket"], rows[-1]["time_bucket"] + dt.timedelta(hours=1)
    material = read_material(conn, plant, machine, first, last)
    marks = {
        row["time_bucket"]: read_marks(
            conn, plant, machine, row["time_bucket"], row["time_bucket"] + dt.timedelta(hours=1)
        )
        for row in rows
    }  # fmt: skip
    try:
        return [explain(material, row, Background(marks=marks[row["time_bucket"]])) for row in rows]
    except NotInLedgerError as error:
        raise NothingToExplainError(str(error)) from error


def read_material(
    conn: psycopg.Connection[Any], plant: Plant, machine: Machine, start: dt.datetime, end: dt.datetime
) -> Material:
    """The tables over the production days that [start, end) touches."""
    from prodlytics.kpi.explain import gather

    first = production_day(plant, production_date_of(plant, start))[0]
    last = production_day(plant, production_date_of(plant, end - _US))[1]
    span = {"machine_id": machine.id, "start": first, "end": last}
    names = ("ledger", "events", "plan", "states", "stops")
    frames = {name: read(conn, sql(f"select_{name}"), span) for name in names}
    return gather(plant, machine, **frames, start=first, end=last)


def read_background(
    conn: psycopg.Connection[Any], material: Material, bucket: dt.datetime, end: dt.datetime
) -> Background:
    """What people said, where the samples came from, what was restated and what waits, for [bucket, end)."""
    from prodlytics.kpi.explain import Background, stored_rows, touching_stops
    from prodlytics.kpi.explained import Feed, Restatement, SourceFile

    machine = material.machine
    span = {"machine_id": machine.id, "start": bucket, "end": end}
    hour = {"machine_id": machine.id, "time_bucket": bucket}
    restated = stored_rows(read(conn, sql("select_restatements_of_hour"), hour))
    stopped = min((stop["stop_started_at"] for stop in touching_stops(material, bucket, end)), default=bucket)
    said = stored_rows(read(conn, sql("select_entries_around"), {**span, "stopped_since": stopped}))
    return Background(
        entries=_entries(material.plant, said),
        feeds=[Feed(**row) for row in stored_rows(read(conn, sql("select_feeds_of_span"), span))],
        files=[SourceFile(**row) for row in stored_rows(read(conn, sql("select_files_of_span"), span))],
        restatements=[Restatement(column=row.pop("column_name"), **row) for row in map(dict, restated)],
        marks=read_marks(conn, material.plant, machine, bucket, end),
    )


def read_marks(
    conn: psycopg.Connection[Any], plant: Plant, machine: Machine, start: dt.datetime, end: dt.datetime
) -> list[Mark]:
    """What waits to be computed again for a machine in [start, end).

    Derivations mark where a production day begins to be different: a mark of earlier that day is about the hour too.
    """
    from prodlytics.kpi.explain import stored_rows
    from prodlytics.kpi.explained import Mark

    opens = production_day(plant, production_date_of(plant, start))[0]
    span = {"machine_id": machine.id, "start": opens, "end": end, "datasets": upstream("oee_hourly")}
    return [Mark(**row) for row in stored_rows(read(conn, sql("select_marks_of_span"), span))]


def upstream(name: str) -> list[str]:
    """A dataset and everything that it is made of, directly or through others."""
    found = {name}
    while more := {one.name for one in DATASETS.values() if found & set(one.downstream)} - found:
        found |= more
    return sorted(found)


def _entries(plant: Plant, rows: Sequence[Mapping[str, Any]]) -> list[Entry]:
    """Entries in order of time, the ones that were taken back too, with who did; undos are told with what they undo."""
    from prodlytics.kpi.entries import taken_back
    from prodlytics.kpi.explained import Entry

    undos = [row for row in rows if row["kind"] == "undo"]
    gone = taken_back({row["source_key"]: row["undoes"] for row in undos})
    standing = {row["undoes"]: row for row in undos if row["source_key"] not in gone}
    return [
        Entry(
            kind=row["kind"],
            starts_at=row["starts_at"],
            ends_at=row["ends_at"],
            what=_what(plant, row),
            entered_by=row["entered_by"],
            entered_at=row["entered_at"],
            source=row["source"],
            source_key=row["source_key"],
            taken_back_by=standing[row["source_key"]]["entered_by"] if row["source_key"] in gone else None,
            taken_back_why=standing[row["source_key"]]["why"] if row["source_key"] in gone else None,
        )
        for row in rows
        if row["kind"] != "undo"
    ]


def _what(plant: Plant, row: Any) -> str:
    """What an entry says, in a few words."""
    words = []
    if row["old_reason_code"] is not None and row["old_reason_code"] != row["reason_code"]:
        words.append(f"it said {_reason(plant, row['old_reason_code'])} before")
    if row["reason_code"] is not None:
        words.insert(0, _reason(plant, row["reason_code"]))
    for column, unit in (("quantity", ""), ("reject_quantity", " rejected"), ("rework_quantity", " for rework")):
        if row[column] is not None:
            words.append(f"{row[column]:g} {'piece' if row[column] == 1 else 'pieces'}{unit}")
    words += [str(row[name]) for name in ("part_number", "scrap_category", "scrap_reason", "note") if row[name]]
    return ", ".join(words)


def _reason(plant: Plant, code: str) -> str:
    category = plant.reason_category(code)
    names = [] if category is None else [reason.name for reason in category.reasons if reason.code == code]
    return f"{code} ({names[0]})" if names else code


def _nothing(conn: psycopg.Connection[Any], plant: Plant, machine: Machine, opens: dt.datetime) -> str:
    found = conn.execute(sql("select_ledger_end"), {"machine_id": machine.id}).fetchone()
    told_until = found[0] if found else None
    day = production_date_of(plant, opens)
    if told_until is not None and told_until <= opens:
        return (
            f"{machine.id} is computed until {_local(plant, told_until)} only, so there is nothing for "
            f"{_local(plant, opens)} yet: when its data is in, run prodlytics backfill {day}."
        )
    missing = f"{machine.id} has no figures for {_local(plant, opens)}"
    return f"{missing}: compute the day first, with prodlytics backfill {day}."


def _local(plant: Plant, instant: dt.datetime) -> str:
    return f"{instant.astimezone(plant.zone):%Y-%m-%d %H:%M}"
