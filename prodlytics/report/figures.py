"""From the frames of a day to the figures of the report.

Belongs here: which numbers are shown, in which order, and which are missing. All ratios come from `kpi.oee.roll_up` and
all losses from rows of `losses`, so that the report says what every other reader says. Does not belong here: words and
pictures.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import pandas as pd

from prodlytics.kpi import spans
from prodlytics.kpi.losses import LossesDoNotBalanceError, imbalance, loss_tree
from prodlytics.kpi.oee import roll_up
from prodlytics.plant.model import Plant
from prodlytics.report.data import DAYS_BEFORE, DailyData
from prodlytics.report.words import CHANGEOVER

US_PER_MINUTE = 60e6
#: Buckets a person is asked the reason of; short stops need none, planned stops and changeovers carry their own.
ASKED = ("failure", "other_stop")
#: Buckets that can be a cause.
CAUSES = ("failure", "other_stop", "changeover")


@dataclass(frozen=True)
class Ratios:
    """Shares between 0 and 1 (performance and OEE may be above); None with the reason where there is none."""

    oee: float | None
    availability: float | None
    performance: float | None
    quality: float | None
    reason: str | None


@dataclass(frozen=True)
class DayPoint:
    """One day of the trend."""

    production_date: dt.date
    ratios: Ratios


@dataclass(frozen=True)
class MachineLine:
    """One machine's day; counts are None if nothing at all is known of it."""

    machine_id: str
    name: str
    ratios: Ratios
    good: float | None
    reject: float | None
    rework: float | None
    coverage: float | None


@dataclass(frozen=True)
class Loss:
    """Minutes and money of one kind of loss; cost None where no machine has a rate."""

    loss: str
    minutes: float
    cost: float | None
    minutes_without_rate: float


@dataclass(frozen=True)
class LongestStop:
    """The evidence beside a cause: its longest stop."""

    machine: str
    started_at: dt.datetime
    minutes: float
    fault_code: str | None
    note: str | None


@dataclass(frozen=True)
class Cause:
    """What stopped machines: minutes inside the day, and the number of stops they belong to."""

    code: str
    minutes: float
    stops: int
    longest: LongestStop | None


@dataclass(frozen=True)
class Scrap:
    """Rejected pieces with one explanation (both None: nobody said why)."""

    category: str | None
    reason: str | None
    pieces: float
    cost: float | None
    pieces_without_cost: float


@dataclass(frozen=True)
class Change:
    """One figure before and after; `hour` for figures that cannot be added up."""

    column: str
    old: float | None
    new: float | None
    hour: dt.datetime | None


@dataclass(frozen=True)
class Restated:
    """What changed and why: for a machine's shift or day, the plant's day, or the hours of a machine's day together."""

    production_date: dt.date
    machine: str
    "Or the plant."
    cause: str
    hours: int
    "How many hours changed; 0 where it is about a shift or a day."
    changes: tuple[Change, ...]
    shift: str | None = None


@dataclass(frozen=True)
class Trust:
    """What the data behind the figures lacks, beyond time without data.

    Attributes:
        stops: Stops of the day that needed a reason.
        coded_in_time: Of them, those that got one from a person in time.
        other_minutes: Stop time coded as something else.
        no_short_stops: Machines that ran long in the week up to the day without one short stop: not captured.
        silent_feeds: Machines that were heard in too little of the planned time, and in how much.
        low_sensors: Machine, sensor and what it delivered, where that was too little; the lowest first.
    """

    stops: int
    coded_in_time: int
    other_minutes: float
    no_short_stops: tuple[str, ...]
    silent_feeds: tuple[tuple[str, float], ...]
    low_sensors: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True)
class Figures:
    """Everything the report says, before it is put into words. Money is in the plant's currency."""

    day: Ratios
    before: Ratios
    trend: tuple[DayPoint, ...]
    planned_minutes: float
    good: float | None
    reject: float | None
    rework: float | None
    losses: tuple[Loss, ...]
    lost_minutes: float
    lost_cost: float | None
    causes: tuple[Cause, ...]
    asked_minutes: float
    unexplained_minutes: float
    unexplained_stops: int
    machines: tuple[MachineLine, ...]
    scrap: tuple[Scrap, ...]
    restated: tuple[Restated, ...]
    coverage: float | None
    unknown_minutes: float
    gap_parts: float
    quarantine: tuple[tuple[str, str, int], ...]
    trust: Trust
    as_of: dt.datetime | None


