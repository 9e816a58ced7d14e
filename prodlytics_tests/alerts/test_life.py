"""When an alert opens, gets worse, and ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodlytics.alerts.catalogue import RULES
from prodlytics.alerts.life import Alert, Change, Reading, advance
from prodlytics.plant.alert_rules import ALERT_RULES, FALLING
from prodlytics.plant.model import Plant
from prodlytics_tests.alerts.plants import plant

NOW = dt.datetime(2026, 11, 10, 12, tzinfo=dt.UTC)
PLANT = plant()


def told(of: Plant, rule: str, values: Sequence[float | str | None], every_s: float = 30) -> list[tuple[float, str]]:
    """Changes of an alert over readings at a steady interval: seconds since the first and kind; a text is `not_now`."""
    known: dict[str, Alert] = {}
    watched: dict[str, dt.datetime] = {}
    found = []
    for i, value in enumerate(values):
        now = NOW + dt.timedelta(seconds=i * every_s)
        not_now = value if isinstance(value, str) else None
        number = 1000.0 if isinstance(value, str) else value
        reading = Reading(rule, "M1", number, f"value {value}", machine_id="M1", not_now=not_now)
        outcome = advance(of, [rule], [reading], known, watched, now)
        watched = outcome.watch
        known = moved(known, outcome.changes, outcome.kept)
        found += [(i * every_s, change.kind) for change in outcome.changes]
    return found


def moved(known: dict[str, Alert], changes: Sequence[Change], kept: Sequence[Alert]) -> dict[str, Alert]:
    """What is open after a look."""
    after = {alert.key: alert for alert in kept}
    after |= {change.alert.key: change.alert for change in changes if change.kind != "resolved"}
    assert after.keys() <= known.keys() | {change.alert.key for change in changes}
    return after


def test_a_machine_is_down_from_the_fifteenth_minute_on() -> None:
    assert told(PLANT, "machine_down", [14.0, 14.9, 15.0, 16.0, 17.0]) == [(60, "opened")]


def test_five_percent_of_scrap_is_not_over_five_percent() -> None:
    assert told(PLANT, "scrap_rate", [5.0, 5.0]) == []
    assert told(PLANT, "scrap_rate", [5.01]) == [(0, "opened")]


def test_an_unchanged_condition_is_told_once_and_its_end_once() -> None:
    assert told(PLANT, "machine_down", [20.0] * 50 + [0.0] * 10) == [(0, "opened"), (52 * 30, "resolved")]


def test_a_limit_has_to_be_passed_for_as_long_as_the_rule_says() -> None:
    # OEE of the running shift: five minutes. A dip of four is none.
    assert told(PLANT, "oee", [70, *[55] * 8, *[70] * 20]) == []
    assert told(PLANT, "oee", [70, *[55] * 12]) == [(30 + 300, "opened")]


def test_around_the_limit_it_neither_flaps_nor_ends() -> None:
    # 60 is the limit and 2 the way back: 61 is not well again, 62.5 is, after ten minutes.
    assert told(PLANT, "oee", [*[59] * 12, *[61, 59] * 100]) == [(300, "opened")]
    values = [*[59] * 12, *[62.5] * 21]
    assert told(PLANT, "oee", values) == [(300, "opened"), (360 + 600, "resolved")]


def test_it_gets_worse_by_level_and_milder_again() -> None:
    kinds = [kind for _, kind in told(PLANT, "oee", [*[59] * 11, 49, 39, 41, 43, 49, 53])]
    # 41 is not back over 40 by the two points that are asked; 49 is not back over 50.
    assert kinds == ["opened", "raised", "raised", "lowered", "lowered"]


def test_what_is_not_known_neither_opens_nor_ends_anything() -> None:
    assert told(PLANT, "machine_down", [None] * 5) == []
    assert told(PLANT, "machine_down", [20.0, *[None] * 50, 21.0]) == [(0, "opened")]


def test_a_machine_that_should_not_work_is_no_alert_and_a_stop_over_a_break_is_one() -> None:
    assert told(PLANT, "machine_down", ["break"] * 5) == []
    assert told(PLANT, "machine_down", [20.0, "break", "break", 21.0]) == [(0, "opened")]
    assert told(PLANT, "machine_down", [20.0, "break", 0.0, 0.0, 0.0]) == [(0, "opened"), (120, "resolved")]


def test_what_somebody_is_at_is_over() -> None:
    opened = advance(PLANT, ["machine_down"], [Reading("machine_down", "M1", 20.0, "")], {}, {}, NOW).changes[0].alert
    cared_for = Reading("machine_down", "M1", 20.0, "", explained="Somebody says it is MAIN_PM.")
    outcome = advance(PLANT, ["machine_down"], [cared_for], {opened.key: opened}, {}, NOW)
    assert [(change.kind, change.detail) for change in outcome.changes] == [
        ("resolved", "Somebody says it is MAIN_PM.")
    ]
    assert advance(PLANT, ["machine_down"], [cared_for], {}, {}, NOW).changes == []


def test_limits_of_a_machine_outrank_those_of_the_rule() -> None:
    own = plant(rules={"machine_down": {"levels": [{"limit": 10}], "machines": {"M1": {"levels": [{"limit": 30}]}}}})
    assert told(own, "machine_down", [20.0, 30.0]) == [(30, "opened")]
    assert told(plant(rules={"machine_down": {"machines": {"M1": {"enabled": False}}}}), "machine_down", [99.0]) == []
    assert told(plant(rules={"machine_down": {"levels": [{"limit": 10}]}}), "machine_down", [12.0]) == [(0, "opened")]


def test_what_is_gone_is_over() -> None:
    opened = advance(PLANT, ["check_failed"], [Reading("check_failed", "a/schema", 2.0, "bad")], {}, {}, NOW)
    known = {opened.changes[0].alert.key: opened.changes[0].alert}
    assert opened.changes[0].alert.severity == "critical"
    waits = advance(PLANT, ["check_failed"], [], known, {}, NOW)
    later = advance(
        PLANT, ["check_failed"], [], {one.key: one for one in waits.kept}, {}, NOW + dt.timedelta(minutes=1)
    )
    assert [change.kind for change in later.changes] == ["resolved"]
    # A look at other rules says nothing about it.
    assert advance(PLANT, ["cpu"], [], known, {}, NOW + dt.timedelta(hours=9)).changes == []


@given(
    st.sampled_from(["machine_down", "oee", "scrap_rate", "memory"]),
    st.lists(st.one_of(st.none(), st.floats(0, 100)), max_size=60),
)
def test_an_alert_opens_before_it_changes_and_ends_before_it_opens_again(rule: str, values: list[float | None]) -> None:
    is_open = False
    for _, kind in told(PLANT, rule, values, every_s=120):
        assert is_open == (kind != "opened")
        is_open = kind != "resolved"


def test_the_plant_file_knows_the_same_rules() -> None:
    assert set(RULES) == ALERT_RULES
    assert {name for name, rule in RULES.items() if not rule.above} == FALLING


@pytest.mark.parametrize(
    ("rule", "limits"),
    [
        # Operating limits of the guide: 15 min, 5 %, 60/50/40, 70, 75, 95, 15 min, 80 %.
        ("machine_down", [15]), ("scrap_rate", [5]), ("oee", [60, 50, 40]), ("availability", [70]),
        ("performance", [75]), ("quality", [95]), ("feed_silent", [15]), ("sensor_gap", [15]), ("cpu", [80, 95]),
        ("disk", [80, 95]), ("vibration", [2.8, 7.1]),
    ],
)  # fmt: skip
def test_limits_are_those_of_the_guide(rule: str, limits: list[float]) -> None:
    from prodlytics.alerts.catalogue import levels_of

    assert [round(level.limit, 9) for level in levels_of(PLANT, RULES[rule], "M1")] == limits
