"""Ratios from elements, at any level.

Belongs here: dividing, once everything has been added up. Does not belong here: where the elements come from
(`oee_hourly`), money (`losses`).

Ratios are never averaged: elements are summed over hours, parts or machines, and divided at the end.
See ISO 22400-2 for the names; A x P x Q is then the same number as good parts x ideal cycle / planned time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from prodlytics.kpi.spans import FloatArray
from prodlytics.plant.model import Convention

COUNTS = (
    "good_count",
    "reject_count",
    "rework_count",
    "gap_good_count",
    "gap_reject_count",
    "off_plan_good_count",
    "off_plan_reject_count",
)
TIMES = (
    "planned_time_us",
    "run_time_us",
    "ideal_time_us",
    "ideal_good_time_us",
    "running_us",
    "failure_us",
    "changeover_us",
    "planned_stop_us",
    "other_stop_us",
    "micro_stop_us",
    "break_us",
    "not_scheduled_us",
    "unknown_us",
    "off_plan_run_us",
)
#: Run time and all time while the part of an order was in work, and the parts made then.
ORDERS = ("order_run_time_us", "order_time_us", "order_part_count")
#: What may be added up over hours, machines and days.
ELEMENTS = (*COUNTS, *TIMES)
US_PER_HOUR = 3.6e9
ISO_RATIOS = (
    "allocation_efficiency",
    "utilization_efficiency",
    "technical_efficiency",
    "setup_ratio",
    "nee_index",
    "scrap_ratio",
    "rework_ratio",
    "first_pass_yield",
    "throughput_per_h",
    "production_process_ratio",
    "throughput_rate_per_h",
)
RATIOS = ("availability", "performance", "quality", "oee", "null_reason")
DEFAULT = Convention()


def ratios(elements: pd.DataFrame, convention: Convention = DEFAULT) -> pd.DataFrame:
    """The frame with availability, performance, quality, oee and null_reason (replaced if they were there).

    Args:
        elements: Any rows with planned_time_us, run_time_us, ideal_time_us, ideal_good_time_us (missing where a part
            has no ideal cycle), good_count, reject_count, rework_count; unknown_us tells `no_data` from
            `no_planned_time`.
        convention: Whether reworked parts are good. Times are taken as they are: the convention is already in
            planned_time_us.

    Returns:
        The same rows; ratios between 0 and 1 but for performance and OEE, which are not capped. Missing ratios have a
        reason: no_planned_time, no_data (the state was unknown all the time), no_ideal_cycle, no_run_time (parts, but
        no time to make them in), no_parts (quality says nothing). Planned time without good parts has OEE 0.
    """
    planned, run, ideal, ideal_good = (_floats(elements, name) for name in TIMES[:4])
    good, total = _good_and_total(elements, convention)
    ideal_good = np.where(good == 0, 0.0, ideal_good)
    is_planned, made = planned > 0, total > 0
    availability = _divide(run, planned, is_planned)
    performance = _divide(ideal, run, is_planned & (run > 0))
    # By ideal time, so that the three multiply to OEE with several parts too; by count where there is no ideal time.
    by_count = _divide(good, total, is_planned & made)
    quality = np.where(ideal > 0, _divide(ideal_good, ideal, is_planned & made & (ideal > 0)), by_count)
    oee = _divide(ideal_good, planned, is_planned)
    unknown = _floats(elements, "unknown_us") if "unknown_us" in elements else np.zeros(len(elements))
    reason = np.select(
        [
            ~is_planned & (unknown > 0),
            ~is_planned,
            made & np.isnan(ideal),
            made & (run <= 0),
            ~made,
        ],
        ["no_data", "no_planned_time", "no_ideal_cycle", "no_run_time", "no_parts"],
        default="",
    ).astype(object)
    reason[reason == ""] = None
    return elements.assign(
        availability=availability, performance=performance, quality=quality, oee=oee, null_reason=reason
    )


def capped(performance: float | None, oee: float | None, convention: Convention) -> tuple[float | None, float | None]:
    """Performance and OEE of a row as they are shown: performance at most 1 where the convention says so.

    For display only: a capped figure must never be stored or added up, it would hide a wrong ideal cycle.
    """
    if convention.performance_cap == "none" or performance is None or performance <= 1.0:
        return performance, oee
    return 1.0, None if oee is None else oee / performance


def roll_up(
    frame: pd.DataFrame, by: Sequence[str], convention: Convention = DEFAULT, also: Sequence[str] = ()
) -> pd.DataFrame:
    """Add the elements up per group, then divide.

    Args:
        frame: Rows with elements, e.g. of `oee_hourly`; ratios in it are ignored.
        by: Columns to group by; none gives one row over everything.
        convention: As in `ratios`.
        also: Other columns that may be added up.

    Returns:
        One row per group: the group's columns, the elements that were there, the ratios. One missing ideal time makes
        the group's ideal time missing: adding the others would say that those parts took no time.
    """
    elements = [name for name in (*ELEMENTS, *also) if name in frame.columns]
    if by:
        grouped = frame.groupby(list(by), sort=True, dropna=False)[elements]
        sums = grouped.sum()
        missing = frame[elements].isna().groupby([frame[name] for name in by], sort=True, dropna=False).any()
        total = sums.mask(missing).reset_index()
    else:
        total = frame[elements].sum(skipna=False).to_frame().T
    return ratios(total, convention)


def iso_22400(elements: pd.DataFrame, convention: Convention = DEFAULT) -> pd.DataFrame:
    """Further ratios of ISO 22400-2 (2014, Amd 1:2017) that the elements support.

    Production time APT is run_time_us (with micro-stops), set-up AUST changeover_us, delay ADET failure_us and
    other_stop_us, planned busy time PBT planned_time_us with set-up, whatever the convention makes of set-up.

    Args:
        elements: Rows with elements, as `roll_up` gives them. `ORDERS` are needed for the two ratios of orders.
        convention: As in `ratios`.

    Returns:
        `ISO_RATIOS`, missing where the denominator is 0 or not known: allocation_efficiency AUBT/PBT,
        utilization_efficiency APT/AUBT, technical_efficiency APT/(APT+ADET), setup_ratio AUST/AUPT, nee_index
        (AUPT/PBT) x performance x quality (set-up is no loss), scrap_ratio SQ/PQ, rework_ratio RQ/PQ, first_pass_yield
        GP/IP (every counted part is inspected), throughput_per_h (parts per hour of planned time),
        production_process_ratio APT/AOET and throughput_rate_per_h PQ/AOET over the time orders were in work.
    """
    ratio = ratios(elements, convention)
    production, setup = _floats(elements, "run_time_us"), _floats(elements, "changeover_us")
    delay = _floats(elements, "failure_us") + _floats(elements, "other_stop_us")
    planned = _floats(elements, "planned_time_us")
    planned_busy = planned + (setup if convention.changeover == "excluded" else 0.0)
    busy = production + setup + delay
    _, total = _good_and_total(elements, convention)
    effective = _floats(ratio, "performance") * _floats(ratio, "quality")
    order_run, order_time, order_parts = (_optional(elements, name) for name in ORDERS)
    return pd.DataFrame(
        {
            "allocation_efficiency": _divide(busy, planned_busy, planned_busy > 0),
            "utilization_efficiency": _divide(production, busy, busy > 0),
            "technical_efficiency": _divide(production, production + delay, production + delay > 0),
            "setup_ratio": _divide(setup, production + setup, production + setup > 0),
            "nee_index": _divide(production + setup, planned_busy, planned_busy > 0) * effective,
            "scrap_ratio": _divide(_floats(elements, "reject_count"), total, total > 0),
            "rework_ratio": _divide(_floats(elements, "rework_count"), total, total > 0),
            "first_pass_yield": _divide(_floats(elements, "good_count"), total, total > 0),
            "throughput_per_h": _divide(total * US_PER_HOUR, planned, planned > 0),
            "production_process_ratio": _divide(order_run, order_time, order_time > 0),
            "throughput_rate_per_h": _divide(order_parts * US_PER_HOUR, order_time, order_time > 0),
        },
        index=elements.index,
    )


def _optional(frame: pd.DataFrame, name: str) -> FloatArray:
    return _floats(frame, name) if name in frame else np.full(len(frame), np.nan)


def _floats(frame: pd.DataFrame, name: str) -> FloatArray:
    return frame[name].to_numpy(dtype=np.float64)


def _good_and_total(elements: pd.DataFrame, convention: Convention) -> tuple[FloatArray, FloatArray]:
    good, reject, rework = (_floats(elements, name) for name in COUNTS[:3])
    return (good + rework if convention.rework_is_good else good), good + reject + rework


def _divide(part: Any, whole: Any, where: Any) -> FloatArray:
    ratio: FloatArray = np.full(len(where), np.nan)
    np.divide(part, whole, out=ratio, where=where)
    return ratio
