"""downtime_events: stops with their reasons.

Belongs here: widening the window to the stops that reach across its edges, and writing their parts. How stops are cut
and which reason wins is in `prodlytics.kpi`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.window import Window

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.assets.inputs import Spans
    from prodlytics.plant.model import Machine, Plant

#: A stop of half a shift is one somebody should have acted on.
LONG_STOP_MIN = 240.0


def downtime_events(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "downtime_events",
        deps=["machine_states", "plan_calendar", "operator_entries", "work_orders", "reason_codes"],
        checks={
            "parts_of_stops_do_not_overlap": "Is no second in two stops?",
            "entries_have_their_stop": "Is there a stop for everything that people said about stops?",
            "no_stop_lasts_half_a_shift": "Has no machine been down for four hours of planned time or more?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "downtime_events", _compute)

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import as_arrays, of_each, span_of_each, together, widened
    from prodlytics.kpi.downtime_events import derive_downtime_events

    rows, lost = [], []
    spans = widened(conn, "select_stop_span", span_of_each(plant, window.start, window.end))
    asked = ("select_states", "select_plan", "select_entries", "select_orders")
    for machine, states, plan, entries, orders in of_each(conn, plant, spans, *asked):
        rows.append(derive_downtime_events(plant, machine, states, plan, entries, orders, window.as_of))
        lost.append(_without_stop(conn, window, machine, spans, states, entries))
    stops = together(rows)
    return Derivation(
        stops,
        "EXISTS (SELECT FROM unnest(%(machines)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])"
        " AS span (machine_id, starts_at, ends_at)"
        " WHERE span.machine_id = t.machine_id"
        " AND time_start >= span.starts_at AND time_start < span.ends_at)",
        as_arrays(spans),
        checks=(_no_overlap(stops), _attached(together(lost)), _long(stops)),
        numbers={"stops": int(stops["stop_id"].nunique())},
    )


def _without_stop(
    conn: psycopg.Connection,
    window: Window,
    machine: Machine,
    spans: Spans,
    states: pd.DataFrame,
    entries: pd.DataFrame,
) -> pd.DataFrame:
    """Entries that begin in the window, are over, and overlap no stop of the machine, however far they reach."""
    from prodlytics.assets.inputs import of_machine
    from prodlytics.kpi.downtime_events import entries_without_stop

    over = entries["ends_at"].fillna(entries["starts_at"]) <= window.cover_until
    mine = entries[(entries["kind"] == "undo") | ((entries["starts_at"] >= window.start) & over)]
    mine = mine[(mine["kind"] == "undo") | (mine["starts_at"] < min(window.end, window.cover_until))]
    until = mine["ends_at"].max()
    if until > spans[machine.id][1]:  # the longest may reach into stops behind the window
        states = of_machine(conn, "select_states", machine.id, window.start, until.to_pydatetime())
    return entries_without_stop(states, mine)


def _attached(lost: pd.DataFrame) -> Check:
    lost = lost.sort_values(["machine_id", "starts_at"])
    first = "; ".join(
        f"{row['source_key']} ({row['kind']} {row['reason_code'] or ''} by {row['entered_by']}) of {row['machine_id']} "
        f"at {row['starts_at']:%Y-%m-%d %H:%M} UTC"
        for row in lost.head(5).to_dict("records")
    )
    return Check(
        "entries_have_their_stop",
        lost.empty,
        "Everything said about stops has its stop."
        if lost.empty
        else f"{len(lost)} entries about stops overlap no stop: {first}. Either the machine ran then, or late data "
        "moved the stop: see operator_entry_history; undo them, and enter them again with the right time.",
        {"entries_without_stop": len(lost)},
        warns=True,
    )


def _no_overlap(stops: pd.DataFrame) -> Check:
    ordered = stops.sort_values(["machine_id", "time_start"])
    ends = ordered["time_end"].fillna(ordered["as_of"])
    follows = ordered["time_start"].shift(-1)
    same = ordered["machine_id"] == ordered["machine_id"].shift(-1)
    overlaps = int((same & (ends > follows)).sum())
    return Check(
        "parts_of_stops_do_not_overlap",
        overlaps == 0,
        f"{overlaps} of {len(stops)} parts of stops overlap the next one.",
        {"overlaps": overlaps},
    )


def _long(stops: pd.DataFrame) -> Check:
    unplanned = stops[~stops["bucket"].isin(["planned_stop", "micro_stop"])]
    by_stop = _minutes(unplanned).groupby([unplanned["machine_id"], unplanned["stop_started_at"]]).sum()
    long = by_stop[by_stop >= LONG_STOP_MIN].sort_values(ascending=False)
    worst = ", ".join(
        f"{machine} from {start:%Y-%m-%d %H:%M} UTC ({long[machine, start] / 60:.1f} h)"
        for machine, start in long.index[:3]
    )
    return Check(
        "no_stop_lasts_half_a_shift",
        long.empty,
        "No stop took four planned hours."
        if long.empty
        else f"{len(long)} stops took four planned hours or more: {worst}. Did the right people know?",
        {"long_stops": len(long)},
        warns=True,
    )


def _minutes(stops: pd.DataFrame) -> pd.Series[float]:
    return (stops["time_end"].fillna(stops["as_of"]) - stops["time_start"]).dt.total_seconds() / 60
