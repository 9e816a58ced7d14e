"""MTConnect answers, written by hand from the standard, and a real shop's."""

from __future__ import annotations

import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import pytest

from prodlytics.formats.judge import Rules
from prodlytics.formats.mtconnect import Answer, Header, Item, parse_answer, parse_devices
from prodlytics_tests.formats.floor import NOW, plant, rules

AT = "2026-11-23T10:00:00.250000Z"


def answer(
    *observations: str, device: str = 'name="Mill" uuid="AB.Press01"', items: dict[str, Item] | None = None
) -> Answer:
    body = f"""<?xml version="1.0" encoding="UTF-8"?>
        <MTConnectStreams xmlns="urn:mtconnect.org:MTConnectStreams:1.7">
          <Header creationTime="2026-11-23T10:00:01Z" instanceId="42" bufferSize="1024"
                  firstSequence="3" lastSequence="90" nextSequence="91"/>
          <Streams><DeviceStream name="Mill" uuid="AB.Press01"><ComponentStream component="Path">{"".join(observations)}
          </ComponentStream></DeviceStream></Streams>
        </MTConnectStreams>"""
    return parse_answer(body.encode(), rules(), "test", items)


def one(group: str, element: str, text: str, more: str = "", name: str = "x", sequence: int = 5) -> str:
    return (
        f'<{group}><{element} dataItemId="d1" name="{name}" sequence="{sequence}" timestamp="{AT}" {more}>{text}'
        f"</{element}></{group}>"
    )


def only(said: Answer) -> dict[str, Any]:
    assert len(said.parsed.bad) == 0
    (row,) = said.parsed.good.to_dict("records")
    return row


def test_the_header_says_where_the_ring_is() -> None:
    assert answer().header == Header(42, 3, 90, 91, "2026-11-23T10:00:01Z")


def test_a_sample_has_its_own_time_and_the_answers_as_publication() -> None:
    row = only(answer(one("Samples", "Load", "12.5")))
    assert (row["machine_id"], row["metric_name"], row["value"], row["quality"]) == ("Press01", "x", 12.5, 192)
    assert row["time"] == dt.datetime(2026, 11, 23, 10, 0, 0, 250_000, tzinfo=dt.UTC)
    assert row["published_at"] == dt.datetime(2026, 11, 23, 10, 0, 1, tzinfo=dt.UTC)
    assert row["source"] == "mtconnect"


@pytest.mark.parametrize(
    ("group", "element", "text", "meaning"),
    [
        ("Samples", "Load", "-1.5E-3", -0.0015),
        ("Samples", "PathPosition", "1.0 2.0 3.0", "1.0 2.0 3.0"),
        ("Events", "PartCount", "17", 17.0),
        ("Events", "Execution", "ACTIVE", "ACTIVE"),
        ("Events", "Program", "0042", "0042"),
        ("Events", "ToolId", "7", "7"),
        ("Events", "Message", "", ""),
    ],
)
def test_values(group: str, element: str, text: str, meaning: float | str) -> None:
    row = only(answer(one(group, element, text)))
    assert (row["value_text"] if isinstance(meaning, str) else row["value"]) == meaning


@pytest.mark.parametrize(
    ("group", "element", "text", "more", "reason"),
    [
        ("Samples", "Load", "high", "", "unreadable_value"),
        ("Samples", "Load", "NaN", "", "not_a_number"),
        ("Samples", "Load", "", "", "missing_value"),
        ("Samples", "LoadTimeSeries", "1 2 3", 'sampleCount="3"', "unreadable_value"),
        ("Events", "VariableDataSet", '<Entry key="a">1</Entry>', "", "unreadable_value"),
    ],
)
def test_what_is_no_value_is_explained(group: str, element: str, text: str, more: str, reason: str) -> None:
    said = answer(one(group, element, text, more), one("Samples", "Load", "1", name="y"))
    assert (said.parsed.bad["reason"].tolist(), len(said.parsed.good)) == ([reason], 1)


