"""`prodlytics watchdog`: whether everything that alerts is itself well, looked at from outside Dagster.

Belongs here: looking at database, broker, bridge, server and Dagster's daemons, sensors, schedules and code location,
and handing messages over, since with a dead daemon nobody else does. Does not belong here: the life of an alert
(`prodlytics.alerts`).
Nothing in Dagster notices a sensor that fails, and nothing at all works without the database: while that is away the
state of alerts is kept in a file (`prodlytics.alerts.away`).
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from prodlytics.alerts import away
from prodlytics.alerts.life import Reading

if TYPE_CHECKING:
    import psycopg
    from dagster import DagsterInstance

    from prodlytics.plant.model import Plant
    from prodlytics.settings import Settings

#: The rules this looks at.
WATCHED = (
    "database", "broker", "bridge", "spool", "hub", "daemon", "code_location", "sensor", "schedule", "cpu", "memory",
    "disk", "delivery",
)  # fmt: skip
PATIENCE_S = 5.0
#: Dagster's daemons beat every 30 s; Dagster itself calls one dead after half an hour.
DEAD_AFTER = dt.timedelta(minutes=2)
#: A sensor that has not ticked for so long stands still: its code location is broken or the daemon is busy.
STILL_AFTER = dt.timedelta(minutes=5)
#: What a schedule may be late by.
LATE_AFTER = dt.timedelta(minutes=10)
#: So many samples that wait for the hub say that it takes them slower than they come.
HUB_WAITING = 500_000


@dataclass
class Looked:
    """What one look found; `bad`: sentences about what is not well now, whether or not it is an alert yet."""

    bad: list[str] = field(default_factory=list)
    told: str = ""

    def says(self) -> str:
        """One line for the journal."""
        return f"{'; '.join(self.bad) or 'All is well.'} {self.told}".strip()

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {"well": not self.bad, "problems": self.bad, "told": self.told}


class Watchdog:
    """Keeps what costs a second to make: the instance of Dagster, the processor counters."""

    def __init__(self, settings: Settings, plant: Plant, environment: Mapping[str, str]) -> None:
        """Look with these settings.

        Args:
            settings: Where everything is.
            plant: Channels, limits, zone.
            environment: Secrets of the channels.
        """
        self._settings, self._plant, self._environment = settings, plant, environment
        self._file = settings.home / "watchdog.json"
        self._instance: DagsterInstance | None = None

    def look(self, now: dt.datetime) -> Looked:
        """Look at everything once, record it, and tell whoever has to know."""
        looked = Looked()
        conn, why = self._connect()
        readings = [Reading("database", "database", float(conn is None), why)]
        for examine in (self._broker, self._bridge, self._server, self._dagster):
            readings += examine(now, conn is not None)
        if conn is None:
            looked.told = self._without_database(readings, now)
        else:
            with conn:
                looked.told = self._with_database(conn, readings, now)
        looked.bad = [one.says for one in readings if self._is_bad(one)]
        return looked

    def _is_bad(self, reading: Reading) -> bool:
        from prodlytics.alerts.catalogue import RULES, levels_of
        from prodlytics.alerts.life import passed

        rule = RULES[reading.rule]
        levels = levels_of(self._plant, rule, reading.machine_id)
        return reading.value is not None and passed(rule, levels, reading.value, None) is not None

    def _connect(self) -> tuple[psycopg.Connection[Any] | None, str]:
        from prodlytics.db.connect import DatabaseUnavailable, connect
        from prodlytics.db.url import database_url

        try:
            conn = connect(database_url(self._settings), autocommit=True)
            conn.execute("SET statement_timeout = '20s'")
            conn.execute("SELECT FROM alerts LIMIT 1")
        except DatabaseUnavailable as error:
            return None, str(error)
        return conn, "The database answers."

    def _with_database(self, conn: psycopg.Connection[Any], readings: list[Reading], now: dt.datetime) -> str:
        from prodlytics.alerts.deliver import deliver, readings_of_delivery
        from prodlytics.alerts.store import adopt, escalate, open_alerts, record

        kept = away.load(self._file)
        if kept.opened_here:
            adopt(conn, [kept.alerts[key] for key in kept.opened_here if key in kept.alerts], kept.told, now)
        record(conn, self._plant, WATCHED, [*readings, *readings_of_delivery(conn, self._plant, now)], now)
        escalate(conn, self._plant, now)
        done = deliver(conn, self._plant, self._environment, now)
        kept, _ = away.hand_over(replace(kept, opened_here=[]), self._plant, self._environment)
        open_now = {alert.key: alert for alert in open_alerts(conn, WATCHED)}
        told = {key: rows for key, rows in kept.told.items() if key in open_now}
        away.save(self._file, away.Kept(open_now, {}, told, kept.unsent))
        return done.says()

    def _without_database(self, readings: list[Reading], now: dt.datetime) -> str:
        rules = [rule for rule in WATCHED if rule != "delivery"]
        kept = away.judge(away.load(self._file), self._plant, rules, readings, now)
        # Before anything goes out: what a dying process has sent is sent again under the same number.
        away.save(self._file, kept)
        waiting = len(kept.unsent)
        kept, problems = away.hand_over(kept, self._plant, self._environment)
        away.save(self._file, kept)
        failed = "".join(f" {name}: {why}." for name, why in problems.items())
        return f"{waiting - len(kept.unsent)} messages were accepted without the database.{failed}"

    def _broker(self, now: dt.datetime, has_database: bool) -> Iterator[Reading]:
        if self._settings.mqtt_url is None:
            return
        from prodlytics.edge.broker import Address, BrokerUnreachableError, knock

        try:
            knock(Address.of(self._settings.mqtt_url.get_secret_value()), self._settings.mqtt_ca_file, PATIENCE_S)
        except BrokerUnreachableError as error:
            yield Reading("broker", "broker", 1.0, str(error))
        else:
            yield Reading("broker", "broker", 0.0, "The broker lets us in.")

    def _bridge(self, now: dt.datetime, has_database: bool) -> Iterator[Reading]:
        if self._settings.mqtt_url is None:
            return
        import requests

        url = f"http://{self._settings.bridge_http}"
        try:
            health = requests.get(f"{url}/healthz", timeout=PATIENCE_S).json()
            figures = _figures(requests.get(f"{url}/metrics", timeout=PATIENCE_S).text)
        except (requests.RequestException, ValueError) as error:
            yield Reading("bridge", "bridge", 1.0, f"The bridge does not answer at {url}: {type(error).__name__}.")
            return
        problems = [str(one) for one in health.get("problems", [])]
        yield Reading("bridge", "bridge", float(bool(problems)), "; ".join(problems) or "The bridge is well.")
        spool_mb = figures.get("prodlytics_bridge_spooled_bytes", 0.0) / 1e6
        yield Reading("spool", "bridge", spool_mb, f"The bridge keeps {spool_mb:.0f} MB of messages on its disk.")
        if self._settings.iothub_connection_string is not None:
            waiting = figures.get("prodlytics_bridge_cloud_waiting_samples", 0.0)
            there = figures.get("prodlytics_bridge_cloud_connected", 0.0) > 0
            says = f"{'It is connected' if there else 'It does not let us in'}; {waiting:.0f} samples wait for it."
            yield Reading("hub", "IoT Hub", float(not there or waiting > HUB_WAITING), says)

    def _server(self, now: dt.datetime, has_database: bool) -> Iterator[Reading]:
        import psutil

        cpu = psutil.cpu_percent(interval=0.2)
        yield Reading("cpu", "server", cpu, f"The processors are {cpu:.0f} % busy.")
        memory = psutil.virtual_memory()
        free_mb = memory.available / 1e6
        yield Reading(
            "memory", "server", memory.percent, f"{memory.percent:.0f} % of memory is used, {free_mb:.0f} MB are free."
        )
        home = self._settings.home if self._settings.home.exists() else self._settings.home.absolute().parent
        disk = psutil.disk_usage(str(home))
        says = f"{disk.percent:.0f} % of the disk is used, {disk.free / 1e9:.1f} GB are free."
        yield Reading("disk", "server", disk.percent, says)

    def _dagster(self, now: dt.datetime, has_database: bool) -> Iterator[Reading]:
        if not has_database and self._settings.database_url is None:
            # Dagster's database lies on the same embedded server: one alert is enough.
            return
        try:
            instance = self._dagster_instance()
            statuses = instance.get_daemon_statuses()
        except Exception as error:  # noqa: BLE001 whatever keeps us from Dagster's database is what is told
            self._instance = None
            said = str(error).strip().splitlines()
            yield Reading("daemon", "Dagster's database", 1.0, f"It cannot be used: {said[0] if said else error!r}.")
            return
        yield Reading("daemon", "Dagster's database", 0.0, "It answers.")
        dead = []
        for name, status in statuses.items():
            beat = status.last_heartbeat and dt.datetime.fromtimestamp(status.last_heartbeat.timestamp, dt.UTC)
            if beat is None or now - beat > DEAD_AFTER:
                dead.append(name)
            last = "never" if beat is None else f"last at {beat:%Y-%m-%d %H:%M:%S} UTC"
            yield Reading("daemon", f"daemon {name}", float(name in dead), f"{name}: heartbeat {last}.")
        if len(dead) == len(statuses):
            # Without its daemon nothing ticks: that is one cause, not twenty.
            return
        yield from _ticks(instance, now)
        yield from self._code_location()

    def _dagster_instance(self) -> DagsterInstance:
        if self._instance is None:
            from dagster import DagsterInstance

            from prodlytics.ops.instance import dagster_environment

            os.environ.update(dagster_environment(self._settings))
            self._instance = DagsterInstance.get()
        return self._instance

    def _code_location(self) -> Iterator[Reading]:
        url = self._settings.dagster_web
        if url is None:
            return
        import requests

        try:
            answer = requests.post(f"{url.rstrip('/')}/graphql", json={"query": _LOCATIONS}, timeout=PATIENCE_S)
            entries = answer.json()["data"]["workspaceOrError"]["locationEntries"]
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            yield Reading("code_location", "webserver", 1.0, f"{url} does not answer: {type(error).__name__}.")
            return
        yield Reading("code_location", "webserver", 0.0, "It answers.")
        for entry in entries:
            found = entry["locationOrLoadError"] or {}
            wrong = found.get("message")
            says = str(wrong).strip().splitlines()[0] if wrong else "It is loaded."
            yield Reading("code_location", entry["name"], float(wrong is not None), says)


_LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { name
    locationOrLoadError { __typename ... on PythonError { message } } } } } }"""


