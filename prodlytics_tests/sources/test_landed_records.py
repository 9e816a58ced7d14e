"""Operator entries, work orders and part costs from CSV files."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from prodlytics.plant.load import load_plant
from prodlytics.sources.landing import LandingReport, load_pending
from prodlytics_tests.sources.landing_place import assert_accounted, at, books, landing_plant, put, rows

PLANT = landing_plant(scrap_categories=[{"code": "DIM", "name": "Dimension"}])


def load(url: str, folder: Path) -> LandingReport:
    return load_pending(url, PLANT, str(folder))


def table(*entries: Mapping[str, object]) -> str:
    """CSV with all columns any of the rows has; instants in ISO 8601."""
    text = io.StringIO()
    names = list(dict.fromkeys(name for entry in entries for name in entry))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    for entry in entries:
        writer.writerow({k: v.isoformat() if isinstance(v, dt.datetime) else v for k, v in entry.items()})
    return text.getvalue()


def entry(**said: object) -> dict[str, object]:
    common = {"source_key": "k1", "machine_id": "Press01", "kind": "reason", "starts_at": at(0), "ends_at": at(600),
              "reason_code": "MECH_A", "quantity": "", "reject_quantity": "", "scrap_category": "", "note": "",
              "why": "", "undoes": "", "entered_by": "badge 7", "entered_at": at(700), "source": ""}  # fmt: skip
    return common | said


def order(**said: object) -> dict[str, object]:
    common = {"work_order": "W1", "part_number": "P1", "machine_id": "Press01", "order_qty": "100", "completed_qty": "",
              "due_date": "2026-12-01T00:00:00-05:00", "status": "open", "started_at": at(0), "ended_at": "",
              "source_modified_at": at(0)}  # fmt: skip
    return common | said


def marks(url: str) -> dict[str, int]:
    return {str(name): n for name, n in rows(url, "SELECT dataset, count(*) FROM dirty_mark GROUP BY 1")}


def test_entries_are_stored_with_what_they_change(plain_database: str, tmp_path: Path) -> None:
    note = 'Bearing "hot";\nsmoke seen'
    put(
        tmp_path,
        "entries/a.csv",
        table(
            entry(note=note),
            entry(source_key="k2", machine_id="AB.Press01", kind="scrap", reason_code="", quantity="3.5",
                  scrap_category="DIM", ends_at=""),
            entry(source_key="k3", machine_id="Robot01", kind="Production", reason_code="", quantity="12",
                  reject_quantity="1", ends_at=at(0)),
        ),
    )  # fmt: skip
    assert load(plain_database, tmp_path) == LandingReport(1, 0, 3, 3, 0, 0)
    found = rows(
        plain_database,
        "SELECT source_key, machine_id, kind, starts_at, ends_at, quantity, note, source FROM operator_entries"
        " ORDER BY source_key",
    )
    assert found == [
        ("k1", "Press01", "reason", at(0), at(600), None, note, "operator"),
        ("k2", "Press01", "scrap", at(0), None, Decimal("3.5"), None, "operator"),
        ("k3", "Robot01", "production", at(0), at(0), Decimal(12), None, "operator"),
    ]
    assert rows(plain_database, "SELECT dataset, machine_id FROM dirty_mark ORDER BY 1, 2") == [
        ("archive/operator_entries", "Press01"),
        ("archive/operator_entries", "Robot01"),
        ("data_quality", "Press01"),
        ("data_quality", "Robot01"),
        ("downtime_events", "Press01"),
        ("downtime_events", "Robot01"),
        ("machine_states", "Robot01"),
        ("production_events", "Robot01"),
        ("reconciliation", "Press01"),
        ("reconciliation", "Robot01"),
        ("scrap_events", "Press01"),
        ("scrap_events", "Robot01"),
    ]
    assert_accounted(plain_database)


def test_what_was_undone_is_derived_anew(plain_database: str, tmp_path: Path) -> None:
    put(tmp_path, "entries/a.csv", table(entry(kind="production", reason_code="", quantity="5")))
    load(plain_database, tmp_path)
    with psycopg.connect(plain_database) as conn:
        conn.execute("DELETE FROM dirty_mark")
    put(tmp_path, "entries/b.csv", table(entry(source_key="k9", kind="undo", reason_code="", undoes="k1",
                                               starts_at=at(9000), ends_at="")))  # fmt: skip
    load(plain_database, tmp_path)
    found = rows(plain_database, "SELECT DISTINCT quarter FROM dirty_mark WHERE dataset = 'production_events'")
    assert found == [(at(0),)]


def derive_stop(url: str, start: dt.datetime, end: dt.datetime, code: str | None) -> None:
    """As if a part of a stop of Press01 had been derived."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "INSERT INTO downtime_events (time_start, time_end, machine_id, stop_id, stop_started_at, as_of, state,"
            " bucket, reason_code, production_date) VALUES (%(start)s, %(end)s, 'Press01', 's', %(start)s, %(end)s,"
            " 'idle', 'other_stop', %(code)s, %(day)s)",
            {"start": start, "end": end, "code": code, "day": start.date()},
        )


