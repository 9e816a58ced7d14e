"""How often equipment fails and how long the repair takes.

Belongs here: which stops are failures, counting each once, MTBF and MTTR with what is not known yet. Does not belong
here: cutting stops (`downtime_events`), which rows are added up (`kpi_rollup`).

A stop is a failure of the equipment where its time is lost as `failure` or `other_stop` and
* the reason's category says `equipment: true` (given by a person or by the fault code), or
* nobody gave a reason that the plant knows and the time is in `failure`, that is, the controller reported a fault.
Without the second rule MTBF would rise with every stop that nobody explains. Starved, blocked, no operator and set-up
are in other buckets and never count; neither do micro-stops, which are run time that is too short to be a repair.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from prodlytics.kpi import spans
from prodlytics.kpi.spans import FloatArray
from prodlytics.plant.model import Plant

US_PER_HOUR = 3.6e9
LOST = ("failure", "other_stop")
#: What may be added up over periods and machines.
ELEMENTS = ("failures", "repair_time_us", "open_failures")
RATIOS = (
    "mtbf_h",
    "mtbf_lower_bound_h",
    "mtbf_iso_h",
    "mttr_h",
    "mttr_iso_h",
    "mttr_is_lower_bound",
    "reliability_null_reason",
)


def failures(plant: Plant, stops: pd.DataFrame) -> pd.DataFrame:
    """One row per equipment failure, where it began.

    Args:
        plant: Which reason categories are about equipment.
        stops: Rows of `downtime_events` with all parts of each stop. Parts are scheduled time: a repair does not grow
            in breaks and over the weekend.

    Returns:
        machine_id, stop_id, started_at, production_date and shift of the first part that is a failure, repair_time_us
        (all its failure parts, whatever day they are in), is_open (the stop lasts and its last part is a failure: the
        repair is at least that long). A stop with two causes of equipment is one failure.
    """
    stops = stops.sort_values(["machine_id", "time_start"], kind="stable")
    broken = stops[_is_failure(plant, stops)]
    end = broken["time_end"].where(broken["time_end"].notna(), broken["as_of"])
    broken = broken.assign(repair_time_us=np.maximum(spans.to_us(end) - spans.to_us(broken["time_start"]), 0))
    last = stops.groupby(["machine_id", "stop_id"], sort=False)["time_start"].transform("max")
    lasting = stops[stops["stop_ended_at"].isna() & (stops["time_start"] == last)]
    still = set(zip(lasting["machine_id"], lasting["time_start"], strict=True))
    own = zip(broken["machine_id"], broken["time_start"], strict=True)
    broken = broken.assign(is_open=np.array([part in still for part in own], dtype=bool))
    grouped = broken.groupby(["machine_id", "stop_id"], sort=False, as_index=False)
    return grouped.agg(
        started_at=("time_start", "first"),
        production_date=("production_date", _first),
        shift=("shift", _first),
        repair_time_us=("repair_time_us", "sum"),
        is_open=("is_open", "any"),
    )


def reliability(elements: pd.DataFrame) -> pd.DataFrame:
    """Times between failures and to repair, with what is only a bound.

    Operating time is run_time_us: what the machine worked between its failures. Classic MTBF = operating time /
    failures, MTTR = repair time / failures; the ISO 22400-2 variants divide by failures + 1.

    Args:
        elements: Rows with run_time_us, failures, repair_time_us, open_failures; the last three are missing where
            failures cannot be told (a part does not fail).

    Returns:
        `RATIOS`, hours. Without a failure MTBF is missing and mtbf_lower_bound_h is the operating time: the true one
        is longer. mttr_is_lower_bound: a repair is still going on. reliability_null_reason: no_failures,
        not_equipment.
    """
    run, failed, repair, lasting = (elements[name].to_numpy(dtype=np.float64) for name in ("run_time_us", *ELEMENTS))
    known = ~np.isnan(failed)
    never = known & (failed == 0)
    reason = np.select([~known, never], ["not_equipment", "no_failures"], default="").astype(object)
    reason[reason == ""] = None
    return pd.DataFrame(
        {
            "mtbf_h": _hours(run, failed, known & ~never),
            "mtbf_lower_bound_h": _hours(run, np.ones(len(run)), never & (run > 0)),
            "mtbf_iso_h": _hours(run, failed + 1, known),
            "mttr_h": _hours(repair, failed, known & ~never),
            "mttr_iso_h": _hours(repair, failed + 1, known),
            "mttr_is_lower_bound": known & (lasting > 0),
            "reliability_null_reason": reason,
        },
        index=elements.index,
    )


def _is_failure(plant: Plant, stops: pd.DataFrame) -> spans.BoolArray:
    equipment = {category.code: category.equipment for category in plant.reasons}
    category = spans.texts(stops["reason_category"])
    said = np.array([equipment.get(code) for code in category], dtype=object)
    unsaid = spans.missing(said)
    bucket = stops["bucket"].to_numpy(dtype=object)
    by_reason = np.isin(bucket, LOST) & np.array([one is True for one in said], dtype=bool)
    return np.asarray(by_reason | (unsaid & (bucket == "failure")), dtype=bool)


def _first(values: pd.Series[Any]) -> Any:
    """Unlike pandas' own, keeps a missing first value: outside any shift is an answer."""
    return values.iloc[0]


def _hours(us: FloatArray, count: FloatArray, where: spans.BoolArray) -> FloatArray:
    hours: FloatArray = np.full(len(us), np.nan)
    np.divide(us, count * US_PER_HOUR, out=hours, where=where)
    return hours
