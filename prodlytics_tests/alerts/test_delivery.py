"""From a reading to a message that somebody got: once, with the reason, whatever dies in between."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from prodlytics.alerts.deliver import deliver, readings_of_delivery
from prodlytics.alerts.life import Reading
from prodlytics.alerts.store import Silence, acknowledge, escalate, record, silence
from prodlytics.db.connect import connect
from prodlytics.plant.model import Plant
from prodlytics_tests.alerts.plants import plant
from prodlytics_tests.servers.catchers import Calls, Mails

NOW = dt.datetime(2026, 11, 10, 16, tzinfo=dt.UTC)
SECRET = "s3cr3t-of-the-hook"
SUPERVISOR, HELP = "production_supervisor@plant.example", "msp_help_desk@plant.example"
Conn = psycopg.Connection[Any]


@pytest.fixture
def conn(plain_database: str) -> Iterator[Conn]:
    with connect(plain_database, autocommit=True) as conn:
        yield conn


def after(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def down(minutes: float, machine: str = "M1", says: str = "M1 is in fault 204.") -> Reading:
    return Reading("machine_down", machine, minutes, says, NOW - dt.timedelta(minutes=15), machine, "L1")


def silent(of: Plant, minutes: float = 20) -> list[Reading]:
    return [
        Reading("feed_silent", one.id, minutes, f"{one.id} is silent.", NOW, one.id, one.line) for one in of.machines
    ]


def step(conn: Conn, of: Plant, readings: list[Reading], at: dt.datetime, env: dict[str, str]) -> None:
    """What the two sensors do."""
    rules = sorted({reading.rule for reading in readings}) or ["machine_down", "feed_silent"]
    record(conn, of, rules, readings, at)
    record(conn, of, ["delivery"], readings_of_delivery(conn, of, at), at)
    escalate(conn, of, at)
    deliver(conn, of, env, at)


def test_an_alert_is_mailed_once_and_its_end_once(conn: Conn, mails: Mails) -> None:
    of, env = plant(links={"dagster": "https://d.example", "runbook": "https://r.example/alerts"}), {
        "PRODLYTICS_SMTP_URL": mails.url
    }  # fmt: skip
    for i in range(20):
        step(conn, of, [down(15 + i / 2)], after(30 * i), env)
    (mail,) = mails.caught
    assert mail["To"] == SUPERVISOR
    assert "M1 is down on L1 since 2026-11-10 09:45" in mail["Subject"]
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "M1 is in fault 204." in text
    assert "15 min (limit 15 min)" in text
    assert "https://d.example/assets/" in text
    assert "https://r.example/alerts#machine_down" in text
    for i in range(20, 25):
        step(conn, of, [down(0, says="M1 runs.")], after(30 * i), env)
    assert [one["Subject"].split(":")[0].split("] ")[1] for one in mails.caught] == ["Critical", "Over"]
    over = mails.caught[1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "after 26 min: M1 runs." in over
    # One conversation, two messages.
    assert mails.caught[0]["References"] == mails.caught[1]["References"]
    assert mails.caught[0]["Message-ID"] != mails.caught[1]["Message-ID"]
    history = conn.execute("SELECT what FROM alert_history ORDER BY history_id").fetchall()
    assert [what for (what,) in history] == ["opened", "told", "resolved", "told"]


def test_a_webhook_can_check_who_posted_and_tell_a_repetition(conn: Conn, calls: Calls) -> None:
    of = plant(channels=[{"name": "msp", "kind": "webhook"}])
    env = {"PRODLYTICS_NOTIFY_MSP_URL": calls.url, "PRODLYTICS_NOTIFY_MSP_SECRET": SECRET}
    step(conn, of, silent(of), NOW, env)
    ((headers, body),) = calls.caught
    signed = hmac.new(SECRET.encode(), headers["X-Prodlytics-Timestamp"].encode() + b"." + body, hashlib.sha256)
    assert headers["X-Prodlytics-Signature"] == f"sha256={signed.hexdigest()}"
    (told,) = calls.said()
    assert told["batch"] == headers["Idempotency-Key"]
    assert [(one["rule"], one["subject"], one["severity"]) for one in told["alerts"]] == [
        ("feed_silent", "M1", "critical")
    ]
    assert SECRET.encode() not in body
    assert calls.secret_path.encode() not in body


def test_a_storm_is_one_message_that_names_everything(conn: Conn, mails: Mails) -> None:
    of, env = plant(machines=7), {"PRODLYTICS_SMTP_URL": mails.url}
    step(conn, of, silent(of), NOW, env)
    (mail,) = mails.caught
    assert "7 feeds are silent on L1 since 2026-11-10 10:00" in mail["Subject"]
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert all(f"M{i}" in text for i in range(1, 8))


def test_a_thousand_alerts_in_a_minute_are_grouped_none_lost_none_doubled(
    conn: Conn, mails: Mails, calls: Calls
) -> None:
    of = plant(channels=[{"name": "email", "kind": "email"}, {"name": "msp", "kind": "webhook"}])
    env = {"PRODLYTICS_SMTP_URL": mails.url, "PRODLYTICS_NOTIFY_MSP_URL": calls.url,
           "PRODLYTICS_NOTIFY_MSP_SECRET": SECRET}  # fmt: skip
    checks = [Reading("check_failed", f"asset{i}/schema", 2.0, "Rows are wrong.") for i in range(1000)]
    mails.refuse = "451 try again later"
    # Ten looks in a minute, and a mail server that is down for five minutes.
    for i in range(10):
        record(conn, of, ["check_failed"], checks[: (i + 1) * 100], after(i * 6))
        deliver(conn, of, env, after(i * 6))
    for i in range(10, 80):
        if i * 6 >= 300:
            mails.refuse = None
        record(conn, of, ["check_failed"], checks, after(i * 6))
        deliver(conn, of, env, after(i * 6))
    told = Counter(alert["subject"] for message in calls.said() for alert in message["alerts"])
    assert told == {f"asset{i}/schema": 1 for i in range(1000)}
    assert len(calls.caught) == 10
    mailed = Counter(
        name.strip()
        for mail in mails.to(HELP)
        for line in mail.get_body(("plain",)).get_content().splitlines()  # type: ignore[union-attr]
        if line.startswith("New: ")
        for name in line.split(": ")[-1].split(",")
    )
    assert mailed == {f"asset{i}/schema": 1 for i in range(1000)}
    assert len({mail["Message-ID"] for mail in mails.caught}) == len(mails.caught) <= 10


def test_a_process_that_dies_after_the_message_was_taken_repeats_it_under_the_same_number(
    conn: Conn, mails: Mails, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, env = plant(), {"PRODLYTICS_SMTP_URL": mails.url}
    record(conn, of, ["machine_down"], [down(15)], NOW)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("prodlytics.alerts.deliver._note", dies)
        with pytest.raises(KeyboardInterrupt):
            deliver(conn, of, env, NOW)
    deliver(conn, of, env, after(30))
    deliver(conn, of, env, after(60))
    assert len(mails.caught) == 2
    assert len({mail["Message-ID"] for mail in mails.caught}) == 1


def test_two_senders_at_once_send_once(conn: Conn, mails: Mails, plain_database: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    of, env = plant(machines=3), {"PRODLYTICS_SMTP_URL": mails.url}
    record(conn, of, ["feed_silent"], silent(of), NOW)

    def send_all(_: int) -> None:
        with connect(plain_database, autocommit=True) as own:
            deliver(own, of, env, NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send_all, range(4)))
    assert len(mails.caught) == 3


def test_a_channel_that_does_not_take_messages_is_told_on_another(conn: Conn, mails: Mails, calls: Calls) -> None:
    of = plant(channels=[{"name": "email", "kind": "email"}, {"name": "msp", "kind": "webhook"}])
    env = {"PRODLYTICS_SMTP_URL": mails.url, "PRODLYTICS_NOTIFY_MSP_URL": calls.url,
           "PRODLYTICS_NOTIFY_MSP_SECRET": SECRET}  # fmt: skip
    calls.status = 500
    for i in range(10):
        step(conn, of, silent(of), after(30 * i), env)
    subjects = [mail["Subject"] for mail in mails.to(HELP)]
    assert sum("msp does not take messages" in subject for subject in subjects) == 1
    said = next(mail for mail in mails.to(HELP) if "does not take" in mail["Subject"])
    body = said.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "answered 500" in body
    assert calls.secret_path not in body
    calls.status = 200
    for i in range(20, 60):
        step(conn, of, silent(of), after(30 * i), env)
    assert [alert["rule"] for message in calls.said() for alert in message["alerts"]] == ["feed_silent"]
    assert sum("Over: msp" in mail["Subject"] for mail in mails.to(HELP)) == 1


def test_who_acknowledges_is_not_passed_over_by_the_next_one(conn: Conn, mails: Mails) -> None:
    steps = [{"after_min": 10, "to": ["msp_engineer"]}]
    of, env = plant(platform_steps=steps), {"PRODLYTICS_SMTP_URL": mails.url}
    step(conn, of, silent(of), NOW, env)
    step(conn, of, silent(of), after(601), env)
    step(conn, of, silent(of), after(700), env)
    assert [mail["To"] for mail in mails.caught] == [HELP, "msp_engineer@plant.example"]
    assert "Nobody has acknowledged" in mails.caught[1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    (alert_id,) = conn.execute("SELECT alert_id FROM alerts").fetchone() or (None,)
    assert acknowledge(conn, alert_id, "Help desk", "Switch replaced", after(720))
    assert not acknowledge(conn, alert_id, "Somebody else", "", after(721))

    other = plant(machines=2, platform_steps=steps)
    step(conn, other, silent(other), after(730), env)
    (newer,) = conn.execute("SELECT alert_id FROM alerts WHERE subject = 'M2'").fetchone() or (None,)
    acknowledge(conn, newer, "Help desk", "", after(740))
    step(conn, other, silent(other), after(5000), env)
    assert len(mails.caught) == 3


def test_a_silence_tells_nobody_and_is_on_record(conn: Conn, mails: Mails) -> None:
    of, env = plant(machines=2), {"PRODLYTICS_SMTP_URL": mails.url}
    silence(conn, Silence(None, "M1", after(3600), "New switch is fitted", "Help desk"))
    step(conn, of, silent(of), NOW, env)
    assert ["M2" in mail["Subject"] for mail in mails.caught] == [True]
    told = conn.execute("SELECT detail FROM alert_history WHERE what = 'not_told'").fetchall()
    assert [(" by Help desk: New switch is fitted" in detail) for (detail,) in told] == [True]
    # Nobody was told of it, so nobody is told of its end.
    for i in (1, 4, 8):
        step(conn, of, silent(of, 0), after(30 * i), env)
    assert sum("Over" in mail["Subject"] for mail in mails.caught) == 1


def test_what_people_typed_neither_breaks_the_header_nor_the_page(conn: Conn, mails: Mails) -> None:
    of, env = plant(), {"PRODLYTICS_SMTP_URL": mails.url}
    bad = Reading("check_failed", "a\r\nBcc: thief@example.org/<b>x</b>", 2.0, "<script>alert(1)</script> & more", NOW)
    step(conn, of, [bad], NOW, env)
    (mail,) = mails.caught
    assert mail["Bcc"] is None
    page = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>x</b>" not in page


def test_a_warning_of_the_night_that_is_over_by_morning_is_not_told(conn: Conn, mails: Mails) -> None:
    of = plant(quiet_hours={"start": "00:00", "end": "23:00"})
    env = {"PRODLYTICS_SMTP_URL": mails.url}
    rate = [Reading("scrap_rate", "M1", 9.0, "9 %", None, "M1", "L1")]
    step(conn, of, rate, NOW, env)
    for i in range(1, 20):
        step(conn, of, [Reading("scrap_rate", "M1", 1.0, "1 %", None, "M1", "L1")], after(60 * i), env)
    step(conn, of, rate, after(24 * 3600), {})
    assert mails.caught == []
    states = conn.execute("SELECT state FROM alerts ORDER BY alert_id").fetchall()
    assert states == [("resolved",), ("open",)]
