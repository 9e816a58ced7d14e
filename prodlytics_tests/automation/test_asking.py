"""A connection of the plant file as Dagster asks it: schedule, what came, and a check that says who is silent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest

from prodlytics.assets.resources import Database
from prodlytics.definitions import build_defs
from prodlytics.sources.asking import late
from prodlytics_tests.sources.adapters.test_business_central import KEYS, bc
from prodlytics_tests.sources.adapters.vendor import NOW, connected
from prodlytics_tests.sources.landing_place import rows
from prodlytics_tests.vendors.business_central import BusinessCentral, line, order
from prodlytics_tests.vendors.serving import Mishap, Mishaps, a_login_page, secured


@pytest.fixture
def mishaps() -> Mishaps:
    return Mishaps()


@pytest.fixture
def definitions(
    plain_database: str, mishaps: Mishaps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.Definitions]:
    company = BusinessCentral({
        "manufacturingProductionOrders": [order("101001")], "capacityLedgerEntries": [], "items": [],
        "manufacturingProdOrderLines": [line("101001", 10000, "P-100", 500, 120)],
    })  # fmt: skip
    for name, said in KEYS.items():
        monkeypatch.setenv(name, said)
    with secured(company.app(), mishaps, tmp_path) as (url, certificate):
        plant = bc(url, ca_file=certificate, every_min=5)
        yield build_defs(plant=plant, database=Database(url=plain_database))


def config(connection: str = "bc") -> dict[str, Any]:
    return {"ops": {"ask_connection": {"config": {"connection": connection}}}}


def check(instance: dg.DagsterInstance, dataset: str) -> tuple[bool, str, str]:
    """Whether the newest check of a dataset's sources passed, how bad it is, and what it says."""
    key = dg.AssetCheckKey(dg.AssetKey(["small", dataset]), "sources_answer")
    (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert record.evaluation is not None
    return record.evaluation.passed, record.evaluation.severity.value, record.evaluation.description or ""


def test_a_connection_has_its_schedule(definitions: dg.Definitions) -> None:
    schedule = definitions.get_repository_def().get_schedule_def("ask_bc")
    assert schedule.cron_schedule == "*/5 * * * *"
    with dg.DagsterInstance.ephemeral() as instance:
        (request,) = schedule.evaluate_tick(dg.build_schedule_context(instance=instance)).run_requests or ()
    assert request.run_config == config()


def test_a_run_stores_what_was_said_and_shows_it_on_the_asset(definitions: dg.Definitions, plain_database: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert definitions.get_job_def("ask_source").execute_in_process(config(), instance=instance).success
        event = instance.get_latest_materialization_event(dg.AssetKey(["small", "work_orders"]))
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.metadata["bc/order_lines_stored"].value == 1
        assert check(instance, "work_orders")[0]
    assert rows(plain_database, "SELECT work_order, order_qty FROM work_orders") == [("101001", 500)]


def test_a_system_that_gives_no_answer_is_a_failed_check_with_the_reason(
    definitions: dg.Definitions, mishaps: Mishaps
) -> None:
    """Whoever was read a moment ago needs eyes only; whoever was never read is an error."""
    job = definitions.get_job_def("ask_source")
    with dg.DagsterInstance.ephemeral() as instance:
        # The first question for items is for the units of orders.
        mishaps.next("items", Mishap(body=None), a_login_page())
        assert job.execute_in_process(config(), instance=instance).success
        passed, severity, says = check(instance, "part_costs")
        assert (passed, severity) == (False, "ERROR")
        assert says.startswith("bc/item_costs has never been read: ")
        assert says.endswith("/items answers with text/html that is not JSON.")
        assert check(instance, "work_orders")[0]

        job.execute_in_process(config(), instance=instance)
        assert check(instance, "part_costs")[0]
        mishaps.next("manufacturingProdOrderLines", a_login_page())
        job.execute_in_process(config(), instance=instance)
        passed, severity, says = check(instance, "work_orders")
        assert (passed, severity) == (False, "WARN")
        assert "bc/order_lines was last read at" in says


def test_a_system_that_was_never_asked_is_an_error(plain_database: str, definitions: dg.Definitions) -> None:
    plant = connected(name="bc", kind="business_central", url="http://127.0.0.1:1")
    with psycopg.connect(plain_database) as conn:
        (late_one,) = late(conn, plant, "part_costs", NOW)
    assert (late_one.for_long, late_one.says) == (
        True, "bc has never been asked: is its schedule ask_bc running?"
    )  # fmt: skip


def test_a_missing_secret_fails_the_check_of_everything_it_could_bring(
    definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = definitions.get_job_def("ask_source")
    with dg.DagsterInstance.ephemeral() as instance:
        monkeypatch.delenv("PRODLYTICS_BC_CLIENT_SECRET")
        assert job.execute_in_process(config(), instance=instance).success
        for dataset in ("work_orders", "part_costs", "operator_entries"):
            passed, _, says = check(instance, dataset)
            assert not passed
            assert "needs PRODLYTICS_BC_CLIENT_SECRET in the environment" in says
        monkeypatch.setenv("PRODLYTICS_BC_CLIENT_SECRET", KEYS["PRODLYTICS_BC_CLIENT_SECRET"])
        job.execute_in_process(config(), instance=instance)
        assert check(instance, "operator_entries")[0]


def test_a_connection_nobody_wrote_down_is_one_sentence(definitions: dg.Definitions) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.get_job_def("ask_source").execute_in_process(
            config("sap"), instance=instance, raise_on_error=False
        )
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "There is no connection 'sap' in the plant file: write bc." in str(failure.step_failure_data.error)
