"""How long from a limit that is reached to a message that somebody has: with every real part, end to end.

Broker, bridge, embedded database, Dagster's daemon and watchdog are processes of their own; mail and web server are
catchers. Limits are shortened in the plant file (a stop counts after one minute), nothing else. Run by
`python -m benchmarks.alerts` (about seven minutes); writes benchmarks/results/alerts.json and alerts.md.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from ruamel.yaml import YAML

from benchmarks.machine import machine, verdict
from prodlytics_tests.servers import mosquitto
from prodlytics_tests.servers.catchers import Calls, Mails, mail_server, web_server
from prodlytics_tests.servers.ports import free_port

RESULTS = Path(__file__).with_name("results")
MACHINES = [f"M{i:02}" for i in range(1, 13)]
AIM_S = 120.0
DOWN_MIN, SILENT_MIN, MEAN_MIN = 1.0, 2.0, 2.0
QUIET_MMS, LOUD_MMS, BC_MMS = 1.0, 5.0, 2.8


def main() -> None:
    """Measure and write."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        mails, calls = stack.enter_context(mail_server()), stack.enter_context(web_server())
        broker = stack.enter_context(mosquitto.running())
        results = _measure(Path(folder), mails, calls, broker)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "alerts.json").write_text(json.dumps(results, indent=2) + "\n")
    (RESULTS / "alerts.md").write_text(_table(results))
    sys.stdout.write(_table(results))


class Arrivals:
    """When each alert was first posted to the web server and mailed, by key and kind."""

    def __init__(self, mails: Mails, calls: Calls) -> None:
        self._mails, self._calls = mails, calls
        self.posted: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.mailed: list[tuple[float, str]] = []
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        seen_calls = seen_mails = 0
        while True:
            for told in self._calls.said()[seen_calls:]:
                seen_calls += 1
                for alert in told["alerts"]:
                    self.posted[alert["rule"] + ":" + alert["subject"], alert["kind"]].append(time.time())
            for mail in self._mails.caught[seen_mails:]:
                seen_mails += 1
                self.mailed.append((time.time(), str(mail["Subject"])))
            time.sleep(0.2)

    def wait(self, keys: list[str], patience_s: float) -> None:
        deadline = time.time() + patience_s
        while time.time() < deadline and not all(self.posted.get((key, "opened")) for key in keys):
            time.sleep(0.5)


class Floor:
    """Machines that publish once a second; what they do is set from outside."""

    def __init__(self, port: int) -> None:
        self.state = dict.fromkeys(MACHINES, 1)
        self.level = dict.fromkeys(MACHINES, QUIET_MMS)
        self.rejects_per_s = dict.fromkeys(MACHINES, 0)
        self.silent: set[str] = set()
        self._port = port
        threading.Thread(target=self._publish, daemon=True).start()

    def _publish(self) -> None:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="floor")
        client.connect_async("127.0.0.1", self._port)
        client.loop_start()
        good, bad = dict.fromkeys(MACHINES, 0), dict.fromkeys(MACHINES, 0)
        while True:
            now_ms = int(time.time() * 1000)
            for name in MACHINES:
                if name in self.silent:
                    continue
                good[name] += self.state[name] == 1
                bad[name] += self.rejects_per_s[name]
                said = {"State": self.state[name], "Good": good[name], "Bad": bad[name],
                        "Vibration_Velocity_mms": self.level[name]}  # fmt: skip
                for tag, value in said.items():
                    payload = json.dumps({"value": value, "timestamp_ms": now_ms})
                    client.publish(f"plant/L1/{name}/{tag}", payload, qos=1)
            time.sleep(1.0)


def _measure(folder: Path, mails: Mails, calls: Calls, broker: mosquitto.Broker) -> dict[str, Any]:
    env = _environment(folder, mails, calls, broker.port)
    subprocess.run([_command(), "migrate"], env=env, check=True, capture_output=True)
    arrivals, floor = Arrivals(mails, calls), Floor(broker.port)
    reached: dict[str, float] = {}
    with (
        _process(env, folder, "bridge") as bridge,
        _process(env, folder, "up", "--port", str(free_port())),
        _process(env, folder, "watchdog"),
    ):
        time.sleep(100)
        began = time.time()
        for i, name in enumerate(MACHINES[:6]):
            floor.state[name] = 3
            reached[f"machine_down:{name}"] = time.time() + DOWN_MIN * 60
            floor.level[MACHINES[6 + i]] = LOUD_MMS
            share = (BC_MMS - QUIET_MMS) / (LOUD_MMS - QUIET_MMS)
            reached[f"vibration:{MACHINES[6 + i]}"] = time.time() + share * MEAN_MIN * 60
            time.sleep(5)
        # Some hundred good parts were made: more than one in twenty is reached within seconds.
        for name in MACHINES[6:]:
            floor.rejects_per_s[name] = 2
            made = time.time() - began + 100
            reached[f"scrap_rate:{name}"] = time.time() + 0.05 * made / 0.95 / 2
        arrivals.wait(list(reached), 240)
        for name in MACHINES[:6]:
            floor.silent.add(name)
            reached[f"feed_silent:{name}"] = time.time() + SILENT_MIN * 60
        arrivals.wait(list(reached), 300)
        bridge.send_signal(signal.SIGKILL)
        reached["bridge:bridge"] = time.time()
        arrivals.wait(list(reached), 180)
        broker.kill()
        reached["broker:broker"] = time.time()
        arrivals.wait(list(reached), 180)
    late = {key: [at - when for at in arrivals.posted.get((key, "opened"), [])] for key, when in reached.items()}
    doubled = [f"{key} {kind}" for (key, kind), times in arrivals.posted.items() if len(times) > 1]
    rules: dict[str, list[float]] = defaultdict(list)
    for key, found in late.items():
        rules[key.split(":")[0]] += found[:1] or [float("nan")]
    return {
        "machine": machine(),
        "latency_s": {rule: [round(one, 1) for one in sorted(found)] for rule, found in rules.items()},
        "not_told": [key for key, found in late.items() if not found],
        "told_twice": doubled,
        "mails": len(arrivals.mailed),
    }