def test_splits_and_merges_with_who_says_so_and_what_was_said_before(plain_database: str, tmp_path: Path) -> None:
    derive_stop(plain_database, at(0), at(300), "MECH")
    derive_stop(plain_database, at(300), at(600), None)
    put(
        tmp_path,
        "entries/a.csv",
        table(
            entry(source_key="r", source="MachineMetrics"),
            entry(source_key="s", kind="split", reason_code="", starts_at=at(200), ends_at="", why="two causes"),
            entry(source_key="m", kind="merge", starts_at=at(300), source="supervisor"),
            entry(source_key="u", kind="undo", reason_code="", starts_at=at(9000), ends_at="", undoes="s"),
            entry(source_key="elsewhere", starts_at=at(700), ends_at=at(800), source="erp"),
            entry(source_key="n", kind="note", reason_code=""),
        ),
    )
    assert load(plain_database, tmp_path) == LandingReport(1, 0, 6, 6, 0, 0)
    found = rows(
        plain_database,
        "SELECT source_key, kind, source, old_reason_code, reason_code, why FROM operator_entries ORDER BY entry_id",
    )
    assert found == [
        ("r", "reason", "machinemetrics", "MECH", "MECH_A", None),
        ("s", "split", "operator", "MECH", None, "two causes"),
        ("m", "merge", "supervisor", None, "MECH_A", None),
        ("u", "undo", "operator", "MECH", None, None),
        ("elsewhere", "reason", "erp", None, "MECH_A", None),
        ("n", "note", "operator", None, None, None),
    ]
    assert set(marks(plain_database)) == {"archive/operator_entries", "data_quality", "downtime_events"}


def test_an_undo_of_an_undo_asks_for_what_comes_back(plain_database: str, tmp_path: Path) -> None:
    """The undos come first, the one that undoes them last: only then is it known what they are about."""
    common = {"kind": "undo", "reason_code": "", "starts_at": at(90_000), "ends_at": ""}
    put(tmp_path, "entries/a.csv", table(entry(source_key="u1", undoes="k1", **common)))
    put(tmp_path, "entries/b.csv", table(entry(kind="production", reason_code="", quantity="5")))
    load(plain_database, tmp_path)
    with psycopg.connect(plain_database) as conn:
        conn.execute("DELETE FROM dirty_mark")
    put(tmp_path, "entries/c.csv", table(entry(source_key="u2", undoes="u1", **common)))
    load(plain_database, tmp_path)
    found = rows(plain_database, "SELECT dataset, quarter FROM dirty_mark WHERE dataset NOT LIKE 'archive%' ORDER BY 1")
    derived = (
        "data_quality",
        "downtime_events",
        "machine_states",
        "production_events",
        "reconciliation",
        "scrap_events",
    )
    assert found == [(name, at(0)) for name in derived]


def test_a_reason_is_a_state_where_only_people_say_what_a_machine_did(plain_database: str, tmp_path: Path) -> None:
    bench = [{"id": "Bench", "name": "Bench", "line": "L1", "state": {"source": "operator"}}]
    put(tmp_path, "entries/a.csv", table(entry(machine_id="Bench")))
    load_pending(plain_database, landing_plant(machines=bench), str(tmp_path))
    marked = {"archive/operator_entries", "data_quality", "downtime_events", "machine_states"}
    assert set(marks(plain_database)) == marked


