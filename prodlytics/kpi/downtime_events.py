"""Stops with their reasons.

Belongs here: from states to stops, who said why, which loss a stop is. Does not belong here: what the time means
against the plan (`machine_time`), counting failures for MTBF.

A stop is the longest span in which the machine was neither running nor unknown. It keeps its id through shifts, breaks
and days; its rows are the parts that have one state, one fault and one reason, inside scheduled time.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.entries import in_force, is_person, spoken, without_stop
from prodlytics.plant.model import History, Machine, Plant

COLUMNS = list(DATASETS["downtime_events"].columns)
#: States in which nothing is stopped, or nobody knows.
NOT_STOPPED = ("running", "unknown")
#: Loss of a stop that nobody explained.
LOSS_OF_STATE = {"fault": "failure", "setup": "changeover"}


@dataclass(frozen=True)
class _Stops:
    """Stop states as sorted rows, and the stops they make up."""

    start: spans.IntArray
    end: spans.IntArray
    state: spans.ObjectArray
    fault: spans.ObjectArray
    stop: spans.IntArray
    "Number of the stop each row belongs to."
    stop_start: spans.IntArray
    "Its true start, also where that lies before the first row."
    seen_start: spans.IntArray
    "Start of its first row."
    stop_end: spans.IntArray
    stop_open: spans.BoolArray


def derive_downtime_events(
    plant: Plant,
    machine: Machine,
    states: pd.DataFrame,
    plan: pd.DataFrame,
    entries: pd.DataFrame,
    orders: pd.DataFrame,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """Parts of stops with state, loss bucket and reason.

    Args:
        plant: Reason tree and fault reasons.
        machine: Whose states these are; its micro-stop threshold on the day a stop begins is used.
        states: Rows of `machine_states`, gapless, expanded so that no stop is cut by the window.
        plan: Rows of `plan_calendar` that cover the states.
        entries: Rows of `operator_entries` of the machine, with the undos that concern them; kinds `reason`, `split`
            and `merge` are read. Whose word counts where: `entries.spoken`.
        orders: Rows of `work_orders` of the machine.
        as_of: What was known when this was computed.

    Returns:
        Columns of `downtime_events` without generated ones, in order of time. `time_end` is missing for the part that
        still lasts. Time that is not scheduled, and breaks, make no row and do not end a stop.
    """
    stops = _stops(states)
    reasons = spoken(in_force(entries), stops.seen_start, stops.stop_end)
    plan = plan.sort_values("starts_at", kind="stable")
    plan_start, plan_end = spans.to_us(plan["starts_at"]), spans.to_us(plan["ends_at"])
    plan_kind = spans.texts(plan["plan"])
    low, high = (int(stops.start[0]), int(stops.end[-1])) if len(stops.start) else (0, 0)
    edges = [stops.start, stops.end, plan_start, plan_end, reasons.start, reasons.end, reasons.cuts]
    start, end = spans.cut(low, high, edges)
    row = spans.covering(stops.start, stops.end, start)
    day = spans.covering(plan_start, plan_end, start)
    said = spans.paint(start, end, reasons.start, reasons.end)
    counts = (row >= 0) & np.isin(spans.pick(plan_kind, day), ("planned", "planned_stop"))
    start, end, row, day, said = start[counts], end[counts], row[counts], day[counts], said[counts]

    is_planned = plan_kind[day] == "planned"
    stop = stops.stop[row]
    planned_us = np.zeros(len(stops.stop_start), dtype=np.int64)
    np.add.at(planned_us, stop[is_planned], (end - start)[is_planned])

    # A part that a person cut off stands alone, also where both sides have the same reason.
    part = np.searchsorted(reasons.cuts, start, side="right")
    state, fault = spans.codes(stops.state)[row], spans.codes(stops.fault)[row]
    new = spans.changes(start, end, [stop, state, fault, is_planned.astype(np.int64), said, part])
    end = end[spans.last_of_runs(new)]
    start, row, day, said, stop = (column[new] for column in (start, row, day, said, stop))
    is_planned = is_planned[new]

    dates = spans.texts(plan["production_date"])[day]
    is_micro = planned_us[stop] < _micro_stop_us(machine.micro_stop_s, dates, stop)
    lasts = stops.stop_open[stop] & (end == stops.stop_end[stop])
    frame = pd.DataFrame(
        {
            "time_start": spans.from_us(start),
            "time_end": spans.from_us(np.where(lasts, spans.MISSING, end)),
            "machine_id": np.full(len(start), machine.id, dtype=object),
            "stop_id": _stop_ids(machine.id, stops.stop_start)[stop],
            "stop_started_at": spans.from_us(stops.stop_start[stop]),
            "stop_ended_at": spans.from_us(np.where(stops.stop_open, spans.MISSING, stops.stop_end)[stop]),
            "as_of": spans.from_us(np.full(len(start), spans.instant_us(as_of), dtype=np.int64)),
            "state": stops.state[row],
            "fault_code": stops.fault[row],
            "shift": spans.texts(plan["shift"])[day],
            "production_date": dates,
            "work_order": _orders_at(orders, start),
        }
    )
    said_why = _why(plant, reasons.rows, said, stops.fault[row], is_planned, spans.texts(plan["source"])[day])
    for column, values in said_why.items():
        frame[column] = values
    frame["bucket"] = _buckets(plant, frame, is_planned, is_micro)
    return frame[COLUMNS]


def entries_without_stop(states: pd.DataFrame, entries: pd.DataFrame) -> pd.DataFrame:
    """Entries about stops of a machine that overlap none of its stops, planned or not: late data moved or removed it.

    Args:
        states: Rows of `machine_states` that cover the entries.
        entries: As for `derive_downtime_events`.
    """
    stops = _stops(states)
    return without_stop(in_force(entries), stops.seen_start, stops.stop_end)


def _stops(states: pd.DataFrame) -> _Stops:
    states = states.sort_values("starts_at", kind="stable")
    name = spans.texts(states["state"])
    stopped = ~np.isin(name, NOT_STOPPED)
    states, name = states[stopped], name[stopped]
    start, end = spans.to_us(states["starts_at"]), spans.to_us(states["ends_at"])
    new = spans.changes(start, end, [])
    last = spans.last_of_runs(new)
    # A row that begins at the window's edge knows when its state really began.
    true_start = np.minimum(start, spans.to_us(states["state_started_at"]))
    return _Stops(
        start=start,
        end=end,
        state=name,
        fault=spans.texts(states["fault_code"]),
        stop=(np.cumsum(new) - 1).astype(np.int64),
        stop_start=true_start[new],
        seen_start=start[new],
        stop_end=end[last],
        stop_open=states["is_open"].to_numpy(dtype=bool)[last],
    )


def _micro_stop_us(threshold_s: History[float], dates: spans.ObjectArray, stop: spans.IntArray) -> spans.FloatArray:
    """The threshold in force on the day each stop's first part is in; the same for all its parts."""
    if not len(stop):
        return np.empty(0)
    first = np.flatnonzero(np.append(True, stop[1:] != stop[:-1]))
    code, days = pd.factorize(dates)
    on_day = np.array([np.nan if (s := threshold_s.on(day)) is None else s * 1e6 for day in days])
    parts = np.diff(np.append(first, len(stop)))
    return np.asarray(np.repeat(on_day[code[first]], parts), dtype=np.float64)


