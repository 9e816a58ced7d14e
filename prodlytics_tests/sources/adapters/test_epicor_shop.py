"""What a shop does in Epicor Kinetic: operations, bookings, standards, costs, and a query of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from prodlytics.plant.model import Plant
from prodlytics_tests.sources.adapters.test_epicor import KEYS
from prodlytics_tests.sources.adapters.vendor import NOW, ask, connected
from prodlytics_tests.sources.landing_place import DAY, landing_plant, rows
from prodlytics_tests.vendors.epicor import (
    COMPANY,
    Kinetic,
    a_company,
    booking,
    cost,
    detail,
    job,
    operation,
)  # fmt: skip
from prodlytics_tests.vendors.serving import Mishaps, serving

#: Some days before the asking, so that a night shift is over whatever the hour of the day.
SHIFT_DAY = DAY.date() - dt.timedelta(days=2)
TODAY = SHIFT_DAY.isoformat()
ZONE = landing_plant().zone
ENTRIES = (
    "SELECT source_key, kind, machine_id, starts_at, ends_at, quantity, reject_quantity, rework_quantity, part_number,"
    " work_order, scrap_reason, entered_by FROM operator_entries ORDER BY 1"
)
CYCLES = "SELECT part_number, machine_id, since, ideal_cycle_time_ms FROM ideal_cycles ORDER BY 1, 2, 3"


@contextmanager
def shop(kinetic: Kinetic, **options: str) -> Iterator[Plant]:
    """The plant of a company that is served."""
    options = {"company": COMPANY, "page_size": "2", **options}
    with serving(kinetic.app(), Mishaps()) as url:
        yield connected(
            name="erp", kind="epicor", url=f"{url}/kinetic", options=options,
            machines={"R-1": "Press01", "R-2": "Robot01"},
        )  # fmt: skip


def at(hours: float, day: int = 0) -> dt.datetime:
    """Hours of the plant's clock on the day."""
    local = dt.datetime.combine(SHIFT_DAY + dt.timedelta(days=day), dt.time()) + dt.timedelta(hours=hours)
    return local.replace(tzinfo=ZONE).astimezone(dt.UTC)


def test_an_operation_is_an_order_of_its_machine_from_its_first_booking_to_its_last(plain_database: str) -> None:
    kinetic = a_company(
        job("000001"), job("000002", JobClosed=True), job("000003"),
        JobOpers=[operation("000001", 10), operation("000001", 20), operation("000002", 10, QtyCompleted=500.0),
                  operation("000003", 10, OpComplete=True), operation("000003", 20), operation("999999", 10),
                  operation("000001", 30, OpComplete="perhaps")],
        JobOpDtls=[detail("000001", 10, "R-1"), detail("000001", 20, "BENCH"), detail("000002", 10, "BENCH"),
                   detail("000003", 10, "R-2"), detail("999999", 10, "R-1"), detail("000001", 30, "R-1"),
                   # Half of it on each press: no one machine's.
                   detail("000003", 20, "R-1"), detail("000003", 20, "R-2", OpDtlSeq=20)],
        LaborDtls=[
            booking(1, "000001", 10, TODAY, 6.0, 8.5, ScrapQty=2.0), booking(2, "000001", 10, TODAY, 9.25, 11.0),
            booking(3, "000001", 10, TODAY, 5.0, 6.0, LaborType="S"),
            # Planned on the bench, made on the press.
            booking(4, "000002", 10, TODAY, 22.0, 2.5, ScrapQty=5.0),
            booking(5, "000003", 10, TODAY, 6.0, 7.0, ResourceID="R-2"),
            booking(6, "000003", 10, TODAY, 7.0, 0, ResourceID="R-2", ActiveTrans=True),
        ],
    )  # fmt: skip
    with shop(kinetic, resources="operations") as plant:
        assert ask(plain_database, plant, KEYS).problems == []
        assert ask(plain_database, plant, KEYS, NOW + dt.timedelta(minutes=15)).problems == []
    assert rows(
        plain_database,
        "SELECT work_order, operation, machine_id, status, order_qty, completed_qty, scrap_qty, order_unit, started_at,"
        " ended_at FROM work_orders ORDER BY 1, 2",
    ) == [
        ("000001", "10", "Press01", "open", 510, 120, 2, "EA", at(6), None),
        ("000002", "10", "Press01", "closed", 510, 500, 5, "EA", at(22), at(2.5, day=1)),
        ("000003", "10", "Robot01", "closed", 510, 120, 0, "EA", at(6), None),
    ]
    assert rows(plain_database, "SELECT reason FROM quarantine") == [("missing_field",)]