def test_unavailable_is_bad_quality() -> None:
    said = answer(one("Samples", "Load", "UNAVAILABLE"), one("Events", "Execution", "UNAVAILABLE", name="y"),
                  one("Condition", "Unavailable", "", name="z"))  # fmt: skip
    good = said.parsed.good
    assert good["quality"].tolist() == [0, 0, 0]
    assert good["value"].isna().all()
    assert good["value_text"].isna().all()


def test_conditions_of_one_item_are_kept_apart_by_their_native_code() -> None:
    said = answer(
        one("Condition", "Fault", "Coolant low", 'nativeCode="1042" type="SYSTEM"', sequence=6),
        one("Condition", "Warning", "Filter", 'nativeCode="77"', sequence=5),
        one("Condition", "Normal", "", sequence=7),
    )
    rows = said.parsed.good[["native_code", "value_text", "position"]].values.tolist()
    assert rows == [["77", "WARNING", 1], ["1042", "FAULT", 2], ["", "NORMAL", 3]]


def test_metrics_have_the_items_name_unless_the_device_uses_it_twice() -> None:
    described = parse_devices(
        b"""<MTConnectDevices xmlns="urn:mtconnect.org:MTConnectDevices:1.7"><Header bufferSize="1024"/><Devices>
        <Device name="Mill" id="m"><DataItems>
          <DataItem id="d1" name="load" category="SAMPLE" units="PERCENT"/>
          <DataItem id="d2" name="load" category="SAMPLE" units="PERCENT"/>
          <DataItem id="d3" name="speed" category="SAMPLE" units="REVOLUTION/MINUTE"/>
          <DataItem id="d4" category="EVENT"/>
        </DataItems></Device></Devices></MTConnectDevices>"""
    )
    assert described.buffer_size == 1024
    assert {key: (item.metric, item.unit) for key, item in described.items.items()} == {
        "d1": ("d1", "%"), "d2": ("d2", "%"), "d3": ("speed", "RPM"), "d4": ("d4", None)
    }  # fmt: skip
    row = only(answer(one("Samples", "Load", "3", name="load"), items=dict(described.items)))
    assert (row["metric_name"], row["unit"]) == ("d1", "%")
    other = only(answer(one("Samples", "Load", "3", name="renamed"), items=dict(described.items)))
    assert other["metric_name"] == "renamed"


def test_an_error_of_the_agent() -> None:
    said = parse_answer(
        b'<MTConnectError xmlns="urn:mtconnect.org:MTConnectError:1.3"><Header instanceId="1"/><Errors>'
        b'<Error errorCode="OUT_OF_RANGE">from must be greater than 5</Error></Errors></MTConnectError>',
        rules(),
        "test",
    )
    assert (said.error, said.said, said.header, said.parsed.seen) == (
        "OUT_OF_RANGE", "from must be greater than 5", None, 0
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>404",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
        b'<?xml version="1.0" encoding="no-such"?><a/>',
    ],
)
def test_what_is_no_answer_is_explained(body: bytes) -> None:
    said = parse_answer(body, rules(), "test")
    assert (said.header, said.parsed.bad["reason"].tolist()) == (None, ["bad_xml"])


def test_all_the_shop_said(shared_data: Path) -> None:
    """10,049 observations by grep; 75 of them UNAVAILABLE: 51 as text, 24 as a condition."""
    folder = shared_data / "nist_mazak01" / "agent"
    mill = {"id": "Mill01", "name": "Mill", "line": "L", "aliases": ["GFAgie01"], "state": {"map": {"1": "running"}}}
    shop = Rules.of(plant(machines=[mill], first_day="2016-01-01"), NOW)
    with gzip.open(folder / "streams.xml.gz") as file:
        said = parse_answer(file.read(), shop, "test", parse_devices((folder / "Devices.xml").read_bytes()).items)
    good = said.parsed.good
    assert (said.parsed.seen, len(good)) == (10_049, 10_049)
    assert said.header == Header(1475083573, 1, 10049, 10050, "2016-09-28T17:26:15Z")
    assert int((good["quality"] < 192).sum()) == 75
    assert not good.duplicated(["metric_name", "native_code", "time"]).any()
