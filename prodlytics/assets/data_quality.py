"""data_quality: how good the data behind the numbers is, per machine, production day and shift.

Belongs here: reading what the figures are made of, the findings of the week. The arithmetic is `prodlytics.kpi`.
"""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
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

    from prodlytics.kpi.data_quality import Feed
    from prodlytics.plant.model import Machine, Plant
    from prodlytics.plant.thresholds import Thresholds

#: Findings are about the last so many production days of what was computed: one bad shift is no pattern.
DAYS_LOOKED_AT = 7


def data_quality(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "data_quality",
        deps=["machine_time", "downtime_events", "oee_shift", "operator_entries", "machine_telemetry"],
        checks={
            "stops_have_reasons": "Is it known why the machines stood, and not just that it was something else?",
            "short_stops_are_captured": "Does every machine that ran for long show short stops?",
            "ideal_cycles_are_plausible": "Does no machine run faster over a shift than its ideal cycle allows?",
            "feeds_cover_the_plan": "Was every machine heard in nearly all time it was planned to run?",
        },
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "data_quality", _compute)

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    from prodlytics.assets.inputs import together
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql

    span = {"start": window.start, "end": window.end}
    dates = [date for (date,) in conn.execute(sql("select_quality_dates"), span).fetchall()]
    shifts = read(conn, sql("select_shifts_of_dates"), {"dates": dates})
    rows = together([_of_machine(conn, plant, machine, dates, shifts, window) for machine in plant.machines])
    week = read(conn, sql("select_quality_of_week"), {"last": max(dates, default=None), "days": DAYS_LOOKED_AT})
    # The rows of this window are not written yet.
    week = together([rows[rows["production_date"].isin(_week(dates))], week[~week["production_date"].isin(dates)]])
    return Derivation(
        rows,
        "production_date = ANY(%(dates)s)",
        {"dates": dates},
        checks=(
            coded_check(week, plant.thresholds),
            _short_stops(week, plant),
            _plausible(week, plant.thresholds),
            _covered(week, plant.thresholds),
        ),
        numbers={"production_dates": len(dates)},
    )


def _week(dates: list[dt.date]) -> set[dt.date]:
    return {date for date in dates if max(dates) - date < dt.timedelta(days=DAYS_LOOKED_AT)}


def _of_machine(
    conn: psycopg.Connection,
    plant: Plant,
    machine: Machine,
    dates: list[dt.date],
    shifts: pd.DataFrame,
    window: Window,
) -> pd.DataFrame:
    from prodlytics.assets.inputs import of_machine
    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.kpi.data_quality import derive_data_quality

    asked = {"machine_id": machine.id, "dates": dates}
    ledger, stops = (read(conn, sql(query), asked) for query in ("select_ledger_of_dates", "select_whole_stops"))
    shifts = shifts[shifts["machine_id"] == machine.id]
    first = min([window.start, *stops["stop_started_at"]])
    last = max([window.end, *stops["stop_ended_at"].dropna()])
    entries = of_machine(conn, "select_entries", machine.id, first, last)
    feed = _feed(conn, machine, ledger, window.as_of)
    return derive_data_quality(plant, machine, ledger, stops, entries, shifts, feed, window.as_of)


def _feed(conn: psycopg.Connection, machine: Machine, ledger: pd.DataFrame, as_of: dt.datetime) -> Feed | None:
    """When the machine was heard in the time of the ledger, read block by block: dates may lie weeks apart."""
    from prodlytics.assets.inputs import of_machine, together
    from prodlytics.db.queries import sql
    from prodlytics.kpi.data_quality import Feed

    if machine.silence_after_s is None or machine.state.source == "operator":
        return None
    row = conn.execute(sql("select_first_heard"), {"machine_id": machine.id}).fetchone()
    limit = machine.silence_after_s * 1e6
    gaps = [
        of_machine(conn, "select_feed_gaps", machine.id, start, end, silence_us=limit, now=min(end, as_of))
        for start, end in _blocks(ledger) or [(as_of, as_of)]
    ]
    # A silence over a whole block is seen from both its sides.
    return Feed(together(gaps).drop_duplicates("starts_at"), row[0] if row else None)


def _blocks(ledger: pd.DataFrame) -> list[tuple[dt.datetime, dt.datetime]]:
    """The ledger's time in pieces without a hole."""
    if ledger.empty:
        return []
    starts, ends = list(ledger["starts_at"]), list(ledger["ends_at"])
    holes = [(before, after) for before, after in pairwise(range(len(starts))) if starts[after] > ends[before]]
    opens = [starts[0], *(starts[after] for _, after in holes)]
    closes = [*(ends[before] for before, _ in holes), ends[-1]]
    return list(zip(opens, closes, strict=True))


def coded_check(week: pd.DataFrame, limits: Thresholds) -> Check:
    """Whether stops have reasons, of rows of `data_quality`."""
    from prodlytics.assets.inputs import percent, share

    total, uncoded, other = (float(week[f"{name}_time_us"].sum()) for name in ("stop", "uncoded", "other"))
    no_reason, nothing_else = share(uncoded, total), share(other, total)
    findings = []
    if no_reason is not None and no_reason > limits.uncoded_share:
        by_machine = week.groupby("machine_id")["uncoded_time_us"].sum().sort_values(ascending=False)
        worst = ", ".join(f"{machine} {us / 6e7:.0f} min" for machine, us in by_machine.head(3).items())
        findings.append(f"most on {worst}: ask the operators, no cause can be found for them")
    if nothing_else is not None and nothing_else > limits.other_share:
        findings.append("much was coded as something else: look at the notes and add what is missing to the reasons")
    return Check(
        "stops_have_reasons",
        not findings,
        "No stop needed a reason: nothing to judge."
        if total == 0
        else f"{uncoded / 6e7:.0f} of {total / 6e7:.0f} minutes of stops in {_days(week)} ({percent(no_reason)}) have "
        f"no reason, {percent(nothing_else)} were coded as other" + (f"; {'; '.join(findings)}." if findings else "."),
        {"minutes_without_reason": uncoded / 6e7, "share_without_reason": no_reason, "share_other": nothing_else},
        warns=True,
    )