def test_an_entry_from_before_sources_were_told_apart_is_the_same_entry(plain_database: str, tmp_path: Path) -> None:
    put(tmp_path, "entries/a.csv", table(entry()))
    load(plain_database, tmp_path)
    with psycopg.connect(plain_database) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute("UPDATE operator_entries SET source = 'entries'")
    put(tmp_path, "entries/b.csv", table(entry()))
    put(tmp_path, "entries/c.csv", table(entry(source="erp")))
    load(plain_database, tmp_path)
    assert books(plain_database)[1:] == [("entries/b.csv", 1, 0, 0, 1), ("entries/c.csv", 1, 0, 0, 1)]


def test_an_entry_is_said_once_and_never_changed(plain_database: str, tmp_path: Path) -> None:
    put(tmp_path, "entries/a.csv", table(entry(), entry()))
    load(plain_database, tmp_path)
    put(tmp_path, "entries/b.csv", table(entry(), entry(reason_code="MECH"), entry(source_key="k2")))
    load(plain_database, tmp_path)
    assert books(plain_database) == [("entries/a.csv", 2, 1, 0, 1), ("entries/b.csv", 3, 1, 1, 1)]
    assert rows(plain_database, "SELECT reason FROM quarantine") == [("changed_entry",)]
    assert rows(plain_database, "SELECT source_key, reason_code FROM operator_entries ORDER BY 1") == [
        ("k1", "MECH_A"),
        ("k2", "MECH_A"),
    ]


