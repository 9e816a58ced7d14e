"""A day small enough to work out by hand, to be changed by each test.

Press `M1`, five hours planned, ideal cycle one minute, one USD a minute, 150 good parts and 10 rejects:

    06:00 running 08:00 failure (bearing) 08:40 changeover 09:00 running 10:00 stopped, nobody said why
    10:30 failure (bearing) 10:40 running 11:00

Press `M2` has no rate and was silent. Running 200 min of 300: A = 2/3. Ideal 160 min: P = 0.8. Q = 150/160. OEE = 1/2.
Lost 150 min: unplanned stops 80, changeover 20, reduced speed 200 - 160 = 40, rejects 10.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.plant.model import Plant
from prodlytics.report.data import DailyData, Lever
from prodlytics_tests.plant.small_plant import small_plant

DATE = dt.date(2026, 11, 20)
#: 06:00 in Chicago.
START = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
NIGHT_AFTER = START + dt.timedelta(hours=24)
RESTATEMENT = [
    "dataset", "level", "machine_id", "period", "time_bucket", "shift", "production_date", "column_name", "old_value",
    "new_value", "old_revision", "new_revision", "cause", "restated_at",
]  # fmt: skip
MINUTE_US = 60_000_000
TIMES = ("time", "starts_at", "ends_at", "time_start", "time_end", "time_bucket", "as_of", "stop_started_at",
         "stop_ended_at", "restated_at", "since")  # fmt: skip


def plant(**changes: Any) -> Plant:
    common = {"line": "L1", "state": {"map": {"1": "running"}}}
    machines = [
        {"id": "M1", "name": "Press one", "machine_rate_per_h": 60, "ideal_cycle_time_ms": 60_000, **common},
        {"id": "M2", "name": "Press two", **common},
    ]
    return small_plant(machines=machines, scrap_categories=[{"code": "SURF", "name": "Surface"}], **changes)


def frame(columns: list[str] | tuple[str, ...], rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows in the dtypes in which tables are read: aware microseconds, missing text None."""
    table = pd.DataFrame(rows, columns=list(columns))
    for name in columns:
        if name in TIMES:
            table[name] = pd.to_datetime(table[name], utc=True).astype("datetime64[us, UTC]")
    return table


def at(wall: str) -> dt.datetime:
    """Wall time in the plant on the day."""
    hour, minute = map(int, wall.split(":"))
    return START + dt.timedelta(hours=hour - 6, minutes=minute)


def span(
    machine: str, start: str, end: str, bucket: str, reason: str | None = None, stop: str | None = None
) -> dict[str, Any]:
    return {
        "machine_id": machine, "starts_at": at(start), "ends_at": at(end), "bucket": bucket, "plan": "planned",
        "state": "running", "reason_code": reason, "stop_id": stop, "shift": None, "production_date": DATE,
        "time_bucket": at(f"{start[:2]}:00"), "as_of": NIGHT_AFTER,
    }  # fmt: skip


LEDGER = [
    span("M1", "06:00", "08:00", "running"),
    span("M1", "08:00", "08:40", "failure", "MECH_A", "s1"),
    span("M1", "08:40", "09:00", "changeover", None, "s2"),
    span("M1", "09:00", "10:00", "running"),
    span("M1", "10:00", "10:30", "other_stop", None, "s3"),
    span("M1", "10:30", "10:40", "failure", "MECH_A", "s4"),
    span("M1", "10:40", "11:00", "running"),
    span("M2", "06:00", "11:00", "unknown"),
]


def elements(
    machine: str, date: dt.date = DATE, good: float = 0, reject: float = 0, **minutes: float
) -> dict[str, Any]:
    """One row of oee_hourly that stands for the whole day; ideal cycle one minute."""
    buckets = ("running", "failure", "changeover", "planned_stop", "other_stop", "micro_stop", "break", "not_scheduled",
               "unknown")  # fmt: skip
    planned = sum(minutes.get(name, 0) for name in ("running", "failure", "changeover", "other_stop", "micro_stop"))
    return {
        "time_bucket": START - (DATE - date), "machine_id": machine, "production_date": date, "good_count": good,
        "reject_count": reject, "rework_count": 0.0, "gap_good_count": 0.0, "gap_reject_count": 0.0,
        "planned_time_us": planned * MINUTE_US,
        "run_time_us": (minutes.get("running", 0) + minutes.get("micro_stop", 0)) * MINUTE_US,
        "ideal_time_us": (good + reject) * MINUTE_US, "ideal_good_time_us": good * MINUTE_US,
        **{f"{name}_us": minutes.get(name, 0) * MINUTE_US for name in buckets},
        "convention": "", "as_of": NIGHT_AFTER - (DATE - date), "fingerprint": "",
    }  # fmt: skip


M1 = elements("M1", good=150, reject=10, running=200, failure=50, changeover=20, other_stop=30)
M2 = elements("M2", unknown=300)


def before(days: int, good: float) -> dict[str, Any]:
    """M1 on an earlier day: 100 minutes planned and run, so that the OEE is good / 100."""
    return elements("M1", DATE - dt.timedelta(days=days), good=good, running=100)