def _ticks(instance: DagsterInstance, now: dt.datetime) -> Iterator[Reading]:
    """The latest tick of each sensor and schedule that is on: did it fail, is it due."""
    for state in instance.all_instigator_state():
        if not state.is_running:
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2)
        done = [tick for tick in ticks if tick.status.value != "STARTED"]
        if not done:
            continue
        data = state.instigator_data
        cron = getattr(data, "cron_schedule", None)
        at = dt.datetime.fromtimestamp(done[0].timestamp, dt.UTC)
        newest = dt.datetime.fromtimestamp(max(done[0].end_timestamp or 0.0, done[0].timestamp), dt.UTC)
        failed = done[0].status.value == "FAILURE"
        error = done[0].error
        why = f": {error.message.strip().splitlines()[0]}" if failed and error else ""
        if cron is None:
            still = now - newest > STILL_AFTER + dt.timedelta(seconds=getattr(data, "min_interval", None) or 30)
            says = f"Its tick at {at:%Y-%m-%d %H:%M:%S} UTC {'failed' if failed else 'was its last'}{why}."
            yield Reading("sensor", state.instigator_name, float(failed or still), says)
        else:
            late = now - at > interval_of(cron if isinstance(cron, str) else cron[0]) + LATE_AFTER
            says = f"Its last tick was at {at:%Y-%m-%d %H:%M} UTC{why}."
            yield Reading("schedule", state.instigator_name, float(failed or late), says)


def interval_of(cron: str) -> dt.timedelta:
    """The longest time between two ticks of the cron lines we write: minutes, hours, days or weeks."""
    minute, hour, _, _, weekday = cron.split()
    if minute.startswith("*/"):
        return dt.timedelta(minutes=int(minute[2:]))
    if hour == "*":
        return dt.timedelta(hours=1)
    if weekday == "*":
        # The day on which clocks go back has 25 hours.
        return dt.timedelta(hours=25)
    return dt.timedelta(days=7, hours=1)


def _figures(exposed: str) -> dict[str, float]:
    from prometheus_client.parser import text_string_to_metric_families

    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(exposed)
        for sample in family.samples
        if not sample.labels
    }