def test_entries_without_a_key_are_known_by_what_they_say(plain_database: str, tmp_path: Path) -> None:
    same = entry(source_key="")
    put(tmp_path, "entries/a.csv", table(same, same))
    load(plain_database, tmp_path)
    put(tmp_path, "entries/a.csv", table(same, same, entry(source_key="", note="another")))
    load(plain_database, tmp_path)
    assert books(plain_database) == [("entries/a.csv", 2, 2, 0, 0), ("entries/a.csv", 3, 1, 0, 2)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (entry(machine_id="Lathe99"), "unknown_machine"),
        (entry(machine_id=""), "missing_field"),
        (entry(entered_by=" "), "missing_field"),
        (entry(starts_at=at(0).replace(tzinfo=None)), "naive_time"),
        (entry(starts_at="soon"), "bad_time"),
        (entry(ends_at=at(0)), "ends_before_start"),
        (entry(starts_at=at(86_400 * 9), ends_at=""), "future_time"),
        (entry(kind="gossip"), "bad_kind"),
        (entry(source="the night shift"), "unknown_source"),
        (entry(kind="undo", source_key="u1", undoes="u1"), "undoes_itself"),
        (entry(kind="undo"), "missing_field"),
        (entry(kind="split", reason_code="GREMLINS"), "unknown_reason_code"),
        (entry(kind="merge", ends_at=at(-1)), "ends_before_start"),
        (entry(reason_code=""), "missing_field"),
        (entry(reason_code="GREMLINS"), "unknown_reason_code"),
        (entry(kind="scrap", quantity="two"), "bad_number"),
        (entry(kind="scrap", quantity="-2"), "negative_number"),
        (entry(kind="scrap", quantity="0"), "missing_field"),
        (entry(kind="scrap", quantity="1", scrap_category="MAGIC"), "unknown_scrap_category"),
        (entry(note="a\x00b"), "unstorable_text"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_a_wrong_entry_is_set_aside_alone(
    plain_database: str, tmp_path: Path, wrong: dict[str, object], reason: str
) -> None:
    put(tmp_path, "entries/a.csv", table(entry(source_key="k0"), wrong, entry(source_key="k2")))
    load(plain_database, tmp_path)
    assert rows(plain_database, "SELECT reason FROM quarantine") == [(reason,)]
    assert rows(plain_database, "SELECT source_key FROM operator_entries ORDER BY 1") == [("k0",), ("k2",)]
    assert_accounted(plain_database)


def test_a_line_that_is_no_text_and_one_too_long(plain_database: str, tmp_path: Path) -> None:
    lines = table(entry()).encode()
    put(tmp_path, "entries/a.csv", lines + b"k2,\xff,reason\n" + b"x," * 20 + b"\n")
    load(plain_database, tmp_path)
    assert rows(plain_database, "SELECT reason, position FROM quarantine ORDER BY 1") == [
        ("bad_utf8", 3),
        ("too_many_columns", 4),
    ]


def derive_states(url: str, start: dt.datetime, end: dt.datetime) -> None:
    """As if the states of Press01 had been derived for a span."""
    with psycopg.connect(url) as conn:
        conn.execute(
            "INSERT INTO machine_states (machine_id, starts_at, ends_at, state, state_started_at, is_open, as_of)"
            " VALUES ('Press01', %(start)s, %(end)s, 'running', %(start)s, false, %(end)s)",
            {"start": start, "end": end},
        )


def test_an_order_marks_only_what_has_been_derived(plain_database: str, tmp_path: Path) -> None:
    """An order that began long before the first sample asks for no day of which there is nothing."""
    derive_states(plain_database, at(1800), at(3600))
    put(tmp_path, "orders/1.csv", table(order(started_at=at(-900_000), ended_at=at(2700))))
    load(plain_database, tmp_path)
    found = rows(plain_database, "SELECT DISTINCT quarter FROM dirty_mark ORDER BY 1")
    assert found == [(at(1800),)]


def test_an_open_quote_costs_its_line(plain_database: str, tmp_path: Path) -> None:
    lines = table(entry(source_key="k0", note="fine"), entry(note="@"), entry(source_key="k2")).replace("@", '"oops')
    put(tmp_path, "entries/a.csv", lines)
    load(plain_database, tmp_path)
    assert rows(plain_database, "SELECT reason, position FROM quarantine") == [("open_quote", 3)]
    assert rows(plain_database, "SELECT source_key FROM operator_entries ORDER BY 1") == [("k0",), ("k2",)]
    assert_accounted(plain_database)


def test_the_newest_version_of_an_order_counts(plain_database: str, tmp_path: Path) -> None:
    derive_states(plain_database, at(-900), at(900))
    put(tmp_path, "orders/1.csv", table(order()))
    put(tmp_path, "orders/2.csv", table(order(status="Released"), order(status="closed", ended_at=at(50), source_modified_at=at(60))))  # fmt: skip # noqa: E501
    put(tmp_path, "orders/3.csv", table(order(status="cancelled", source_modified_at=at(30)), order(work_order="W2", status="lost")))  # fmt: skip # noqa: E501
    load(plain_database, tmp_path)
    assert rows(plain_database, "SELECT work_order, status, ended_at, due_date, order_qty FROM work_orders") == [
        ("W1", "closed", at(50), dt.date(2026, 12, 1), 100)
    ]
    assert books(plain_database) == [
        ("orders/1.csv", 1, 1, 0, 0),
        ("orders/2.csv", 2, 1, 0, 1),
        ("orders/3.csv", 2, 0, 1, 1),
    ]
    marked = {"downtime_events", "oee_shift", "production_events", "reconciliation", "scrap_events", "stop_features"}
    assert set(marks(plain_database)) == marked


def test_an_order_that_changes_nothing_we_derive_from_marks_nothing(plain_database: str, tmp_path: Path) -> None:
    put(tmp_path, "orders/1.csv", table(order()))
    load(plain_database, tmp_path)
    with psycopg.connect(plain_database) as conn:
        conn.execute("DELETE FROM dirty_mark")
    put(tmp_path, "orders/2.csv", table(order(order_qty="120", source_modified_at=at(9))))
    assert load(plain_database, tmp_path).rows_stored == 1
    assert marks(plain_database) == {}


def test_what_the_erp_reports_of_an_order_is_compared_again(plain_database: str, tmp_path: Path) -> None:
    derive_states(plain_database, at(-900), at(900))
    put(tmp_path, "orders/1.csv", table(order()))
    load(plain_database, tmp_path)
    with psycopg.connect(plain_database) as conn:
        conn.execute("DELETE FROM dirty_mark")
    put(tmp_path, "orders/2.csv", table(order(completed_qty="40", source_modified_at=at(9))))
    load(plain_database, tmp_path)
    assert marks(plain_database) == {"reconciliation": 1}


def figure(**said: object) -> dict[str, object]:
    """One row of a paper record."""
    common = {"source_key": "p1", "machine_id": "Press01", "starts_at": at(0), "ends_at": at(600), "measure": "oee",
              "figure": "0.615", "entered_by": "badge 7", "entered_at": at(700), "source": ""}  # fmt: skip
    return common | said


def test_a_figure_from_a_paper_record(plain_database: str, tmp_path: Path) -> None:
    put(tmp_path, "figures/a.csv", table(figure(), figure(source_key="v1", source="machinemetrics", figure="0.6")))
    load(plain_database, tmp_path)
    assert rows(plain_database, "SELECT kind, measure, figure, source FROM operator_entries ORDER BY 3") == [
        ("figure", "oee", Decimal("0.6"), "machinemetrics"),
        ("figure", "oee", Decimal("0.615"), "operator"),
    ]
    assert set(marks(plain_database)) == {"archive/operator_entries", "reconciliation"}


def test_figures_without_a_key_are_known_by_what_they_measure(plain_database: str, tmp_path: Path) -> None:
    two = figure(source_key=""), figure(source_key="", measure="quality")
    put(tmp_path, "figures/a.csv", table(*two))
    put(tmp_path, "figures/b.csv", table(*two))
    load(plain_database, tmp_path)
    assert rows(plain_database, "SELECT measure FROM operator_entries ORDER BY 1") == [("oee",), ("quality",)]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (figure(measure="luck"), "unknown_measure"),
        (figure(measure=""), "unknown_measure"),
        (figure(figure=""), "missing_field"),
        (figure(figure="-1"), "negative_number"),
        (figure(figure="61.5"), "not_a_ratio"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_a_figure_that_is_none(plain_database: str, tmp_path: Path, wrong: dict[str, object], reason: str) -> None:
    put(tmp_path, "figures/a.csv", table(wrong))
    load(plain_database, tmp_path)
    assert rows(plain_database, "SELECT reason FROM quarantine") == [(reason,)]
    assert rows(plain_database, "SELECT count(*) FROM operator_entries") == [(0,)]


def test_a_new_cost_marks_the_scrap_it_is_the_cost_of(plain_database: str, tmp_path: Path) -> None:
    with psycopg.connect(plain_database) as conn:
        for day in (1, 2, 3):
            conn.execute(
                "INSERT INTO scrap_events (time, machine_id, event_key, part_number, quantity, currency,"
                " production_date, as_of) VALUES (%(at)s, 'Press01', 'k', 'P1', 1, 'USD', %(day)s, %(at)s)",
                {"at": dt.datetime(2026, 6, day, 12, tzinfo=dt.UTC), "day": dt.date(2026, 6, day)},
            )
    put(tmp_path, "costs/1.csv", "part,since,cost\nP1,2026-06-02,1.50\nP2,2026-01-01,3\nP3,2026-01-01,free\n")
    load(plain_database, tmp_path)
    assert rows(plain_database, "SELECT quarter FROM dirty_mark ORDER BY 1") == [
        (dt.datetime(2026, 6, day, 12, tzinfo=dt.UTC),) for day in (2, 3)
    ]
    put(tmp_path, "costs/2.csv", "part,since,cost\nP1,2026-06-02,1.5\nP2,2026-01-01,4\n")
    load(plain_database, tmp_path)
    assert rows(plain_database, "SELECT part_number, material_cost_per_unit, currency FROM part_costs ORDER BY 1") == [
        ("P1", Decimal("1.50"), "USD"),
        ("P2", Decimal(4), "USD"),
    ]
    assert books(plain_database) == [("costs/1.csv", 3, 2, 1, 0), ("costs/2.csv", 2, 1, 0, 1)]


def test_every_booking_of_the_job_shop(shared_data: Path, plain_database: str, tmp_path: Path) -> None:
    shop = load_plant(Path(__file__).parents[1] / "plants" / "job_shop.yaml")
    source = shared_data / "production_log" / "production_jan_feb.csv"
    put(tmp_path, "operator_entries/log.csv", source.read_bytes())
    report = load_pending(plain_database, shop, str(tmp_path))
    names = {name: m.id for m in shop.machines for name in (m.id, *m.aliases)}
    expected: Counter[str] = Counter()
    with source.open(newline="", encoding="utf-8") as file:
        raw = list(csv.DictReader(file))
    for row in raw:
        if row["Activity"] in names:
            expected[names[row["Activity"]]] += int(row["Qty_Completed"])
    assert report.rows_in == len(raw)
    known = sum(row["Activity"] in names for row in raw)
    assert report.rows_stored == known
    assert report.rows_quarantined == len(raw) - known
    found = dict(rows(plain_database, "SELECT machine_id, sum(quantity)::int FROM operator_entries GROUP BY 1"))
    assert found == {machine: n for machine, n in expected.items()}
    first = min(row["Start Timestamp"] for row in raw if row["Activity"] in names)
    local = dt.datetime.strptime(first, "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=shop.zone)
    assert rows(plain_database, "SELECT min(starts_at) FROM operator_entries") == [(local,)]
