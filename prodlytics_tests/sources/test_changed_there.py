"""What another system changes, deletes, reopens or garbles, in whatever order it is asked, ends as it has it."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlytics.sources.ask import SourceUnavailableError
from prodlytics.sources.connectors import sync
from prodlytics_tests.servers.databases import migrated_database
from prodlytics_tests.sources.landing_place import at, landing_plant, rows
from prodlytics_tests.sources.said_there import SaidThere

PLANT = landing_plant()
NOW = at(7200)
DAY = dt.timedelta(days=1)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def database(plain_server: str) -> Iterator[str]:
    with migrated_database(plain_server) as url:
        yield url


def run(url: str, there: SaidThere, now: dt.datetime) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        sync(conn, PLANT, there, now)


def reason(key: str, code: str = "MECH_A", begin: int = 0, **said: Any) -> dict[str, Any]:
    return {"source_key": key, "machine_id": "Press01", "kind": "reason", "starts_at": at(begin).isoformat(),
            "ends_at": at(begin + 600).isoformat(), "reason_code": code, "entered_by": "mm",
            "entered_at": at(begin + 700).isoformat(), **said}  # fmt: skip


def holding(url: str, resource: str) -> set[tuple[str, str, int]]:
    """First key, reason and begin of the entries that nothing takes back."""
    found = rows(
        url,
        "SELECT split_part(split_part(source_key, '@', 1), '/', 3), reason_code, starts_at FROM operator_entries e"
        f" WHERE kind <> 'undo' AND starts_with(source_key, 'erp/{resource}/')"
        " AND NOT EXISTS (SELECT FROM operator_entries u WHERE u.undoes = e.source_key)",
    )
    return {(key, code, int((starts - at(0)).total_seconds())) for key, code, starts in found}


entries = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]), st.tuples(st.sampled_from(["MECH_A", "MECH"]), st.sampled_from([0, 300]))
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(snapshots=st.lists(entries.filter(bool), min_size=1, max_size=5))
def test_entries_are_in_the_end_what_the_other_system_has(
    database: str, snapshots: list[dict[str, tuple[str, int]]]
) -> None:
    there = SaidThere(f"run{next(NUMBERS)}", "operator_entries", reach=30 * DAY)
    for day, snapshot in enumerate(snapshots):
        there.rows = [reason(key, code, begin) for key, (code, begin) in snapshot.items()]
        # Twice, and with every record on two pages: neither adds anything.
        for _ in range(2):
            there.rows = there.rows + there.rows if day % 2 else there.rows
            run(database, there, NOW + day * DAY)
        assert holding(database, there.resource) == {(key, *said) for key, said in snapshot.items()}


def test_an_annotation_that_is_renamed_is_taken_back_by_name_and_said_anew(plain_database: str) -> None:
    there = SaidThere("annotations", "operator_entries", [reason("7")], source="mm", said_by="machinemetrics")
    run(plain_database, there, NOW)
    there.rows = [reason("7", "MECH", entered_at=at(5000).isoformat())]
    run(plain_database, there, NOW + DAY)
    found = rows(
        plain_database,
        "SELECT source_key, kind, reason_code, undoes, why, source FROM operator_entries ORDER BY entry_id",
    )
    assert found == [
        ("mm/annotations/7", "reason", "MECH_A", None, None, "machinemetrics"),
        ("mm/annotations/7@1u", "undo", None, "mm/annotations/7", "changed in machinemetrics", "machinemetrics"),
        ("mm/annotations/7@2", "reason", "MECH", None, None, "machinemetrics"),
    ]
    marked = rows(plain_database, "SELECT DISTINCT dataset FROM dirty_mark WHERE cause = 'sync of mm/annotations'")
    assert ("downtime_events",) in marked


def test_what_lies_beyond_the_reach_is_not_taken_for_deleted(plain_database: str) -> None:
    there = SaidThere("annotations", "operator_entries", [reason("old"), reason("new", begin=5 * 86_400 - 7200)])
    there.reach = 5 * DAY
    run(plain_database, there, NOW + 4 * DAY)
    there.rows = [reason("other", begin=5 * 86_400)]
    run(plain_database, there, NOW + 6 * DAY)
    assert {key for key, _, _ in holding(plain_database, "annotations")} == {"old", "other"}


def test_a_garbled_record_is_not_taken_for_deleted(plain_database: str) -> None:
    there = SaidThere("annotations", "operator_entries", [reason("a"), reason("b")], reach=30 * DAY)
    run(plain_database, there, NOW)
    there.rows = [reason("a", "NOBODY_KNOWS"), reason("b")]
    run(plain_database, there, NOW + DAY)
    assert {key for key, _, _ in holding(plain_database, "annotations")} == {"a", "b"}


# ---- orders

orders_done = st.lists(
    st.tuples(
        st.sampled_from(["open", "open", "open", "closed", "delete", "garble", "ask", "ask", "full", "break"]),
        st.integers(0, 3),
    ),
    min_size=10,
    max_size=40,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(done=orders_done, seed=st.integers(0, 1000))
def test_orders_are_in_the_end_what_the_erp_has(database: str, done: list[tuple[str, int]], seed: int) -> None:
    """Against a model that knows nothing of cursors, pages and versions."""
    chance = random.Random(seed)
    run_number = next(NUMBERS)
    there = SaidThere("orders", "work_orders", source=f"erp{run_number}")
    has: dict[str, dict[str, Any]] = {}
    expected: dict[str, tuple[str, int]] = {}
    now, full_at = NOW, None
    for step, (what, number) in enumerate([*done, ("full", 0)]):
        now += dt.timedelta(minutes=1) if what != "full" else DAY
        name = f"W{run_number}-{number}"
        if what in ("open", "closed"):
            has[name] = {"work_order": name, "status": what, "order_qty": step, "source_modified_at": now.isoformat()}
        elif what == "delete":
            has.pop(name, None)
        elif what == "garble" and name in has:
            has[name] = has[name] | {chance.choice(["order_qty", "status"]): "?", "source_modified_at": now.isoformat()}
        if what not in ("ask", "full", "break"):
            continue
        page = list(has.values())
        chance.shuffle(page)
        there.rows, there.fails_after = page + page[:2], 0 if what == "break" else None
        whole = full_at is None or now - full_at >= DAY
        try:
            run(database, there, now)
        except SourceUnavailableError:
            # Broken off, or nothing at all where there was something.
            assert what == "break" or not has
            continue
        full_at = now if whole else full_at
        sound = {name: row for name, row in has.items() if "?" not in row.values()}
        # Asked for what has changed, an ERP says nothing of what is gone.
        if whole:
            for name, (status, quantity) in expected.items():
                if name not in has and status == "open":
                    expected[name] = ("cancelled", quantity)
        expected |= {name: (row["status"], row["order_qty"]) for name, row in sound.items()}
    found = rows(
        database, f"SELECT work_order, status, order_qty::int FROM work_orders WHERE source = 'erp{run_number}'"
    )
    assert {name: (status, quantity) for name, status, quantity in found} == expected


def test_nothing_at_all_is_no_reason_to_cancel_everything(plain_database: str) -> None:
    there = SaidThere("orders", "work_orders", [{"work_order": "W1", "status": "open"}])
    run(plain_database, there, NOW)
    there.rows = []
    with pytest.raises(SourceUnavailableError, match="nothing at all where there was something"):
        run(plain_database, there, NOW + DAY)
    assert rows(plain_database, "SELECT status FROM work_orders") == [("open",)]
    (problem,) = rows(plain_database, "SELECT problem, failed_at, succeeded_at FROM sync_state")
    assert problem[0].startswith("erp/orders: the system has nothing at all")
    assert problem[1:] == (NOW + DAY, NOW)


def test_a_quiet_week_is_no_failure(plain_database: str) -> None:
    """Everything of the last days may be nothing; what is older was not asked for."""
    there = SaidThere("annotations", "operator_entries", [reason("a")], reach=5 * DAY)
    run(plain_database, there, NOW)
    there.rows = []
    run(plain_database, there, NOW + 20 * DAY)
    assert holding(plain_database, "annotations") == {("a", "MECH_A", 0)}
