"""`prodlytics doctor`: each thing in one line, what to do, and never a secret."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import psycopg
import pytest

from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.servers.azurite import BlobStorage
from prodlytics_tests.servers.databases import empty_database
from prodlytics_tests.servers.mosquitto import Broker
from prodlytics_tests.test_cli import prodlytics

CONNECTION = """
connections:
  - {name: erp, kind: machinemetrics, url: "https://api.example.com", every_min: 5}
"""
HUB = "HostName=acme.azure-devices.net;DeviceId=gateway-1;SharedAccessKey=dG9wLXNlY3JldC1odWI="


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    """What was examined: verdict and sentence."""
    assert "Traceback" not in done.stderr
    return {one["what"]: (one["verdict"], one["said"]) for one in json.loads(done.stdout)["findings"]}


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    file = tmp_path / "plant.yaml"
    file.write_text(DEMO_PLANT.read_text() + CONNECTION)
    return file


def test_a_plant_file_alone_is_enough_and_nothing_is_made(tmp_path: Path) -> None:
    home = tmp_path / "home"
    done = prodlytics("doctor", home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0].split("  ")[0] for line in lines[:3]] == ["ok", "not set up", "not set up"]
    assert [line for line in lines if "units of 4 KB a day at most" in line]
    assert not home.exists()


def test_all_is_well_and_the_quota_plan_is_of_what_was_stored(
    mosquitto: Broker, plain_database: str, tmp_path: Path, plant: Path
) -> None:
    """One tag with a sample a minute, never dropped: at most one message a minute, each of one unit of 4 KB."""
    with psycopg.connect(plain_database) as conn:
        conn.execute("INSERT INTO tag (machine_id, metric_name, source) VALUES ('Press01', 'PartCountGood', '')")
        conn.execute(
            "INSERT INTO telemetry_sample (tag_id, time, value, quality, published_lag_us, ingested_lag_us)"
            " SELECT tag_id, date_trunc('day', now(), 'UTC') - interval '1 day' + n * interval '1 minute', n, 192, 0, 0"
            " FROM tag, generate_series(0, 1439) n"
        )
    (tmp_path / "landing").mkdir()
    done = prodlytics(
        "doctor", "--json", home=tmp_path, PRODLYTICS_PLANT=str(plant), PRODLYTICS_DATABASE_URL=plain_database,
        PRODLYTICS_MQTT_URL=f"mqtt://127.0.0.1:{mosquitto.port}", PRODLYTICS_ERP_API_KEY="top-secret-key",
        PRODLYTICS_IOTHUB_CONNECTION_STRING=HUB,
    )  # fmt: skip
    found = findings(done)
    assert {what: verdict for what, (verdict, _) in found.items()} == dict.fromkeys(
        ["plant file", "database", "connection erp", "landing place", "archive", "broker", "cloud"], "ok"
    )
    assert done.returncode == 0
    plan = json.loads(done.stdout)["quota_plan"]
    assert plan["messages_per_day"] == pytest.approx(1440, rel=0.01)
    assert 1440 <= plan["units_of_4_kb_per_day"] < 2 * 1440
    assert plan["s1_units"] == 1
    assert "top-secret" not in done.stdout
    assert "dG9w" not in done.stdout


def test_what_is_wrong_is_a_line_each_with_what_to_do_and_without_secrets(
    mosquitto: Broker, plain_server: str, tmp_path: Path, plant: Path
) -> None:
    (tmp_path / "archive").write_text("a file where a folder is needed")
    mosquitto.restart_with("allow_anonymous false")
    with empty_database(plain_server) as empty:
        done = prodlytics(
            "doctor", "--json", home=tmp_path, PRODLYTICS_PLANT=str(plant), PRODLYTICS_DATABASE_URL=empty,
            PRODLYTICS_MQTT_URL=f"mqtt://bridge:very-secret@127.0.0.1:{mosquitto.port}",
            PRODLYTICS_LANDING_URL=str(tmp_path / "nowhere"),
            PRODLYTICS_IOTHUB_CONNECTION_STRING="HostName=h;DeviceId=d;SharedAccessKey=very-secret",
        )  # fmt: skip
        found = findings(done)
        assert done.returncode == 1
        assert found.pop("plant file")[0] == "ok"
        assert {verdict for verdict, _ in found.values()} == {"problem"}
        for what, remedy in {
            "database": "run prodlytics migrate", "connection erp": "PRODLYTICS_ERP_API_KEY",
            "landing place": "PRODLYTICS_LANDING_URL", "archive": "PRODLYTICS_ARCHIVE_URL",
            "broker": "Not authorized", "cloud": "SharedAccessKey in Base64",
        }.items():  # fmt: skip
            assert remedy in found[what][1], found[what]
        assert "very-secret" not in done.stdout + done.stderr
        with psycopg.connect(empty) as conn:
            assert conn.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


def test_a_plant_file_that_is_wrong_names_its_line_and_the_rest_is_examined_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "plant.yaml"
    file.write_text(DEMO_PLANT.read_text().replace("timezone: America/Chicago", "timezone: America/Chikago"))
    gone = "postgresql://somebody:very-secret@127.0.0.1:1/production"
    done = prodlytics(
        "doctor", home=tmp_path, PRODLYTICS_PLANT=str(file), PRODLYTICS_DATABASE_URL=gone,
        PRODLYTICS_MQTT_URL="mqtt://somebody:very-secret@127.0.0.1:1",
    )  # fmt: skip
    assert done.returncode == 1
    problems = [line for line in done.stdout.splitlines() if line.startswith("problem ")]
    assert [line.split()[1].rstrip(":") for line in problems] == ["plant", "database", "broker"]
    assert "line " in problems[0]
    assert "127.0.0.1:1/production" in problems[1]
    assert "Connection refused" in problems[2]
    assert "very-secret" not in done.stdout + done.stderr
    assert "4 KB" not in done.stdout


def test_a_container_is_asked_and_not_believed_to_be_there(azurite: BlobStorage, tmp_path: Path) -> None:
    """A key that is not the right one shows only when something is read: to the container it looks like a token's."""
    from azure.storage.blob import ContainerClient

    ContainerClient.from_connection_string(azurite.connection_string, "plant").create_container()
    for container, verdict in (("plant", "ok"), ("gone", "problem")):
        url = f"abfs://{container}@{azurite.account}.dfs.core.windows.net"
        done = prodlytics(
            "doctor", "--json", home=tmp_path, PRODLYTICS_LANDING_URL=url, PRODLYTICS_ARCHIVE_URL=url,
            AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string,
        )  # fmt: skip
        found = findings(done)
        assert (found["landing place"][0], found["archive"][0]) == (verdict, verdict), found
        assert azurite.key not in done.stdout
