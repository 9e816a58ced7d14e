"""The watchdog tells of what nobody else could: also while the database is away."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from prodlytics.db.connect import connect
from prodlytics.ops.watchdog import Watchdog, interval_of
from prodlytics.settings import Settings
from prodlytics_tests.alerts.plants import plant
from prodlytics_tests.servers.catchers import Mails
from prodlytics_tests.servers.mosquitto import Broker
from prodlytics_tests.servers.ports import free_port

NOW = dt.datetime(2026, 11, 10, 16, tzinfo=dt.UTC)
AWAY = SecretStr("postgresql://nobody:hidden@127.0.0.1:1/none")
#: A busy test machine is no news.
CALM = {name: {"enabled": False} for name in ("cpu", "memory", "disk", "daemon")}
PLANT = plant(rules=CALM)


def after(minutes: float) -> dt.datetime:
    return NOW + dt.timedelta(minutes=minutes)


def watchdog(home: Path, url: SecretStr, mails: Mails, **more: Any) -> Watchdog:
    """One process of it, with nothing but its files from the one before."""
    settings = Settings(database_url=url, home=home, **more)
    return Watchdog(settings, PLANT, {"PRODLYTICS_SMTP_URL": mails.url})


def subjects(mails: Mails) -> list[str]:
    return [mail["Subject"].split("] ")[1].split(" since")[0] for mail in mails.caught]


def test_a_database_that_goes_away_is_told_once_and_its_return_too(
    plain_database: str, tmp_path: Path, mails: Mails
) -> None:
    there = SecretStr(plain_database)
    assert not watchdog(tmp_path, there, mails).look(NOW).bad or mails.caught == []
    looked = watchdog(tmp_path, AWAY, mails).look(after(1))
    assert any("cannot be used" in one for one in looked.bad)
    # Another process each time, as from cron.
    # A restart is back within half a minute, so that the first look tells nobody.
    assert mails.caught == []
    for minute in (1.5, 2, 3, 4):
        watchdog(tmp_path, AWAY, mails).look(after(minute))
    assert subjects(mails) == ["Critical: database cannot be reached"]
    assert "hidden" not in mails.caught[0].as_string()
    for minute in (5, 6, 7):
        watchdog(tmp_path, there, mails).look(after(minute))
    assert subjects(mails) == ["Critical: database cannot be reached", "Over: database cannot be reached"]
    with connect(plain_database) as conn:
        rows = conn.execute("SELECT rule, state, opened_at FROM alerts WHERE rule = 'database'").fetchall()
    assert rows == [("database", "resolved", after(1.5))]


def test_a_mail_server_that_is_away_too_gets_it_later_and_once(tmp_path: Path, mails: Mails) -> None:
    mails.refuse = "451 later"
    watchdog(tmp_path, AWAY, mails).look(after(-1))
    looked = watchdog(tmp_path, AWAY, mails).look(NOW)
    assert "451 later" in looked.told
    mails.refuse = None
    for minute in (1, 2):
        watchdog(tmp_path, AWAY, mails).look(after(minute))
    assert subjects(mails) == ["Critical: database cannot be reached"]


def test_a_dead_broker_and_a_dead_bridge_are_told(
    plain_database: str, tmp_path: Path, mails: Mails, mosquitto: Broker
) -> None:
    broker = f"mqtt://127.0.0.1:{mosquitto.port}"
    more = {"mqtt_url": SecretStr(broker), "bridge_http": f"127.0.0.1:{free_port()}"}
    dog = watchdog(tmp_path, SecretStr(plain_database), mails, **more)
    for second in (0, 30, 60):
        dog.look(after(second / 60))
    assert subjects(mails) == ["Critical: bridge is not well"]
    mosquitto.kill()
    for second in (90, 120, 150):
        dog.look(after(second / 60))
    assert subjects(mails) == ["Critical: bridge is not well", "Critical: broker cannot be reached"]


@pytest.mark.parametrize(
    ("cron", "longest"),
    [("*/5 * * * *", 5), ("2 * * * *", 60), ("30 6 * * *", 25 * 60), ("30 4 * * 0", 7 * 1440 + 60),
     ("45 4 * * 1-6", 7 * 1440 + 60)],
)  # fmt: skip
def test_how_long_a_schedule_may_be_quiet(cron: str, longest: int) -> None:
    assert interval_of(cron) == dt.timedelta(minutes=longest)
