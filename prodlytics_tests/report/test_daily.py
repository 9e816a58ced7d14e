"""The page: what it says, how it survives mail programs, and that it is the same every time."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from prodlytics.kpi.what_if import NotEnough
from prodlytics.report.daily import build
from prodlytics.report.data import Lever
from prodlytics.report.figures import largest_cause
from prodlytics.report.words import band
from prodlytics_tests.report.known_day import (
    DATE,
    LEDGER,
    M1,
    M2,
    MINUTE_US,
    START,
    STOPS,
    before,
    elements,
    known_day,
    plant,
    scrap,
    span,
    stop,
)


class Page(HTMLParser):
    """Tags with their attributes, the text in order, and what was opened but never closed."""

    VOID = ("img", "meta", "br")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


TAGS = {
    *("html", "head", "meta", "title", "body", "table", "tr", "td", "th"),
    *("div", "span", "h1", "h2", "img", "strong", "br"),
}
EMPTY: dict[str, Any] = {"oee": [], "previous_oee": [], "ledger": [], "stops": [], "scrap": []}


def test_plain_text_of_the_known_day() -> None:
    text = build(known_day()).plain_text
    for line in (
        "Small plant, Here",
        "Friday, 20 November 2026",
        "PLANT OEE: 50.0 % (poor)",
        "Availability 66.7 %, performance 80.0 %, quality 93.8 %",
        "10.0 points down on the day before (60.0 %), 20.0 points down on the 13 days before (70.0 %).",
        "Of 5 h 00 min planned, 2 h 30 min were lost, worth USD 155. Made: 150 good parts and 10 rejects.",
        "- Unplanned stops: 80 min, USD 80",
        "- Reduced speed: 40 min, USD 40",
        "- Changeovers: 20 min, USD 20",
        "- Rejects: 10 min, USD 15",
        "Together: 150 min, USD 155",
        "1. Bearing (Mechanical): 50 min, 2 stops",
        "   Longest: Press one, 08:00, 40 min, fault E-17. “greased <b>twice</b> & still hot”",
        "2. Changeover, nothing said: 20 min, 1 stop",
        "Without a reason: 37.5 % of unplanned stop time (30 min, 1 stop).",
        "- Press two: no data; availability –, performance –, quality –; good –, rejects –",
        "- Surface: scratch: 6 pieces, USD 15",
        "- No reason given: 4 pieces, not known",
        "* 4 pieces have no known cost and are not in the amounts.",
        "No figure of an earlier report has changed.",
        "- Scheduled time with known state: 50.0 %",
        "- Time without data: 300 min",
        "Data up to Saturday, 21 November 2026, 06:00 (America/Chicago).",
    ):
        assert line in text.splitlines()
    # Nobody reads a missing figure as zero.
    assert not re.search(r"(?<!\d)0\.0 %", text)


def test_html_says_what_the_plain_text_says() -> None:
    report = build(known_day())
    page = Page(report.html)
    numbers = re.findall(r"\d[\d,.]* (?:%|min|pieces|h)|USD \d+", report.plain_text)
    assert len(numbers) > 30
    shown = page.text + " ".join(attributes.get("alt") or "" for _, attributes in page.tags)
    for number in numbers:
        # In the table of machines there is no room for the word.
        assert number.removesuffix(" pieces") in shown
    assert not re.search(r"(?<!\d)0\.0 %", page.text)


@pytest.mark.parametrize("data", [known_day(), known_day(**EMPTY)], ids=["known", "empty"])
def test_html_survives_mail_programs(data: Any) -> None:
    page = Page(build(data).html)
    assert page.open == []
    tags = {tag for tag, _ in page.tags}
    assert tags <= TAGS
    for tag, attributes in page.tags:
        assert not {"class", "id", "href", "onclick", "onerror"} & set(attributes)
        assert "url(" not in (attributes.get("style") or "")
        if tag == "img":
            assert len(attributes["alt"] or "") > 20
            assert (attributes["src"] or "").startswith("data:image/png;base64,")
    pictures = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 2
    for picture in pictures:
        with Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2]))) as image:
            assert image.width == 1200
            assert image.info.keys() <= {"dpi"}
    # Gmail cuts off what is longer than 102 kB; pictures travel beside the text.
    without = build(data).html
    for picture in pictures:
        without = without.replace(picture, "")
    assert len(without.encode()) < 60_000


def test_what_people_typed_is_text() -> None:
    evil = "<script>alert(1)</script>'\"><img src=x onerror=alert(2)>"
    data = known_day(
        plant=plant(name=evil),
        stops=[stop("s1", "08:00", "08:40", "MECH_A", notes=evil, fault_code=evil), *STOPS[1:]],
        scrap=[scrap(10, evil, evil, 1.0)],
        quarantine=[{"dataset": evil, "reason": evil, "rows": 3}],
        restatements=[
            {"machine_id": evil, "time_bucket": START, "production_date": DATE, "column_name": evil, "old_value": 1.0,
             "new_value": 2.0, "new_revision": 2, "cause": evil}
        ],
    )  # fmt: skip
    page = Page(build(data).html)
    assert "script" not in {tag for tag, _ in page.tags}
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 2
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert page.text.count("<script>alert(1)</script>") >= 8


def test_a_day_without_data_says_so() -> None:
    for data in (
        known_day(**EMPTY),
        known_day(**EMPTY | {"oee": [M2], "ledger": [span("M2", "06:00", "11:00", "unknown")]}),
    ):
        report = build(data)
        lines = report.plain_text.splitlines()
        assert "PLANT OEE: no data" in lines
        assert "No data arrived for this day." in lines
        assert "No OEE on any of the last 14 days." in lines
        assert lines.count("No data.") == 3
        for text in (report.plain_text, Page(report.html).text):
            assert "0.0 %" not in text
        assert report.summary["plant_oee"] is None


def test_a_day_off_is_not_a_bad_day() -> None:
    off = [elements(machine, not_scheduled=1440) for machine in ("M1", "M2")]
    ledger = [span(machine, "06:00", "23:00", "not_scheduled") for machine in ("M1", "M2")]
    text = build(known_day(oee=off, ledger=ledger, stops=[], scrap=[])).plain_text
    assert "PLANT OEE: not planned" in text
    assert "Nothing was planned on this day." in text
    assert "- Scheduled time with known state: nothing was scheduled" in text
    assert "Not planned: all machines." in text
    one = build(known_day(oee=[M1, off[1]], ledger=[*LEDGER[:-1], ledger[1]])).plain_text
    assert "Not planned: Press two." in one
    assert "- Press two" not in one


def test_a_machine_that_stood_still_all_day_has_an_oee_of_zero() -> None:
    down = elements("M1", failure=300)
    ledger = [span("M1", "06:00", "11:00", "failure", None, "s1")]
    text = build(known_day(oee=[down], ledger=ledger, stops=[], scrap=[])).plain_text
    assert "PLANT OEE: 0.0 % (poor)" in text
    assert "Availability 0.0 %, performance no parts, quality no parts" in text


def test_faster_than_the_ideal_cycle_is_said_not_hidden() -> None:
    fast = elements("M1", good=220, running=200)
    ledger = [span("M1", "06:00", "09:20", "running")]
    text = build(known_day(oee=[fast], ledger=ledger, stops=[], scrap=[])).plain_text
    assert "PLANT OEE: 110.0 % (good)" in text
    assert "- Reduced speed: -20 min, USD -20 (faster than the ideal cycle: check the ideal cycles)" in text
    assert "Performance above 105 %, so the ideal cycle is probably wrong: Press one." in text


def test_many_reasons_are_added_up() -> None:
    rows = [scrap(1, None, f"reason {number}", 10.0 - number) for number in range(10)]
    text = build(known_day(scrap=rows)).plain_text
    assert "- reason 5: 1 pieces, USD 5" in text
    # 4 + 3 + 2 + 1
    assert "- 4 more reasons: 4 pieces, USD 10" in text
    assert "Together: 10 pieces, USD 55" in text


def test_restated_days_and_shifts_are_said_before_hours() -> None:
    """The plant first, then the machine's shift with its name, then what happened by the hour."""
    day = DATE - dt.timedelta(days=1)
    about = {
        "time_bucket": START,
        "production_date": day,
        "new_revision": 2,
        "cause": "late rows",
        "column_name": "oee",
    }
    rows = [
        {**about, "machine_id": "M1", "old_value": 0.5, "new_value": 0.25},
        {**about, "machine_id": "M1", "period": "shift", "shift": "Shift 2", "old_value": 0.712, "new_value": 0.698},
        {**about, "machine_id": "small", "level": "plant", "period": "day", "old_value": 0.6, "new_value": 0.59},
        {**about, "machine_id": "M1", "period": "day", "column_name": "cost", "old_value": 2025.0, "new_value": 1980.0},
    ]
    report = build(known_day(restatements=rows))
    lines = [line for line in report.plain_text.splitlines() if line.endswith("Cause: late rows")]
    assert lines == [
        "- Small plant, 19 Nov: OEE 60.0 % → 59.0 %. Cause: late rows",
        "- Press one, 19 Nov: cost of losses USD 2,025 → USD 1,980. Cause: late rows",
        "- Press one, Shift 2, 19 Nov: OEE 71.2 % → 69.8 %. Cause: late rows",
        "- Press one, 19 Nov: OEE of 06:00 50.0 % → 25.0 % (1 hour restated). Cause: late rows",
    ]
    assert "Press one, Shift 2, 19 Nov" in Page(report.html).text


