"""Spreadsheets of the weeks before, as people keep them, into a real database."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlytics.formats.sheet import Sheet, read_sheets
from prodlytics.formats.sheet_mapping import NoTableError, SheetMapping, propose
from prodlytics.plant.model import Plant
from prodlytics.sources.history import Imported, import_sheet
from prodlytics_tests.sources.landing_place import landing_plant, rows

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
MACHINES = [
    {"id": "Press01", "name": "Press 1", "line": "L1", "aliases": ["AB.Press01"], "state": {"map": {"1": "running"}}},
    {"id": "Press02", "name": "Press 2", "line": "L1", "state": {"map": {"1": "running"}}},
]
CHICAGO = landing_plant(machines=MACHINES)
BERLIN = landing_plant(machines=MACHINES, timezone="Europe/Berlin", currency="EUR")
ENTRIES = (
    "SELECT kind, machine_id, starts_at, ends_at, reason_code, quantity, reject_quantity, entered_by"
    " FROM operator_entries ORDER BY entry_id"
)


def workbook(file: Path, *lines: list[Any], title: str = "Sheet") -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for line in lines:
        sheet.append(line)
    book.save(file)
    return file


def load(url: str, file: Path, plant: Plant = CHICAGO, mapping: SheetMapping | None = None, **options: Any) -> Imported:
    sheets = read_sheets(file)
    mapping = mapping or propose(sheets, plant).mapping
    sheet = next(one for one in sheets if mapping.sheet in (None, one.name))
    with psycopg.connect(url, autocommit=True) as conn:
        return import_sheet(conn, plant, sheet, mapping, file.name, NOW, **options)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[arg-type, misc]


def day(*parts: int) -> dt.datetime:
    """A day as Excel keeps it."""
    return dt.datetime(*parts)  # type: ignore[arg-type, misc]  # noqa: DTZ001


STOPS = [
    ["ACME Inc. - downtime log"],
    [],
    ["Date", "Machine", "Start", "End", "Minutes", "Reason", "Operator"],
    [day(2026, 11, 2), "PRESS-01", dt.time(6, 15), dt.time(6, 45), 30, "Bearing", "Ann"],
    [day(2026, 11, 2), "press 2", dt.time(23, 50), dt.time(0, 20), 30, "mech_a", None],
    [None, None, None, None, None, None, None],
    [day(2026, 11, 3), "Press 1", dt.time(7), None, 15, "Bearing", None],
    [day(2026, 11, 3), "Press 9", dt.time(7), None, 15, "Bearing", None],
    [day(2026, 11, 3), "Press 1", "late", None, 15, "Bearing", None],
    [day(2026, 11, 3), "Press 1", dt.time(9), None, 15, "Gremlins", None],
    [day(2026, 11, 3), "Press 1", dt.time(10), "#REF!", None, "Bearing", None],
    ["Total", None, None, None, 105],
]


def test_a_log_of_stops_becomes_reasons_and_what_is_wrong_is_said(plain_database: str, tmp_path: Path) -> None:
    file = workbook(tmp_path / "log.xlsx", *STOPS)
    told = load(plain_database, file)
    assert rows(plain_database, ENTRIES) == [
        ("reason", "Press01", utc(2026, 11, 2, 12, 15), utc(2026, 11, 2, 12, 45), "MECH_A", None, None, "Ann"),
        # Ten to midnight to twenty past: the end is of the next day.
        ("reason", "Press02", utc(2026, 11, 3, 5, 50), utc(2026, 11, 3, 6, 20), "MECH_A", None, None, "spreadsheet"),
        ("reason", "Press01", utc(2026, 11, 3, 13), utc(2026, 11, 3, 13, 15), "MECH_A", None, None, "spreadsheet"),
        ("reason", "Press01", utc(2026, 11, 3, 16), None, "MECH_A", None, None, "spreadsheet"),
    ]
    assert [(number, reason) for number, reason, _, _ in told.rejected] == [
        (8, "unknown_machine"), (9, "bad_time"), (10, "unknown_reason_code"),
    ]  # fmt: skip
    assert told.as_dict() == {
        "rows": 7, "totals_left_out": 1, "records": 7, "stored": 4, "known_already": 0, "rejected": 3,
        "reasons": {"unknown_machine": 1, "bad_time": 1, "unknown_reason_code": 1},
    }  # fmt: skip
    # Once more, and as a copy of another name: nothing new.
    again = load(plain_database, workbook(tmp_path / "copy.xlsx", *STOPS))
    assert again.counts.stored == 0
    assert len(rows(plain_database, ENTRIES)) == 4


def test_a_corrected_copy_takes_back_what_it_says_differently(plain_database: str, tmp_path: Path) -> None:
    head = ["Date", "Machine", "Shift", "Good", "Scrap"]
    load(plain_database, workbook(tmp_path / "a.xlsx", head, [day(2026, 11, 2), "Press 1", "Shift 1", 400, 3]))
    load(plain_database, workbook(tmp_path / "b.xlsx", head, [day(2026, 11, 2), "Press 1", "Shift 1", 410, 3]))
    found = rows(
        plain_database, "SELECT kind, quantity, undoes IS NOT NULL, why FROM operator_entries ORDER BY entry_id"
    )
    assert found == [
        ("production", 400, False, None), ("undo", None, True, "changed in import"), ("production", 410, False, None),
    ]  # fmt: skip


def test_totals_of_a_shift_are_of_its_span_and_a_night_belongs_to_its_evening(
    plain_database: str, tmp_path: Path
) -> None:
    file = workbook(
        tmp_path / "week.xlsx",
        ["Date", "Machine", "Shift", "Good", "Scrap", "OEE %"],
        [day(2026, 11, 2), "Press 1", "Shift 3", 400, 3, 61.5],
        # The clocks go back in this night: it has eight hours.
        [day(2026, 10, 31), "Press 1", "shift 3", 500, None, "62 %"],
        [day(2026, 11, 2), "Press 1", "Night owls", 1, 1, None],
        [day(2026, 11, 3), "Press 1", "Shift 1", None, None, 0.7],
    )  # fmt: skip
    told = load(plain_database, file)
    assert rows(
        plain_database, "SELECT kind, starts_at, ends_at, quantity, reject_quantity, measure, figure"
        " FROM operator_entries ORDER BY kind DESC, starts_at",
    ) == [
        ("production", utc(2026, 11, 1, 4), utc(2026, 11, 1, 12), 500, None, None, None),
        ("production", utc(2026, 11, 3, 5), utc(2026, 11, 3, 12), 400, 3, None, None),
        ("figure", utc(2026, 11, 1, 4), utc(2026, 11, 1, 12), None, None, "oee", Decimal("0.62")),
        ("figure", utc(2026, 11, 3, 5), utc(2026, 11, 3, 12), None, None, "oee", Decimal("0.615")),
        ("figure", utc(2026, 11, 3, 12), utc(2026, 11, 3, 20, 30), None, None, "oee", Decimal("0.7")),
    ]  # fmt: skip
    assert [(number, reason) for number, reason, _, _ in told.rejected] == [(4, "bad_time")]
    assert "2026-11-02 shift Night owls" in told.rejected[0][2]


HEAD = "Machine;Start;End;Minutes;Reason\n"


@pytest.mark.parametrize(
    ("plant", "lines", "starts", "reasons"),
    [
        # 01:30 occurs twice on 2026-11-01. The length decides; or the row before; or nothing does.
        (CHICAGO, ["11/01/2026 01:30;11/01/2026 02:15;105"], [utc(2026, 11, 1, 6, 30)], []),
        (CHICAGO, ["11/01/2026 01:30;11/01/2026 02:15;45"], [utc(2026, 11, 1, 7, 30)], []),
        (CHICAGO, ["11/01/2026 00:50;11/01/2026 01:10;80", "11/01/2026 01:30;;5"],
         [utc(2026, 11, 1, 5, 50)], ["ambiguous_time"]),
        (CHICAGO, ["10/31/2026 23:00;;5", "11/01/2026 01:30;;5"], [utc(2026, 11, 1, 4)], ["ambiguous_time"]),
        (CHICAGO, ["11/01/2026 01:40;11/01/2026 02:00;20", "11/01/2026 01:50;;5"],
         [utc(2026, 11, 1, 7, 40), utc(2026, 11, 1, 7, 50)], []),
        # 02:30 does not occur on 2026-03-08.
        (CHICAGO, ["03/08/2026 02:30;;5", "03/18/2026 02:30;;5"], [utc(2026, 3, 18, 7, 30)], ["ambiguous_time"]),
        (BERLIN, ["25.10.2026 02:30;25.10.2026 03:15;105"], [utc(2026, 10, 25, 0, 30)], []),
        (BERLIN, ["29.03.2026 02:30;;5", "30.03.2026 02:30;;5"], [utc(2026, 3, 30, 0, 30)], ["ambiguous_time"]),
    ],
)  # fmt: skip
def test_hours_the_clocks_repeat_or_skip_are_resolved_or_set_aside(
    plain_database: str, tmp_path: Path, plant: Plant, lines: list[str], starts: list[dt.datetime], reasons: list[str]
) -> None:
    file = tmp_path / "log.csv"
    file.write_text(HEAD + "".join(f"Press 1;{line};Bearing\n" for line in lines), encoding="utf-8")
    order = "mdy" if plant is CHICAGO else "dmy"
    mapping = propose(read_sheets(file), plant).mapping.model_copy(update={"date_order": order})
    told = load(plain_database, file, plant, mapping)
    assert [row[2] for row in rows(plain_database, ENTRIES)] == starts
    assert [reason for _, reason, _, _ in told.rejected] == reasons


def test_what_could_be_read_both_ways_is_asked_and_never_guessed(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    file.write_text('Machine,Date,Shift,Good\nPress 1,03/04/2026,Shift 1,"1,250"\n', encoding="utf-8")
    proposal = propose(read_sheets(file), CHICAGO)
    assert [question.field for question in proposal.questions] == ["date_order", "decimal"]
    assert proposal.mapping.date_order is None
    for value, order in (("13/04/2026", "dmy"), ("04/13/2026", "mdy")):
        file.write_text(f"Machine,Date,Shift,Good\nPress 1,{value},Shift 1,7\n", encoding="utf-8")
        assert propose(read_sheets(file), CHICAGO).mapping.date_order == order


def test_names_that_are_nearly_known_are_proposed_and_not_taken(tmp_path: Path) -> None:
    file = workbook(tmp_path / "x.xlsx", ["Machine", "Start", "Minutes", "Reason"],
                    ["Pres 2", day(2026, 11, 2), 5, "Baering"], ["Zebra", day(2026, 11, 2), 5, "Bearing"])  # fmt: skip
    asked = [(q.field, q.name, q.likely) for q in propose(read_sheets(file), CHICAGO).questions]
    assert asked == [("machines", "Pres 2", "Press02"), ("machines", "Zebra", None), ("reasons", "Baering", "MECH_A")]


def test_a_dry_run_says_the_same_and_keeps_nothing(plain_database: str, tmp_path: Path) -> None:
    file = workbook(tmp_path / "log.xlsx", *STOPS)
    dry = load(plain_database, file, dry_run=True)
    for table in ("operator_entries", "quarantine", "dirty_mark"):
        assert rows(plain_database, f"SELECT count(*) FROM {table}") == [(0,)]
    real = load(plain_database, file)
    assert (dry.as_dict(), dry.rejected) == (real.as_dict(), real.rejected)


def test_merged_cells_mean_all_of_their_rows(plain_database: str, tmp_path: Path) -> None:
    file = workbook(tmp_path / "m.xlsx", ["Date", "Machine", "Shift", "Good"],
                    [day(2026, 11, 2), "Press 1", "Shift 1", 10], [None, "Press 2", "Shift 1", 20])  # fmt: skip
    book = openpyxl.load_workbook(file)
    book.worksheets[0].merge_cells("A2:A3")
    book.save(file)
    load(plain_database, file)
    assert [(row[1], row[2]) for row in rows(plain_database, ENTRIES)] == [
        ("Press01", utc(2026, 11, 2, 12)), ("Press02", utc(2026, 11, 2, 12)),
    ]  # fmt: skip


def test_orders_and_costs_come_in_as_well(plain_database: str, tmp_path: Path) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text(
        "Work order;Part;Planned;Completed;Status;Due date\nWO-1;P1;1.250,5;7;open;24.12.2026\nWO-2;P1;x;7;open;\n",
        encoding="cp1252",
    )
    told = load(plain_database, orders, BERLIN)
    found = rows(plain_database, "SELECT work_order, order_qty, due_date, status FROM work_orders")
    assert found == [("WO-1", Decimal("1250.5"), dt.date(2026, 12, 24), "open")]
    assert [reason for _, reason, _, _ in told.rejected] == ["bad_number"]
    costs = workbook(tmp_path / "costs.xlsx", ["Part", "Unit cost", "Date"], ["P1", 4.25, day(2026, 1, 1)])
    load(plain_database, costs, BERLIN)
    assert rows(plain_database, "SELECT part_number, since, material_cost_per_unit FROM part_costs") == [
        ("P1", dt.date(2026, 1, 1), Decimal("4.25"))
    ]


def test_scrap_of_a_day_is_of_the_whole_production_day(plain_database: str, tmp_path: Path) -> None:
    file = workbook(tmp_path / "s.xlsx", ["Date", "Machine", "Scrap", "Defect", "Part"],
                    [day(2026, 11, 2), "Press 1", 5, "Burr", "P1"])  # fmt: skip
    load(plain_database, file)
    assert rows(plain_database, "SELECT kind, starts_at, ends_at, quantity, scrap_reason FROM operator_entries") == [
        ("scrap", utc(2026, 11, 2, 12), utc(2026, 11, 3, 12), 5, "Burr")
    ]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [("a.xlsx", b"PK\x03\x04rubbish", "is not an Excel workbook"), ("a.xls", b"\xd0\xcf\x11\xe0", "old Excel workbook"),
     ("a.csv", b"", "is empty"), ("a.csv", b"\x00\x01", "no text"), ("a.csv", b"hello\nworld\n", "looks like column")],
)  # fmt: skip
def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(Exception, match=says):
        propose(read_sheets(tmp_path / name), CHICAGO)


def test_a_mapping_for_another_file_is_one_sentence(plain_database: str, tmp_path: Path) -> None:
    file = workbook(tmp_path / "x.xlsx", ["Maschine", "Beginn"], ["Press 1", day(2026, 11, 2)])
    mapping = SheetMapping(what="stops", header_row=1, columns={"machine": "Machine"})
    with pytest.raises(NoTableError, match="Row 1 has no column 'Machine'"):
        load(plain_database, file, CHICAGO, mapping)


@given(
    st.lists(
        st.tuples(st.sampled_from(["Press01", "Press02"]), st.integers(0, 6 * 24 * 60), st.integers(1, 600)),
        min_size=1, max_size=8, unique_by=lambda one: one[:2],
    ),
    st.sampled_from(["one cell", "two cells", "excel"]), st.booleans(), st.integers(0, 5),
    st.sampled_from([",", ";", "\t"]),
)  # fmt: skip
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_a_table_is_written_it_says_the_same(
    tmp_path: Path, stops: list[tuple[str, int, int]], style: str, by_end: bool, above: int, delimiter: str
) -> None:
    """The plan is a week of June: no clock changes; dates beyond the 12th decide their order."""
    base = day(2026, 6, 14)
    lines: list[list[Any]] = [[f"title {n}"] for n in range(above)]
    lines.append(["Machine", *(["Date", "Start"] if style == "two cells" else ["Start"]),
                  "End" if by_end else "Minutes", "Reason"])  # fmt: skip
    for machine, minute, length in stops:
        begins = base + dt.timedelta(minutes=minute)
        ends: Any = begins + dt.timedelta(minutes=length) if by_end else length
        if style == "excel":
            lines.append([machine, begins, ends, "Bearing"])
            continue
        if by_end:
            ends = f"{ends:%m/%d/%Y %H:%M}"
        at = [f"{begins:%m/%d/%Y}", f"{begins:%I:%M %p}"] if style == "two cells" else [f"{begins:%m/%d/%Y %H:%M}"]
        lines.append([machine, *at, ends, "Bearing"])
    if style == "excel":
        file = workbook(tmp_path / "x.xlsx", *lines)
    else:
        file = tmp_path / "x.csv"
        file.write_text("\n".join(delimiter.join(map(str, line)) for line in lines), encoding="utf-8")
    sheets: list[Sheet] = read_sheets(file)
    from prodlytics.sources.history import records_of_sheet

    records, _ = records_of_sheet(sheets[0], propose(sheets, CHICAGO).mapping, CHICAGO)
    found = {(r.values["machine_id"], r.values["starts_at"], r.values["ends_at"], r.problem) for r in records}
    assert found == {
        (machine, (base + dt.timedelta(minutes=minute)).replace(tzinfo=CHICAGO.zone).astimezone(dt.UTC),
         (base + dt.timedelta(minutes=minute + length)).replace(tzinfo=CHICAGO.zone).astimezone(dt.UTC), None)
        for machine, minute, length in stops
    }  # fmt: skip
