"""Fixtures every room's tests may use, and the switch that makes a skipped test a failure.

Belongs here: servers, databases, shared data. Does not belong here: a room's own small plants and frames.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from prodlytics_tests.servers import azurite as blob_storage
from prodlytics_tests.servers import catchers, mariadb, plain, timescale
from prodlytics_tests.servers import mosquitto as mqtt
from prodlytics_tests.servers.databases import migrated_database
from prodlytics_tests.servers.place import PROJECT, Unavailable

T = TypeVar("T")

# No test is about time: on a busy machine a slow example is no defect.
hypothesis.settings.register_profile("prodlytics", deadline=None)
hypothesis.settings.load_profile("prodlytics")

#: A TimescaleDB Community server (superuser URL) to test against as well; CI has none.
COMMUNITY_VARIABLE = "PRODLYTICS_TEST_TSL_URL"
CAPABILITIES = ["plain", "timescaledb_apache", *(["timescaledb_community"] if COMMUNITY_VARIABLE in os.environ else [])]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fail-on-skip", action="store_true", help="fail if any test was skipped, and list them")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = _skipped(terminalreporter)
    if terminalreporter.config.getoption("--fail-on-skip") and skipped:
        terminalreporter.section("skipped, which --fail-on-skip forbids")
        for name, reason in skipped:
            terminalreporter.line(f"{name}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--fail-on-skip") and reporter is not None and _skipped(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skipped(reporter: pytest.TerminalReporter) -> list[tuple[str, str]]:
    """Name and reason of every skipped test; with xdist only the controller knows them."""
    return [
        (report.nodeid, report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr))
        for report in reporter.stats.get("skipped", [])
    ]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The reference data beside the project; it is never part of it."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("there is no folder shared/data beside the project")
    return folder


@pytest.fixture(scope="session")
def plain_server() -> Iterator[str]:
    """URL of a plain PostgreSQL server that all test processes share."""
    with plain.running() as url:
        yield url


@pytest.fixture
def plain_database(plain_server: str) -> Iterator[str]:
    """URL of a fresh migrated database on plain PostgreSQL."""
    with migrated_database(plain_server) as url:
        yield url


@pytest.fixture(scope="session", params=CAPABILITIES)
def database_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a server of each capability; one that this machine cannot have is a skip."""
    servers: dict[str, Callable[[], AbstractContextManager[str]]] = {
        "plain": plain.running,
        "timescaledb_apache": timescale.running,
        "timescaledb_community": lambda: nullcontext(os.environ[COMMUNITY_VARIABLE]),
    }
    with _or_skip(servers[request.param]()) as url:
        yield url


@pytest.fixture
def database(database_server: str) -> Iterator[str]:
    """URL of a fresh migrated database, once for each capability."""
    with migrated_database(database_server) as url:
        yield url


@pytest.fixture(scope="session")
def azurite_server() -> Iterator[blob_storage.BlobStorage]:
    """One Azure emulator for each test process."""
    with _or_skip(blob_storage.running()) as storage:
        yield storage


@pytest.fixture
def azurite(azurite_server: blob_storage.BlobStorage) -> Iterator[blob_storage.BlobStorage]:
    """Azure Blob storage without any container."""
    from azure.storage.blob import BlobServiceClient

    yield azurite_server
    with BlobServiceClient.from_connection_string(azurite_server.connection_string) as service:
        for container in service.list_containers():
            service.delete_container(container)


@pytest.fixture
def mosquitto() -> Iterator[mqtt.Broker]:
    """An MQTT broker of the test's own, to publish to, stop and kill."""
    with _or_skip(mqtt.running()) as broker:
        yield broker


@pytest.fixture(scope="module")
def mariadb_server() -> Iterator[mariadb.MariaDB]:
    """A MariaDB with its ODBC driver; `root` may do everything."""
    with _or_skip(mariadb.running()) as server:
        yield server


@pytest.fixture
def mails() -> Iterator[catchers.Mails]:
    """A mail server that catches everything."""
    with catchers.mail_server() as caught:
        yield caught


@pytest.fixture
def calls() -> Iterator[catchers.Calls]:
    """A web server that catches everything posted to it."""
    with catchers.web_server() as caught:
        yield caught


@contextmanager
def _or_skip(server: AbstractContextManager[T]) -> Iterator[T]:
    with ExitStack() as stack:
        try:
            started = stack.enter_context(server)
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield started