def test_restated_figures_are_said_plainly() -> None:
    where = {"machine_id": "M1", "time_bucket": START - dt.timedelta(hours=20), "new_revision": 2, "cause": "late rows"}
    rows = [
        {
            **where,
            "production_date": DATE - dt.timedelta(days=1),
            "column_name": column,
            "old_value": old,
            "new_value": new,
        }
        for column, old, new in (("oee", 0.5, 0.25), ("good_count", 100.0, 50.0), ("run_time_us", 6e8, 1.2e9))
    ]
    report = build(known_day(restatements=rows))
    said = (
        "Press one, 19 Nov: good parts 100 → 50; OEE of 10:00 50.0 % → 25.0 %; run time 10 min → 20 min "
        "(1 hour restated). Cause: late rows"
    )
    assert f"- {said}" in report.plain_text.splitlines()
    assert said.replace(", 19 Nov:", ", 19 Nov :") in Page(report.html).text


def quality(**told: Any) -> dict[str, Any]:
    """A row of `data_quality`: a shift of M1 on the day in which nothing is wrong."""
    return {"machine_id": "M1", "production_date": DATE, "shift": "Early", "stop_count": 0, "coded_in_time_count": 0,
            "other_time_us": 0, "short_stop_count": 3, "running_us": 0, "plan_time_us": 10 * MINUTE_US,
            "heard_time_us": 10 * MINUTE_US, **told}  # fmt: skip


