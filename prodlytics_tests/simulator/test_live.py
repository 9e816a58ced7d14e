"""The plant published live: everything the truth says was acknowledged is in the database, and nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.edge.rig import bridge, quarantined, wait_until
from prodlytics_tests.servers.mosquitto import Broker
from prodlytics_tests.test_cli import one_sentence, prodlytics

Key = tuple[str, str, int]
#: A Wednesday on which everybody is at work: in the present it may be the lunch break.
MORNING = "2026-11-18T09:00"


def simulate(home: Path, broker: Broker, *options: str) -> dict[Key, float | str]:
    """Run `prodlytics simulate --mqtt`; the truth it kept."""
    url = f"mqtt://127.0.0.1:{broker.port}"
    done = prodlytics("simulate", "--mqtt", "--story", MORNING, *options, home=home, PRODLYTICS_MQTT_URL=url)
    assert done.returncode == 0, done.stderr
    return truth(home)


def truth(home: Path) -> dict[Key, float | str]:
    (file,) = (home / "truth").glob("live-*.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    samples = [row for row in rows if "machine" in row]
    told = {(r["machine"], r["metric"], r["time_ms"]): r.get("text", r.get("value")) for r in samples}
    assert len(told) == len(samples)
    return told


def in_database(database: str) -> dict[Key, float | str]:
    with psycopg.connect(database) as conn:
        rows = conn.execute(
            "SELECT machine_id, metric_name, (extract(epoch FROM time) * 1000)::bigint, coalesce(value_text, '')"
            ", value FROM machine_telemetry"
        ).fetchall()
    return {(machine, metric, at): text or value for machine, metric, at, text, value in rows}


@pytest.mark.parametrize("form", ["kepserverex", "kepserverex-single", "plain"])
def test_what_was_published_is_stored(mosquitto: Broker, plain_database: str, tmp_path: Path, form: str) -> None:
    with bridge(mosquitto, plain_database, tmp_path / "bridge", DEMO_PLANT) as running:
        said = simulate(tmp_path, mosquitto, "--format", form, "--speed", "200", "--rate", "300", "--for", "6")
        wait_until(lambda: len(in_database(plain_database)) >= len(said), f"all stored: {running.log}")
        assert in_database(plain_database) == said
        assert quarantined(plain_database) == []
        assert len({machine for machine, _, _ in said}) == 12
        sensors = sum(metric in ("Temperature_C", "Power_kW") for _, metric, _ in said)
        assert 600 <= sensors <= 1800
        counted = sorted((at, value) for (machine, metric, at), value in said.items() if metric == "CycleCount")
        assert len(counted) > 50


def test_the_story_begins_where_it_is_told_to(mosquitto: Broker, tmp_path: Path) -> None:
    """Twenty minutes of the morning, and twenty of the lunch break."""
    told = {}
    for story in (MORNING, "2026-11-18T11:00"):
        options = ["--speed", "200", "--for", "6", "--story", story]
        said = simulate(tmp_path / story, mosquitto, *options)
        told[story] = sum(metric == "CycleCount" for _, metric, _ in said)
    assert told["2026-11-18T11:00"] < told[MORNING] / 5


def test_faults_on_demand_change_nothing_of_what_is_true(
    mosquitto: Broker, plain_database: str, tmp_path: Path
) -> None:
    faults = {"drop-connection": 0.03, "duplicate": 0.2, "late": 0.1, "bad-json": 0.1, "unknown-machine": 0.1}
    options = [word for name, share in faults.items() for word in ("--fault", f"{name}={share}")]
    with bridge(mosquitto, plain_database, tmp_path / "bridge", DEMO_PLANT) as running:
        said = simulate(tmp_path, mosquitto, "--rate", "2000", "--speed", "60", "--for", "8", *options)
        wait_until(lambda: len(in_database(plain_database)) >= len(said), f"all stored: {running.log}")
        assert in_database(plain_database) == said
        (file,) = (tmp_path / "truth").glob("live-*.jsonl")
        struck = Counter(json.loads(line)["fault"] for line in file.read_text().splitlines() if '"fault"' in line)
        assert set(struck) == set(faults)
        wait_until(lambda: len(quarantined(plain_database)) > 1, "the bad ones explained")
        assert {reason for reason, _ in quarantined(plain_database)} == {"bad_json", "unknown_machine"}


def test_it_goes_on_until_it_is_told_to_stop(mosquitto: Broker, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "prodlytics.cli", "simulate", "--mqtt", "--rate", "200"],
        env={"PRODLYTICS_HOME": str(tmp_path), "PRODLYTICS_MQTT_URL": f"mqtt://127.0.0.1:{mosquitto.port}"},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: any(file.stat().st_size for file in tmp_path.glob("truth/*")), "the first samples")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"{len(truth(tmp_path))} samples in" in out


def test_an_edge_node_of_sparkplug_is_heard_as_it_speaks(
    mosquitto: Broker, plain_database: str, tmp_path: Path
) -> None:
    """Births, data by alias, what is doubled, late or broken, and at the end the death of every tag."""
    faults = {"duplicate": 0.2, "late": 0.1, "bad-json": 0.1, "unknown-machine": 0.1}
    options = [word for name, share in faults.items() for word in ("--fault", f"{name}={share}")]
    with bridge(mosquitto, plain_database, tmp_path / "bridge", DEMO_PLANT) as running:
        said = simulate(tmp_path, mosquitto, "--format", "sparkplug", "--rate", "500", "--speed", "200", "--for", "8",
                        *options)  # fmt: skip
        tags = Counter((machine, metric) for machine, metric, _ in said)
        wait_until(lambda: unknown_at_the_end(plain_database) == set(tags), f"the death is stored: {running.log}")
        stored = in_database(plain_database)
        assert {key: value for key, value in stored.items() if value is not None} == said
        assert len(stored) == len(said) + len(tags)
        assert len({machine for machine, _ in tags}) == 12
        assert max(tags[tag] for tag in tags if tag[1] == "CycleCount") > 50
        assert {reason for reason, _ in quarantined(plain_database)} == {"bad_protobuf", "unknown_machine"}
        assert running.metric("rebirth_requests_total") == 0


def test_an_edge_node_whose_line_breaks_or_whose_host_comes_late_is_born_again(
    mosquitto: Broker, plain_database: str, tmp_path: Path
) -> None:
    """What was lost before it was sent is not true; what is true is stored, and no number is missing in a session."""
    options = ["--format", "sparkplug", "--rate", "200", "--speed", "60"]
    process = subprocess.Popen(
        [sys.executable, "-m", "prodlytics.cli", "simulate", "--mqtt", *options, "--fault", "drop-connection=0.02"],
        env={"PRODLYTICS_HOME": str(tmp_path), "PRODLYTICS_MQTT_URL": f"mqtt://127.0.0.1:{mosquitto.port}"},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: any(file.stat().st_size for file in tmp_path.glob("truth/*")), "the first samples")
    with bridge(mosquitto, plain_database, tmp_path / "bridge", DEMO_PLANT) as running:
        wait_until(lambda: running.metric("rebirth_requests_total") >= 1, "the host asks for the births")
        (file,) = tmp_path.glob("truth/*")
        wait_until(lambda: file.read_text().count('"drop-connection"') >= 3, "the line breaks")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        said = truth(tmp_path)
        wait_until(
            lambda: unknown_at_the_end(plain_database) == {(machine, metric) for machine, metric, _ in said},
            f"the death is stored: {running.log}",
        )
        stored = {key: value for key, value in in_database(plain_database).items() if value is not None}
        heard_from = min(at for _, _, at in stored)
        assert stored.items() <= said.items()
        reasons = Counter(reason for reason, _ in quarantined(plain_database))
        assert set(reasons) <= {"no_birth"}
        lost = {key for key in said.keys() - stored.keys() if key[2] > heard_from}
        assert len(lost) <= 100 * reasons["no_birth"]


def unknown_at_the_end(database: str) -> set[tuple[str, str]]:
    """Machine and metric of the tags whose newest sample says that nobody knows how they are."""
    with psycopg.connect(database) as conn:
        rows = conn.execute(
            "SELECT DISTINCT ON (machine_id, metric_name) machine_id, metric_name, quality FROM machine_telemetry"
            " ORDER BY machine_id, metric_name, time DESC"
        ).fetchall()
    return {(machine, metric) for machine, metric, quality in rows if quality < 64}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "Write --mqtt"),
        (["--mqtt", "--format", "csv"], "There is no format 'csv'"),
        (["--mqtt", "--fault", "fire"], "There is no fault 'fire'"),
        (["--mqtt", "--fault", "late=2"], "no probability"),
        (["--mqtt", "--story", "0001-01-01T00:00"], "out of range"),
        (["--mqtt"], "No broker answers"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(options: list[str], says: str, tmp_path: Path) -> None:
    done = prodlytics("simulate", *options, home=tmp_path, PRODLYTICS_MQTT_URL="mqtt://127.0.0.1:1")
    assert done.returncode in (1, 2)
    assert says in one_sentence(done)
