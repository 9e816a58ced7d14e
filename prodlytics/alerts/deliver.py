"""Handing over what has to be told.

Belongs here: taking messages that are due, putting those to one address together, trying again later. Does not belong
here: who is told (`routes.py`), the wire (`prodlytics.notify`).

A message is written with the change that caused it and marked as sent only after it was accepted. What goes out
together gets its number before it goes: a process that dies between the other side's yes and our note of it sends the
same number again, by which mail servers and webhooks tell a repetition.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from prodlytics.alerts.catalogue import RULES
from prodlytics.alerts.life import Reading
from prodlytics.db.queries import sql
from prodlytics.notify.message import Item, Notice, links_of, notice
from prodlytics.notify.send import DeliveryError, NotSetUpError, send

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Plant

#: First wait before another attempt; doubled each time up to the longest.
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(seconds=20), dt.timedelta(minutes=2)
#: Attempts after which a channel counts as not working.
SAID_AFTER = 2
#: No new message is begun after so long: the sensor that calls this has 60 seconds.
GIVE_UP_AFTER_S = 25.0
#: Rule to the dataset whose page in the Dagster UI shows more.
ASSETS = {
    "machine_down": "live_oee", "scrap_rate": "live_oee", "oee": "live_oee", "availability": "live_oee",
    "performance": "live_oee", "quality": "live_oee", "vibration": "anomaly_scores", "anomaly": "anomaly_scores",
    "forecast": "yield_forecasts", "feed_silent": "machine_telemetry", "sensor_gap": "sensor_delivery",
}  # fmt: skip


@dataclass
class Delivered:
    """What one pass did: messages handed over, alerts they told of, and why others were not."""

    messages: int = 0
    alerts: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    def says(self) -> str:
        """For people, in the list of ticks."""
        failed = "".join(f" {name}: {why}." for name, why in self.problems.items())
        return f"{self.messages} messages about {self.alerts} alerts were accepted.{failed}"


def deliver(conn: psycopg.Connection[Any], plant: Plant, environment: Mapping[str, str], now: dt.datetime) -> Delivered:
    """Send what is due.

    Args:
        conn: In autocommit.
        plant: Channels, names, links.
        environment: Secrets of the channels.
        now: The clock.
    """
    done = Delivered()
    began = time.monotonic()
    names = plant.alerts.names
    for channel, address, _ in conn.execute(sql("select_addresses_due"), {"now": now}).fetchall():
        if channel in done.problems or time.monotonic() - began > GIVE_UP_AFTER_S:
            continue
        if channel not in names:
            done.problems[channel] = "this channel is not in the plant file any more"
            continue
        _address(conn, plant, environment, channel, address, now, done)
    return done


def readings_of_delivery(conn: psycopg.Connection[Any], plant: Plant, now: dt.datetime) -> list[Reading]:
    """Channels that do not take messages: told on another one."""
    waiting = {row[0]: row[1:] for row in conn.execute(sql("count_waiting_messages"), {"now": now}).fetchall()}
    found = []
    for channel in plant.alerts.channels:
        count, since, attempts, problem = waiting.get(channel.name, (0, None, 0, None))
        bad = attempts >= SAID_AFTER and problem is not None
        says = f"{count} messages wait: {problem}" if bad else "Messages are accepted again."
        found.append(Reading("delivery", channel.name, float(bad), says, since))
    return found


def _address(
    conn: psycopg.Connection[Any],
    plant: Plant,
    environment: Mapping[str, str],
    channel: str,
    address: str,
    now: dt.datetime,
    done: Delivered,
) -> None:
    """Everything that is due for one address: what went out before under a number, under it again, then the rest."""
    asked = {"channel": channel, "address": address, "now": now}
    with conn.transaction():
        rows = _rows(conn, asked)
        batches: dict[str, list[dict[str, Any]]] = defaultdict(list)
        fresh = [row for row in rows if row["batch"] is None]
        for row in rows:
            if row["batch"] is not None:
                batches[str(row["batch"])].append(row)
        for part in _together(fresh, plant.alerts.group_from):
            batches[str(uuid.uuid4())] = part
        for batch, part in batches.items():
            conn.execute(sql("update_messages_batch"), {"batch": batch, "messages": _ids(part)})
    for batch, part in batches.items():
        # Locked while it goes: another sender passes over it.
        with conn.transaction():
            held = {row["message_id"] for row in _rows(conn, asked)}
            if not set(_ids(part)) <= held:
                continue
            try:
                send(plant.alerts.channel(channel), address, _notice(plant, batch, part), environment)
            except (DeliveryError, NotSetUpError) as error:
                wait = min(FIRST_WAIT * 2 ** min(part[0]["attempts"], 10), LONGEST_WAIT)
                failed = {"retry_at": now + wait, "problem": str(error), "messages": _ids(part)}
                conn.execute(sql("update_messages_failed"), failed)
                done.problems[channel] = str(error)
                return
            conn.execute(sql("update_messages_sent"), {"now": now, "messages": _ids(part)})
            _note(conn, part, channel, now)
        done.messages += 1
        done.alerts += len(part)


def _rows(conn: psycopg.Connection[Any], asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    from psycopg.rows import dict_row

    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(sql("claim_messages"), asked).fetchall()


def _together(rows: Sequence[dict[str, Any]], group_from: int) -> list[list[dict[str, Any]]]:
    return [list(rows)] if len(rows) >= group_from else [[row] for row in rows]


def _ids(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    return [row["message_id"] for row in rows]


def _note(conn: psycopg.Connection[Any], rows: Sequence[Mapping[str, Any]], channel: str, now: dt.datetime) -> None:
    with conn.cursor() as cursor:
        cursor.executemany(
            sql("insert_alert_history"),
            [
                {"alert_id": row["alert_id"], "now": now, "what": "told", "by": None,
                 "detail": f"{row['role']} by {channel}: {row['kind']}"}
                for row in rows
            ],
        )  # fmt: skip


def _notice(plant: Plant, batch: str, rows: Sequence[Mapping[str, Any]]) -> Notice:
    return notice(plant.plant, plant.name, plant.zone, batch, [item_of(plant, row) for row in rows])


def item_of(plant: Plant, row: Mapping[str, Any]) -> Item:
    """A row of `claim_messages` as a message tells it."""
    rule = RULES[row["rule"]]
    asset = row["subject"].split("/")[0] if row["rule"] in ("check_failed", "asset_stale") else ASSETS.get(rule.name)
    return Item(
        kind=row["kind"], alert_id=row["alert_id"], rule=rule.name, many=rule.many, severity=row["severity"],
        subject=row["subject"], title=row["title"], message=row["message"], since=row["since"],
        opened_at=row["opened_at"], line=row["line"], machine_id=row["machine_id"], evidence=tuple(row["evidence"]),
        value=row["value"], limit=row["limit_value"], unit=row["unit"], resolved_at=row["resolved_at"],
        resolution=row["resolution"],
        links=links_of(plant.alerts.links.model_dump(), rule.name, plant.plant, row["machine_id"], asset),
    )  # fmt: skip