def test_what_the_data_lacks_is_said_and_what_is_well_is_not() -> None:
    good = build(known_day(quality=[quality()], delivery=[sensor("Heat_C", 0.999), sensor("Noise", None)]))
    assert not any(said in good.plain_text for said in ("explained", "other", "captured", "Feeds", "Sensors"))
    week = [
        quality(production_date=DATE - dt.timedelta(days=day), short_stop_count=0, running_us=7 * 60 * MINUTE_US)
        for day in range(1, 7)
    ]
    today = [
        quality(stop_count=5, coded_in_time_count=2, other_time_us=12 * MINUTE_US, short_stop_count=0),
        quality(shift="Late", stop_count=7, coded_in_time_count=4, short_stop_count=0, heard_time_us=9.5 * MINUTE_US),
    ]
    delivery = [sensor(f"Sensor {n}", 0.90 + n / 100) for n in (4, 1, 3, 0, 2)]
    lines = build(known_day(quality=[*week, *today], delivery=delivery)).plain_text.splitlines()
    # 42 hours without a short stop; heard in 19.5 of 20 minutes.
    for line in (
        "- Stops over 2 min explained by a person within 5 min: 6 of 12",
        "- Stops explained as “other”: 12 min",
        "- Not one short stop in a week: not captured: Press one",
        "- Feeds heard in less than 99 % of planned time: Press one 97.5 %",
        "- Sensors that delivered less than 99 %: Press one Sensor 0 90.0 %, Press one Sensor 1 91.0 %, "
        "Press one Sensor 2 92.0 % and 2 more",
    ):
        assert line in lines


