"""reconciliation: the same quantity from several mouths, per shift and per order, and how far apart they are.

Belongs here: reading what each side says, the findings. The comparison itself is `prodlytics.kpi`.
"""

from __future__ import annotations

import datetime as dt
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

    from prodlytics.plant.model import Machine, Plant

#: An order that has been open for longer is no longer compared day by day.
LONGEST_ORDER = dt.timedelta(days=92)
#: Counters are read a moment before or after a part: so many parts are no difference.
ONE_PART = 1.0


def reconciliation(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "reconciliation",
        deps=["oee_shift", "production_events", "machine_telemetry", "operator_entries", "work_orders"],
        checks={
            "scrap_agrees": "Is the scrap of a day, of all machines together, what people counted?",
            "orders_agree": "Are the quantities of each order what the ERP has?",
            "cycles_are_parts": "Has every cycle made a part, and only one?",
            "oee_agrees_with_paper": "Is the OEE of a shift the one that was measured on paper?",
            "vendor_agrees": "Are our figures those of MachineMetrics?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "reconciliation", _compute)

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import together
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql

    span = {"start": window.start, "end": window.end}
    dates = [date for (date,) in conn.execute(sql("select_reconciliation_dates"), span).fetchall()]
    shifts = read(conn, sql("select_shifts_of_dates"), {"dates": dates})
    earliest = window.start - LONGEST_ORDER
    frames = []
    for machine in plant.machines:
        frames.append(_shifts(conn, plant, machine, shifts[shifts["machine_id"] == machine.id], dates, window))
        frames.append(_orders(conn, plant, machine, earliest, window))
    rows = together(frames)
    limits = plant.thresholds
    return Derivation(
        rows,
        "(work_order = '' AND production_date = ANY(%(dates)s)) OR (work_order <> '' AND starts_at < %(end)s"
        " AND (ends_at > %(start)s OR (ends_at IS NULL AND starts_at >= %(earliest)s)))",
        {"dates": dates, "earliest": earliest, **span},
        checks=(
            _scrap(rows, limits.scrap_difference),
            _counts(rows, "orders_agree", "erp", limits.count_difference, _ORDERS),
            _counts(rows, "cycles_are_parts", "cycle", limits.count_difference, _CYCLES),
            _paper(rows, limits.oee_points),
            _vendor(rows, limits.oee_points, limits.count_difference),
        ),
        numbers={"production_dates": len(dates)},
    )


def _shifts(
    conn: psycopg.Connection,
    plant: Plant,
    machine: Machine,
    shifts: pd.DataFrame,
    dates: list[dt.date],
    window: Window,
) -> pd.DataFrame:
    from prodlytics.assets.inputs import of_machine, samples
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.kpi.cycles import counted_cycles
    from prodlytics.kpi.reconciliation import reconcile_shifts

    plan = read(conn, sql("select_plan_lines_of_dates"), {"machine_id": machine.id, "dates": dates})
    start = min([window.start, *plan["starts_at"]])
    end = max([window.end, *plan["ends_at"]])
    metrics = [counter.metric for counter in machine.counters if counter.counts == "cycles"]
    cycles = None
    if metrics:
        said = samples(conn, "select_samples_with_context", machine.id, metrics, start, end)
        cycles = counted_cycles(plant, machine, said, start, end)
    entries = of_machine(conn, "select_entries", machine.id, start, end)
    return reconcile_shifts(plant, machine, shifts, plan, entries, cycles, window.as_of)


def _orders(
    conn: psycopg.Connection, plant: Plant, machine: Machine, earliest: dt.datetime, window: Window
) -> pd.DataFrame:
    from prodlytics.assets.inputs import of_machine
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.kpi.reconciliation import counted_until, reconcile_orders

    asked = {"machine_id": machine.id, "start": window.start, "end": window.end, "earliest": earliest}
    orders = read(conn, sql("select_orders_reported"), asked)
    until = counted_until(orders, window.as_of)
    counts = read(
        conn,
        sql("select_counts_of_orders"),
        {
            "machine_id": machine.id,
            "orders": list(orders["work_order"]),
            "starts": list(orders["started_at"]),
            "ends": until,
        },
    )
    first, last = min([window.start, *orders["started_at"]]), max([window.end, *until])
    entries = of_machine(conn, "select_entries", machine.id, first, last)
    row = conn.execute(sql("select_first_heard"), {"machine_id": machine.id}).fetchone()
    return reconcile_orders(plant, machine, orders, counts, entries, row[0] if row else None, window.as_of)


_ORDERS = (
    "orders",
    "Ask who books the order in the ERP, and whether the counter counts what is booked.",
)
_CYCLES = (
    "shifts",
    "Does the machine make several parts in a cycle, or run without making any? Else a counter loses readings.",
)


def _scrap(rows: pd.DataFrame, limit: float) -> Check:
    """Per production day over all machines, as the guide has it: 1 % of one machine's rejects is less than a part."""
    shifts = rows[(rows["work_order"] == "") & (rows["measure"] == "reject_count") & rows["machine_value"].notna()]
    found, days = [], 0
    for side, name in (("paper", "the paper record"), ("operator", "operators")):
        both = shifts[shifts[f"{side}_value"].notna()]
        for date, day in both.groupby("production_date"):
            days += 1
            ours, theirs = float(day["machine_value"].sum()), float(day[f"{side}_value"].sum())
            if _differ(ours, theirs, limit):
                by_machine = day.groupby("machine_id")[f"{side}_difference"].sum()
                apart = {str(machine): float(difference) for machine, difference in by_machine.items()}
                most = max(apart, key=lambda machine: abs(apart[machine]))
                found.append(
                    f"on {date} machines rejected {ours:.0f}, {name} counted {theirs:.0f} ({_signed(theirs - ours)}, "
                    f"{_share(ours, theirs):.1%}; most on {most}, {_signed(-apart[most])})"
                )
    return _finding(
        "scrap_agrees",
        found,
        days,
        f"{days} days of scrap counted by people agree with the machines within {limit:.0%}.",
        "Nobody counted scrap where a machine counts rejects: nothing to compare.",
        "Scrap that nobody counted has no reason and no cost centre: ask the shift for what is missing.",
    )


def _counts(rows: pd.DataFrame, name: str, side: str, limit: float, words: tuple[str, str]) -> Check:
    both = rows[rows["machine_value"].notna() & rows[f"{side}_value"].notna()]
    both = both[both["measure"].isin(("good_count", "reject_count", "parts"))]
    # What was made over a silence of the feed is an estimate of when, not of how many: an order's count holds.
    judged = both if side == "erp" else both[both["gap_value"] == 0]
    far = judged[(judged[f"{side}_share"] > limit) & (judged[f"{side}_difference"].abs() > ONE_PART)]
    far = far.sort_values(f"{side}_share", ascending=False, kind="stable")
    found = [
        f"{row['machine_id']} {row['work_order'] or str(row['production_date']) + ' ' + row['shift']}: "
        f"{row['measure']} {row['machine_value']:.0f} against {row[f'{side}_value']:.0f} ({row[f'{side}_share']:.1%})"
        for row in far.to_dict("records")
    ]
    return _finding(
        name,
        found,
        len(judged),
        f"{len(judged)} figures of {words[0]} agree within {limit:.0%} or one part.",
        f"No figure of {words[0]} on both sides: nothing to compare.",
        words[1],
    )


def _paper(rows: pd.DataFrame, points: float) -> Check:
    both = rows[(rows["measure"] == "oee") & rows["paper_difference"].notna()]
    found = _points(both, "paper", points)
    return _finding(
        "oee_agrees_with_paper",
        found,
        len(both),
        f"{len(both)} shifts agree with their paper record within {100 * points:g} points.",
        "No OEE was measured on paper (entries of kind figure): nothing to compare.",
        "Compare planned time, run time and ideal cycle of that shift with the sheet.",
    )


def _vendor(rows: pd.DataFrame, points: float, limit: float) -> Check:
    both = rows[rows["vendor_difference"].notna()]
    ratios = both[both["measure"].isin(("oee", "availability", "performance", "quality"))]
    counts = both.drop(index=ratios.index)
    far = counts[(counts["vendor_share"] > limit) & (counts["vendor_difference"].abs() > ONE_PART)]
    found = _points(ratios, "vendor", points) + [
        f"{row['machine_id']} {row['production_date']} {row['shift']}: {row['measure']} {row['machine_value']:.0f} "
        f"against {row['vendor_value']:.0f} ({row['vendor_share']:.1%})"
        for row in far.to_dict("records")
    ]
    return _finding(
        "vendor_agrees",
        found,
        len(both),
        f"{len(both)} figures agree with MachineMetrics.",
        "MachineMetrics gave no figures: nothing to compare.",
        "Compare the conventions first: MachineMetrics counts planned stops as an availability loss.",
    )


def _points(rows: pd.DataFrame, side: str, points: float) -> list[str]:
    # To the sixth digit: 0.62 - 0.60 is a little more than 0.02 in binary.
    far = rows[rows[f"{side}_difference"].abs().round(6) > points]
    return [
        f"{row['machine_id']} {row['production_date']} {row['shift']}: {row['measure']} {row['machine_value']:.1%} "
        f"against {row[f'{side}_value']:.1%}"
        for row in far.to_dict("records")
    ]


def _finding(name: str, found: list[str], compared: int, agrees: str, nothing: str, do: str) -> Check:
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    says = f"{'; '.join(found[:3])}{more}. {do}" if found else agrees if compared else nothing
    return Check(name, not found, says, {"compared": compared, "findings": len(found)}, warns=True)


def _differ(ours: float, theirs: float, limit: float) -> bool:
    return abs(ours - theirs) > ONE_PART and _share(ours, theirs) > limit


def _share(ours: float, theirs: float) -> float:
    from prodlytics.kpi.reconciliation import difference_share

    return difference_share(ours, theirs)


def _signed(number: float) -> str:
    return f"{number:+.0f}"
