"""Elements and ratios at every level above the hour: machine, line, plant, part and family by shift, day and week.

Belongs here: which rows of `oee_shift` and which failures each level and period is made of. Does not belong here:
dividing (`oee`, `reliability`), which machine a line is measured by (`line_basis`), hours (`oee_hourly`), money.

Every row is the sum of the elements of its shifts, divided afterwards by the same functions as everywhere else. A line
measured by one machine has that machine's elements: only the rows of a line may differ between a day and its shifts,
where the bottleneck moves.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import reliability as rel
from prodlytics.kpi import spans
from prodlytics.kpi.line_basis import PERIOD, SUM, line_basis
from prodlytics.kpi.oee import ELEMENTS, ISO_RATIOS, ORDERS, RATIOS, iso_22400, roll_up
from prodlytics.plant.calendar import production_day
from prodlytics.plant.model import Plant

COLUMNS = list(DATASETS["kpi_rollup"].columns)
KEY = list(DATASETS["kpi_rollup"].key)
LEVELS = ("machine", "line", "plant", "part", "family")
PERIODS = ("shift", "day", "week")
#: Of these levels a machine is a member, or several are: they can fail. A part cannot.
EQUIPMENT = ("machine", "line", "plant")
MIXED = "mixed_conventions"
_NOT_BUCKETS = ("planned_time_us", "run_time_us", "ideal_time_us", "ideal_good_time_us", "off_plan_run_us")
_BUCKETS = [name for name in ELEMENTS if name.endswith("_us") and name not in _NOT_BUCKETS]
#: Whole microseconds that are never missing.
_WHOLE = ("planned_time_us", "run_time_us", *_BUCKETS, "off_plan_run_us", "order_run_time_us", "order_time_us")
_MEMBER = {"machine": "machine_id", "line": "line", "part": "part_number", "family": "family"}


def derive_kpi_rollup(
    plant: Plant, shifts: pd.DataFrame, stops: pd.DataFrame, plan: pd.DataFrame, as_of: dt.datetime
) -> pd.DataFrame:
    """One row per level, member and period that has time or parts in `shifts`.

    Args:
        plant: Lines, families of parts, convention.
        shifts: Rows of `oee_shift` of whole ISO weeks as far as there are any: a week is what is given of it.
        stops: Rows of `downtime_events`: all parts of every stop that has one on these production dates.
        plan: Rows of `plan_calendar` of these production dates: from when to when a shift and a day last.
        as_of: What was known when this was computed.

    Returns:
        Columns of `kpi_rollup` without generated ones and revision. `member` is the machine, line, plant, part number
        or family, '' where nobody said which part was made or the part has no family. `shift` is '' but for the period
        shift, where '' is the time outside any shift. `period_start` is the production date, for weeks the Monday.
        `starts_at` and `ends_at` are the span of the period by the calendar, in UTC. Rows computed under different
        conventions cannot be added up: their ratios are missing with the reason `mixed_conventions`.
    """
    if shifts.empty:
        return _nothing()
    base = _with_bounds(plant, _base(plant, shifts, rel.failures(plant, stops)), plan)
    periods = pd.concat([_period(plant, base, name) for name in PERIODS], ignore_index=True)
    basis = line_basis(plant, periods)
    rows = pd.concat([_level(plant, periods, basis, name) for name in LEVELS], ignore_index=True)
    total = roll_up(rows, KEY, plant.convention, also=(*ORDERS, *rel.ELEMENTS))
    told = _told(rows)
    total = total.merge(told, on=KEY, validate="one_to_one").merge(
        basis.rename(columns={"line": "member", "basis": "line_basis"}).assign(level="line"), on=KEY, how="left"
    )
    total = pd.concat([total, iso_22400(total, plant.convention), rel.reliability(total)], axis=1)
    return _finished(_without_mixed(total), as_of)


def _nothing() -> pd.DataFrame:
    """No row, every column with its type."""
    kinds = {"float": "float64", "numeric": "float64", "timestamp": "datetime64[us, UTC]", "boolean": "bool"}
    fields = DATASETS["kpi_rollup"].fields
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(fields[name].type, "object")) for name in COLUMNS})


def _base(plant: Plant, shifts: pd.DataFrame, failures: pd.DataFrame) -> pd.DataFrame:
    """Rows of `oee_shift` with line, family, time of orders; failures stand on the first row of their shift."""
    by = ["machine_id", "production_date", "shift"]
    base = shifts.sort_values([*by, "part_number"], kind="stable").reset_index(drop=True)
    lines = {machine.id: machine.line for machine in plant.machines}
    families = {part.number: part.family or "" for part in plant.parts}
    ordered = (base["part_number"] != "").to_numpy()
    parts = base["good_count"] + base["reject_count"] + base["rework_count"]
    failures = failures.assign(shift=failures["shift"].where(failures["shift"].notna(), ""))
    counted = failures.groupby(by, as_index=False).agg(
        failures=("stop_id", "size"), repair_time_us=("repair_time_us", "sum"), open_failures=("is_open", "sum")
    )
    base = base.assign(
        line=base["machine_id"].map(lines),
        family=base["part_number"].map(families).fillna(""),
        order_run_time_us=np.where(ordered, base["run_time_us"], 0),
        order_time_us=np.where(ordered, base[_BUCKETS].sum(axis=1), 0),
        order_part_count=np.where(ordered, parts, 0.0),
    ).merge(counted, on=by, how="left")
    first = ~base.duplicated(by)
    for name in rel.ELEMENTS:
        base[name] = base[name].where(first & base[name].notna(), 0).astype("float64")
    return base[base["line"].notna()].reset_index(drop=True)


def _with_bounds(plant: Plant, base: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """Add when the shift and the production date of each row begin and end."""
    day, shift = ["machine_id", "production_date"], ["machine_id", "production_date", "shift"]
    plan = plan.assign(shift=plan["shift"].where(plan["shift"].notna(), ""))
    ends = {"opens": ("starts_at", "min"), "closes": ("ends_at", "max")}
    base = base.drop(columns=["starts_at", "ends_at"])
    days = base[day].merge(plan.groupby(day, as_index=False).agg(**ends), on=day, how="left")
    days = pd.concat([days.reset_index(drop=True), _fixed_days(plant, base["production_date"])], axis=1)
    for name in ("opens", "closes"):
        days[name] = days[name].where(days[name].notna(), days[f"fixed_{name}"])
    scheduled = plan[plan["shift"] != ""].groupby(shift, as_index=False).agg(**ends)
    named = base[shift].merge(scheduled, on=shift, how="left")
    return base.assign(
        day_opens=days["opens"],
        day_closes=days["closes"],
        shift_opens=named["opens"].where(named["opens"].notna(), days["opens"]),
        shift_closes=named["closes"].where(named["closes"].notna(), days["closes"]),
    )


def _fixed_days(plant: Plant, dates: pd.Series[Any]) -> pd.DataFrame:
    """Boundaries of production days, for dates of which the calendar says nothing."""
    known = {date: production_day(plant, date) for date in set(dates)}
    return pd.DataFrame(
        {
            "fixed_opens": spans.from_us(np.array([spans.instant_us(known[d][0]) for d in dates], dtype=np.int64)),
            "fixed_closes": spans.from_us(np.array([spans.instant_us(known[d][1]) for d in dates], dtype=np.int64)),
        }
    )


def _period(plant: Plant, base: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows with the period they belong to; the production date stays."""
    if name == "shift":
        ends = {"starts_at": base["shift_opens"], "ends_at": base["shift_closes"]}
        return base.assign(period=name, period_start=base["production_date"], **ends)
    if name == "day":
        ends = {"starts_at": base["day_opens"], "ends_at": base["day_closes"]}
        return base.assign(period=name, period_start=base["production_date"], shift="", **ends)
    mondays = base["production_date"].map(monday_of)
    first = _fixed_days(plant, mondays)["fixed_opens"]
    last = _fixed_days(plant, mondays.map(lambda monday: monday + dt.timedelta(days=6)))["fixed_closes"]
    return base.assign(
        period=name,
        period_start=mondays,
        starts_at=first.where(first < base["day_opens"], base["day_opens"]),
        ends_at=last.where(last > base["day_closes"], base["day_closes"]),
        shift="",
    )


