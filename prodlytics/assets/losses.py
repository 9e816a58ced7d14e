"""losses: where planned time went, in minutes and money.

Belongs here: which production dates a window reaches, reading what their losses are made from, writing the rows. The
arithmetic is `prodlytics.kpi`.

A shift may reach over the boundary of the production day, so the window is widened to whole production dates, as for
`oee_shift`; and to those on which a stop goes on, because a stop is counted where it began.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.restate import restate
from prodlytics.assets.window import Window
from prodlytics.datasets.registry import DATASETS

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.assets.causes import Causes
    from prodlytics.db.replace import Changes
    from prodlytics.plant.model import Plant


def losses(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "losses",
        deps=["oee_shift", "machine_time", "production_events", "scrap_events", "work_orders", "machine_config"],
        checks={
            "losses_balance": "Is planned time good parts at their ideal cycle plus losses, in every shift and part?",
            "losses_have_a_cost": "Is it known what the lost time cost?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(
            context,
            plant,
            database,
            "losses",
            _compute,
            after_write=lambda conn, changes, causes: _revise(conn, plant, changes, causes),
        )

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import of_each, span_of_each, together, widened
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.kpi.losses import derive_losses

    dates, start, end = _dates(conn, plant, window)
    shifts = read(conn, sql("select_shifts_of_dates"), {"dates": dates})
    # A machine that is no longer in the plant file keeps its rows and is not computed again.
    shifts = shifts[shifts["machine_id"].isin([machine.id for machine in plant.machines])]
    spans = span_of_each(plant, start, end)
    # Stops are counted where they began.
    before = {machine_id: (began, start) for machine_id, (began, _) in widened(conn, "select_stop_span", spans).items()}
    earlier = {machine.id: ledger for machine, ledger in of_each(conn, plant, before, "select_ledger")}
    asked = ("select_ledger", "select_lossy_parts", "select_orders", "select_scrap")
    rows = together(
        [
            derive_losses(
                plant, machine, ledger, earlier[machine.id], events, orders, scrap,
                shifts[shifts["machine_id"] == machine.id], start, end, window.as_of,
            )
            for machine, ledger, events, orders, scrap in of_each(conn, plant, spans, *asked)
        ]
    )  # fmt: skip
    rows = rows[rows["production_date"].isin(dates)].reset_index(drop=True)
    return Derivation(
        rows,
        "production_date = ANY(%(dates)s)",
        {"dates": dates},
        checks=(_balance(shifts, rows), _have_a_cost(rows)),
        numbers={"production_dates": len(dates), "lost_hours": float(rows["loss_us"].sum() / 3.6e9)},
    )


def _dates(conn: psycopg.Connection, plant: Plant, window: Window) -> tuple[list[dt.date], dt.datetime, dt.datetime]:
    """Production dates to compute, and whole production days that hold all their time."""
    from prodlytics.db.queries import sql
    from prodlytics.plant.calendar import production_date_of, production_day

    found = conn.execute(sql("select_loss_dates"), {"start": window.start, "end": window.end}).fetchall()
    first = min([window.start, *(low for _, low, _ in found if low)])
    last = max([window.end, *(high for _, _, high in found if high)])
    start = production_day(plant, production_date_of(plant, first))[0]
    end = production_day(plant, production_date_of(plant, last - dt.timedelta(microseconds=1)))[1]
    return [date for date, _, _ in found], start, end


def _balance(shifts: pd.DataFrame, rows: pd.DataFrame) -> Check:
    from prodlytics.kpi.losses import imbalance

    off = imbalance(shifts, rows)
    worst = ", ".join(f"{row.machine_id} on {row.production_date}" for row in off.head(3).itertuples())
    return Check(
        "losses_balance",
        off.empty,
        f"Planned time of {len(shifts)} shifts and parts is good parts and losses, to the millisecond."
        if off.empty
        else f"Planned time of {len(off)} shifts and parts is not good parts and losses: {worst}. Ledger and elements "
        "are not of the same age: materialize machine_time, oee_shift and losses of these days again.",
        {"shifts_and_parts": len(shifts), "off": len(off), "worst_off_s": float(off["off_us"].abs().max() / 1e6)}
        if len(off)
        else {"shifts_and_parts": len(shifts), "off": 0},
    )


def _have_a_cost(rows: pd.DataFrame) -> Check:
    import pandas as pd

    without = rows[rows["cost_reason"].notna()]
    missing = sorted({name for reason in without["cost_reason"] for name in str(reason).split(", ")})
    machines = ", ".join(sorted(set(map(str, without["machine_id"])))[:5])
    return Check(
        "losses_have_a_cost",
        without.empty,
        "It is known what every loss cost."
        if without.empty
        else f"The money of {len(without)} of {len(rows)} losses is too low ({machines}): {', '.join(missing)}. Write "
        "the rates in the plant file, load part_costs.",
        {"losses_without_a_part_of_their_cost": len(without), "losses_without_any": int(pd.isna(rows["cost"]).sum())},
        warns=True,
    )


def _revise(conn: psycopg.Connection, plant: Plant, changes: Changes, causes: Causes) -> None:
    """Losses of closed days get a new revision; what changed in minutes is told by the figures above them."""
    from prodlytics.plant.calendar import production_day

    restate(
        conn, "losses", changes, causes,
        columns=("loss_us", "occurrences", "cost"),
        ends_at=lambda row: production_day(plant, row["production_date"])[1],
    )  # fmt: skip
    _tell_money(conn, plant, changes, causes)


def _tell_money(conn: psycopg.Connection, plant: Plant, changes: Changes, causes: Causes) -> None:
    """Write down what the losses of a machine's closed day cost now, where that is not what it was."""
    import pandas as pd

    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.kpi.loss_rates import MONEY_DIGITS
    from prodlytics.plant.calendar import production_day

    day, key = ["machine_id", "production_date"], list(DATASETS["losses"].key)
    days = changes.changed[day].drop_duplicates()
    if days.empty:
        return
    now = read(
        conn,
        sql("select_costs_of_machine_days"),
        {"machines": days["machine_id"].tolist(), "dates": days["production_date"].tolist()},
    )
    new = changes.changed.loc[changes.changed["side"] == "new", key]
    kept = now[~pd.MultiIndex.from_frame(now[key]).isin(pd.MultiIndex.from_frame(new))]
    gone = changes.changed.loc[changes.changed["side"] == "old", now.columns]
    before = pd.concat([part for part in (kept, gone) if len(part)] or [kept], ignore_index=True)
    costs = {
        side: rows.groupby(day)["cost"].sum(min_count=1).round(MONEY_DIGITS)
        for side, rows in (("old", before), ("new", now))
    }
    known_at = before.groupby(day)["as_of"].max()
    for machine_id, date in days.itertuples(index=False):
        starts_at, ends_at = production_day(plant, date)
        # A day that was still running, or is computed for the first time, has said nothing that could be restated.
        if (machine_id, date) not in known_at.index or known_at[machine_id, date] < ends_at:
            continue
        old_value, new_value = (_cost(costs[side], machine_id, date) for side in ("old", "new"))
        if old_value != new_value:
            told = {"machine_id": machine_id, "production_date": date, "starts_at": starts_at}
            cause = causes.of(machine_id, starts_at)
            conn.execute(
                sql("insert_cost_restatement"),
                {**told, "old_value": old_value, "new_value": new_value, "cause": cause},
            )


def _cost(costs: pd.Series[float], machine_id: str, date: dt.date) -> float | None:
    cost = costs.get((machine_id, date))
    return None if cost is None or cost != cost else float(cost)