def stop(stop_id: str, start: str, end: str, reason: str | None, **more: Any) -> dict[str, Any]:
    return {
        "time_start": at(start), "time_end": at(end), "machine_id": "M1", "stop_id": stop_id,
        "stop_started_at": at(start), "stop_ended_at": at(end), "as_of": NIGHT_AFTER, "state": "fault",
        "bucket": "failure", "reason_code": reason, "production_date": DATE, **more,
    }  # fmt: skip


STOPS = [
    stop("s1", "08:00", "08:40", "MECH_A", fault_code="E-17", notes="greased <b>twice</b> & still hot"),
    stop("s2", "08:40", "09:00", None, bucket="changeover"),
    stop("s3", "10:00", "10:30", None, bucket="other_stop"),
    stop("s4", "10:30", "10:40", "MECH_A"),
]


def scrap(quantity: float, category: str | None, reason: str | None, cost: float | None) -> dict[str, Any]:
    return {
        "time": at("06:10"), "machine_id": "M1", "event_key": f"{category}{reason}", "quantity": quantity,
        "scrap_category": category, "scrap_reason": reason, "material_cost": cost, "currency": "USD",
        "production_date": DATE, "as_of": NIGHT_AFTER,
    }  # fmt: skip


SCRAP = [scrap(5, "SURF", "scratch", 12.0), scrap(1, "SURF", "scratch", 3.0), scrap(4, None, None, None)]


LOSS_OF_BUCKET = {
    "failure": "unplanned_stop", "other_stop": "unplanned_stop", "changeover": "changeover", "micro_stop": "micro_stop",
}  # fmt: skip


def lost(
    where: Plant, ledger: list[dict[str, Any]], oee: list[dict[str, Any]], scrapped: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of losses of these tables, one by one: time at the machine's rate, rejects at what their scrap cost."""
    rates = {m.id: float(rate.on(DATE) or 0) if (rate := m.machine_rate_per_h) else None for m in where.machines}

    def row(machine: str, loss: str, reason: str | None, us: float, cost: float | None) -> dict[str, Any]:
        return {
            "machine_id": machine, "production_date": DATE, "shift": "", "part_number": "", "loss": loss,
            "reason_code": reason or "", "loss_us": us, "cost": cost, "currency": "USD",
        }  # fmt: skip

    def timed(machine: str, loss: str, reason: str | None, us: float) -> dict[str, Any]:
        rate = rates[machine]
        return row(machine, loss, reason, us, None if rate is None else us / 3.6e9 * rate)

    rows = [
        timed(cell["machine_id"], LOSS_OF_BUCKET[cell["bucket"]], cell["reason_code"],
              (cell["ends_at"] - cell["starts_at"]) / dt.timedelta(microseconds=1))
        for cell in ledger
        if cell["bucket"] in LOSS_OF_BUCKET
    ]  # fmt: skip
    for day in oee:
        rows.append(timed(day["machine_id"], "reduced_speed", None, day["running_us"] - day["ideal_time_us"]))
        bad = day["ideal_time_us"] - day["ideal_good_time_us"]
        rows.append(row(day["machine_id"], "defects", None, bad, None))
    rows += [row(s["machine_id"], "defects", s["scrap_reason"], 0.0, s["material_cost"]) for s in scrapped]
    return rows


def known_day(**changes: list[dict[str, Any]] | Plant | dt.date | Lever) -> DailyData:
    """The day, with some of its tables replaced; restatements are of a machine's hour unless they say otherwise."""
    if isinstance(said := changes.get("restatements"), list):
        changes["restatements"] = [{"level": "machine", "period": "hour", **row} for row in said]
    tables: dict[str, tuple[Any, list[dict[str, Any]]]] = {
        "oee": (DATASETS["oee_hourly"].columns, [M1, M2]),
        "previous_oee": (DATASETS["oee_hourly"].columns, [before(1, 60), before(2, 80)]),
        "ledger": (DATASETS["machine_time"].columns, LEDGER),
        "stops": (DATASETS["downtime_events"].columns, STOPS),
        "scrap": (DATASETS["scrap_events"].columns, SCRAP),
        "restatements": (RESTATEMENT, []),
        "quarantine": (["dataset", "reason", "rows"], []),
        "quality": (DATASETS["data_quality"].columns, []),
        "delivery": (DATASETS["sensor_delivery"].columns, []),
    }
    given = {name: changes.get(name, rows) for name, (_, rows) in tables.items()}
    where = changes.get("plant", plant())
    said = lost(where, given["ledger"], given["oee"], given["scrap"])  # type: ignore[arg-type]
    tables["losses"] = (DATASETS["losses"].columns, said)
    frames = {name: frame(columns, changes.pop(name, rows)) for name, (columns, rows) in tables.items()}  # type: ignore[arg-type]
    return DailyData(**{"plant": plant(), "production_date": DATE, "lever": None, **frames, **changes})  # type: ignore[arg-type]
