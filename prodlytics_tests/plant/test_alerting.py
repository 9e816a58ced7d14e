"""Alert settings that cannot work are refused with their line."""

from __future__ import annotations

from pathlib import Path

import pytest

from prodlytics.plant.load import PlantFileError, load_plant
from prodlytics_tests.plant.test_load import SMALL, write

ALERTS = """\
alerts:
  channels:
    - {name: email, kind: email}
    - {name: sms, kind: sms}
  rules:
    machine_down: {to: [manager], by: [email], machines: {M1: {levels: [{limit: 30}]}}}
    oee: {levels: [{limit: 60}, {limit: 40, severity: critical}]}
  platform_steps:
    - {after_min: 60, outside_hours_min: 240, to: [manager]}
    - {after_min: 120, to: [manager]}
  quiet_hours: {start: "22:00", end: "06:00"}
  links: {dagster: "https://dagster.plant.example"}
"""


def test_right_settings_are_taken(tmp_path: Path) -> None:
    alerts = load_plant(write(tmp_path, SMALL + ALERTS)).alerts
    assert alerts.rule("machine_down").machines["M1"].levels is not None
    assert [step.after_min for step in alerts.platform_steps] == [60, 120]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("to: [manager], by", "to: [boss], by", "no contact has the role 'boss'"),
        ("by: [email]", "by: [pager]", "there is no channel 'pager'"),
        ("by: [email]", "by: [sms]", "'manager' is told by text message and has no `phone`"),
        ("    machine_down:", "    machine_dwon:", "there is no rule 'machine_dwon'"),
        ("{M1: {levels", "{M9: {levels", "there is no machine 'M9'"),
        ("{limit: 40, severity", "{limit: 70, severity", "write levels from mild to severe: below 60"),
        ("severity: critical", "severity: terrible", "critical"),
        ("{after_min: 120", "{after_min: 60", "each later than the last"),
        ("{name: sms, kind: sms}", "{name: email, kind: sms}", "channel 'email' is used twice"),
        ("{name: sms, kind: sms}", "{name: SMS, kind: sms}", "lower-case letters"),
        ("kind: sms", "kind: pigeon", "kind"),
        ("https://dagster.plant.example", "dagster.plant.example", "write an address such as"),
    ],
)
def test_wrong_settings_are_refused_with_their_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = SMALL + ALERTS
    assert text.count(old) >= 1
    wrong = text.replace(old, new, 1)
    with pytest.raises(PlantFileError) as caught:
        load_plant(write(tmp_path, wrong))
    line = next(complaint for complaint in str(caught.value).splitlines() if says in complaint)
    number = int(line.split(" line ")[1].split(":")[0])
    written = wrong.splitlines()
    # Of a contact without a number it is the contact's line that has to change.
    assert (new in written[number - 1]) or ("phone" in says and "role: manager" in written[number - 1])


def test_a_wrong_address_is_refused_with_its_line(tmp_path: Path) -> None:
    wrong = SMALL.replace("manager@example.com", "manager at example.com")
    with pytest.raises(PlantFileError, match=r"plant\.yaml line \d+: contacts.*email"):
        load_plant(write(tmp_path, wrong))


def test_a_channel_without_its_secret_is_refused_where_it_is_used(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL + ALERTS + "  group_from: 3\n")
    with pytest.raises(PlantFileError) as caught:
        load_plant(path, {"PRODLYTICS_SMTP_URL": "smtp://x"})
    lines = (SMALL + ALERTS).splitlines()
    here = 1 + next(i for i, line in enumerate(lines) if "name: sms" in line)
    assert str(caught.value) == (
        f"{path} line {here}: channel 'sms' needs the environment variable PRODLYTICS_NOTIFY_SMS_URL; set it"
    )
    assert load_plant(path, {"PRODLYTICS_SMTP_URL": "smtp://x", "PRODLYTICS_NOTIFY_SMS_URL": "x"}).plant == "small"
    # Who only reads the file, as the simulator does, needs no secrets.
    assert load_plant(path).plant == "small"
