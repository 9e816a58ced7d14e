"""Recomputing a derived dataset: lock, claim what is dirty, read, compute, replace, say what changed.

Belongs here: the one way derived rows get into the database. Does not belong here: how a dataset is computed; each
asset gives that as a function of connection and window.

Why in this order: without the lock two writers left 115 minutes in one hour; with the lock only around the write a
mark was lost, because it was claimed after the data it stood for had been read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
from psycopg import sql

from prodlytics.assets.causes import Causes
from prodlytics.assets.checks import Check, plain_number, schema_check
from prodlytics.assets.settings_version import version_of_run
from prodlytics.assets.window import Window, day_edges, open_window
from prodlytics.datasets.models import Validation, validate
from prodlytics.datasets.registry import DATASETS, DERIVED, INSIGHTS, ON_CLOSE, Dataset
from prodlytics.db import dirty, hot, locks, plant_settings, quarantine, replace

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.assets.resources import Database
    from prodlytics.plant.model import Plant


#: How many rows from the edge of a day a change can still reach the neighbouring day.
LOOKS_AROUND = {"production_events": 5, "machine_states": 1}


@dataclass(frozen=True)
class Derivation:
    """What an asset computed for one window.

    Attributes:
        rows: All rows of the dataset in the span that `where` selects.
        where: SQL condition on the table for the rows these replace, with named parameters.
        parameters: Their values.
        quarantined: Input that could not be used: event_time, machine_id, reason, detail, payload.
        checks: What the checks of meaning found.
        numbers: Metadata for the UI.
    """

    rows: pd.DataFrame
    where: str
    parameters: dict[str, Any]
    quarantined: pd.DataFrame | None = None
    checks: tuple[Check, ...] = ()
    numbers: dict[str, Any] = field(default_factory=dict)


#: The plant is the plant file with the ideal cycles that other systems say (`Version.plant`).
Compute = Callable[["psycopg.Connection", "Plant", Window], Derivation]
#: Called in the same transaction with what changed and why.
AfterWrite = Callable[["psycopg.Connection", replace.Changes, Causes], None]


def rederive(
    context: dg.AssetExecutionContext,
    plant: Plant,
    database: Database,
    name: str,
    compute: Compute,
    after_write: AfterWrite | None = None,
) -> dg.MaterializeResult[Any]:
    """Recompute the run's window of a derived dataset and replace what is there.

    Each piece of the window is one transaction: a process that dies leaves the piece as it was before. What really
    changed marks the datasets downstream as dirty; rows that came out the same are not touched.

    Raises:
        DatabaseUnavailable: The database cannot be reached.
        InstallationChangedError: The plant file has other production days than the database.
        NeedsRestoreError: What it is computed from is only in the archive.
        SettingsChangedError: The plant file changed while the run was under way.
        ValueError: The computed frame does not have the declared columns.
    """
    checks: list[Check] = []
    totals = {"rows": 0, "rows_inserted": 0, "rows_updated": 0, "rows_deleted": 0, "rows_quarantined": 0}
    numbers: dict[str, Any] = {}
    with database.connect() as conn:
        whole = open_window(context, conn)
        hot.require(conn, name, whole.start, whole.end)
        conn.rollback()
        locks.with_patience(conn, lambda: dirty.settle_arrivals(conn))
        version = version_of_run(context, conn, plant)
        for window in whole.pieces(day_edges(plant, whole.start, whole.end)):

            def replace_piece(window: Window = window) -> tuple[Derivation, Validation, replace.Changes]:
                plant_settings.hold(conn, version)
                return _replace_piece(conn, version.plant, name, window, compute, after_write)

            derivation, validation, changes = locks.with_patience(conn, replace_piece)
            checks += [schema_check(validation), *derivation.checks]
            numbers = _merge(numbers, derivation.numbers)
            totals["rows"] += len(validation.good)
            totals["rows_inserted"] += changes.inserted
            totals["rows_updated"] += changes.updated
            totals["rows_deleted"] += changes.deleted
            totals["rows_quarantined"] += len(validation.bad) + _count(derivation.quarantined)
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": totals["rows"],
            **totals,
            "window": f"{whole.start.isoformat()} to {whole.end.isoformat()}",
            "as_of": whole.as_of.isoformat(),
            **{name: plain_number(value) for name, value in numbers.items()},
        },
        check_results=[check.result() for check in worst_of_each(checks)],
    )


def _replace_piece(
    conn: psycopg.Connection,
    plant: Plant,
    name: str,
    window: Window,
    compute: Compute,
    after_write: AfterWrite | None,
) -> tuple[Derivation, Validation, replace.Changes]:
    dataset = DATASETS[name]
    locks.lock_dataset(conn, name)
    claimed = dirty.claim(conn, name, window.start, window.end)
    derivation = compute(conn, plant, window)
    validation = validate(name, derivation.rows)
    if derivation.quarantined is not None and len(derivation.quarantined):
        quarantine.store(conn, name, derivation.quarantined, origin="derivation")
    if len(validation.bad):
        quarantine.store(conn, name, _as_quarantined(validation.bad), origin="schema check")
    where, parameters = derivation.where, derivation.parameters
    if "machine_id" in dataset.columns:
        # What was computed of a machine that is no longer in the plant file stays as people signed it.
        where = f"({where}) AND t.machine_id = ANY(%(machines_of_the_plant)s)"
        parameters = {**parameters, "machines_of_the_plant": [machine.id for machine in plant.machines]}
    last = dataset.span[1] if dataset.span is not None else None
    open_end = last if last is not None and last not in dataset.required else None
    changes = replace.replace_rows(conn, name, list(dataset.key), validation.good, where, parameters, open_end)
    causes = Causes(claimed, day_edges(plant, window.start, window.end), f"{name} recomputed")
    _mark_downstream(conn, plant, name, changes, causes)
    _mark_neighbours(conn, dataset, window, validation.good, changes, causes)
    if after_write is not None:
        after_write(conn, changes, causes)
    return derivation, validation, changes


def _mark_downstream(
    conn: psycopg.Connection, plant: Plant, name: str, changes: replace.Changes, causes: Causes
) -> None:
    dataset = DATASETS[name]
    targets = marks_of_change(dataset)
    if changes.changed.empty or dataset.span is None:
        return
    first, last = dataset.span
    ends = changes.changed[last]
    touched = _days_touched(
        plant,
        changes.changed["machine_id"],
        changes.changed[first],
        # What is still open reaches as far as was known.
        ends.where(ends.notna(), changes.changed["as_of"]) if ends.isna().any() else ends,
    )
    dirty.mark_spans(conn, targets, touched, cause=causes.of_rows(touched["machine_id"], touched["starts_at"]))


def _days_touched(
    plant: Plant, machines: pd.Series[str], starts: pd.Series[pd.Timestamp], ends: pd.Series[pd.Timestamp]
) -> pd.DataFrame:
    """The first instant of each machine and production day that spans touch: machine_id, starts_at, ends_at (the same).

    Days are what is computed again, so one mark for each is enough; one for every quarter hour took more time than all
    the arithmetic.
    """
    import numpy as np
    import pandas as pd

    from prodlytics.db.frames import microseconds
    from prodlytics.plant.calendar import production_date_of, production_day

    begin = production_day(plant, production_date_of(plant, starts.min().to_pydatetime()))[0]
    until = max(starts.max(), ends.max()).to_pydatetime() + dt.timedelta(microseconds=1)
    opens = microseconds(pd.Series(day_edges(plant, begin, until)[:-1]))
    start = microseconds(starts)
    first = np.searchsorted(opens, start, side="right") - 1
    last = np.searchsorted(opens, np.maximum(microseconds(ends) - 1, start), side="right") - 1
    days = last - first + 1
    rows = np.repeat(np.arange(len(start)), days)
    day = first[rows] + np.arange(len(rows)) - np.repeat(np.cumsum(days) - days, days)
    at = pd.Series(np.maximum(start[rows], opens[day]).view("datetime64[us]")).dt.tz_localize("UTC")
    touched = pd.DataFrame({"machine_id": machines.to_numpy()[rows], "day": day, "starts_at": at, "ends_at": at})
    return touched.sort_values("starts_at").drop_duplicates(["machine_id", "day"]).drop(columns="day")


def _mark_neighbours(
    conn: psycopg.Connection,
    dataset: Dataset,
    window: Window,
    rows: pd.DataFrame,
    changes: replace.Changes,
    causes: Causes,
) -> None:
    """Ask for the days beside the window where what changed reaches over its edge and they were derived before.

    A counter's rules look a few samples around, a state lasts over midnight: a late sample near the edge of a day
    changes its neighbour too. It is computed next, and marks further only if it came out differently.
    """
    reach = LOOKS_AROUND.get(dataset.name)
    if reach is None or changes.changed.empty or dataset.span is None:
        return
    first, last = dataset.span
    before, after = [], []
    for machine_id, changed in changes.changed.groupby("machine_id"):
        own = rows[rows["machine_id"] == machine_id].sort_values(first)
        if own.empty or changed[first].min() <= own[first].iloc[: reach + 1].max():
            before.append(str(machine_id))
        if own.empty or changed[last].max() >= own[last].iloc[-reach - 1 :].min():
            after.append(str(machine_id))
    table = sql.Identifier(dataset.name)
    exists = sql.SQL(
        "SELECT machine_id FROM unnest(%s::text[]) AS m (machine_id) WHERE EXISTS"
        " (SELECT FROM {table} t WHERE t.machine_id = m.machine_id AND t.{first} {side} %s)"
    )
    for machines, side, edge, moment in (
        (before, "<", window.start, window.start - dt.timedelta(microseconds=1)),
        (after, ">=", window.end, window.end),
    ):
        query = exists.format(table=table, first=sql.Identifier(first), side=sql.SQL(side))
        there = conn.execute(query, (machines, edge)).fetchall()
        inside = min(max(moment, window.start), window.end - dt.timedelta(microseconds=1))
        dirty.mark_each(conn, dataset.name, [(machine, moment, causes.of(machine, inside)) for (machine,) in there])


def marks_of_change(dataset: Dataset) -> list[str]:
    """What has to be done again when rows of a dataset change: derivations, its archive, the report."""
    again = [target for target in dataset.downstream if target in (*DERIVED, *INSIGHTS, *ON_CLOSE)]
    return [*again, *([f"archive/{dataset.name}"] if dataset.archived else [])]


def _as_quarantined(bad: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {
            "event_time": pd.NaT,
            "machine_id": bad.get("machine_id"),
            "reason": "schema",
            "detail": bad["reason"],
            "payload": bad.drop(columns="reason").astype(str).apply(lambda row: row.to_json(), axis=1),
        }
    )


def _count(frame: pd.DataFrame | None) -> int:
    return 0 if frame is None else len(frame)


def _merge(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Sum numbers over the pieces of a window; of anything else the latest stands."""
    merged = dict(old)
    for key, value in new.items():
        is_number = isinstance(value, int | float) and isinstance(merged.get(key), int | float)
        merged[key] = merged[key] + value if is_number else value
    return merged


def worst_of_each(checks: list[Check]) -> list[Check]:
    """One result for each check over all pieces: the first that failed, else the last."""
    chosen: dict[str, Check] = {}
    for check in checks:
        if check.name not in chosen or chosen[check.name].passed:
            chosen[check.name] = check
    return list(chosen.values())
