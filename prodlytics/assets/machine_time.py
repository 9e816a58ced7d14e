"""machine_time: the loss ledger.

Belongs here: reading plan, states and stops of the window and writing the ledger. Its rules are in `prodlytics.kpi`.
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


def machine_time(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "machine_time",
        deps=["plan_calendar", "machine_states", "downtime_events", "machine_config"],
        checks={
            "explains_every_second": "Is every second of every machine in exactly one bucket?",
            "planned_time_is_known": "Is the state of every machine known for nearly all planned time of each day?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "machine_time", _compute)

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import of_each, span_of_each, together
    from prodlytics.kpi.machine_time import derive_machine_time
    from prodlytics.report.explain_markdown import time_table

    spans = span_of_each(plant, window.start, window.end)
    ledger = together(
        [
            derive_machine_time(plant, machine, plan, states, stops, window.start, window.end)
            for machine, plan, states, stops in of_each(
                conn, plant, spans, "select_plan", "select_states", "select_stops"
            )
        ]
    ).assign(as_of=window.as_of)
    ledger["as_of"] = ledger["as_of"].astype("datetime64[us, UTC]")
    lengths = (ledger["ends_at"] - ledger["starts_at"]).dt.total_seconds()
    return Derivation(
        ledger,
        "starts_at >= %(start)s AND starts_at < %(end)s",
        {"start": window.start, "end": window.end},
        checks=(_explains(plant, ledger, lengths, window), _known(plant, ledger, lengths)),
        numbers={
            **{f"{bucket}_hours": float(s / 3600) for bucket, s in lengths.groupby(ledger["bucket"]).sum().items()},
            "time": dg.MetadataValue.md(time_table(ledger)),
        },
    )


def _explains(plant: Plant, ledger: pd.DataFrame, lengths: pd.Series[float], window: Window) -> Check:
    asked = (window.cover_until - window.start).total_seconds() * len(plant.machines)
    told = float(lengths.sum())
    ordered = ledger.sort_values(["machine_id", "starts_at"])
    overlaps = int(
        (
            (ordered["machine_id"] == ordered["machine_id"].shift(-1))
            & (ordered["ends_at"] > ordered["starts_at"].shift(-1))
        ).sum()
    )
    passed = overlaps == 0 and abs(told - asked) < 1e-6
    return Check(
        "explains_every_second",
        passed,
        f"The ledger explains {told:.0f} of {asked:.0f} machine-seconds, {overlaps} overlaps.",
        {"seconds_explained": told, "seconds_asked": asked, "overlaps": overlaps},
    )


def _known(plant: Plant, ledger: pd.DataFrame, lengths: pd.Series[float]) -> Check:
    from prodlytics.assets.inputs import percent, share

    planned = ledger["plan"] == "planned"
    of_a_day = [ledger["machine_id"], ledger["production_date"]]
    wanted = lengths[planned].groupby(of_a_day).sum()
    unknown = lengths[planned & (ledger["bucket"] == "unknown")].groupby(of_a_day).sum()
    shares = (unknown / wanted).dropna().sort_values(ascending=False)
    low = shares[shares > 1 - plant.thresholds.coverage]
    coverage = share(float(wanted.sum() - unknown.sum()), float(wanted.sum()))
    worst = ", ".join(f"{machine} on {date} ({unknown[machine, date] / 3600:.1f} h)" for machine, date in low.index[:3])
    return Check(
        "planned_time_is_known",
        low.empty,
        f"The state is known for {percent(coverage)} of the planned time"
        + ("." if low.empty else f"; too little is known of {worst}: look at the feed. That time is outside OEE."),
        {"coverage": coverage, "unknown_hours": float(unknown.sum() / 3600), "machine_days_with_gaps": len(low)},
        warns=True,
    )
