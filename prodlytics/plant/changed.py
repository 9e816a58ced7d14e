"""What differs between two versions of a plant file, and which computed days that reaches.

Belongs here: comparing setting by setting for people, and day by day for the derivations. Does not belong here: what a
derivation reads (`in_force.py`), remembering versions and leaving marks (`prodlytics.db.plant_settings`).
"""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from pydantic import BaseModel

from prodlytics.plant.calendar import Piece, plan_pieces, production_date_of, production_day
from prodlytics.plant.in_force import SAID_ELSEWHERE, InForce, dates_read, differences, plan_in_force, read
from prodlytics.plant.model import History, Machine, Plant
from prodlytics.plant.values import ALWAYS

#: Set at installation: every stored production day would mean something else.
FIXED = ("plant", "timezone", "day_boundary")
#: What no derivation of stored days reads: who is written to, how files are read, the simulator's story; and how
#: anomalies are judged, which counts from the next scoring on.
NOT_COMPARED = frozenset(
    {
        "contacts",
        "landing",
        "feeds",
        "agents",
        "cloud",
        "connections",
        "simulation",
        "report_after_boundary_min",
        "anomalies",
        "alerts",
    }
)
#: Dataset with one row for the whole plant, and what stands for the machine there.
REPORT, WHOLE_PLANT = "daily_report", "*"
#: Settings named in a cause; there may be hundreds.
NAMED = 3


class InstallationChangedError(ValueError):
    """Plant id, time zone or day boundary are others than when the database was set up; the text says what to do."""


class Reached(NamedTuple):
    """One production day of a machine for which a dataset has to be computed anew."""

    dataset: str
    machine_id: str
    day: dt.date
    cause: str


class Change(NamedTuple):
    """One setting that was written differently; None where it was not there."""

    setting: str
    old: str | None
    new: str | None


def recorded(plant: Plant) -> dict[str, Any]:
    """The settings of a plant that computed figures depend on, as plain values that `as_plant` reads again."""
    return plant.model_dump(mode="json", exclude=set(NOT_COMPARED))


def as_plant(settings: Mapping[str, Any]) -> Plant:
    """A plant from recorded settings.

    Raises:
        ValidationError: They were recorded by a version of the program that knew other settings.
    """
    return Plant.model_validate(settings)


