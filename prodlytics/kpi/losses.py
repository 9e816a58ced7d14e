"""Where planned time went: the six big losses, in minutes and in money.

Belongs here: from ledger, elements and rejected parts to rows of `losses`, adding those rows up, proving that they
balance. Does not belong here: which reject took how much time (`reject_losses`), how any of the inputs is made.

Breakdowns and other unplanned stops, changeovers, micro-stops, reduced speed, defects, rejects at start-up. Reduced
speed is what remains of running time when every part is given its ideal cycle; it is negative where a machine is faster
than its ideal cycle, and stays so: that is a wrong ideal cycle, not a gain.

Money. A lost hour costs what the machine and the people at it cost in that hour: machine rate plus labour rate of the
machine on that production day. A rejected part costs its material and the machine and labour time of its ideal cycle
at this operation; its minutes are priced once, in the scrap. A reworked part costs time alone. What is not known is
left out of the sum and named in `cost_reason`; nothing known at all is no cost, not zero.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.loss_rates import MONEY_DIGITS, Rates
from prodlytics.kpi.oee_shift import ledger_by_part
from prodlytics.kpi.reject_losses import Group, ScrapTold, reject_losses
from prodlytics.plant.model import Convention, Machine, Plant

COLUMNS = list(DATASETS["losses"].columns)
#: Losses of the ledger, by bucket; the last two are losses only where the convention says so.
LOSS_OF_BUCKET = {
    "failure": "unplanned_stop",
    "other_stop": "unplanned_stop",
    "changeover": "changeover",
    "micro_stop": "micro_stop",
    "planned_stop": "planned_stop",
    "unknown": "unknown",
}
#: Planned time and its losses must agree to the millisecond.
TOLERANCE_US = 1000.0
US_PER_MINUTE = 60e6
GROUP = ["production_date", "shift", "part_number"]
KEY = [*GROUP, "loss", "reason_code"]
COSTS = ["material_cost", "labor_cost", "machine_cost"]
#: What may be unknown of the money, in the order in which `cost_reason` names it.
UNKNOWN_COSTS = ("no_material_cost", "no_ideal_cycle", "no_labor_rate", "no_machine_rate")


class LossesDoNotBalanceError(ValueError):
    """Losses and elements do not tell the same story: one of them is older than the other."""


def derive_losses(
    plant: Plant,
    machine: Machine,
    ledger: pd.DataFrame,
    before: pd.DataFrame,
    events: pd.DataFrame,
    orders: pd.DataFrame,
    scrap: pd.DataFrame,
    shifts: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """What one machine lost and why, per production date, shift, part, loss and reason.

    Args:
        plant: Convention, currency, when performance is suspect.
        machine: Its rates on each production day and its start-up window.
        ledger: Rows of `machine_time` in the window.
        before: Rows of `machine_time` before the window as far back as a stop that reaches into it: a stop is counted
            where it began.
        events: Rows of `production_events` in the window.
        orders: Rows of `work_orders` of the machine, as for `oee_shift`.
        scrap: Rows of `scrap_events` in the window.
        shifts: Rows of `oee_shift` of the machine and of every date that has time in the window.
        start: Aware start of the window, at the boundary of a production day.
        end: Aware end of the window.
        as_of: What was known when this was computed.

    Returns:
        Columns of `losses` without generated ones and revision, in the order of their key. Any order of the rows of
        the inputs gives the same.
    """
    rates = Rates(machine)
    shifts = shifts.sort_values(GROUP, kind="stable").reset_index(drop=True)
    pieces = ledger_by_part(plant, ledger, events, orders)
    rejects, scrap_of_group = reject_losses(plant, machine, ledger, events, scrap, rates, start, end)
    timed = rates.priced(_joined([_stops(plant.convention, pieces, before), _speed(plant, shifts)]))
    rows = _add_up(_joined([timed, rejects]))
    rows = rows.assign(
        machine_id=np.full(len(rows), machine.id, dtype=object),
        currency=np.full(len(rows), plant.currency, dtype=object),
        as_of=spans.from_us(np.full(len(rows), spans.instant_us(as_of), dtype=np.int64)),
    )
    return _placed(rows, shifts, scrap_of_group, rates)[COLUMNS]


def loss_tree(losses: pd.DataFrame, by: Sequence[str] = ("machine_id", "loss", "reason_code")) -> pd.DataFrame:
    """Losses added up to any level.

    Args:
        losses: Rows of `losses`, or of the table with more columns to group by (line, week).
        by: Columns to group by.

    Returns:
        One row per group: `by`, minutes, minutes_without_rate (of them without any cost), occurrences, material_cost,
        labor_cost, machine_cost and cost; a cost is missing where none of the rows has one.
    """
    minutes = losses["loss_us"] / US_PER_MINUTE
    timed = losses.assign(minutes=minutes, minutes_without_rate=minutes.where(losses["cost"].isna(), 0.0))
    names = ["minutes", "minutes_without_rate"], ["occurrences", *COSTS, "cost"]
    grouped = timed.groupby(list(by), sort=True, dropna=False)
    return pd.concat([grouped[names[0]].sum(), grouped[names[1]].sum(min_count=1)], axis=1).reset_index()


def imbalance(shifts: pd.DataFrame, losses: pd.DataFrame, by: Sequence[str] = ("machine_id", *GROUP)) -> pd.DataFrame:
    """Where planned time is not good parts at their ideal cycle plus losses, to the millisecond.

    Args:
        shifts: Rows of `oee_shift` (or of any frame with elements and the columns of `by`).
        losses: Rows of `losses` of the same time.
        by: Level at which they are compared; running time without an ideal cycle is a loss there, its parts are none.

    Returns:
        Columns of `by` and off_us, one row per group that is off.
    """
    good = shifts["ideal_good_time_us"].where(shifts["ideal_time_us"].notna(), 0.0)
    left = (shifts["planned_time_us"] - good).groupby([shifts[name] for name in by]).sum()
    lost = losses.groupby(list(by))["loss_us"].sum()
    off = left.subtract(lost, fill_value=0.0).rename("off_us")
    found: pd.DataFrame = off[off.abs() > TOLERANCE_US].reset_index()
    return found


def excluded_buckets(convention: Convention) -> set[str]:
    """Buckets that are outside planned time, and so no loss."""
    choices = (
        ("changeover", convention.changeover),
        ("planned_stop", convention.planned_stops),
        ("unknown", convention.unknown),
    )
    return {bucket for bucket, choice in choices if choice == "excluded"}


def _joined(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """All rows; the empty frames have no types to give."""
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def _stops(convention: Convention, pieces: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Time of the ledger that is lost; `occurrences` counts each stop once per loss and reason, where that began."""
    counted = LOSS_OF_BUCKET.keys() - excluded_buckets(convention)
    every = _joined([pieces, before.assign(part_number="")])
    lost = every[every["bucket"].isin(counted)].sort_values("starts_at", kind="stable").reset_index(drop=True)
    lost = lost.assign(
        loss=lost["bucket"].map(LOSS_OF_BUCKET),
        reason_code=lost["reason_code"].where(lost["reason_code"].notna(), ""),
        loss_us=(spans.to_us(lost["ends_at"]) - spans.to_us(lost["starts_at"])).astype(np.float64),
    )
    first = ~lost.duplicated(["stop_id", "loss", "reason_code"]) & lost["stop_id"].notna()
    lost = lost.assign(occurrences=first.astype(np.float64))
    if len(before) and len(pieces):
        lost = lost[lost["starts_at"] >= pieces["starts_at"].min()]
    return lost.groupby(KEY, sort=True)[["loss_us", "occurrences"]].sum().reset_index()


