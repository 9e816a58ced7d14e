"""Alerts in the database: what is open, what became of it, who has to be told.

Belongs here: reading and writing the tables, one transaction per look at the readings, in which the messages that are
due are written too. Does not belong here: what opens an alert (`life.py`), sending (`deliver.py`).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prodlytics.alerts.catalogue import RULES
from prodlytics.alerts.life import Alert, Change, Outcome, Reading, advance
from prodlytics.alerts.routes import Due, of_age, of_change
from prodlytics.db.locks import lock
from prodlytics.db.queries import sql

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Plant


@dataclass(frozen=True)
class Silence:
    """Nobody is told of alerts of this rule or machine (None: any) until then."""

    rule: str | None
    machine_id: str | None
    until: dt.datetime
    why: str
    by_whom: str

    def holds_for(self, alert: Alert) -> bool:
        """Whether it is about this alert."""
        return self.rule in (None, alert.rule) and self.machine_id in (None, alert.machine_id)


def record(
    conn: psycopg.Connection[Any], plant: Plant, rules: Sequence[str], readings: Iterable[Reading], now: dt.datetime
) -> Outcome:
    """Move the alerts of these rules on and write whom to tell, in one transaction.

    Args:
        conn: Not in a transaction; committed.
        plant: Limits, contacts, channels.
        rules: The rules that were looked at completely.
        readings: What they said.
        now: The clock.
    """
    with conn.transaction():
        # Sensors and the watchdog look at the same time: an alert opens once.
        lock(conn, "alerts")
        known = {alert.key: alert for alert in open_alerts(conn, rules)}
        watched = dict(conn.execute(sql("select_alert_watch"), {"rules": list(rules)}).fetchall())
        outcome = advance(plant, rules, readings, known, watched, now)
        silences = [Silence(*row) for row in conn.execute(sql("select_silences_now"), {"now": now}).fetchall()]
        for change in outcome.changes:
            _write(conn, plant, change, silences, now)
        changed = [alert for alert in outcome.kept if alert != known[alert.key]]
        for alert in changed:
            conn.execute(sql("update_alert"), _columns(alert))
        if outcome.watch != watched:
            conn.execute(sql("delete_alert_watch"), {"rules": list(rules)})
            rows = [{"key": key, "rule": key.split(":", 1)[0], "since": since} for key, since in outcome.watch.items()]
            with conn.cursor() as cursor:
                cursor.executemany(sql("insert_alert_watch"), rows)
    return outcome


def escalate(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> int:
    """Write whom to tell next of alerts that nobody has acknowledged; how many messages that are."""
    if not (plant.alerts.plant_steps or plant.alerts.platform_steps):
        return 0
    written = 0
    with conn.transaction():
        lock(conn, "alerts")
        silences = [Silence(*row) for row in conn.execute(sql("select_silences_now"), {"now": now}).fetchall()]
        for alert in open_alerts(conn):
            if any(silence.holds_for(alert) for silence in silences):
                continue
            told = _tell(conn, alert, of_age(plant, alert, now))
            if told:
                steps = ", ".join(sorted({due.role for due in told}))
                _note(conn, alert.alert_id, now, "escalated", f"Not acknowledged; told {steps}.")
            written += len(told)
    return written


def open_alerts(conn: psycopg.Connection[Any], rules: Sequence[str] | None = None) -> list[Alert]:
    """Alerts that are not resolved, of these rules or all."""
    rows = conn.execute(sql("select_open_alerts"), {"rules": None if rules is None else list(rules)}).fetchall()
    return [
        Alert(
            key, rule, subject, level, severity, since, opened_at, state, alert_id, machine_id, line, title, message,
            tuple(evidence), value, limit, clear_since,
        )
        for (
            alert_id, key, rule, subject, level, severity, since, opened_at, state, machine_id, line, title, message,
            evidence, value, limit, clear_since,
        ) in rows
    ]  # fmt: skip


def adopt(
    conn: psycopg.Connection[Any],
    alerts: Sequence[Alert],
    told: Mapping[str, Sequence[tuple[str, str, str]]],
    now: dt.datetime,
) -> None:
    """Take over alerts that opened while the database was away, and who was told (channel, address, role)."""
    with conn.transaction():
        lock(conn, "alerts")
        known = {alert.key for alert in open_alerts(conn)}
        for alert in alerts:
            if alert.key in known:
                continue
            row = conn.execute(sql("insert_alert"), _columns(alert)).fetchone()
            alert_id = row[0] if row else None
            _note(conn, alert_id, alert.opened_at, "opened", alert.message)
            for channel, address, role in told.get(alert.key, ()):
                due = Due("opened", 0, channel, address, role, alert.opened_at)
                for message in conn.execute(sql("insert_alert_message"), {"alert_id": alert_id, **vars(due)}):
                    conn.execute(sql("update_messages_sent"), {"now": now, "messages": [message[0]]})


def acknowledge(conn: psycopg.Connection[Any], alert_id: int, by: str, note: str, now: dt.datetime) -> bool:
    """Somebody looks after an alert: it is not escalated any further. False where it is not open."""
    with conn.transaction():
        done = conn.execute(sql("acknowledge_alert"), {"alert_id": alert_id, "by": by, "now": now}).fetchone()
        if done is not None:
            _note(conn, alert_id, now, "acknowledged", note or "Looks after it.", by)
    return done is not None


def silence(conn: psycopg.Connection[Any], wanted: Silence) -> None:
    """Tell nobody of these alerts for a while; they are recorded all the same."""
    with conn.transaction():
        conn.execute(
            sql("insert_alert_silence"),
            {"rule": wanted.rule, "machine_id": wanted.machine_id, "until": wanted.until, "why": wanted.why,
             "by": wanted.by_whom},
        )  # fmt: skip


def started(conn: psycopg.Connection[Any], what: str, now: dt.datetime) -> dt.datetime:
    """Since when something is watched: the first call's `now`."""
    with conn.transaction():
        row = conn.execute(sql("insert_alert_start"), {"what": what, "now": now}).fetchone()
    if row is None:
        raise LookupError(what)
    at: dt.datetime = row[0]
    return at


