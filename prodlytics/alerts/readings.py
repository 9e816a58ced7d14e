"""What the rules say now, from the live views and tables of the product's database.

Belongs here: one function per source of readings, each of a few queries. Does not belong here: what becomes of a
reading (`life.py`), what Dagster knows (`prodlytics.automation.alerting`), what the server says
(`prodlytics.ops.watchdog`).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prodlytics.alerts.life import Reading
from prodlytics.db.queries import sql

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.calendar import Piece
    from prodlytics.plant.model import Plant

#: States in which a machine that should produce does not; a setup is work.
DOWN = ("fault", "idle", "starved", "blocked", "off")
#: What the 30-second look covers, and what is looked at once a minute.
LIVE = (
    "machine_down", "scrap_rate", "oee", "availability", "performance", "quality", "vibration", "feed_silent",
    "delivery",
)  # fmt: skip
SLOW = ("anomaly", "forecast", "sensor_gap", "source", "quarantine", "archive")
#: A sensor counts as steady from this share of its intervals on, as in kpi/sensor_delivery.
REGULAR = 0.8
#: Planned minutes of a stop are counted so far back.
LOOK_BACK = dt.timedelta(days=3)
_MICROSECOND = dt.timedelta(microseconds=1)
_RATIOS = ("oee", "availability", "performance", "quality")
_NOT_PLANNED = {
    "break": "The machine has a break.",
    "planned_stop": "The machine has a planned stop.",
    "not_scheduled": "The machine is not scheduled.",
}


def live(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> list[Reading]:
    """What machines and feeds do now."""
    rows = _machines(conn, plant, now)
    found: list[Reading] = []
    down = _down_minutes(conn, plant, rows, now)
    for row in rows:
        found += [
            _down(plant, row, down.get(row["machine_id"])),
            _scrap(plant, row),
            *(_ratio(plant, row, name) for name in _RATIOS),
            *_silent(plant, row, now),
        ]
    return found + _vibrations(conn, plant, now)


def slow(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> list[Reading]:
    """What changes by the minute at most: sources, sensors, quarantine, archive, anomalies."""
    return [
        *_anomalies(conn, plant, now),
        *_forecasts(conn, plant, now),
        *_sensors(conn, plant, now),
        *_sources(conn, plant, now),
        *_quarantine(conn, now),
        *_archive(conn, plant, now),
    ]


def clock(plant: Plant, at: dt.datetime) -> str:
    """An instant as people of the plant read it."""
    return f"{at.astimezone(plant.zone):%Y-%m-%d %H:%M}"


def _machines(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> list[dict[str, Any]]:
    maintenance = [
        reason.code for category in plant.reasons if category.loss == "planned_stop" for reason in category.reasons
    ]
    known = {machine.id for machine in plant.machines}
    rows = _rows(conn, "select_alert_machines", {"now": now, "maintenance": maintenance})
    return [
        {**row, "plan": _plan(plant, row["machine_id"], now, now + _MICROSECOND)[0].plan}
        for row in rows
        if row["machine_id"] in known
    ]


def _plan(plant: Plant, machine_id: str, start: dt.datetime, end: dt.datetime) -> list[Piece]:
    """The plan as the plant file says it: that of a day that has just begun is not in the table yet."""
    from prodlytics.plant.calendar import plan_pieces

    return plan_pieces(plant, plant.machine(machine_id), start, end)


def _about(row: Mapping[str, Any]) -> dict[str, Any]:
    """What every reading of a machine that should work says of it."""
    maintained = row["maintained"]
    return {
        "machine_id": row["machine_id"],
        "line": row["line"],
        "not_now": _NOT_PLANNED.get(row["plan"]),
        "explained": None if maintained is None else f"Somebody says it is {maintained}.",
    }


def _down_minutes(
    conn: psycopg.Connection[Any], plant: Plant, rows: list[dict[str, Any]], now: dt.datetime
) -> dict[str, tuple[dt.datetime, float]]:
    """Since when each machine that is down has been so, and its planned minutes since then."""
    down = [row for row in rows if row["state"] in DOWN and row["state_since"] is not None]
    if not down:
        return {}
    asked = {
        "machines": [row["machine_id"] for row in down], "state_since": [row["state_since"] for row in down],
        "down": list(DOWN), "now": now,
    }  # fmt: skip
    since: dict[str, dt.datetime] = dict(conn.execute(sql("select_down_since"), asked).fetchall())
    # Breaks and unplanned time do not count.
    planned = {
        name: sum(
            one.end - one.begin for one in _plan(plant, name, max(at, now - LOOK_BACK), now) if one.plan == "planned"
        )
        for name, at in since.items()
    }
    return {name: (at, planned[name] / 60e6) for name, at in since.items()}


def _down(plant: Plant, row: Mapping[str, Any], down: tuple[dt.datetime, float] | None) -> Reading:
    machine, state = row["machine_id"], row["state"]
    about = _about(row)
    if down is None:
        # An unknown state says neither that it runs nor that it stands.
        value = None if state == "unknown" or state in DOWN else 0.0
        return Reading("machine_down", machine, value, f"{machine} is {state}.", **about)
    since, minutes = down
    fault = f", fault code {row['fault_code']}" if row["fault_code"] else ""
    says = f"{machine} is {state}{fault} and has not run since {clock(plant, since)}: {minutes:.0f} planned minutes."
    return Reading("machine_down", machine, minutes, says, since, **about)


def _scrap(plant: Plant, row: Mapping[str, Any]) -> Reading:
    machine = row["machine_id"]
    good, reject = float(row["hour_good_count"] or 0), float(row["hour_reject_count"] or 0)
    about = _about(row)
    if good + reject < plant.thresholds.scrap_alert_pieces:
        return Reading("scrap_rate", machine, None, f"{machine}: {good + reject:.0f} parts in the last hour.", **about)
    rate = 100 * reject / (good + reject)
    says = f"{machine} made {reject:.0f} rejects in {good + reject:.0f} parts of the last hour: {rate:.1f} %."
    return Reading("scrap_rate", machine, rate, says, **about)


def _ratio(plant: Plant, row: Mapping[str, Any], name: str) -> Reading:
    machine, value = row["machine_id"], row[name]
    planned, made = float(row["planned_time_min"] or 0), float((row["good_count"] or 0) + (row["reject_count"] or 0))
    little = planned < plant.thresholds.live_planned_min or (
        name == "quality" and made < plant.thresholds.scrap_alert_pieces
    )
    about = _about(row)
    if value is None or little:
        return Reading(name, machine, None, f"{machine}: too little of the shift to say.", **about)
    label = {"oee": "OEE"}.get(name, name)
    says = (
        f"{machine}: {label} {100 * value:.1f} % in {row['shift'] or 'the running shift'} so far "
        f"({planned:.0f} planned minutes, {made:.0f} parts)."
    )
    parts = tuple(f"{part} {100 * row[part]:.1f} %" for part in _RATIOS[1:] if name == "oee" and row[part] is not None)
    return Reading(name, machine, 100 * float(value), says, evidence=parts, **about)


def _silent(plant: Plant, row: Mapping[str, Any], now: dt.datetime) -> list[Reading]:
    """A feed that never sent anything is a matter of setting up, which `prodlytics doctor` looks at."""
    machine, heard = row["machine_id"], row["last_heard_at"]
    if heard is None or plant.machine(machine).silence_after_s is None:
        return []
    minutes = (now - heard).total_seconds() / 60
    says = f"{machine} was last heard at {clock(plant, heard)}, {minutes:.0f} minutes ago."
    off = row["plan"] == "not_scheduled"
    # Machines may be switched off outside the plan.
    why = "The machine is not scheduled." if off else None
    return [Reading("feed_silent", machine, minutes, says, heard, machine, row["line"], not_now=why)]


def _vibrations(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> list[Reading]:
    span = dt.timedelta(minutes=plant.thresholds.vibration_mean_min)
    asked = {"metric": plant.anomalies.vibration_metric, "now": now, "span": span}
    rows = {row["machine_id"]: row for row in _rows(conn, "select_vibration_now", asked)}
    found = []
    for machine in plant.machines:
        limits = machine.vibration_limits
        if limits is None:
            continue
        row = rows.get(machine.id)
        # A first sample in the middle of the span is no mean of the span.
        if row is None or row["samples"] < 3 or row["newest"] - row["since"] < span / 2:
            found.append(Reading("vibration", machine.id, None, "Not enough samples.", None, machine.id, machine.line))
            continue
        level = float(row["level_mms"])
        zone = "D" if level > limits.cd_mms else "C" if level > limits.bc_mms else "B or better"
        says = (
            f"{machine.id} vibrates at {level:.2f} mm/s on average over {span.total_seconds() / 60:.0f} minutes: zone "
            f"{zone} ({limits.source})."
        )
        found.append(Reading("vibration", machine.id, level, says, None, machine.id, machine.line))
    return found


def _anomalies(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> list[Reading]:
    lines = {machine.id: machine.line for machine in plant.machines}
    found: dict[str, Reading] = {}
    for row in _rows(conn, "select_open_anomalies", {"now": now}):
        weight = {"low": 0.0, "medium": 1.0, "high": 2.0}.get(row["severity"], 0.0)
        subject = f"{row['machine_id']}/{row['detector']}"
        says = f"{row['machine_id']}: {row['detector']} not as usual since {clock(plant, row['starts_at'])}."
        ideas = tuple(str(one.get("hypothesis", "")) for one in json.loads(row["hypotheses"])[:3])
        machine = row["machine_id"]
        reading = Reading(
            "anomaly", subject, weight, says, row["starts_at"], machine, lines.get(machine), tuple(filter(None, ideas))
        )
        if subject not in found or weight > (found[subject].value or 0.0):
            found[subject] = reading
    return list(found.values())


def _forecasts(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> list[Reading]:
    from prodlytics.plant.calendar import production_date_of

    lines = {machine.id: machine.line for machine in plant.machines}
    found = []
    for row in _rows(conn, "select_next_forecasts", {"today": production_date_of(plant, now)}):
        machine = row["member"] if row["member"] in lines else None
        low, high = row["low_yield"], row["high_yield"]
        sure = "too few errors are known for an interval"
        if low is not None:
            sure = f"{100 * low:.1f} to {100 * high:.1f} % with 80 % probability"
        expected = f"{100 * row['expected_yield']:.1f} % on {row['forecast_date']}"
        says = f"{row['member']} is expected to yield {expected} ({sure})."
        yields = 100 * float(row["expected_yield"])
        # No `since`: the alert says since when it is expected, and that is when it is told.
        found.append(Reading("forecast", row["member"], yields, says, None, machine, lines.get(row["member"])))
    return found


def _sensors(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> list[Reading]:
    limit_min = plant.thresholds.feed_silent_min
    asked = {
        "now": now, "regular": REGULAR, "longest_s": limit_min * 60 / 3, "limit": dt.timedelta(minutes=limit_min),
    }  # fmt: skip
    found = []
    for row in _rows(conn, "select_silent_sensors", asked):
        if row["newest"] is None or row["last_heard_at"] is None:
            continue
        # Against its machine: a feed that is silent as a whole is another alert.
        minutes = (row["last_heard_at"] - row["newest"]).total_seconds() / 60
        says = (
            f"{row['metric_name']} of {row['machine_id']} was last heard at {clock(plant, row['newest'])}; it usually "
            f"sends every {row['running_interval_s']:.0f} s, and the machine goes on sending."
        )
        subject = f"{row['machine_id']}/{row['metric_name']}"
        found.append(Reading("sensor_gap", subject, minutes, says, row["newest"], row["machine_id"], row["line"]))
    return found


def _sources(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> list[Reading]:
    every = {connection.name: connection.every_min for connection in plant.connections}
    found = []
    for row in _rows(conn, "select_sources_asked", {}):
        name = row["source"].partition("/")[0]
        if name not in every:
            continue
        since = row["succeeded_at"]
        late = float("inf") if since is None else (now - since).total_seconds() / 60 - every[name]
        last = "never" if since is None else f"last at {clock(plant, since)}"
        says = f"{row['source']} was read {last}: {row['problem'] or 'nobody asked; is its schedule running?'}"
        found.append(Reading("source", row["source"], min(late, 1e6), says, since))
    return found


def _quarantine(conn: psycopg.Connection[Any], now: dt.datetime) -> list[Reading]:
    return [
        Reading("quarantine", row["dataset"], float(row["rows"]),
                f"{row['rows']} rows of {row['dataset']} were set aside in the last hour, mostly: {row['reason']}.")
        for row in _rows(conn, "count_recent_quarantine", {"now": now})
    ]  # fmt: skip


def _archive(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> list[Reading]:
    """Days that should be archived by now. A dataset that was never archived has just been set up, or was never run."""
    from prodlytics.datasets.registry import DATASETS
    from prodlytics.plant.calendar import production_date_of

    datasets = [one.name for one in DATASETS.values() if one.archived]
    closed = production_date_of(plant, now - dt.timedelta(minutes=plant.report_after_boundary_min)) - dt.timedelta(1)
    found = []
    for row in _rows(conn, "select_unarchived", {"datasets": datasets}):
        if row["newest"] is None:
            continue
        behind = (closed - row["newest"]).days
        says = (
            f"The newest archived and verified day of {row['dataset']} is {row['newest']}: {behind} days are missing."
        )
        found.append(Reading("archive", row["dataset"], float(behind), says))
    return found


def _rows(conn: psycopg.Connection[Any], name: str, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql(name), asked).fetchall()