def _environment(folder: Path, mails: Mails, calls: Calls, broker_port: int) -> dict[str, str]:
    plant = folder / "plant.yaml"
    YAML(typ="safe").dump(_plant(), plant)
    port = free_port()
    own = {
        "PRODLYTICS_HOME": str(folder / "home"), "PRODLYTICS_PLANT": str(plant),
        "PRODLYTICS_MQTT_URL": f"mqtt://127.0.0.1:{broker_port}", "PRODLYTICS_BRIDGE_HTTP": f"127.0.0.1:{port}",
        "PRODLYTICS_SMTP_URL": mails.url, "PRODLYTICS_NOTIFY_MSP_URL": calls.url, "PRODLYTICS_NOTIFY_MSP_SECRET": "x",
    }  # fmt: skip
    return {**os.environ, **own}


def _plant() -> dict[str, Any]:
    roles = ("production_supervisor", "quality_manager", "plant_manager", "maintenance", "msp_help_desk")
    days = {"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    by = {"by": ["email", "msp"]}
    return {
        "plant": "bench", "name": "Bench", "site": "Here", "timezone": "America/Chicago", "day_boundary": "06:00",
        "first_day": "2026-11-01", "currency": "USD",
        "machines": [
            {"id": name, "name": name, "line": "L1", "aliases": [f"L1.{name}"], "silence_after_s": 60,
             "state": {"metric": "State", "map": {"1": "running", "3": "fault"}}, "ideal_cycle_time_ms": 1000,
             "counters": [{"metric": "Good", "counts": "good"}, {"metric": "Bad", "counts": "reject"}],
             "vibration_limits": {"ab_mms": 1.12, "bc_mms": BC_MMS, "cd_mms": 7.1, "source": "class II"}}
            for name in MACHINES
        ],
        "shift_plans": [{"shifts": [
            {"name": "Day", "start": "06:00", "end": "18:00", **days},
            {"name": "Night", "start": "18:00", "end": "06:00", **days},
        ]}],
        "reasons": [{"code": "MECH", "name": "Mechanical", "loss": "failure",
                     "reasons": [{"code": "MECH_A", "name": "Bearing"}]}],
        "contacts": [{"role": role, "name": role, "email": f"{role}@plant.example"} for role in roles],
        "feeds": [{"name": "plain", "topic": "plant/{channel}/{device}/{tag}", "format": "plain"}],
        "thresholds": {"downtime_alert_min": DOWN_MIN, "feed_silent_min": SILENT_MIN, "vibration_mean_min": MEAN_MIN},
        "alerts": {
            "channels": [{"name": "email", "kind": "email"}, {"name": "msp", "kind": "webhook"}],
            "rules": {
                "machine_down": by, "scrap_rate": by, "vibration": {"hold_min": 0, **by}, "feed_silent": by,
                **{name: {"enabled": False} for name in ("cpu", "memory", "disk")},
            },
        },
    }  # fmt: skip


def _command() -> str:
    return str(Path(sys.executable).with_name("prodlytics"))


@contextmanager
def _process(env: dict[str, str], folder: Path, *verb: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / f"{verb[0]}.log").open("wb") as log:
        process = subprocess.Popen([_command(), *verb], env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        if verb[0] == "up":
            subprocess.run([_command(), "down"], env=env, check=False, capture_output=True)


def _table(results: dict[str, Any]) -> str:
    lines = [
        "# From a limit that is reached to a message that was accepted",
        "",
        f"{results['machine']}",
        "",
        "| Rule | Alerts | Median s | Longest s | Aim s | |",
        "|---|---|---|---|---|---|",
    ]
    for rule, found in results["latency_s"].items():
        middle, longest = found[len(found) // 2], found[-1]
        lines.append(f"| {rule} | {len(found)} | {middle} | {longest} | {AIM_S:.0f} | {verdict(longest < AIM_S)} |")
    lines += ["", f"Not told: {results['not_told'] or 'none'}. Told twice: {results['told_twice'] or 'none'}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
