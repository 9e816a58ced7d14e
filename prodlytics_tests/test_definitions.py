"""The code location as a whole: it loads, it is cheap, and the graph is the one that was agreed."""

from __future__ import annotations

import json
import subprocess
import sys

import dagster as dg
import pytest

from prodlytics.datasets.registry import DATASETS
from prodlytics.definitions import build_defs
from prodlytics.plant.load import load_plant
from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.plant.small_plant import small_plant

HEAVY = {
    "pandas", "pandera", "pyarrow", "sklearn", "shap", "prophet", "matplotlib", "azure", "dagster_azure", "adlfs",
    "fsspec", "pyodbc", "adbc_driver_postgresql", "scipy",
}  # fmt: skip


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(plant=load_plant(DEMO_PLANT))


def test_definitions_are_loadable(definitions: dg.Definitions) -> None:
    assert dg.Definitions.validate_loadable(definitions) is None


def test_definitions_of_a_plant_with_connections_are_loadable_as_well() -> None:
    """An op and a job of one name run when they are called, but no code location that has them loads."""
    erp = {"name": "erp", "kind": "epicor", "url": "http://127.0.0.1:1", "options": {"company": "C"}}
    plant = small_plant(connections=[erp, erp | {"name": "machines", "kind": "machinemetrics"}])
    defined = build_defs(plant=plant)
    assert dg.Definitions.validate_loadable(defined) is None
    names = {schedule.name for schedule in defined.get_repository_def().schedule_defs}
    assert {"ask_erp", "ask_machines"} <= names


def test_asset_graph_is_as_agreed(definitions: dg.Definitions, snapshot: object) -> None:
    """Key, group, dependencies, partitions, owners, kinds, checks and columns: a change shows in the diff."""
    graph = definitions.resolve_asset_graph()
    picture = {
        "/".join(key.path): {
            "group": node.group_name,
            "depends_on": sorted("/".join(parent.path) for parent in node.parent_keys),
            "description": node.description,
            "owners": sorted(node.owners),
            "kinds": sorted(node.kinds),
            "partitions": str(node.partitions_def) if node.partitions_def else None,
            "single_run": node.backfill_policy == dg.BackfillPolicy.single_run() if node.is_materializable else None,
            "freshness": str(node.freshness_policy) if node.freshness_policy else None,
            "checks": sorted(check.name for check in graph.asset_check_keys if check.asset_key == key),
            "columns": [column.name for column in node.metadata["dagster/column_schema"].columns],
        }
        for key, node in ((key, graph.get(key)) for key in sorted(graph.get_all_asset_keys()))
    }
    assert json.dumps(picture, indent=1, sort_keys=True) == snapshot


def test_every_asset_has_a_schema_check_and_one_of_meaning(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        names = {check.name for check in graph.asset_check_keys if check.asset_key == key}
        assert "schema" in names, key
        assert len(names) >= 2, key


def test_every_dataset_is_an_asset_and_every_archived_one_has_its_archive(definitions: dg.Definitions) -> None:
    keys = {"/".join(key.path[1:]) for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    archived = {f"archive/{dataset.name}" for dataset in DATASETS.values() if dataset.archived}
    assert keys == set(DATASETS) | archived | {"retention", "backup"}


def test_schedules_and_sensors_run_by_default(definitions: dg.Definitions) -> None:
    for schedule in definitions.schedules or ():
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING  # type: ignore[union-attr]
    for sensor in definitions.sensors or ():
        assert sensor.default_status == dg.DefaultSensorStatus.RUNNING


def test_loading_the_code_location_imports_nothing_heavy() -> None:
    """A fresh interpreter loads the definitions; pandas and its friends would add seconds to every run."""
    script = "import sys, prodlytics.definitions; print(sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.strip().splitlines()[-1].replace("'", '"')))
    assert loaded & HEAVY == set()


def test_loading_opens_no_connection(tmp_path: object) -> None:
    """With a database that cannot be reached the code location still loads."""
    done = subprocess.run(
        [sys.executable, "-c", "import prodlytics.definitions"],
        env={"PATH": "/usr/bin:/bin", "PRODLYTICS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