def test_jobs_and_operations_do_not_take_each_other_for_deleted(plain_database: str) -> None:
    kinetic = a_company(
        job("000001"), job("000002"), JobOpers=[operation("000001", 10), operation("000002", 10)],
        JobOpDtls=[detail("000001", 10, "R-1"), detail("000002", 10, "R-1")],
    )  # fmt: skip
    said = "SELECT work_order, operation, status FROM work_orders ORDER BY 1, 2"
    with shop(kinetic) as plant:
        for days in (0, 1, 2):
            ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=days))
            assert {row[2] for row in rows(plain_database, said)} == {"open"}
        del kinetic.jobs[0]
        ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=3))
    assert rows(plain_database, said) == [
        ("000001", "", "cancelled"), ("000001", "10", "cancelled"), ("000002", "", "open"), ("000002", "10", "open"),
    ]  # fmt: skip


def test_an_operation_that_began_in_the_hour_the_clocks_repeat_is_set_aside(plain_database: str) -> None:
    kinetic = a_company(
        job("000001"), JobOpers=[operation("000001", 10), operation("000001", 20)],
        JobOpDtls=[detail("000001", 10, "R-1"), detail("000001", 20, "R-1")],
        LaborDtls=[booking(1, "000001", 10, "2026-11-01", 1.5, 3.0), booking(2, "000001", 20, "2026-11-01", 2.0, 3.0)],
    )  # fmt: skip
    with shop(kinetic, resources="operations") as plant:
        ask(plain_database, plant, KEYS)
    assert rows(plain_database, "SELECT operation, started_at FROM work_orders") == [
        ("20", dt.datetime(2026, 11, 1, 8, tzinfo=dt.UTC))
    ]
    assert rows(plain_database, "SELECT reason FROM quarantine") == [("ambiguous_time",)]


def test_what_people_booked_is_entered_with_its_scrap_and_its_reason(plain_database: str) -> None:
    kinetic = a_company(
        job("000001"),
        LaborDtls=[
            booking(1, "000001", 10, TODAY, 22.0, 6.25, ScrapQty=3.0, ScrapReasonCode="BURR", DiscrepQty=1.0),
            booking(2, "000001", 10, TODAY, 6.0, 7.0, AssemblySeq=1, ScrapQty=1.0),
            booking(3, "000001", 10, TODAY, 6.0, 7.0, LaborType="I"), booking(4, "000001", 10, TODAY, 7.0, 0.0,
            ActiveTrans=True), booking(5, "000001", 10, TODAY, 6.0, 7.0, ResourceID="BENCH", ResourceGrpID="X"),
            booking(6, "OTHER-SITE", 10, TODAY, 6.0, 7.0), booking(7, "000001", 10, TODAY, 6.0, 31.0),
        ],
    )  # fmt: skip
    with shop(kinetic, resources="bookings") as plant:
        assert ask(plain_database, plant, KEYS).problems == []
        first = ("Press01", at(22), at(6.25, day=1))
        said = [
            ("erp/bookings/7001/1", "production", *first, 60, 3, 1, "P-100", "000001", None, "101"),
            ("erp/bookings/7001/1/scrap", "scrap", *first, 3, None, None, "P-100", "000001", "BURR", "101"),
            ("erp/bookings/7002/2", "production", "Press01", at(6), at(7), 60, 1, 0, None, "000001", None, "101"),
        ]
        assert rows(plain_database, ENTRIES) == said
        assert rows(plain_database, "SELECT reason FROM quarantine") == [("missing_field",)]
        # Corrected and deleted there: taken back here, and said anew.
        kinetic.lists["LaborDtls"] = [booking(2, "000001", 10, TODAY, 6.0, 7.0, AssemblySeq=1, ScrapQty=2.0)]
        ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=1))
    undone = rows(plain_database, "SELECT undoes, why FROM operator_entries WHERE kind = 'undo' ORDER BY 1")
    assert undone == [
        ("erp/bookings/7001/1", "deleted in erp"), ("erp/bookings/7001/1/scrap", "deleted in erp"),
        ("erp/bookings/7002/2", "changed in erp"),
    ]  # fmt: skip
    again = rows(plain_database, "SELECT reject_quantity FROM operator_entries WHERE source_key LIKE '%@2'")
    assert again == [(2,)]


