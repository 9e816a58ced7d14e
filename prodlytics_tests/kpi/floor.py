"""A shop floor to write down by hand: one machine, minutes from six in the morning of a Monday in Chicago."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import pandas as pd

from prodlytics.kpi.downtime_events import derive_downtime_events
from prodlytics.kpi.machine_time import derive_machine_time
from prodlytics.kpi.oee_hourly import derive_oee_hourly
from prodlytics.plant.model import Plant

#: 06:00 in Chicago, the boundary of the production day.
SIX = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
DAY = dt.date(2026, 3, 2)
NOW = dt.datetime(2026, 3, 4, 12, 0, tzinfo=dt.UTC)

SETTINGS: dict[str, Any] = {
    "plant": "floor",
    "name": "Floor",
    "site": "Here",
    "timezone": "America/Chicago",
    "day_boundary": "06:00",
    "first_day": "2026-01-01",
    "currency": "USD",
    "machines": [
        {
            "id": "M1",
            "name": "One",
            "line": "L1",
            "state": {"map": {"1": "running"}},
            "counters": [{"metric": "Good", "counts": "good"}, {"metric": "Reject", "counts": "reject"}],
            "ideal_cycle_time_ms": 60000,
            "machine_rate_per_h": 60,
            "labor_rate_per_h": 30,
        },
    ],
    "parts": [
        {"number": "P30", "name": "Thirty", "ideal_cycle_time_ms": {"M1": 30000}},
        {"number": "P50", "name": "Fifty", "ideal_cycle_time_ms": {"M1": 50000}},
    ],
    "shift_plans": [
        {
            "shifts": [
                {"name": "Shift 1", "start": "06:00", "end": "14:30"},
                {"name": "Shift 2", "start": "14:30", "end": "23:00"},
                {"name": "Shift 3", "start": "23:00", "end": "06:00"},
            ]
        }
    ],
    "reasons": [
        {
            "code": "MECH",
            "name": "Mechanical",
            "loss": "failure",
            "equipment": True,
            "reasons": [{"code": "MECH_A", "name": "Bearing"}],
        },
        {
            "code": "SETUP",
            "name": "Changeover",
            "loss": "changeover",
            "reasons": [{"code": "SETUP_A", "name": "Die change"}],
        },
        {
            "code": "PM",
            "name": "Planned",
            "loss": "planned_stop",
            "reasons": [{"code": "PM_A", "name": "Lubrication"}],
        },
        {
            "code": "MATL",
            "name": "Material",
            "loss": "other_stop",
            "reasons": [{"code": "MATL_A", "name": "No material"}],
        },
    ],
    "fault_reasons": {"E1": "MECH_A"},
}


def plant(machine: dict[str, Any] | None = None, **changes: Any) -> Plant:
    """The plant with settings of the machine or of the plant replaced."""
    settings = deepcopy(SETTINGS) | changes
    settings["machines"][0] |= machine or {}
    return Plant.model_validate(settings)


def at(minutes: float) -> dt.datetime:
    """That many minutes after six."""
    return SIX + dt.timedelta(minutes=minutes)


def _text(values: list[Any]) -> pd.Series[Any]:
    return pd.Series(values, dtype=object)


def _times(values: list[Any]) -> pd.Series[Any]:
    return pd.Series(pd.to_datetime(pd.Series(values, dtype=object), utc=True)).astype("datetime64[us, UTC]")


def states(*rows: tuple[Any, ...], start: float = 0, is_open: bool = False) -> pd.DataFrame:
    """Rows of machine_states one after the other: (minutes long, state) or (minutes long, state, fault code)."""
    begin, spans = at(start), []
    for length, name, *fault in rows:
        end = begin + dt.timedelta(minutes=length)
        spans.append((begin, end, name, fault[0] if fault else None))
        begin = end
    return state_spans(spans, is_open=is_open)


def state_spans(spans: Sequence[tuple[Any, ...]], *, is_open: bool = False) -> pd.DataFrame:
    """Rows of machine_states from (start, end, state, fault code)."""
    frame = pd.DataFrame(
        {
            "machine_id": _text(["M1"] * len(spans)),
            "starts_at": _times([s[0] for s in spans]),
            "ends_at": _times([s[1] for s in spans]),
            "state": _text([s[2] for s in spans]),
            "native_state": _text([None] * len(spans)),
            "fault_code": _text([s[3] for s in spans]),
            "state_started_at": _times([s[0] for s in spans]),
            "is_open": pd.Series([False] * len(spans), dtype=bool),
            "as_of": _times([NOW] * len(spans)),
        }
    )
    if is_open:
        frame.loc[len(frame) - 1, "is_open"] = True
    return frame


def calendar(*rows: tuple[Any, ...], start: float = 0) -> pd.DataFrame:
    """Rows of plan_calendar one after the other: (minutes long, plan) or (minutes long, plan, shift, date)."""
    begin, spans = at(start), []
    for length, plan, *more in rows:
        end = begin + dt.timedelta(minutes=length)
        shift, date = more if more else (None if plan == "not_scheduled" else "Shift 1", DAY)
        spans.append((begin, end, plan, shift, date))
        begin = end
    return pd.DataFrame(
        {
            "machine_id": _text(["M1"] * len(spans)),
            "starts_at": _times([s[0] for s in spans]),
            "ends_at": _times([s[1] for s in spans]),
            "plan": _text([s[2] for s in spans]),
            "shift": _text([s[3] for s in spans]),
            "production_date": _text([s[4] for s in spans]),
            "source": _text([f"{s[2]} as written" for s in spans]),
        }
    )


ENTRY = {
    "source_key": None,
    "machine_id": "M1",
    "kind": "reason",
    "starts_at": None,
    "ends_at": None,
    "reason_code": None,
    "quantity": None,
    "part_number": None,
    "work_order": None,
    "scrap_category": None,
    "scrap_reason": None,
    "note": None,
    "undoes": None,
    "entered_by": "B42",
    "entered_at": NOW,
    "source": "operator",
}


def entry(start: float, end: float | None, **values: Any) -> dict[str, Any]:
    """One row of operator_entries, times in minutes."""
    return ENTRY | {"starts_at": at(start), "ends_at": None if end is None else at(end)} | values


def entries(*rows: dict[str, Any]) -> pd.DataFrame:
    """Rows of operator_entries."""
    numbered = [{**row, "source_key": row["source_key"] or f"e{n}"} for n, row in enumerate(rows)]
    frame = {}
    for name in ENTRY:
        values = [row[name] for row in numbered]
        if name in ("starts_at", "ends_at", "entered_at"):
            frame[name] = _times(values)
        elif name == "quantity":
            frame[name] = pd.Series(values, dtype="float64")
        else:
            frame[name] = _text(values)
    return pd.DataFrame(frame)


def orders(*rows: tuple[str, float, float | None]) -> pd.DataFrame:
    """Rows of work_orders: (order, start, end) in minutes."""
    return pd.DataFrame(
        {
            "work_order": _text([r[0] for r in rows]),
            "part_number": _text([None] * len(rows)),
            "started_at": _times([at(r[1]) for r in rows]),
            "ended_at": _times([None if r[2] is None else at(r[2]) for r in rows]),
        }
    )


def events(*rows: tuple[Any, ...]) -> pd.DataFrame:
    """Rows of production_events: (minutes, good, reject, rework, part number, flag), the last ones may be left out."""
    full = [(*row, *(0, 0, 0, None, None)[len(row) - 1 :]) for row in rows]
    kinds = ["cycle_complete" if r[1] else "reject" if r[2] else "rework" for r in full]
    return pd.DataFrame(
        {
            "time": _times([at(r[0]) for r in full]),
            "machine_id": _text(["M1"] * len(full)),
            "event_type": _text(kinds),
            "event_key": _text([{"cycle_complete": "Good", "reject": "Reject", "rework": "Rework"}[k] for k in kinds]),
            "part_number": _text([r[4] for r in full]),
            "work_order": _text([None] * len(full)),
            "good_count": pd.Series([r[1] for r in full], dtype="float64"),
            "reject_count": pd.Series([r[2] for r in full], dtype="float64"),
            "rework_count": pd.Series([r[3] for r in full], dtype="float64"),
            "reject_reason": _text([None] * len(full)),
            "operator_id": _text([None] * len(full)),
            "since": _times([None] * len(full)),
            "flag": _text([r[5] for r in full]),
        }
    )


def costs(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """Rows of part_costs: (part number, since, material cost)."""
    return pd.DataFrame(
        {
            "part_number": _text([r[0] for r in rows]),
            "since": _text([dt.date.fromisoformat(r[1]) for r in rows]),
            "material_cost_per_unit": pd.Series([r[2] for r in rows], dtype="float64"),
            "currency": _text(["USD"] * len(rows)),
        }
    )


def stops_of(
    where: Plant, said: pd.DataFrame, plan: pd.DataFrame, reasons: pd.DataFrame | None = None, **more: Any
) -> pd.DataFrame:
    """downtime_events of the machine."""
    return derive_downtime_events(
        where,
        where.machines[0],
        said,
        plan,
        entries() if reasons is None else reasons,
        more.get("orders", orders()),
        more.get("as_of", NOW),
    )


def ledger_of(
    where: Plant,
    said: pd.DataFrame,
    plan: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
    reasons: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """machine_time of the machine, through its stops."""
    stops = stops_of(where, said, plan, reasons)
    return derive_machine_time(where, where.machines[0], plan, said, stops, start, end)


def hours_of(
    where: Plant,
    said: pd.DataFrame,
    plan: pd.DataFrame,
    made: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
    reasons: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """oee_hourly of the machine, through stops and ledger."""
    ledger = ledger_of(where, said, plan, start, end, reasons)
    return derive_oee_hourly(where, where.machines[0], ledger, made, start, end, NOW)