def figures_of(data: DailyData) -> Figures:
    """Compute the figures of one production day."""
    plant = data.plant
    total = roll_up(data.oee, [], plant.convention).iloc[0] if len(data.oee) else None
    losses = _losses(data)
    costs = [loss.cost for loss in losses if loss.cost is not None]
    asked, unexplained = _asked(data.ledger)
    return Figures(
        day=_ratios(total),
        before=_ratios(roll_up(data.previous_oee, [], plant.convention).iloc[0] if len(data.previous_oee) else None),
        trend=_trend(data),
        planned_minutes=0.0 if total is None else float(total["planned_time_us"]) / US_PER_MINUTE,
        good=None if total is None else float(total["good_count"]),
        reject=None if total is None else float(total["reject_count"]),
        rework=None if total is None else float(total["rework_count"]),
        losses=losses,
        lost_minutes=sum(loss.minutes for loss in losses),
        lost_cost=sum(costs) if costs else None,
        causes=_causes(data),
        asked_minutes=float(asked["minutes"].sum()),
        unexplained_minutes=float(unexplained["minutes"].sum()),
        unexplained_stops=int(unexplained["stop_id"].nunique()),
        machines=_machines(data),
        scrap=_scrap(data.scrap),
        restated=_restated(plant, data.restatements),
        coverage=_coverage(total),
        unknown_minutes=0.0 if total is None else float(total["unknown_us"]) / US_PER_MINUTE,
        gap_parts=0.0 if total is None else float(total["gap_good_count"] + total["gap_reject_count"]),
        quarantine=tuple(
            (str(row["dataset"]), str(row["reason"]), int(row["rows"]))
            for row in data.quarantine.sort_values(
                ["rows", "dataset", "reason"], ascending=[False, True, True]
            ).to_dict("records")
        ),
        trust=_trust(data),
        as_of=data.oee["as_of"].max().to_pydatetime() if len(data.oee) else None,
    )


def largest_cause(losses: pd.DataFrame) -> str | None:
    """The reason, or the loss where nobody gave one, that took most time of rows of `losses`; None for no loss."""
    lost = losses[~losses["loss"].isin(("planned_stop", "unknown", "no_ideal_cycle")) & (losses["loss_us"] > 0)]
    if lost.empty:
        return None
    names = lost["reason_code"].where(lost["reason_code"] != "", lost["loss"])
    return str(lost.groupby(names)["loss_us"].sum().sort_index().idxmax())


