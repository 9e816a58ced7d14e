"""MachineMetrics over HTTP, within its limits, with what goes wrong there."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from prodlytics.plant.model import Plant
from prodlytics.sources.adapters.machinemetrics.annotations import Annotations
from prodlytics.sources.adapters.machinemetrics.asked import Pace
from prodlytics.sources.adapters.machinemetrics.figures import Figures
from prodlytics.sources.ask import SourceUnavailableError, session
from prodlytics.sources.ask import ask as ask_there
from prodlytics.sources.connections import ConnectionSetupError, adapters_of
from prodlytics.sources.connectors import sync
from prodlytics.sources.counts import Counts
from prodlytics_tests.sources.adapters.vendor import connected
from prodlytics_tests.sources.landing_place import landing_plant, rows
from prodlytics_tests.vendors.machinemetrics import KEY, MachineMetrics, annotation, item, machine
from prodlytics_tests.vendors.serving import Mishap, Mishaps, a_login_page, broken, serving, throttled

#: Monday, 08:00 in Chicago (UTC-6 since 1 November): the third shift of Sunday is over, the first of Monday runs.
NOW = dt.datetime(2026, 11, 23, 14, tzinfo=dt.UTC)
ENVIRONMENT = {"PRODLYTICS_MM_API_KEY": KEY}
FIGURES, REASONS = 0, 1


@pytest.fixture
def there() -> MachineMetrics:
    return MachineMetrics(
        items=[
            item("Press 1", "2026-11-22", "Shift 1", 1180, 12, 0.7134, availability=0.9, performance=0.8, quality=0.99),
            item("Press 1", "2026-11-22", "shift 3", 700, 0, None),
            item("Press 1", "2026-11-22", "No Shift", 4, 0, 0.1),
            item("Press 1", "2026-11-23", "Shift 1", 55, 1, 0.5),
        ],
        machines=[
            machine(
                7, "Press 1",
                annotation("2026-11-22T14:00:00Z", "2026-11-22T14:25:00Z", "bearing"),
                annotation("2026-11-22T16:00:00Z", "2026-11-22T16:05:00Z", "Tool broke"),
                annotation("2026-11-22T17:00:00Z", "2026-11-22T17:05:00Z", None),
                annotation("2026-11-23T13:50:00Z", None, "Bearing"),
                annotation("2026-11-22T18:00:00Z", "2026-11-22T18:05:00Z", "Coffee"),
            ),
            machine(8, "Idle one"),
            machine(9, "Robot01", annotation("2026-11-21T18:00:00Z", "2026-11-21T19:00:00Z", "MECH")),
        ],
    )  # fmt: skip


@pytest.fixture
def mishaps() -> Mishaps:
    return Mishaps()


@pytest.fixture
def url(there: MachineMetrics, mishaps: Mishaps) -> Iterator[str]:
    with serving(there.app(), mishaps) as address:
        yield address


def plant_at(url: str, **options: str) -> Plant:
    return connected(
        name="mm", kind="machinemetrics", url=url, machines={"Press 1": "Press01"},
        options={"reasons": "Tool broke = MECH_A"} | options,
    )  # fmt: skip


def run(database: str, url: str, which: int, now: dt.datetime = NOW, **options: str) -> Counts:
    plant = plant_at(url, **options)
    adapter = adapters_of(plant, plant.connections[0], ENVIRONMENT)[which]
    assert isinstance(adapter, Figures | Annotations)
    adapter.clock = lambda: now
    with psycopg.connect(database, autocommit=True) as conn:
        return sync(conn, plant, adapter, now)


def utc(day: int, hour: int, minute: int = 0) -> dt.datetime:
    return dt.datetime(2026, 11, day, hour, minute, tzinfo=dt.UTC)


def figures(database: str, measure: str) -> list[tuple[Any, ...]]:
    return rows(
        database,
        "SELECT machine_id, starts_at, ends_at, figure, source, entered_by FROM operator_entries"
        f" WHERE kind = 'figure' AND measure = '{measure}' ORDER BY starts_at, source_key",
    )


def reasons(database: str) -> list[tuple[Any, ...]]:
    return rows(
        database,
        "SELECT machine_id, starts_at, ends_at, reason_code FROM operator_entries e WHERE kind = 'reason'"
        " AND NOT EXISTS (SELECT FROM operator_entries u WHERE u.undoes = e.source_key) ORDER BY starts_at",
    )


def quarantined(database: str) -> list[tuple[Any, ...]]:
    return rows(database, "SELECT reason, machine_id, origin FROM quarantine ORDER BY 1, 2")


def test_figures_of_shifts_that_are_over_carry_the_plants_hours(
    plain_database: str, url: str, there: MachineMetrics
) -> None:
    assert run(plain_database, url, FIGURES) == Counts(rows_in=8, stored=8)
    # Chicago is six hours behind: 06:00 to 14:30, and 23:00 to 06:00.
    first, third = (utc(22, 12), utc(22, 20, 30)), (utc(23, 5), utc(23, 12))
    by = ("machinemetrics", "machinemetrics")
    assert figures(plain_database, "good_count") == [
        ("Press01", *first, Decimal(1180), *by), ("Press01", *third, Decimal(700), *by),
    ]  # fmt: skip
    assert figures(plain_database, "oee") == [("Press01", *first, Decimal("0.7134"), *by)]
    assert figures(plain_database, "quality") == [("Press01", *first, Decimal("0.99"), *by)]
    # 08:00 on the 23rd less seven days: production days of the plant, both included.
    assert [(one["startDay"], one["endDay"]) for one in there.reports] == [("2026-11-16", "2026-11-23")]


def test_before_the_boundary_it_is_still_yesterday_there(plain_database: str, url: str, there: MachineMetrics) -> None:
    run(plain_database, url, FIGURES, now=utc(23, 11))
    assert there.reports[0]["endDay"] == "2026-11-22"


def test_what_they_compute_anew_is_a_correction(plain_database: str, url: str, there: MachineMetrics) -> None:
    run(plain_database, url, FIGURES)
    there.items[0]["goodParts"] = 1175
    assert run(plain_database, url, FIGURES).stored == 2
    found = rows(
        plain_database,
        "SELECT kind, figure FROM operator_entries WHERE starts_at = '2026-11-22T12:00:00Z'"
        " AND (measure = 'good_count' OR kind = 'undo') ORDER BY source_key COLLATE \"C\"",
    )
    assert found == [("figure", Decimal(1180)), ("undo", None), ("figure", Decimal(1175))]


def test_by_day_where_their_shifts_are_not_ours(plain_database: str, url: str, there: MachineMetrics) -> None:
    there.items = [item("Press 1", "2026-11-22", None, 1880, 12, 0.6), item("Press 1", "2026-11-23", None, 1, 0, 0.6)]
    run(plain_database, url, FIGURES, per="day")
    assert [row[1:4] for row in figures(plain_database, "good_count")] == [(utc(22, 12), utc(23, 12), Decimal(1880))]
    assert {"group": "shift"} not in there.reports[0]["groupBy"]


def test_their_names_of_shifts_are_written_as_an_option(plain_database: str, url: str, there: MachineMetrics) -> None:
    there.items = [item("Press 1", "2026-11-22", "Days", 5, 0, 0.6)]
    run(plain_database, url, FIGURES, shifts="nights=Shift 3; days=Shift 1")
    assert [row[1:3] for row in figures(plain_database, "oee")] == [(utc(22, 12), utc(22, 20, 30))]


def test_bad_figures_are_set_aside_and_stop_no_others(plain_database: str, url: str, there: MachineMetrics) -> None:
    there.items = [
        item("Press 1", "2026-11-22", "Shift 1", 1180, 12, 0.7, availability=0, performance=0, quality=0),
        item("Press 1", "2026-11-22", "Shift 3", "many", -1, 61.5),
        item("Press 1", "2026-11-21", "Shift 9", 7, None, None),
        item("Unheard of", "2026-11-22", "Shift 1", 7, None, None),
        {"machine": ["?"], "day": "2026-11-22", "shift": {"name": "?"}, "goodParts": 3},
        "no item",
    ]  # fmt: skip
    assert run(plain_database, url, FIGURES).stored == 6
    assert [reason for reason, *_ in quarantined(plain_database)] == [
        "bad_number", "missing_field", "missing_field", "missing_field", "missing_field", "negative_number",
        "not_a_ratio",
    ]  # fmt: skip
    assert run(plain_database, url, FIGURES).quarantined == 0


@pytest.mark.parametrize("field", ["machine", "day", "shift", "goodParts", "quality"])
def test_a_report_of_another_form_is_refused_as_a_whole(
    plain_database: str, url: str, there: MachineMetrics, field: str
) -> None:
    there.renamed = ((field, f"{field}New"),)
    with pytest.raises(SourceUnavailableError, match=f"none has {field} as we know it"):
        run(plain_database, url, FIGURES)
    assert rows(plain_database, "SELECT count(*) FROM operator_entries") == [(0,)]
    there.renamed = (("items", "results"),)
    with pytest.raises(SourceUnavailableError, match="without the list items"):
        run(plain_database, url, FIGURES)


def test_reasons_arrive_under_our_codes_once_they_have_ended(plain_database: str, url: str, mishaps: Mishaps) -> None:
    assert run(plain_database, url, REASONS) == Counts(rows_in=4, stored=3, quarantined=1)
    assert reasons(plain_database) == [
        ("Robot01", utc(21, 18), utc(21, 19), "MECH"),
        ("Press01", utc(22, 14), utc(22, 14, 25), "MECH_A"),
        ("Press01", utc(22, 16), utc(22, 16, 5), "MECH_A"),
    ]
    assert quarantined(plain_database) == [("unknown_reason_code", "Press01", "mm/annotations")]
    assert run(plain_database, url, REASONS) == Counts(rows_in=4, duplicate=4)


def test_an_annotation_that_ends_changes_and_disappears(plain_database: str, url: str, there: MachineMetrics) -> None:
    press = there.machines[0]["annotations"]
    run(plain_database, url, REASONS)
    press[3]["endAt"] = "2026-11-23T13:58:00Z"
    press[0]["annotationType"] = {"name": "Mechanical"}
    del press[1]
    run(plain_database, url, REASONS)
    assert reasons(plain_database)[1:] == [
        ("Press01", utc(22, 14), utc(22, 14, 25), "MECH"),
        ("Press01", utc(23, 13, 50), utc(23, 13, 58), "MECH_A"),
    ]


def test_fields_a_company_knows_of_give_identity_time_and_person(
    plain_database: str, url: str, there: MachineMetrics
) -> None:
    there.machines = [
        machine(7, "Press 1", annotation(
            "2026-11-22T14:00:00Z", "2026-11-22T14:25:00Z", "Bearing",
            annotationRef="a@1", updatedAt="2026-11-22T15:01:00Z", userName="B. Jones",
        )),
    ]  # fmt: skip
    named = {"annotation_id": "annotationRef", "annotation_changed": "updatedAt", "annotation_user": "userName"}
    run(plain_database, url, REASONS, **named)
    there.machines[0]["annotations"][0]["startAt"] = "2026-11-22T14:01:00Z"
    run(plain_database, url, REASONS, **named)
    found = rows(
        plain_database, "SELECT source_key, entered_by, entered_at FROM operator_entries WHERE kind = 'reason'"
    )
    assert sorted(found) == [
        ("mm/annotations/a%401", "B. Jones", utc(22, 15, 1)), ("mm/annotations/a%401@2", "B. Jones", utc(22, 15, 1)),
    ]  # fmt: skip
    with pytest.raises(SourceUnavailableError, match="refuses the question: field 'badge' not found"):
        run(plain_database, url, REASONS, annotation_user="badge")


def test_two_annotations_of_one_moment_are_two(plain_database: str, url: str, there: MachineMetrics) -> None:
    there.machines = [
        machine(7, "Press 1", *(
            annotation("2026-11-22T14:00:00Z", ends, "Bearing")
            for ends in ("2026-11-22T14:10:00Z", "2026-11-22T14:20:00Z")
        )),
    ]  # fmt: skip
    assert run(plain_database, url, REASONS).stored == 2


def test_bad_annotations_are_set_aside_and_stop_no_others(plain_database: str, url: str, there: MachineMetrics) -> None:
    there.machines[0]["annotations"] = [
        annotation("2026-11-22T14:00:00Z", "2026-11-22T14:25:00Z", "Bearing"),
        annotation("2026-11-22T15:00:00Z", "2026-11-22T14:25:00Z", "Bearing"),
        annotation(None, "2026-11-22T15:25:00Z", "Bearing"),
        {"startAt": "2026-11-22T16:00:00Z", "endAt": "2026-11-22T16:05:00Z"},
        "nothing",
    ]
    assert run(plain_database, url, REASONS).stored == 2
    assert [reason for reason, *_ in quarantined(plain_database)] == [
        "ends_before_start", "missing_field", "missing_field", "missing_field",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["machines", "annotations"])
def test_pages_that_repeat_themselves_end_in_a_sentence(
    plain_database: str, url: str, there: MachineMetrics, name: str
) -> None:
    there.ignores_offset = name
    with pytest.raises(SourceUnavailableError, match=f"gives {name} again"):
        run(plain_database, url, REASONS)
    assert rows(plain_database, "SELECT count(*) FROM operator_entries") == [(0,)]


@pytest.mark.parametrize("which", [FIGURES, REASONS])
def test_what_passes_is_asked_again(plain_database: str, url: str, mishaps: Mishaps, which: int) -> None:
    mishaps.next("/", throttled(), broken(), Mishap(body=None, delay_s=0.2))
    assert run(plain_database, url, which).stored > 0


@pytest.mark.parametrize("which", [FIGURES, REASONS])
def test_a_login_page_and_a_refused_key_are_one_sentence_without_the_key(
    plain_database: str, url: str, there: MachineMetrics, mishaps: Mishaps, which: int,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    mishaps.next("/", a_login_page())
    with pytest.raises(SourceUnavailableError, match=r"text/html.* that is not JSON"):
        run(plain_database, url, which)
    there.key = "another"
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceUnavailableError, match="refuses our credentials") as said:
        run(plain_database, url, which)
    assert KEY not in str(said.value) + caplog.text
    assert rows(plain_database, "SELECT count(*) FROM operator_entries") == [(0,)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"per": "hour"}, "write shift or day"),
        ({"metrics": "oee ooe"}, "some of goodParts"),
        ({"reasons": "Bearing"}, "their name=ours"),
        ({"annotation_user": "user { name }"}, "name of one field"),
    ],
)
def test_an_option_that_makes_no_sense_is_said(options: dict[str, str], says: str) -> None:
    plant = plant_at("http://127.0.0.1:1", **options)
    with pytest.raises(ConnectionSetupError, match=says):
        adapters_of(plant, plant.connections[0], ENVIRONMENT)


def test_a_metric_they_do_not_know_is_named_and_can_be_left_out(
    plain_database: str, url: str, there: MachineMetrics
) -> None:
    there.knows = there.knows - {"quality"}
    with pytest.raises(SourceUnavailableError, match=r"/reports/production refuses the question: Metric 'quality' is"):
        run(plain_database, url, FIGURES)
    assert run(plain_database, url, FIGURES, metrics="goodParts oee").stored == 3


def test_requests_are_as_far_apart_as_a_thousand_a_minute() -> None:
    clock, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        clock[0] += seconds

    pace = Pace(now=lambda: clock[0], sleep=sleep)
    pace.wait()
    clock[0] += 0.02
    pace.wait()
    clock[0] += 5
    pace.wait()
    assert slept == [0, 0.04, 0]


def test_an_answer_that_does_not_come_in_time_is_one_sentence(url: str, mishaps: Mishaps) -> None:
    mishaps.next("/graphql", Mishap(body=None, delay_s=2))
    with pytest.raises(SourceUnavailableError, match=r"/graphql does not answer"):
        ask_there(session({}, attempts=0), "POST", f"{url}/graphql", timeout_s=(1, 0.1), json={})


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("{ machines { a { b { c { name } } } } }", "4 nodes and 4 levels"),
        ("{ machines { a { x } b { x } c { x } d { x } e { x } } }", "6 nodes and 2 levels"),
        ("{ machines(limit: 1, offset: 1) { name } }", "only useful in combination with order_by"),
        ("{ machines { secret } }", "field 'secret' not found"),
    ],
)
def test_the_mock_has_their_limits(url: str, query: str, refusal: str) -> None:
    told = ask_there(session({"Authorization": f"Bearer {KEY}"}), "POST", f"{url}/graphql", json={"query": query})
    assert refusal in told["errors"][0]["message"]


def test_a_name_that_two_of_our_reasons_share_stands_for_neither() -> None:
    shared = [
        {"code": code, "name": code, "loss": "failure", "reasons": [{"code": f"{code}_X", "name": "Bearing"}]}
        for code in ("MECH", "ELEC")
    ]
    plant = landing_plant(
        reasons=shared, connections=[{"name": "mm", "kind": "machinemetrics", "url": "http://127.0.0.1:1"}]
    )
    adapter = adapters_of(plant, plant.connections[0], ENVIRONMENT)[REASONS]
    said = [annotation("2026-11-22T14:00:00Z", "2026-11-22T14:25:00Z", name) for name in ("bearing", "elec_x")]
    assert [row["reason_code"] for row in adapter.parse([machine(7, "Press01", *said)])] == ["bearing", "ELEC_X"]