@pytest.mark.parametrize(
    ("standard", "expected"),
    [
        ({"StdFormat": "HP", "ProdStandard": 0.01}, 36_000),
        ({"StdFormat": "MP", "ProdStandard": 3.0, "StdBasis": "C"}, 1_800),
        ({"StdFormat": "HP", "ProdStandard": 5.0, "StdBasis": "T"}, 1_800),
        ({"StdFormat": "PH", "ProdStandard": 300.0}, 12_000),
        ({"StdFormat": "PM", "ProdStandard": 4.0}, 15_000),
        ({"StdFormat": "OH", "ProdStandard": 600.0, "OpsPerPart": 2.0}, 12_000),
        ({"StdFormat": "OM", "ProdStandard": 10.0}, 6_000),
        ({"StdFormat": "HR", "ProdStandard": 4.0}, None),
        ({"StdFormat": "PH", "ProdStandard": 0.0}, None),
        ({"StdFormat": "PH", "ProdStandard": "fast"}, None),
        ({"StdFormat": "MP", "StdBasis": "?"}, None),
        ({"StdFormat": "OH", "OpsPerPart": 0.0}, None),
    ],
)
def test_a_standard_is_the_time_of_one_part(plain_database: str, standard: dict[str, Any], expected: int) -> None:
    kinetic = a_company(job("1", StartDate="2026-10-05T00:00:00"), JobOpDtls=[detail("1", 10, "R-1", **standard)])
    with shop(kinetic, resources="standards") as plant:
        assert ask(plain_database, plant, KEYS).problems == []
    found = [] if expected is None else [("P-100", "Press01", dt.date(2026, 10, 5), float(expected))]
    assert rows(plain_database, CYCLES) == found


def test_a_standard_holds_from_the_job_that_first_had_it(plain_database: str) -> None:
    starts = {"1": "2026-10-05", "2": "2026-10-12", "3": "2026-10-19", "4": None}
    kinetic = a_company(
        *(job(number, StartDate=day and f"{day}T00:00:00-05:00") for number, day in starts.items()),
        JobOpDtls=[detail("1", 10, "R-1"), detail("1", 20, "R-1"), detail("2", 10, "R-1", ProdStandard=150.0),
                   detail("3", 10, "R-1", ProdStandard=200.0), detail("4", 10, "R-1", ProdStandard=1.0),
                   detail("1", 30, "BENCH")],
    )  # fmt: skip
    with shop(kinetic, resources="standards") as plant:
        ask(plain_database, plant, KEYS)
    # Two operations of 12 s each are 24 s, as one of 150 an hour.
    assert rows(plain_database, CYCLES) == [
        ("P-100", "Press01", dt.date(2026, 10, 5), 24_000.0), ("P-100", "Press01", dt.date(2026, 10, 19), 18_000.0),
    ]  # fmt: skip


