"""Who is told what, when, by which channel."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from prodlytics.alerts.life import Alert, Change
from prodlytics.alerts.routes import Due, is_in, nobody, of_age, of_change
from prodlytics.plant.alerting import Span
from prodlytics.plant.model import Plant
from prodlytics_tests.alerts.plants import plant

CHICAGO = ZoneInfo("America/Chicago")
BOTH = [{"name": "email", "kind": "email"}, {"name": "sms", "kind": "sms"}, {"name": "teams", "kind": "teams"}]


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=CHICAGO).astimezone(dt.UTC)


def alert(rule: str, level: int = 0, severity: str = "critical", opened: str = "2026-11-10T10:00") -> Alert:
    return Alert(f"{rule}:M1", rule, "M1", level, severity, at(opened), at(opened), alert_id=1, machine_id="M1")


def addressed(found: list[Due]) -> set[tuple[str, str]]:
    return {(one.channel, one.address) for one in found}


def opened(of: Plant, one: Alert, now: str = "2026-11-10T10:00") -> list[Due]:
    return of_change(of, Change("opened", one, ""), at(now))


def test_a_machine_down_is_told_to_the_supervisor_by_mail_and_text_message() -> None:
    found = addressed(opened(plant(channels=BOTH), alert("machine_down")))
    assert found == {("email", "production_supervisor@plant.example"), ("sms", "+13125550123")}


def test_scrap_is_the_quality_managers_and_the_platform_is_the_msps() -> None:
    of = plant(channels=BOTH)
    assert addressed(opened(of, alert("scrap_rate", severity="warning"))) == {
        ("email", "quality_manager@plant.example")
    }
    assert addressed(opened(of, alert("feed_silent"))) == {("email", "msp_help_desk@plant.example"), ("teams", "teams")}


def test_an_oee_under_fifty_is_the_plant_managers_and_a_jump_tells_everybody_on_the_way() -> None:
    of = plant()
    assert addressed(opened(of, alert("oee", 0, "warning"))) == {("email", "production_supervisor@plant.example")}
    raised = of_change(of, Change("raised", alert("oee", 1, "warning"), ""), at("2026-11-10T10:00"))
    assert addressed(raised) == {("email", "plant_manager@plant.example")}
    both = {("email", f"{role}@plant.example") for role in ("production_supervisor", "plant_manager")}
    assert addressed(opened(of, alert("oee", 2))) == both
    assert of_change(of, Change("lowered", alert("oee", 0), ""), at("2026-11-10T10:00")) == []


def test_warnings_wait_for_the_end_of_quiet_hours_and_what_is_critical_does_not() -> None:
    of = plant(quiet_hours={"start": "22:00", "end": "05:30"})
    late = opened(of, alert("scrap_rate", severity="warning"), "2026-11-10T23:10")
    assert [one.due_at for one in late] == [at("2026-11-11T05:30")]
    assert [one.due_at for one in opened(of, alert("feed_silent"), "2026-11-10T23:10")] == [at("2026-11-10T23:10")]
    assert [one.due_at for one in opened(of, alert("scrap_rate", severity="warning"), "2026-11-10T21:59")] == [
        at("2026-11-10T21:59")
    ]
    # In the night in which the clocks go back the same wall time is an hour later.
    late = opened(of, alert("scrap_rate", severity="warning"), "2026-10-31T23:30")
    assert [one.due_at for one in late] == [dt.datetime(2026, 11, 1, 11, 30, tzinfo=dt.UTC)]


STEPS = [
    {"after_min": 60, "outside_hours_min": 240, "to": ["msp_engineer"], "severities": ["critical"]},
    {"after_min": 480, "to": ["plant_manager"], "by": ["email"]},
]


@pytest.mark.parametrize(
    ("opened_at", "minutes", "roles"),
    [
        # In business hours after an hour, at night after four: the guide's response times.
        ("2026-11-10T10:00", 59, []), ("2026-11-10T10:00", 60, ["msp_engineer"]),
        ("2026-11-10T02:00", 239, []), ("2026-11-10T02:00", 240, ["msp_engineer"]),
        ("2026-11-14T10:00", 60, []), ("2026-11-14T10:00", 240, ["msp_engineer"]),
        ("2026-11-10T10:00", 480, ["msp_engineer", "plant_manager"]),
    ],
)  # fmt: skip
def test_nobody_acknowledges_and_the_next_one_is_told(opened_at: str, minutes: int, roles: list[str]) -> None:
    of, one = plant(platform_steps=STEPS), alert("feed_silent", opened=opened_at)
    found = of_age(of, one, one.opened_at + dt.timedelta(minutes=minutes))
    assert [due.role for due in found] == roles


def test_what_is_acknowledged_mild_or_of_the_plant_climbs_other_steps_or_none() -> None:
    of, later = plant(platform_steps=STEPS), at("2026-11-12T10:00")
    acknowledged = Alert(**{**vars(alert("feed_silent")), "state": "acknowledged"})
    assert of_age(of, acknowledged, later) == []
    assert [due.role for due in of_age(of, alert("sensor_gap", severity="warning"), later)] == ["plant_manager"]
    assert of_age(of, alert("machine_down"), later) == []


def test_a_channel_that_fails_is_not_told_of_itself() -> None:
    of = plant(channels=BOTH)
    failed = Alert("delivery:email", "delivery", "email", 0, "warning", at("2026-11-10T10:00"), at("2026-11-10T10:00"))
    assert addressed(opened(of, failed)) == {("teams", "teams")}


@pytest.mark.parametrize(
    ("wall", "inside"),
    [
        ("2026-11-13T23:00", True), ("2026-11-14T03:00", True), ("2026-11-14T06:00", False),
        # A span belongs to the day on which it starts: Saturday's is none.
        ("2026-11-14T23:00", False), ("2026-11-13T03:00", True), ("2026-11-15T03:00", False),
    ],
)  # fmt: skip
def test_a_span_over_midnight_belongs_to_the_day_it_starts_on(wall: str, inside: bool) -> None:
    span = Span.model_validate({"start": "22:00", "end": "06:00", "weekdays": ["thu", "fri"]})
    assert is_in(plant(), span, at(wall)) == inside


def test_rules_of_which_nobody_would_be_told_are_named() -> None:
    assert "model_drift" in nobody(plant())
    assert "machine_down" not in nobody(plant())
    assert "cpu" in nobody(plant(channels=[]))