def in_time_check(week: pd.DataFrame, limits: Thresholds, anyone_ever: bool) -> Check:
    """Whether reasons come in time, of rows of `data_quality`, with the shifts and supervisors where they do not."""
    stops, in_time = int(week["stop_count"].sum()), int(week["coded_in_time_count"].sum())
    passed = not anyone_ever or stops == 0 or in_time >= limits.reason_compliance * stops
    whose = week["shift"].where(week["supervisor"].isna(), week["shift"] + " (" + week["supervisor"].fillna("") + ")")
    by_shift = week.groupby(whose)[["coded_in_time_count", "stop_count"]].sum()
    by_shift = by_shift[by_shift["stop_count"] > 0]
    told = ", ".join(f"{name or 'outside shifts'} {some} of {all_}" for name, (some, all_) in by_shift.T.items())
    needed, within = limits.reason_needed_s / 60, limits.reason_within_s / 60
    says = f"Of {stops} stops over {needed:g} minutes in {_days(week)}, {in_time} got a reason from a person within "
    says += f"{within:g} minutes" + (f": {told}." if told else ".")
    if not anyone_ever:
        says = "Nobody has entered a reason yet: nothing to judge."
    elif not passed:
        says += " Talk to those responsible: a reason given late is a guess."
    return Check("stops_are_explained_in_time", passed, says, {"stops": stops, "coded_in_time": in_time}, warns=True)


def _short_stops(week: pd.DataFrame, plant: Plant) -> Check:
    judged = [machine.id for machine in plant.machines if machine.state.source != "operator"]
    sums = week[week["machine_id"].isin(judged)].groupby("machine_id")[["short_stop_count", "running_us"]].sum()
    limit = plant.thresholds.short_stop_run_h
    ran = sums[sums["running_us"] >= limit * 3.6e9]
    none = ran[ran["short_stop_count"] == 0]
    named = ", ".join(f"{machine} ({us / 3.6e9:.0f} h)" for machine, us in none["running_us"].items())
    return Check(
        "short_stops_are_captured",
        none.empty,
        f"Not one short stop in {_days(week)} on {named}: they are not captured. Is the state sent only every few "
        "minutes, or filtered in the controller?"
        if len(none)
        else f"{len(ran)} machines ran {limit:g} hours or more in {_days(week)}, all with short stops."
        if len(ran)
        else f"No machine ran {limit:g} hours in {_days(week)}: nothing to judge.",
        {"machines_judged": len(ran), "machines_without_short_stops": len(none)},
        warns=True,
    )


def _plausible(week: pd.DataFrame, limits: Thresholds) -> Check:
    known = week[week["performance"].notna()]
    fast = known[known["ideal_cycle_suspect"].astype(bool)].sort_values("performance", ascending=False)
    return Check(
        "ideal_cycles_are_plausible",
        fast.empty,
        f"Performance over {limits.performance_suspect:.0%} in {len(fast)} shifts: "
        + ", ".join(
            f"{row['machine_id']} {row['performance']:.0%} on {row['production_date']} {row['shift']}".rstrip()
            for row in fast.head(3).to_dict("records")
        )
        + ". Shorten the ideal cycle of what was made in the plant file, or look for parts counted twice."
        if len(fast)
        else f"No performance over {limits.performance_suspect:.0%} in {len(known)} shifts."
        if len(known)
        else "No shift has a performance: nothing to judge.",
        {"shifts": len(known), "shifts_suspect": len(fast)},
        warns=True,
    )


def _covered(week: pd.DataFrame, limits: Thresholds) -> Check:
    judged = week[week["heard_time_us"].notna()].groupby("machine_id")[["heard_time_us", "plan_time_us"]].sum()
    judged = judged[judged["plan_time_us"] > 0]
    covered = (judged["heard_time_us"] / judged["plan_time_us"]).sort_values()
    gaps = covered[covered < limits.coverage]
    return Check(
        "feeds_cover_the_plan",
        gaps.empty,
        f"Heard in less than {limits.coverage:.1%} of the planned time of {_days(week)}: "
        + ", ".join(f"{machine} {part:.1%}" for machine, part in gaps.head(5).items())
        + ". Look at the PLC driver, KEPServerEX and the broker, in this order."
        if len(gaps)
        else f"{len(covered)} feeds were heard in {limits.coverage:.1%} of the planned time or more."
        if len(covered)
        else "No machine has a feed and planned time: nothing to judge.",
        {"feeds": len(covered), "feeds_with_gaps": len(gaps), "lowest": float(covered.min()) if len(covered) else None},
        warns=True,
    )


def _days(week: pd.DataFrame) -> str:
    if week.empty:
        return "no days"
    first, last = week["production_date"].min(), week["production_date"].max()
    return f"{first}" if first == last else f"{first} to {last}"