def _write(
    conn: psycopg.Connection[Any], plant: Plant, change: Change, silences: Sequence[Silence], now: dt.datetime
) -> None:
    alert = change.alert
    if change.kind == "opened":
        row = conn.execute(sql("insert_alert"), _columns(alert)).fetchone()
        alert_id = row[0] if row else None
    elif change.kind == "resolved":
        alert_id = alert.alert_id
        conn.execute(sql("resolve_alert"), {"alert_id": alert_id, "now": now, "detail": change.detail})
        conn.execute(sql("drop_unsent_messages"), {"alert_id": alert_id, "now": now})
        conn.execute(sql("insert_resolved_messages"), {"alert_id": alert_id, "now": now})
    else:
        alert_id = alert.alert_id
        conn.execute(sql("update_alert"), _columns(alert))
    _note(conn, alert_id, now, change.kind, change.detail)
    due = of_change(plant, change, now)
    held = next((one for one in silences if one.holds_for(alert)), None)
    if due and held is not None:
        says = f"Silenced until {held.until:%Y-%m-%d %H:%M} UTC by {held.by_whom}: {held.why}"
        _note(conn, alert_id, now, "not_told", says)
        return
    _tell(conn, alert, due, alert_id)


def _tell(conn: psycopg.Connection[Any], alert: Alert, due: Sequence[Due], alert_id: int | None = None) -> list[Due]:
    """Those of the messages that had not been written before."""
    of = alert.alert_id if alert_id is None else alert_id
    return [one for one in due if conn.execute(sql("insert_alert_message"), {"alert_id": of, **vars(one)}).fetchone()]


def _note(
    conn: psycopg.Connection[Any], alert_id: int | None, now: dt.datetime, what: str, detail: str, by: str | None = None
) -> None:
    conn.execute(
        sql("insert_alert_history"), {"alert_id": alert_id, "now": now, "what": what, "detail": detail, "by": by}
    )


def _columns(alert: Alert) -> dict[str, Any]:
    rule = RULES[alert.rule]
    return {**vars(alert), "evidence": json.dumps(alert.evidence), "side": rule.side, "unit": rule.unit or None}