def _stop_ids(machine_id: str, starts: spans.IntArray) -> spans.ObjectArray:
    iso = np.datetime_as_string(starts.view("M8[us]"), unit="us")
    # Whole seconds read better, and most controllers know no others.
    names = [f"{machine_id}@{text.removesuffix('.000000')}Z" for text in iso]
    return np.array(names, dtype=object) if names else np.empty(0, dtype=object)


def _orders_at(orders: pd.DataFrame, at: spans.IntArray) -> spans.ObjectArray:
    """The order that was being worked on; of several the one started last."""
    orders = orders[orders["started_at"].notna()].sort_values(["started_at", "work_order"], kind="stable")
    if not len(orders) or not len(at):
        return np.full(len(at), None, dtype=object)
    low, high = spans.to_us(orders["started_at"]), spans.to_us(orders["ended_at"])
    high = np.where(high == spans.MISSING, spans.FOREVER, high)
    start, end = spans.cut(int(low[0]), spans.FOREVER, [low, high])
    winner = spans.paint(start, end, low, high)
    piece = spans.covering(start, end, at)
    return spans.pick(spans.texts(orders["work_order"]), np.where(piece >= 0, winner[piece], -1))


def _why(
    plant: Plant,
    rows: pd.DataFrame,
    said: spans.IntArray,
    fault: spans.ObjectArray,
    is_planned: spans.BoolArray,
    calendar: spans.ObjectArray,
) -> dict[str, spans.ObjectArray]:
    """Reason columns: what was said first, then what the fault code stands for, then the calendar."""
    by_entry = spans.pick(spans.texts(rows["reason_code"]), said)
    by_fault = np.array([None if code is None else plant.fault_reasons.get(code) for code in fault], dtype=object)
    nobody = spans.missing(by_entry)
    code = np.where(nobody, by_fault, by_entry)
    from_calendar = spans.missing(code) & ~is_planned
    names = {code: _names(plant, code) for code in set(code) - {None}}
    source = np.full(len(said), None, dtype=object)
    source[~spans.missing(by_fault)] = "fault_code"
    source = np.where(nobody, source, spans.pick(spans.texts(rows["source"]), said))
    note = spans.pick(spans.texts(rows["note"]), said)
    detail = np.array([names[c][1] if c is not None else None for c in code], dtype=object)
    return {
        "reason_code": code,
        "reason_category": np.array([names[c][0] if c is not None else None for c in code], dtype=object),
        "reason_detail": np.where(from_calendar, calendar, np.where(spans.missing(detail), note, detail)),
        "reason_source": np.where(from_calendar, "calendar", source),
        "reason_entry": spans.pick(spans.texts(rows["source_key"]), said),
        "operator_id": spans.pick(spans.texts(rows["entered_by"]), said),
        "notes": note,
    }


def _names(plant: Plant, code: str) -> tuple[str | None, str | None]:
    """Category code and readable name of a reason; a code the plant does not know has neither."""
    category = plant.reason_category(code)
    if category is None:
        return None, None
    return category.code, next((reason.name for reason in category.reasons if reason.code == code), category.name)


def _buckets(
    plant: Plant, frame: pd.DataFrame, is_planned: spans.BoolArray, is_micro: spans.BoolArray
) -> spans.ObjectArray:
    """The loss of each part: the calendar's word, a person's, the length, the fault's, the state's; in this order."""
    loss = {category.code: category.loss for category in plant.reasons}
    by_reason = np.array([loss.get(category) for category in frame["reason_category"]], dtype=object)
    by_state = np.array([LOSS_OF_STATE.get(state, "other_stop") for state in frame["state"]], dtype=object)
    a_person_said = is_person(frame["reason_source"].to_numpy(dtype=object)) & ~spans.missing(by_reason)
    of_length = np.where(is_micro, "micro_stop", np.where(spans.missing(by_reason), by_state, by_reason))
    return np.where(is_planned, np.where(a_person_said, by_reason, of_length), "planned_stop").astype(object)