def _trust(data: DailyData) -> Trust:
    plant, limits = data.plant, data.plant.thresholds
    day = data.quality[data.quality["production_date"] == data.production_date]
    judged = [machine.id for machine in plant.machines if machine.state.source != "operator"]
    ran = data.quality[data.quality["machine_id"].isin(judged)].groupby("machine_id")[
        ["short_stop_count", "running_us"]
    ]
    week = ran.sum()
    uncaught = week[(week["running_us"] >= limits.short_stop_run_h * 3.6e9) & (week["short_stop_count"] == 0)]
    heard = day[day["heard_time_us"].notna()].groupby("machine_id")[["heard_time_us", "plan_time_us"]].sum()
    heard = heard[heard["plan_time_us"] > 0]
    covered = heard["heard_time_us"] / heard["plan_time_us"]
    low = data.delivery[data.delivery["delivery"] < limits.delivery].sort_values(["delivery", "machine_id"])
    return Trust(
        stops=int(day["stop_count"].sum()),
        coded_in_time=int(day["coded_in_time_count"].sum()),
        other_minutes=float(day["other_time_us"].sum()) / US_PER_MINUTE,
        no_short_stops=tuple(_machine_name(plant, str(machine)) for machine in uncaught.index),
        silent_feeds=tuple(
            (_machine_name(plant, str(machine)), float(part))
            for machine, part in covered[covered < limits.coverage].sort_values().items()
        ),
        low_sensors=tuple(
            (_machine_name(plant, str(row["machine_id"])), str(row["metric_name"]), float(row["delivery"]))
            for row in low.to_dict("records")
        ),
    )


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _text(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else str(value)


def _ratios(row: Any) -> Ratios:
    if row is None:
        return Ratios(None, None, None, None, "no_data")
    return Ratios(
        oee=_number(row["oee"]),
        availability=_number(row["availability"]),
        performance=_number(row["performance"]),
        quality=_number(row["quality"]),
        reason=_text(row["null_reason"]),
    )


def _coverage(row: Any) -> float | None:
    """Share of the scheduled time for which the state was known; None where nothing was scheduled."""
    if row is None:
        return None
    buckets = ("running", "failure", "changeover", "planned_stop", "other_stop", "micro_stop")
    known = sum(float(row[f"{bucket}_us"]) for bucket in buckets)
    unknown = float(row["unknown_us"])
    return known / (known + unknown) if known + unknown > 0 else None


def _trend(data: DailyData) -> tuple[DayPoint, ...]:
    hours = pd.concat([frame for frame in (data.previous_oee, data.oee) if len(frame)] or [data.oee])
    days = roll_up(hours, ["production_date"], data.plant.convention) if len(hours) else hours
    found = {row["production_date"]: _ratios(row) for row in days.to_dict("records")}
    dates = [data.production_date - dt.timedelta(days=back) for back in range(DAYS_BEFORE, -1, -1)]
    return tuple(DayPoint(date, found.get(date, _ratios(None))) for date in dates)


def _losses(data: DailyData) -> tuple[Loss, ...]:
    """Largest first; what a machine gained against its ideal cycle stays negative and comes last."""
    # An hour in which one part has no ideal cycle has none at all; a shift knows its other parts.
    judged = data.oee.groupby("machine_id")["ideal_time_us"].transform(lambda ideal: ideal.notna().all()).astype(bool)
    hours = data.oee[judged]
    lost = data.losses[data.losses["machine_id"].isin(hours["machine_id"])]
    for row in imbalance(hours, lost, ["machine_id"]).to_dict("records"):
        raise LossesDoNotBalanceError(
            f"{row['machine_id']}: planned time differs from good parts and losses by {row['off_us'] / 1e6:.3f} s; "
            "materialize oee_hourly and losses of the day again"
        )
    rows = loss_tree(data.losses, ["loss"]).sort_values(["minutes", "loss"], ascending=[False, True])
    return tuple(
        Loss(str(row["loss"]), float(row["minutes"]), _number(row["cost"]), float(row["minutes_without_rate"]))
        for row in rows.to_dict("records")
        if row["minutes"] or _number(row["cost"])
    )


def _timed(ledger: pd.DataFrame, buckets: tuple[str, ...]) -> pd.DataFrame:
    rows = ledger[ledger["bucket"].isin(buckets)]
    return rows.assign(minutes=(spans.to_us(rows["ends_at"]) - spans.to_us(rows["starts_at"])) / US_PER_MINUTE)


def _asked(ledger: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stops people are asked about, and those nobody answered."""
    asked = _timed(ledger, ASKED)
    return asked, asked[asked["reason_code"].isna()]


def _causes(data: DailyData) -> tuple[Cause, ...]:
    """All causes, longest first; a changeover the controller reported is one even without a code."""
    rows = _timed(data.ledger, CAUSES)
    code = rows["reason_code"].where(rows["reason_code"].notna() | (rows["bucket"] != "changeover"), CHANGEOVER)
    rows = rows.assign(code=code)[code.notna()]
    causes = [
        Cause(str(name), float(group["minutes"].sum()), int(group["stop_id"].nunique()), _longest(data, group))
        for name, group in rows.groupby("code", sort=True)
    ]
    return tuple(sorted(causes, key=lambda cause: (-cause.minutes, cause.code)))


def _longest(data: DailyData, rows: pd.DataFrame) -> LongestStop | None:
    by_stop = rows.groupby("stop_id", sort=True)["minutes"].sum()
    if by_stop.empty:
        return None
    stop_id = by_stop.idxmax()
    parts = data.stops[data.stops["stop_id"] == stop_id].sort_values("time_start")
    own = rows[rows["stop_id"] == stop_id].sort_values("starts_at").iloc[0]
    same = parts[parts["reason_code"] == own["reason_code"]] if _text(own["reason_code"]) else parts
    return LongestStop(
        machine=_machine_name(data.plant, str(own["machine_id"])),
        started_at=own["starts_at"].to_pydatetime(),
        minutes=float(by_stop.max()),
        fault_code=next(iter(same["fault_code"].dropna()), None),
        note=next(iter(same["notes"].dropna()), None),
    )


def _machine_name(plant: Plant, machine_id: str) -> str:
    return next((machine.name for machine in plant.machines if machine.id == machine_id), machine_id)


def _machines(data: DailyData) -> tuple[MachineLine, ...]:
    """Worst first; machines without an OEE after the others, in the order of the plant file."""
    rolled = roll_up(data.oee, ["machine_id"], data.plant.convention) if len(data.oee) else data.oee
    rows = {row["machine_id"]: row for row in rolled.to_dict("records")}
    known = [machine.id for machine in data.plant.machines]
    lines = [_machine_line(data.plant, name, rows.get(name)) for name in [*known, *sorted(set(rows) - set(known))]]
    return tuple(sorted(lines, key=lambda line: (line.ratios.oee is None, line.ratios.oee or 0.0)))


def _machine_line(plant: Plant, machine_id: str, row: Any) -> MachineLine:
    ratios = _ratios(row)
    # Nothing was heard of it: no parts is not what we know.
    silent = ratios.reason == "no_data"
    good, reject, rework = (
        None if silent else _number(row[name]) for name in ("good_count", "reject_count", "rework_count")
    )
    return MachineLine(
        machine_id, _machine_name(plant, machine_id), ratios, good, reject, rework, coverage=_coverage(row)
    )


def _scrap(scrap: pd.DataFrame) -> tuple[Scrap, ...]:
    """Dearest first, then most pieces."""
    if scrap.empty:
        return ()
    cost = scrap[["material_cost", "labor_cost", "machine_cost"]].sum(axis=1, min_count=1)
    rows = scrap.assign(cost=cost, costless=scrap["quantity"].where(cost.isna(), 0.0))
    groups = rows.groupby(["scrap_category", "scrap_reason"], dropna=False, sort=True)
    sums = groups[["quantity", "cost", "costless"]].sum(min_count=1).reset_index()
    found = [
        Scrap(
            _text(row["scrap_category"]), _text(row["scrap_reason"]), float(row["quantity"]), _number(row["cost"]),
            float(row["costless"]),
        )
        for row in sums.to_dict("records")
    ]  # fmt: skip
    return tuple(sorted(found, key=lambda item: (-(item.cost or 0.0), -item.pieces)))


def _restated(plant: Plant, rows: pd.DataFrame) -> tuple[Restated, ...]:
    """Days first, then shifts, then hours: counts and times added up, the OEE of the hour that moved most."""
    if rows.empty:
        return ()
    about = ["production_date", "level", "machine_id", "period", "shift"]
    ordered = rows[rows["period"].isin(_TOLD)].sort_values(["new_revision", "column_name"], kind="stable")
    told = ordered.groupby([*about, "time_bucket", "column_name"], sort=True, dropna=False, as_index=False).agg(
        old_value=("old_value", _first), new_value=("new_value", _last), cause=("cause", _last)
    )
    found: list[tuple[int, Restated]] = []
    for _, group in told.groupby([*about, "cause"], sort=True, dropna=False):
        first = group.iloc[0]
        is_hour = first["period"] == "hour"
        if not is_hour:
            group = group[group["column_name"].isin(_OF_PERIOD)]
        changes = [_change(str(column), cells, is_hour) for column, cells in group.groupby("column_name", sort=True)]
        moved = tuple(change for change in changes if change.old != change.new)
        if moved:
            member = str(first["machine_id"])
            name = plant.name if first["level"] == "plant" else _machine_name(plant, member)
            hours = int(group["time_bucket"].nunique()) if is_hour else 0
            rank = _TOLD.index(str(first["period"])) * 2 + (first["level"] != "plant")
            item = Restated(
                first["production_date"], name, str(first["cause"]), hours, moved, _text(first["shift"]) or None
            )
            found.append((rank, item))
    return tuple(item for _, item in sorted(found, key=lambda one: one[0]))


#: Periods the report speaks of, and what it says of those longer than an hour.
_TOLD = ("day", "shift", "hour")
_OF_PERIOD = ("oee", "good_count", "reject_count", "cost")


def _first(values: pd.Series[Any]) -> Any:
    """Unlike pandas' own, keeps a missing first value: "no figure" is what was said before."""
    return values.iloc[0]


def _last(values: pd.Series[Any]) -> Any:
    return values.iloc[-1]


def _change(column: str, cells: pd.DataFrame, is_hour: bool) -> Change:
    if is_hour and column in ("oee", "availability", "performance", "quality"):
        # Ratios are not added up: the hour that moved most.
        old, new = (cells[side].astype("float64").fillna(-1) for side in ("old_value", "new_value"))
        row = cells.iloc[int((new - old).abs().to_numpy().argmax())]
        return Change(column, _number(row["old_value"]), _number(row["new_value"]), row["time_bucket"].to_pydatetime())
    before, after = (_number(cells[side].sum(min_count=1)) for side in ("old_value", "new_value"))
    return Change(column, before, after, None)