def sensor(metric: str, delivery: float | None) -> dict[str, Any]:
    return {"machine_id": "M1", "production_date": DATE, "metric_name": metric, "native_code": "", "delivery": delivery}


def test_the_lever_of_the_day() -> None:
    """In its own section, escaped; where there are too few weeks it says how many are missing."""
    heading = "WHAT LESS OF THE LARGEST CAUSE WOULD BRING"
    assert heading not in build(known_day()).plain_text
    asked = Lever("<b>bearing</b>", 1 / 3, NotEnough("too_few_weeks", 1, 3, (DATE,)))
    report = build(known_day(lever=asked))
    after = report.plain_text.split(heading)[1]
    assert after.strip().startswith("Not enough data to say what less of it would bring (<b>bearing</b>; Small plant)")
    assert "<b>bearing" not in report.html
    refused = build(known_day(lever=Lever("bearing", 1 / 3, "These weeks were computed under different conventions.")))
    assert "These weeks were computed under different conventions." in Page(refused.html).text


def test_the_largest_cause_is_what_took_most_time() -> None:
    columns = ["loss", "reason_code", "loss_us"]
    rows = [("unplanned_stop", "E1", 30.0), ("unplanned_stop", "E2", 25.0), ("changeover", "E2", 10.0),
            ("micro_stop", "", 34.0), ("unknown", "", 99.0), ("planned_stop", "P", 99.0)]  # fmt: skip
    assert largest_cause(pd.DataFrame(rows, columns=columns)) == "E2"
    assert largest_cause(pd.DataFrame(rows[3:], columns=columns)) == "micro_stop"
    assert largest_cause(pd.DataFrame(rows[4:], columns=columns)) is None


@pytest.mark.parametrize(
    ("oee", "name"),
    [(1.1, "good"), (0.85, "good"), (0.8496, "good"), (0.8494, "fair"), (0.65, "fair"), (0.6494, "poor"), (0.0, "poor"),
     (None, "no figure")],
)  # fmt: skip
def test_bands_follow_what_is_printed(oee: float | None, name: str) -> None:
    assert band(oee).name == name


def test_the_same_data_gives_the_same_bytes_anywhere() -> None:
    code = (
        "import hashlib; from prodlytics.report.daily import build; "
        "from prodlytics_tests.report.known_day import known_day; r = build(known_day()); "
        "print(hashlib.sha256((r.html + r.plain_text + r.fingerprint).encode()).hexdigest())"
    )
    report = build(known_day())
    here = hashlib.sha256((report.html + report.plain_text + report.fingerprint).encode()).hexdigest()
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == here


def test_the_fingerprint_follows_the_figures() -> None:
    same, other = build(known_day()), build(known_day(previous_oee=[before(1, 61)]))
    assert same.fingerprint == build(known_day()).fingerprint
    assert same.fingerprint != other.fingerprint


@pytest.mark.parametrize("date", [dt.date(2026, 3, 7), dt.date(2026, 10, 31)])
def test_days_on_which_clocks_change(date: dt.date) -> None:
    text = build(known_day(**EMPTY | {"production_date": date})).plain_text
    assert "PLANT OEE: no data" in text
