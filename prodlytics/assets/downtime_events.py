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

    from prodlytics.plant.model import Plant

#: A stop of half a shift is one somebody should have acted on.
LONG_STOP_MIN = 240.0
#: More stop time without a reason than this share makes the Pareto worthless.
UNCODED_LIMIT = 0.30


def downtime_events(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "downtime_events",
        deps=["machine_states", "plan_calendar", "operator_entries", "work_orders", "reason_codes"],
        checks={
            "parts_of_stops_do_not_overlap": "Is no second in two stops?",
            "stops_have_reasons": "How much of the stop time has no reason?",
            "no_stop_lasts_half_a_shift": "Has no machine been down for four hours of planned time or more?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "downtime_events", lambda conn, w: _compute(conn, plant, w))

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import of_machine, together
    from prodlytics.kpi.downtime_events import derive_downtime_events

    rows = []
    spans = {}
    for machine in plant.machines:
        wide = of_machine(conn, "select_stop_span", machine.id, window.start, window.end)
        start, end = (wide[column].iloc[0].to_pydatetime() for column in ("starts_at", "ends_at"))
        spans[machine.id] = (start, end)
        rows.append(
            derive_downtime_events(
                plant,
                machine,
                of_machine(conn, "select_states", machine.id, start, end),
                of_machine(conn, "select_plan", machine.id, start, end),
                of_machine(conn, "select_entries", machine.id, start, end),
                of_machine(conn, "select_orders", machine.id, start, end),
                window.as_of,
            )
        )
    stops = together(rows)
    return Derivation(
        stops,
        "EXISTS (SELECT FROM unnest(%(machines)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])"
        " AS span (machine_id, starts_at, ends_at)"
        " WHERE span.machine_id = t.machine_id"
        " AND time_start >= span.starts_at AND time_start < span.ends_at)",
        {
            "machines": list(spans),
            "starts": [start for start, _ in spans.values()],
            "ends": [end for _, end in spans.values()],
        },
        checks=(_no_overlap(stops), _coded(stops), _long(stops)),
        numbers={"stops": int(stops["stop_id"].nunique())},
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


def _coded(stops: pd.DataFrame) -> Check:
    from prodlytics.assets.inputs import percent, share

    minutes = _minutes(stops)
    needs = stops["bucket"] != "micro_stop"
    uncoded = float(minutes[needs & stops["reason_code"].isna()].sum())
    part = share(uncoded, float(minutes[needs].sum()))
    passed = part is None or part <= UNCODED_LIMIT
    return Check(
        "stops_have_reasons",
        passed,
        f"{uncoded:.0f} minutes of stops ({percent(part)}) have no reason"
        + ("." if passed else ": ask the operators; no cause can be found for them."),
        {"minutes_without_reason": uncoded, "share_without_reason": part},
        warns=True,
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