def test_a_cost_holds_from_the_beginning_and_a_changed_one_from_its_day(plain_database: str) -> None:
    kinetic = a_company(PartCosts=[cost("P-1", 1.255), cost("P-2", 0), cost("P-3", "free"), cost("P-1", 7, CostID="2")])
    with shop(kinetic, resources="costs") as plant:
        ask(plain_database, plant, KEYS)
        kinetic.lists["PartCosts"] = [cost("P-1", 1.3)]
        ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=1))
        found = rows(plain_database, "SELECT part_number, since, material_cost_per_unit, currency FROM part_costs")
        local = (NOW + dt.timedelta(days=1)).astimezone(ZONE)
        assert found[0] == ("P-1", plant.first_day, Decimal("1.255"), "USD")
        assert [row[0::2] for row in found[1:]] == [("P-1", Decimal("1.3"))]
        assert found[1][1] in (local.date(), local.date() - dt.timedelta(days=1))
    with shop(kinetic, resources="costs", cost="standard") as plant:
        ask(plain_database, plant, KEYS, NOW + dt.timedelta(days=2))
    assert rows(plain_database, "SELECT count(*) FROM part_costs WHERE material_cost_per_unit = 9.99") == [(1,)]
    assert rows(plain_database, "SELECT reason FROM quarantine") == [("bad_number",)]


def test_a_query_of_the_company_gives_orders_by_its_own_columns(plain_database: str) -> None:
    columns = (
        "work_order=JobHead_JobNum; status=Calculated_Status; machine_id=JobOpDtl_ResourceID; order_unit=JobHead_IUM"
    )
    kinetic = a_company(ProdOrders=[
        {"JobHead_JobNum": "7", "Calculated_Status": "open", "JobOpDtl_ResourceID": "R-2", "JobHead_IUM": ""},
        {"JobHead_JobNum": "8", "Calculated_Status": "closed", "JobOpDtl_ResourceID": "BENCH", "JobHead_IUM": "KG"},
        {"JobHead_JobNum": "9", "Calculated_Status": "odd", "JobOpDtl_ResourceID": "", "JobHead_IUM": "KG"},
    ])  # fmt: skip
    with shop(kinetic, baq="ProdOrders", baq_columns=columns, resources="jobs operations") as plant:
        assert ask(plain_database, plant, KEYS).problems == []
    found = rows(plain_database, "SELECT work_order, status, machine_id, order_unit FROM work_orders ORDER BY 1")
    assert found == [("7", "open", "Robot01", None), ("8", "closed", None, "KG")]
    assert rows(plain_database, "SELECT reason FROM quarantine") == [("bad_status",)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"resources": "jobs payroll"}, "resources are jobs, operations, bookings, standards, costs, not payroll."),
        ({"cost": "guess"}, "write cost as one of average, standard, last."),
        ({"baq": "B", "baq_columns": "work_order=A"}, "baq_columns needs status;"),
        ({"baq": "B", "baq_columns": "work_order=A; status=B; colour=C"}, "baq_columns does not know colour;"),
        ({"baq": "B", "baq_columns": "work_order"}, "write baq_columns as `their name=ours; their name=ours`."),
    ],
)
def test_an_option_that_makes_no_sense_is_one_sentence(plain_database: str, options: dict[str, str], says: str) -> None:
    plant = connected(name="erp", kind="epicor", url="http://127.0.0.1:1", options={"company": COMPANY, **options})
    (problem,) = ask(plain_database, plant, KEYS).problems
    assert problem.startswith("Connection erp: ")
    assert says in problem


def test_a_list_that_is_refused_does_not_keep_the_others_from_being_read(plain_database: str) -> None:
    kinetic = a_company(job("000001"), PartCosts=[cost("P-1", 1.5)])
    del kinetic.lists["LaborDtls"]
    with shop(kinetic) as plant:
        problems = ask(plain_database, plant, KEYS).problems
    assert len(problems) == 2
    assert all("LaborDtls" in problem and "404" in problem for problem in problems)
    assert rows(plain_database, "SELECT work_order FROM work_orders") == [("000001",)]
    assert rows(plain_database, "SELECT part_number FROM part_costs") == [("P-1",)]