def refuse_moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Refuse a plant file whose production days are not those that are stored.

    Raises:
        InstallationChangedError: With one sentence for people.
    """
    moved = [name for name in FIXED if old.get(name) != new[name]]
    if not moved:
        return
    was = ", ".join(f"{name} is {_plain(new[name])!r} in the plant file" for name in moved)
    back = ", ".join(f"{name}: {_plain(old.get(name))!r}" for name in moved)
    raise InstallationChangedError(
        f"{was}, but this database was set up with another: every stored production day would mean something else, so "
        f"nothing was computed. Write {back} again, or set up an empty database (PRODLYTICS_DATABASE_URL) for the "
        "changed plant and load its history anew."
    )


# ---- the days -------------------------------------------------------------------------------------------------------
def reached(
    old: Plant, new: Plant, days: Mapping[str, Sequence[dt.date]], datasets: Iterable[str], reports: Sequence[dt.date]
) -> list[Reached]:
    """The computed days that would come out of another derivation now.

    Args:
        old: The plant file they were computed with.
        new: The plant file as it is.
        days: Machine id to its computed production days. A machine that only one of the files has is left out: a new
            one has no computed days, and what was computed of one that is gone stays.
        datasets: Derived datasets with rows for each machine.
        reports: Production days with a report.
    """
    found: list[Reached] = []
    datasets = list(datasets)
    both = {machine.id for machine in old.machines} & {machine.id for machine in new.machines}
    for machine_id in sorted(both & set(days)):
        some = sorted(days[machine_id])
        before, after = (_Side(plant, plant.machine(machine_id), some) for plant in (old, new))
        found += _reached_of(machine_id, before, after, some, datasets)
    before, after = _Side(old, None, []), _Side(new, None, [])
    return [*found, *_reached_of(WHOLE_PLANT, before, after, sorted(reports), [REPORT])]


def _reached_of(
    machine_id: str, old: _Side, new: _Side, days: Sequence[dt.date], datasets: Iterable[str]
) -> Iterator[Reached]:
    # Few settings change and hold for long: nearly all days compare the same two pairs of values.
    known: dict[tuple[Any, ...], str | None] = {}
    for dataset in datasets:
        for day in days:
            if dataset == "plan_calendar":
                cause = None if old.pieces(day) == new.pieces(day) else _cause(*(s.plan(day) for s in (old, new)))
            else:
                key = (dataset, old.period(dataset, day), new.period(dataset, day))
                if key not in known:
                    known[key] = _cause(*(side.in_force(dataset, day) for side in (old, new)))
                cause = known[key]
            if cause is not None:
                yield Reached(dataset, machine_id, day, cause)


def _cause(old: InForce, new: InForce) -> str | None:
    """Why the day is computed again; None where nothing differs."""
    if old.values == new.values:
        return None
    said = differences(old, new) or ["the plan of the day is another"]
    more = f" and {len(said) - NAMED} more" if len(said) > NAMED else ""
    # What another system says carries its name.
    whose = "" if all(SAID_ELSEWHERE.match(one) for one in said) else "plant file: "
    return f"{whose}{'; '.join(said[:NAMED])}{more}"


class _Side:
    """One plant file as it applies to a machine."""

    def __init__(self, plant: Plant, machine: Machine | None, days: Sequence[dt.date]) -> None:
        self.plant, self.machine = plant, machine
        self.steps = sorted(set(_steps(plant)))
        self.plans: dict[dt.date, list[Piece]] = {}
        if machine is not None and days:
            start, end = production_day(plant, days[0])[0], production_day(plant, days[-1])[1]
            every = plan_pieces(plant, machine, start, end)
            self.plans = {day: list(pieces) for day, pieces in groupby(every, key=_DayOf(plant))}

    def pieces(self, day: dt.date) -> list[Piece]:
        return self.plans.get(day, [])

    def plan(self, day: dt.date) -> InForce:
        assert self.machine is not None
        return plan_in_force(self.plant, self.machine, self.pieces(day))

    def dates(self, dataset: str, day: dt.date) -> list[dt.date]:
        return dates_read(dataset, day, self.pieces(day))

    def period(self, dataset: str, day: dt.date) -> tuple[int, ...]:
        """Between which steps of all effective-dated settings the dates of a day lie: the same values hold there."""
        return tuple(bisect_right(self.steps, date) for date in self.dates(dataset, day))

    def in_force(self, dataset: str, day: dt.date) -> InForce:
        return read(self.plant, dataset, self.machine, self.dates(dataset, day))


class _DayOf:
    """The production day of plan pieces that come in order; none of them reaches over its end."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.day, self.end = ALWAYS, 0

    def __call__(self, piece: Piece) -> dt.date:
        while piece.begin >= self.end:
            start = dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=piece.begin)
            self.day = production_date_of(self.plant, start)
            closes = production_day(self.plant, self.day)[1]
            self.end = round(closes.timestamp() * 1_000_000)
        return self.day


def _steps(value: Any) -> Iterator[dt.date]:
    """Every date from which some effective-dated value holds."""
    if isinstance(value, History):
        yield from (step.since for step in value.steps)
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _steps(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _steps(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from _steps(item)


# ---- the settings, for people ---------------------------------------------------------------------------------------
#: What an entry of a list is called by, the first that it has.
_NAMES = ("id", "number", "code", "metric", "since", "date", "name", "start")
_CLOCK = re.compile(r"^\d\d:\d\d:00$")


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Every setting that two recorded versions say differently, in the order of the file."""
    before, after = dict(_flat(old, "")), dict(_flat(new, ""))
    names = [*before, *(name for name in after if name not in before)]
    return [Change(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Path and value of everything that is not itself a group or a list of groups."""
    if isinstance(value, Mapping):
        steps = value["steps"] if set(value) == {"steps"} else None
        for name, item in value.items() if steps is None else ():
            yield from _flat(item, f"{path} {name}".strip())
        for step in steps or ():
            since = "" if step["since"] == ALWAYS.isoformat() else f" since {step['since']}"
            yield from _flat(step["value"], f"{path}{since}")
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        yield from _flat_list(value, path)
    elif value not in (None, [], {}):
        yield path, ", ".join(map(_plain, value)) if isinstance(value, list) else _plain(value)


def _flat_list(items: Sequence[Mapping[str, Any]], path: str) -> Iterator[tuple[str, str]]:
    """The entries of a list, each under its name; of several with one name the later ones are numbered."""
    seen: dict[str, int] = {}
    for item in items:
        key = next((key for key in _NAMES if item.get(key) is not None), None)
        name = _plain(item[key]) if key else "entry"
        seen[name] = seen.get(name, 0) + 1
        shown = f"{path} {name}" if seen[name] == 1 else f"{path} {name} #{seen[name]}"
        rest = {other: value for other, value in item.items() if other != key}
        yield from _flat(rest, shown)
        if all(value in (None, [], {}) for value in rest.values()):
            yield shown, "yes"


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.15g}"
    text = str(value)
    return text[:5] if _CLOCK.match(text) else text