def monday_of(date: dt.date) -> dt.date:
    """First day of the ISO week."""
    return date - dt.timedelta(days=date.weekday())


def _level(plant: Plant, periods: pd.DataFrame, basis: pd.DataFrame, level: str) -> pd.DataFrame:
    """The rows that make up this level, with their member."""
    if level == "line":
        rows = periods.merge(basis, on=["line", *PERIOD], validate="many_to_one")
        rows = rows[(rows["basis"] == SUM) | (rows["basis"] == rows["machine_id"])]
        rows = rows.drop(columns=["basis", "basis_reason"])
    else:
        rows = periods
    member: Any = plant.plant if level == "plant" else rows[_MEMBER[level]]
    rows = rows.assign(level=level, member=member)
    if level in EQUIPMENT:
        failed = (rows["failures"] > 0).to_numpy()
        told = zip(*(rows.loc[failed, name].astype("int64") for name in rel.ELEMENTS), strict=True)
        prints = rows["fingerprint"].to_numpy(dtype=object, copy=True)
        prints[failed] += np.array([f"/{'/'.join(map(str, one))}" for one in told], dtype=object)
        return rows.assign(fingerprint=prints)
    return rows.assign(**dict.fromkeys(rel.ELEMENTS, np.nan))


def _told(rows: pd.DataFrame) -> pd.DataFrame:
    """Per group what is not added up: span, convention, fingerprint."""
    # As numbers: the smallest of texts would take pandas longer than all the rest.
    code, conventions = pd.factorize(rows["convention"].to_numpy(dtype=object), sort=True)
    grouped = rows.assign(convention=code).groupby(KEY, sort=True, dropna=False)
    told = grouped.agg(
        starts_at=("starts_at", "min"),
        ends_at=("ends_at", "max"),
        convention=("convention", "min"),
        last_convention=("convention", "max"),
    ).reset_index()
    for name in ("convention", "last_convention"):
        told[name] = conventions[told[name].to_numpy()]
    number = grouped.ngroup().to_numpy()
    order = np.argsort(number, kind="stable")
    prints = rows["fingerprint"].to_numpy(dtype=object)[order]
    first = np.searchsorted(number[order], np.arange(len(told) + 1))
    told["fingerprint"] = [
        hashlib.sha256("|".join(sorted(prints[first[n] : first[n + 1]])).encode()).hexdigest() for n in range(len(told))
    ]
    return told


