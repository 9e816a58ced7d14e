"""Counters are reset, roll over and step back, through broker and bridge: the parts are the real ones."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from pathlib import Path

from prodlytics.db.connect import connect
from prodlytics.plant.load import load_plant
from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.assets.chain_by_hand import run_chain
from prodlytics_tests.edge.rig import bridge, wait_until
from prodlytics_tests.servers.mosquitto import Broker
from prodlytics_tests.test_cli import one_sentence, prodlytics

#: At two hundred times its pace a machine makes more parts than its ideal cycles allow.
PACE = 200


def test_production_events_are_the_real_parts_whatever_the_counters_do(
    mosquitto: Broker, plain_database: str, tmp_path: Path
) -> None:
    file = tmp_path / "plant.yaml"
    file.write_text(DEMO_PLANT.read_text().replace("    micro_stop_s: ", "    max_parts_per_s: 40\n    micro_stop_s: "))
    plant = load_plant(file)
    assert {machine.max_parts_per_s for machine in plant.machines} == {40}
    with bridge(mosquitto, plain_database, tmp_path / "bridge", file) as running:
        faults = ["counter-reset=0.1", "counter-step-back=0.2", "counter-rollover", "late=0.05", "duplicate=0.05"]
        done = prodlytics(
            "simulate", "--mqtt", "--story", "2026-11-18T08:00", "--speed", str(PACE), "--for", "10", "--rate", "20",
            *(word for fault in faults for word in ("--fault", fault)), home=tmp_path,
            PRODLYTICS_PLANT=str(file), PRODLYTICS_MQTT_URL=f"mqtt://127.0.0.1:{mosquitto.port}",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (path,) = (tmp_path / "truth").glob("live-*.jsonl")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        samples = [line for line in lines if "machine" in line]
        struck = Counter(line["fault"] for line in lines if "fault" in line)
        assert min(struck[name] for name in ("counter-reset", "counter-step-back", "counter-rollover")) >= 3, struck
        with connect(plain_database, autocommit=True) as conn:
            wait_until(
                lambda: conn.execute("SELECT count(*) FROM telemetry_sample").fetchone() == (len(samples),),
                f"all stored: {running.log}",
            )
            run_chain(conn, plant, dt.datetime.now(dt.UTC))
            counted = {
                machine: (int(good), int(reject))
                for machine, good, reject in conn.execute(
                    "SELECT machine_id, sum(good_count), sum(reject_count) FROM production_events GROUP BY 1"
                )
            }
            flags = dict(conn.execute("SELECT flag, count(*) FROM production_events GROUP BY 1").fetchall())
    really: dict[str, Counter[str]] = {machine.id: Counter() for machine in plant.machines}
    for sample in samples:
        really[sample["machine"]][sample["metric"]] += sample.get("parts", 0)
    assert counted == {
        machine: (parts["PartCountGood"], parts["PartCountReject"])
        for machine, parts in really.items()
        if parts["PartCountGood"] or parts["PartCountReject"]
    }
    assert sum(good for good, _ in counted.values()) > 300
    assert flags.get("reset", 0) >= 1
    assert flags.get("rollover", 0) >= 1


def test_a_rollover_needs_a_counter_that_can(tmp_path: Path, mosquitto: Broker) -> None:
    file = tmp_path / "plant.yaml"
    file.write_text(DEMO_PLANT.read_text().replace("width_bits: 16", "width_bits: 32"))
    url = f"mqtt://127.0.0.1:{mosquitto.port}"
    done = prodlytics("simulate", "--mqtt", "--for", "1", "--fault", "counter-rollover", home=tmp_path,
                      PRODLYTICS_PLANT=str(file), PRODLYTICS_MQTT_URL=url)  # fmt: skip
    assert done.returncode == 2
    assert "No counter of the plant has 16 bits" in one_sentence(done)