def _speed(plant: Plant, shifts: pd.DataFrame) -> pd.DataFrame:
    """Running time beyond the ideal cycles of what was made; all of it where there is no ideal cycle."""
    ideal = shifts["ideal_time_us"].to_numpy(dtype=np.float64)
    judged = ~np.isnan(ideal)
    # Run time without micro-stops: running that the convention keeps out of OEE is no loss of planned time.
    running = shifts["run_time_us"] - shifts["micro_stop_us"]
    over = np.where(judged, running - ideal, running)
    run = shifts["run_time_us"].to_numpy(dtype=np.float64)
    suspect = judged & (run > 0) & (ideal > plant.thresholds.performance_suspect * run)
    flag = np.select([suspect, judged & (over < 0)], ["ideal_cycle_suspect", "faster_than_ideal"], "").astype(object)
    rows = shifts[GROUP].assign(
        loss=np.where(judged, "reduced_speed", "no_ideal_cycle"),
        reason_code="",
        loss_us=over,
        occurrences=np.nan,
        flag=np.where(flag == "", spans.NOTHING, flag),
    )
    return rows[rows["loss_us"] != 0]


def _add_up(parts: pd.DataFrame) -> pd.DataFrame:
    """One row per key; a sum is missing only where nothing was there to be added."""
    grouped = parts.groupby(KEY, sort=True)
    sums = grouped[["occurrences", *COSTS]].sum(min_count=1)
    sums["loss_us"] = grouped["loss_us"].sum()
    unknown = grouped[list(UNKNOWN_COSTS)].any()
    sums["flag"] = grouped["flag"].first()
    sums[COSTS] = sums[COSTS].round(MONEY_DIGITS)
    sums["cost"] = sums[COSTS].sum(axis=1, min_count=1).round(MONEY_DIGITS)
    told = [", ".join(name for name in UNKNOWN_COSTS if row[name]) for row in unknown.to_dict("records")]
    sums["cost_reason"] = np.array([text or None for text in told], dtype=object)
    sums["flag"] = spans.texts(sums["flag"])
    return sums.reset_index()


def _placed(rows: pd.DataFrame, shifts: pd.DataFrame, scrap: dict[Group, ScrapTold], rates: Rates) -> pd.DataFrame:
    """With the extent of their group's time and the fingerprint of what they were computed from.

    Scrap of a group without time (entered for a shift in which the ledger knows nothing) lies where it was entered.
    """
    known = {
        (date, shift, part): (start, end, fingerprint)
        for date, shift, part, start, end, fingerprint in zip(
            *(shifts[name] for name in GROUP),
            spans.to_us(shifts["starts_at"]).tolist(),
            spans.to_us(shifts["ends_at"]).tolist(),
            shifts["fingerprint"],
            strict=True,
        )
    }
    placed: dict[Group, tuple[int, int, str]] = {}
    groups: list[Group] = list(zip(*(rows[name] for name in GROUP), strict=True))
    for group in groups:
        if group not in placed:
            entered = scrap.get(group)
            start, end, fingerprint = known.get(group, (None, None, None))
            if start is None:
                start, end = (entered.first_us, entered.last_us + 1) if entered else (spans.MISSING, spans.MISSING)
            told = f"{fingerprint}|{entered.text if entered else None}|{rates.told(group[0])}"
            placed[group] = (start, end, hashlib.sha256(told.encode()).hexdigest())
    starts, ends, prints = zip(*(placed[group] for group in groups), strict=True) if groups else ((), (), ())
    return rows.assign(
        starts_at=spans.from_us(np.array(starts, dtype=np.int64)),
        ends_at=spans.from_us(np.array(ends, dtype=np.int64)),
        fingerprint=np.array(prints, dtype=object),
    )