def _without_mixed(total: pd.DataFrame) -> pd.DataFrame:
    """No ratio where planned time means two things."""
    mixed = total["convention"] != total["last_convention"]
    ratios = [name for name in RATIOS if name != "null_reason"]
    blank = {name: total[name].where(~mixed, np.nan) for name in (*ratios, *ISO_RATIOS)}
    both = total["convention"] + " | " + total["last_convention"]
    return total.assign(
        **blank,
        null_reason=total["null_reason"].where(~mixed, MIXED),
        convention=total["convention"].where(~mixed, both),
    )


def _finished(total: pd.DataFrame, as_of: dt.datetime) -> pd.DataFrame:
    several = total["level"].isin(("plant", "part", "family"))
    basis = total["line_basis"].where(total["line_basis"].notna(), None).astype(object)
    total = total.assign(
        basis=basis.where(~several, SUM),
        basis_reason=total["basis_reason"].where(total["basis_reason"].notna(), None).astype(object),
        as_of=spans.from_us(np.full(len(total), spans.instant_us(as_of), dtype=np.int64)),
        **{name: total[name].astype("int64") for name in _WHOLE},
        **{name: total[name].astype("Int64") for name in rel.ELEMENTS},
    )
    for name in ("starts_at", "ends_at"):
        total[name] = total[name].astype("datetime64[us, UTC]")
    return total[COLUMNS]
