"""Which of the things people said hold, and where.

Belongs here: what an undo takes back, what a split and a merge do to a stop, who outranks whom. Does not belong here:
what an entry does to counts, states and scrap (`bookings`, `scrap_events`), which loss a reason is (`downtime_events`).

The answer depends on the entries alone, never on the order in which they arrived: an undo may come before what it
takes back.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.datasets.fields import STOP_KINDS
from prodlytics.kpi import spans

#: Who stands at the machine, or beside those who do. What they say outranks what a system says.
PERSONS = ("operator", "supervisor", "maintenance", "quality")
#: Systems whose annotations are imported.
SYSTEMS = ("machinemetrics", "erp", "import")
#: Kinds of entry that are about stops.
ABOUT_STOPS = STOP_KINDS


@dataclass(frozen=True)
class Spoken:
    """What was said about stops.

    Attributes:
        cuts: Instants at which a stop is cut into parts, in order.
        rows: Entries that give a reason, weakest first.
        start: Start of each of `rows`.
        end: End of each of `rows`, after its start.
    """

    cuts: spans.IntArray
    rows: pd.DataFrame
    start: spans.IntArray
    end: spans.IntArray


def taken_back(targets: Mapping[str, str]) -> set[str]:
    """Keys of the entries that undos take back.

    An undo that is itself taken back takes nothing back. Undos that take each other back in a ring do nothing.

    Args:
        targets: Key of each undo to the key of what it takes back, which need not be known.
    """
    unjudged = Counter(targets.values())
    ready = deque(sorted(key for key in targets if not unjudged[key]))
    gone: set[str] = set()
    while ready:
        key = ready.popleft()
        target = targets[key]
        if key not in gone:
            gone.add(target)
        unjudged[target] -= 1
        if not unjudged[target] and target in targets:
            ready.append(target)
    return gone


def in_force(entries: pd.DataFrame) -> pd.DataFrame:
    """The entries that hold: without the undos, and without what they take back.

    Args:
        entries: Rows of `operator_entries` with every undo that concerns them, also by way of other undos.

    Returns:
        The same columns, fewer rows, in the order given.
    """
    is_undo = (entries["kind"] == "undo").to_numpy(dtype=bool)
    if not is_undo.any():
        return entries
    undos = entries[is_undo]
    gone = taken_back(dict(zip(undos["source_key"], undos["undoes"], strict=True)))
    return entries[~is_undo & ~entries["source_key"].isin(gone).to_numpy(dtype=bool)]


def is_person(source: spans.ObjectArray) -> spans.BoolArray:
    """Whether a person said so; what nobody listed is a system, which never overrules a person."""
    return np.isin(source.astype(str), PERSONS)


def spoken(entries: pd.DataFrame, stop_start: spans.IntArray, stop_end: spans.IntArray) -> Spoken:
    """Cuts and reasons of stops.

    A `split` cuts the stop it lies in. A `merge` voids the cuts inside its span that were entered before it. Each may
    carry a reason for its span, as a `reason` does. An entry without an end holds to the next cut, at most to the end
    of the stop it begins in; outside every stop it says nothing. What a system says neither voids a person's cut nor
    cuts a person's entry short.

    Args:
        entries: Entries in force (`in_force`); other kinds are ignored.
        stop_start: Starts of the stops, in order, without overlap, microseconds.
        stop_end: Their ends.
    """
    rows = entries[entries["kind"].isin(ABOUT_STOPS)].sort_values(["entered_at", "source_key"], kind="stable")
    kind = rows["kind"].to_numpy(dtype=object)
    person = is_person(rows["source"].to_numpy(dtype=object))
    start, said_end = spans.to_us(rows["starts_at"]), spans.to_us(rows["ends_at"])
    stop = spans.covering(stop_start, stop_end, start)
    limit = start.copy()
    limit[stop >= 0] = stop_end[stop[stop >= 0]]
    end = np.where(said_end == spans.MISSING, limit, said_end)

    void = _voided(kind, person, start, end)
    cuts = (kind == "split") & ~void & (stop >= 0)
    cuts[cuts] = start[cuts] > stop_start[stop[cuts]]
    # A system's cut ends only what systems said.
    for may_cut, ended in ((cuts & person, person), (cuts, ~person)):
        to_next_cut = ended & (said_end == spans.MISSING)
        points = np.append(np.unique(start[may_cut]), spans.FOREVER)
        end[to_next_cut] = np.minimum(
            end[to_next_cut], points[np.searchsorted(points, start[to_next_cut], side="right")]
        )
    gives = ~void & rows["reason_code"].notna().to_numpy(dtype=bool) & (end > start)
    # Persons last: they win. The sort is stable, so that within each the latest entered is the strongest.
    order = np.flatnonzero(gives)
    order = order[np.argsort(person[order], kind="stable")]
    return Spoken(np.unique(start[cuts]), rows.iloc[order], start[order], end[order].astype(np.int64))


def _voided(
    kind: spans.ObjectArray, person: spans.BoolArray, start: spans.IntArray, end: spans.IntArray
) -> spans.BoolArray:
    """Which splits a later merge makes void; the entries in the order they were entered."""
    void = np.zeros(len(kind), dtype=bool)
    splits = np.flatnonzero(kind == "split")
    for merge in np.flatnonzero(kind == "merge"):
        before = splits[: np.searchsorted(splits, merge)]
        inside = (start[before] > start[merge]) & (start[before] < end[merge])
        void[before[inside & (person[merge] | ~person[before])]] = True
    return void


def without_stop(entries: pd.DataFrame, stop_start: spans.IntArray, stop_end: spans.IntArray) -> pd.DataFrame:
    """Entries about stops that are attached to none: they hold, but there is nothing they could hold for.

    Args:
        entries: Entries in force.
        stop_start: Starts of the stops, in order, without overlap, microseconds.
        stop_end: Their ends.
    """
    rows = entries[entries["kind"].isin(ABOUT_STOPS)]
    start, end = spans.to_us(rows["starts_at"]), spans.to_us(rows["ends_at"])
    # A split is about the instant at which it cuts, whatever its reason reaches to.
    is_instant = (end == spans.MISSING) | ((rows["kind"] == "split") & rows["reason_code"].isna()).to_numpy(dtype=bool)
    end = np.where(is_instant, start + 1, end)
    first_after = np.searchsorted(stop_end, start, side="right")
    begins = np.append(stop_start, spans.FOREVER)[first_after]
    return rows[begins >= end]
