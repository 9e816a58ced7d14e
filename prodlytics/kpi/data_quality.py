"""How good the data behind the numbers is, in numbers, per machine, production day and shift.

Belongs here: minutes without a reason, how soon people gave reasons, short stops seen, performance beyond belief, time
for which a feed was heard. Does not belong here: single sensors (`sensor_delivery`), what others say of the same
quantities (`reconciliation`), thresholds of the checks (assets).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.entries import ABOUT_STOPS, in_force, is_person
from prodlytics.kpi.oee import roll_up
from prodlytics.plant.model import Machine, Plant
from prodlytics.plant.people import supervisor_of

COLUMNS = list(DATASETS["data_quality"].columns)
GROUP = ["production_date", "shift"]
#: Time that somebody has to explain, where the calendar planned to produce.
NEEDS_REASON = ("failure", "changeover", "other_stop", "planned_stop")


@dataclass(frozen=True)
class Feed:
    """When a machine was heard.

    Attributes:
        silences: `starts_at, ends_at` (missing: still so) of the spans in which nothing at all was heard of it for
            longer than it may be silent, whole, also where they reach over the edge of the window.
        first_heard: Its first sample ever; None for none. Before it nobody heard anything either.
    """

    silences: pd.DataFrame
    first_heard: dt.datetime | None


def derive_data_quality(
    plant: Plant,
    machine: Machine,
    ledger: pd.DataFrame,
    stops: pd.DataFrame,
    entries: pd.DataFrame,
    shifts: pd.DataFrame,
    feed: Feed | None,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """One row per production date and shift of the ledger.

    Args:
        plant: Thresholds, reasons that mean "other", supervisors, convention.
        machine: Whose data it is.
        ledger: All rows of `machine_time` of some production dates.
        stops: Rows of `downtime_events`: all parts of every stop of which a part is on one of these dates.
        entries: Rows of `operator_entries` of the time of these stops, undos included.
        shifts: Rows of `oee_shift` of these dates.
        feed: When the machine was heard; None where nobody can say: it has no feed, or its source reports its own loss.
        as_of: What was known. A stop that began so shortly before that its reason may yet come in time is not judged.

    Returns:
        Columns of `data_quality`. A figure that cannot be given is missing, and `null_reason` says why.
    """
    rows = ledger.sort_values("starts_at", kind="stable").reset_index(drop=True)
    rows["shift"] = rows["shift"].where(rows["shift"].notna(), "")
    group: spans.IntArray = rows.groupby(GROUP, sort=True).ngroup().to_numpy().astype(np.int64)
    keys = rows.drop_duplicates(GROUP).sort_values(GROUP)[GROUP].reset_index(drop=True)
    size = len(keys)
    start, end = spans.to_us(rows["starts_at"]), spans.to_us(rows["ends_at"])
    times = _times(plant, rows, start, end, group, size)
    frame = keys.assign(
        machine_id=np.full(size, machine.id, dtype=object),
        starts_at=spans.from_us(_least(start, group, size)),
        ends_at=spans.from_us(-_least(-end, group, size)),
        supervisor=np.array(
            [supervisor_of(plant.supervisors, shift, machine.line, date) for date, shift in keys.to_numpy()],
            dtype=object,
        ),
        **times,
        uncoded_share=_share(times["uncoded_time_us"], times["stop_time_us"]),
        other_share=_share(times["other_time_us"], times["stop_time_us"]),
        state_coverage=_share(times["known_time_us"], times["plan_time_us"]),
        as_of=spans.from_us(np.full(size, spans.instant_us(as_of), dtype=np.int64)),
    )
    for column, values in _heard(feed, rows, start, end, group, frame).items():
        frame[column] = values
    frame["heard_time_us"] = frame["heard_time_us"].astype("Int64")  # whole, and may be missing
    frame = frame.merge(_compliance(plant, stops, entries, as_of), how="left", on=GROUP)
    counts = ["stop_count", "coded_count", "coded_in_time_count"]
    frame[counts] = frame[counts].fillna(0).astype(np.int64)  # no stop is a count of none
    frame["compliance"] = _share(frame["coded_in_time_count"].to_numpy(), frame["stop_count"].to_numpy())
    frame = frame.merge(_performance(plant, shifts), how="left", on=GROUP)
    frame["short_stop_count"] = _short_stops(rows, group, size)
    frame["null_reason"] = _null_reasons(plant, machine, feed, frame)
    return frame[COLUMNS]


def stop_delays(plant: Plant, stops: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """Stops that need a reason from a person, and how long they waited for it.

    A stop needs one where it took more than `reason_needed_s` of time that was planned and is no short stop. Its delay
    runs from the first such instant to the first entry with a reason that a person made about it; a reason that was
    later taken back and replaced was still given then. A reason given beforehand has no delay.

    Args:
        plant: Thresholds.
        stops: Rows of `downtime_events`, all parts of each stop.
        entries: Rows of `operator_entries` of their time, undos included.

    Returns:
        One row per stop: stop_id, production_date and shift of its first such part, starts_at, delay_us (missing where
        no person gave a reason that holds).
    """
    parts = stops[(stops["bucket"] != "micro_stop") & (stops["reason_source"] != "calendar")]
    parts = parts.sort_values("time_start", kind="stable")
    begin = spans.to_us(parts["time_start"])
    end = spans.to_us(parts["time_end"].where(parts["time_end"].notna(), parts["as_of"]))
    long = pd.Series(end - begin, index=parts.index).groupby(parts["stop_id"]).transform("sum")
    first = parts[long > plant.thresholds.reason_needed_s * 1e6].drop_duplicates("stop_id")
    said = entries[entries["kind"].isin(ABOUT_STOPS) & entries["reason_code"].notna()]
    said = said[is_person(said["source"].to_numpy(dtype=object))]
    holds = said["source_key"].isin(in_force(entries)["source_key"]).to_numpy(dtype=bool)
    said_start, said_end = spans.to_us(said["starts_at"]), spans.to_us(said["ends_at"])
    said_end = np.where(said_end == spans.MISSING, said_start + 1, said_end)
    entered = spans.to_us(said["entered_at"])
    opens, closes = spans.to_us(first["stop_started_at"]), spans.to_us(first["stop_ended_at"])
    closes = np.where(closes == spans.MISSING, spans.FOREVER, closes)
    needed_from = spans.to_us(first["time_start"])
    delay = np.full(len(first), np.nan)
    for number in range(len(first)):
        about = (said_start < closes[number]) & (said_end > opens[number])
        if (about & holds).any():
            delay[number] = max(0, int(entered[about].min()) - int(needed_from[number]))
    shift = first["shift"].where(first["shift"].notna(), "")
    return pd.DataFrame(
        {
            "stop_id": first["stop_id"].to_numpy(dtype=object),
            "production_date": first["production_date"].to_numpy(dtype=object),
            "shift": shift.to_numpy(dtype=object),
            "starts_at": first["time_start"].reset_index(drop=True),
            "delay_us": delay,
        }
    )


def _compliance(plant: Plant, stops: pd.DataFrame, entries: pd.DataFrame, as_of: dt.datetime) -> pd.DataFrame:
    within_us = plant.thresholds.reason_within_s * 1e6
    waits = stop_delays(plant, stops, entries)
    may_yet = waits["delay_us"].isna() & (spans.to_us(waits["starts_at"]) + within_us > spans.instant_us(as_of))
    waits = waits[~may_yet]
    grouped = waits["delay_us"].groupby([waits[name] for name in GROUP])
    return pd.DataFrame(
        {
            "stop_count": grouped.size(),
            "coded_count": grouped.count(),
            "coded_in_time_count": (waits["delay_us"] <= within_us).groupby([waits[name] for name in GROUP]).sum(),
            "delay_median_s": grouped.median() / 1e6,
            "delay_p90_s": grouped.quantile(0.9) / 1e6,
        }
    ).reset_index()


def _times(
    plant: Plant, rows: pd.DataFrame, start: spans.IntArray, end: spans.IntArray, group: spans.IntArray, size: int
) -> dict[str, spans.IntArray]:
    is_plan = (rows["plan"] == "planned").to_numpy(dtype=bool)
    bucket = rows["bucket"].to_numpy(dtype=object)
    needs = is_plan & np.isin(bucket, NEEDS_REASON)
    code = rows["reason_code"].to_numpy(dtype=object)

    def total(chosen: spans.BoolArray) -> spans.IntArray:
        return _add(end - start, chosen, group, size)

    return {
        "stop_time_us": total(needs),
        "uncoded_time_us": total(needs & spans.missing(code)),
        "other_time_us": total(needs & np.isin(code.astype(str), sorted(plant.other_reasons))),
        "running_us": total(bucket == "running"),
        "plan_time_us": total(is_plan),
        "known_time_us": total(is_plan & (rows["state"] != "unknown").to_numpy(dtype=bool)),
    }


def _short_stops(rows: pd.DataFrame, group: spans.IntArray, size: int) -> spans.IntArray:
    """Short stops, each where it begins."""
    first = (rows["bucket"] == "micro_stop").to_numpy(dtype=bool)
    first[first] = ~rows["stop_id"][first].duplicated().to_numpy(dtype=bool)
    return np.bincount(group[first], minlength=size).astype(np.int64)


def _heard(
    feed: Feed | None,
    rows: pd.DataFrame,
    start: spans.IntArray,
    end: spans.IntArray,
    group: spans.IntArray,
    frame: pd.DataFrame,
) -> dict[str, spans.FloatArray]:
    size = len(frame)
    if feed is None:
        nobody_knows = np.full(size, np.nan)
        return {"heard_time_us": nobody_knows, "feed_coverage": nobody_knows, "longest_silence_s": nobody_knows}
    low, high = _silent(feed)
    is_plan = (rows["plan"] == "planned").to_numpy(dtype=bool)
    silent = _add(_overlap(start, end, low, high), is_plan, group, size)
    plan_time = frame["plan_time_us"].to_numpy(dtype=np.int64)
    opens, closes = spans.to_us(frame["starts_at"]), spans.to_us(frame["ends_at"])
    longest = np.zeros(size)
    for number in range(size):
        inside = np.minimum(high, closes[number]) - np.maximum(low, opens[number])
        longest[number] = max(0, int(inside.max(initial=0))) / 1e6
    return {
        "heard_time_us": (plan_time - silent).astype(np.float64),
        "feed_coverage": _share(plan_time - silent, plan_time),
        "longest_silence_s": longest,
    }


def _silent(feed: Feed) -> tuple[spans.IntArray, spans.IntArray]:
    """Spans without a sample, in order and without overlap, that before the first sample included."""
    begins, ends = spans.to_us(feed.silences["starts_at"]), spans.to_us(feed.silences["ends_at"])
    ends = np.where(ends == spans.MISSING, spans.FOREVER, ends)
    order = np.argsort(begins, kind="stable")
    heard = spans.FOREVER if feed.first_heard is None else spans.instant_us(feed.first_heard)
    return (
        np.append(np.int64(spans.MISSING // 2), begins[order]).astype(np.int64),
        np.append(np.int64(heard), ends[order]).astype(np.int64),
    )


def _overlap(start: spans.IntArray, end: spans.IntArray, low: spans.IntArray, high: spans.IntArray) -> spans.IntArray:
    """How much of each [start, end) lies in the spans [low, high), which are in order and do not overlap."""
    total = np.zeros(len(start), dtype=np.int64)
    first, last = np.searchsorted(high, start, side="right"), np.searchsorted(low, end, side="left")
    for row in np.flatnonzero(last > first).tolist():
        touched = slice(first[row], last[row])
        total[row] = (np.minimum(high[touched], end[row]) - np.maximum(low[touched], start[row])).sum()
    return total


def _performance(plant: Plant, shifts: pd.DataFrame) -> pd.DataFrame:
    """Raw performance per shift, and whether it is beyond belief; missing where there is none."""
    rolled = roll_up(shifts, GROUP, plant.convention)
    suspect = np.full(len(rolled), None, dtype=object)
    known = rolled["performance"].notna().to_numpy(dtype=bool)
    suspect[known] = (rolled["performance"][known] > plant.thresholds.performance_suspect).to_numpy(dtype=bool)
    return rolled[GROUP].assign(
        performance=rolled["performance"].to_numpy(dtype=np.float64),
        ideal_cycle_suspect=suspect,
        why_no_performance=rolled["null_reason"],
    )


def _null_reasons(plant: Plant, machine: Machine, feed: Feed | None, frame: pd.DataFrame) -> spans.ObjectArray:
    """Why figures of a row are missing: `figure: reason`, with semicolons between."""
    no_feed = "no_feed" if machine.state.source == "operator" else "no_silence_limit"
    why = np.full(len(frame), None, dtype=object)
    for number, row in enumerate(frame.to_dict("records")):
        said = []
        if row["stop_time_us"] == 0:
            said.append("uncoded_share: no_stops")
        if row["stop_count"] == 0:
            said.append("compliance: no_stops")
        elif row["coded_count"] == 0:
            said.append("delay: nobody_gave_a_reason")
        if pd.isna(row["performance"]):
            missing = row["why_no_performance"]
            said.append(f"performance: {'no_run_time' if pd.isna(missing) else missing}")
        if feed is None:
            said.append(f"feed_coverage: {no_feed}")
        if row["plan_time_us"] == 0:
            said.append("state_coverage: no_planned_time")
        why[number] = "; ".join(said) or None
    return why


def _add(values: spans.IntArray, chosen: spans.BoolArray, group: spans.IntArray, size: int) -> spans.IntArray:
    total = np.zeros(size, dtype=np.int64)
    np.add.at(total, group[chosen], values[chosen])
    return total


def _least(values: spans.IntArray, group: spans.IntArray, size: int) -> spans.IntArray:
    least = np.full(size, spans.FOREVER, dtype=np.int64)
    np.minimum.at(least, group, values)
    return least


def _share(part: spans.IntArray, whole: spans.IntArray) -> spans.FloatArray:
    share: spans.FloatArray = np.full(len(whole), np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share
