"""Blobs of IoT Hub's routing, written as Microsoft documents them: JSON lines and Avro."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import fastavro
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.edge.cloud.choice import Choice
from prodlytics.edge.cloud.outbox import Waiting
from prodlytics.edge.cloud.packing import frame, message
from prodlytics.formats import iot_hub, kepserverex
from prodlytics.formats.sample import Parsed, UnreadableFileError
from prodlytics_tests.formats.floor import T, plant, rules, sample
from prodlytics_tests.formats.floor import message as kep_message

#: As documented: https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-d2c
SCHEMA = fastavro.parse_schema({
    "type": "record", "name": "Message", "namespace": "Microsoft.Azure.Devices",
    "fields": [
        {"name": "EnqueuedTimeUtc", "type": "string"},
        {"name": "Properties", "type": {"type": "map", "values": "string"}},
        {"name": "SystemProperties", "type": {"type": "map", "values": "string"}},
        {"name": "Body", "type": ["null", "bytes"]},
    ],
})  # fmt: skip
ENQUEUED = "2026-11-23T10:00:01.2345678Z"


def envelope(body: Any, device: str = "gateway") -> dict[str, Any]:
    return {"EnqueuedTimeUtc": ENQUEUED, "Properties": {},
            "SystemProperties": {"connectionDeviceId": device, "enqueuedTime": ENQUEUED}, "Body": body}  # fmt: skip


def in_base64(body: bytes, device: str = "gateway") -> bytes:
    """A line of a message that did not say what it is."""
    return json.dumps(envelope(base64.b64encode(body).decode(), device)).encode() + b"\n"


def nested(body: bytes, device: str = "gateway") -> bytes:
    """A line of a message that says it is JSON in UTF-8."""
    said = envelope(json.loads(body), device)
    said["SystemProperties"] |= {"contentType": "application/json", "contentEncoding": "utf-8"}
    return json.dumps(said).encode() + b"\n"


def avro(*bodies: bytes | None, codec: str = "null", sync_interval: int = 16_000) -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, SCHEMA, [envelope(body) for body in bodies], codec=codec, sync_interval=sync_interval)
    return file.getvalue()


def parsed(blob: bytes) -> Parsed:
    parts = list(iot_hub.parse_file(io.BytesIO(blob), rules(), "blob"))
    if not parts:
        return Parsed(pd.DataFrame(), pd.DataFrame(), 0)
    return Parsed(pd.concat([one.good for one in parts]), pd.concat([one.bad for one in parts]),
                  sum(one.seen for one in parts))  # fmt: skip


def said(good: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Machine, metric, code, microseconds, number, text, quality."""
    if good.empty:
        return []
    us = good["time"].astype("int64") if good["time"].dt.unit == "us" else good["time"].astype("int64") // 1000
    numbers = [None if np.isnan(value) else value for value in good["value"]]
    columns = (good["machine_id"], good["metric_name"], good["native_code"], us, numbers, good["value_text"],
               good["quality"])  # fmt: skip
    return [tuple(row) for row in zip(*columns, strict=True)]


BODY = kep_message(sample(v=7), sample("AB.Press01.ToolID", "T1", t=T + 1))


@pytest.mark.parametrize("blob", [in_base64(BODY), nested(BODY), avro(BODY), avro(BODY, codec="deflate")])
def test_a_message_is_the_same_however_the_hub_wrote_it(blob: bytes) -> None:
    found = parsed(blob)
    assert said(found.good) == [
        ("Press01", "PartCountGood", "", T * 1000, 7.0, None, 192),
        ("Press01", "ToolID", "", (T + 1) * 1000, None, "T1", 192),
    ]
    assert found.bad.empty


def test_when_the_hub_got_it_is_when_it_was_published_and_never_when_it_happened() -> None:
    found = parsed(in_base64(b'{"id":"AB.Press01.X","v":1,"t":%d}' % T) + in_base64(b'{"id":"AB.Press01.X","v":1}'))
    assert found.good["published_at"].iloc[0] == pd.Timestamp("2026-11-23T10:00:01.234567Z")
    assert list(found.bad["reason"]) == ["missing_time"]


def test_a_tag_without_a_machine_is_of_the_device_that_sent_it() -> None:
    body = b'{"id":"Spindle.Speed_RPM","v":1500,"t":%d}' % T
    found = parsed(in_base64(body, "AB.Press01") + in_base64(body, "somebody"))
    assert said(found.good) == [("Press01", "Spindle.Speed_RPM", "", T * 1000, 1500.0, None, 192)]
    assert list(found.bad["reason"]) == ["unknown_machine"]


@pytest.mark.parametrize(
    ("line", "reason", "says"),
    [
        (b"{\n", "bad_json", "line 1: cut off"),
        (b'{"Body":"eyJ","EnqueuedTimeUtc":"x"}\n', "bad_base64", "line 1: the body is not base64"),
        (b'{"Body":"not base64!"}\n', "bad_base64", "line 1: "),
        (in_base64(b"\xff\xfe{}"), "bad_utf8", "line 1: byte 0 is not UTF-8"),
        (in_base64(b'{"values":'), "bad_json", "line 1: cut off"),
        (in_base64(b"[]"), "unknown_shape", "the array is empty"),
        (nested(b'{"temperature": 20}'), "unknown_shape", "neither 'values'"),
        (b'{"Body":null}\n', "unknown_shape", "line 1: the message has no body"),
        (b'{"Bodies":1}\n', "unknown_shape", "line 1: no message of IoT Hub"),
        (b'[1]\n', "unknown_shape", "line 1: no message of IoT Hub"),
        (avro(None), "unknown_shape", "record 1: the message has no body"),
        (nested(b'{"schema":"prodlytics/1","samples":[7]}'), "unknown_shape", "the sample is not an object"),
        (nested(b'{"schema":"prodlytics/1","samples":[{"machine":"Press01","metric":"X","value":1}]}'), "missing_time",
         "no time"),
        (nested(b'{"schema":"prodlytics/1","samples":[{"machine":"Press01","metric":"X","value":1,"time_us":"now"}]}'),
         "bad_time", "is no time in microseconds"),
        (nested(b'{"schema":"prodlytics/1","samples":[{"machine":"P9","metric":"X","value":1,"time_us":%d}]}'
                % (T * 1000)), "unknown_machine", "nobody configured 'P9'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_explained_and_costs_nothing_else(line: bytes, reason: str, says: str) -> None:
    found = parsed(line)
    assert list(found.bad["reason"]) == [reason]
    assert says in found.bad["detail"].iloc[0]
    if line[:3] != b"Obj":
        assert len(parsed(line + in_base64(BODY)).good) == 2


def test_avro_that_breaks_off_keeps_what_came_before() -> None:
    bodies = [kep_message(sample(v=n, t=T + n)) for n in range(200)]
    blob = avro(*bodies, sync_interval=400)
    found = parsed(blob[: len(blob) * 2 // 3])
    assert [row[4] for row in said(found.good)] == list(range(len(found.good)))
    assert 100 < len(found.good) < 200
    assert list(found.bad["reason"]) == ["bad_avro"]
    assert f"record {len(found.good) + 1} and all after it" in found.bad["detail"].iloc[0]


@pytest.mark.parametrize("blob", [b"Obj\x01rubbish", b"Obj\x01"])
def test_avro_of_nothing_is_a_file_that_cannot_be_read(blob: bytes) -> None:
    with pytest.raises(UnreadableFileError, match="the Avro file cannot be read"):
        parsed(blob)


def test_avro_of_something_else_is_a_file_that_cannot_be_read() -> None:
    file = io.BytesIO()
    other = {"type": "record", "name": "Person", "fields": [{"name": "name", "type": "string"}]}
    fastavro.writer(file, other, [{"name": "Ann"}])
    with pytest.raises(UnreadableFileError, match="no messages of IoT Hub"):
        parsed(file.getvalue())


@given(st.lists(st.sampled_from(["good", "own", "json", "base64", "shape", "time"]), max_size=20), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_line_is_a_sample_or_is_explained(kinds: list[str], as_avro: bool) -> None:
    bodies, expected = [], []
    for number, kind in enumerate(kinds):
        at = T + number
        match kind:
            case "good":
                bodies.append(kep_message(sample(v=number, t=at)))
                expected.append(("Press01", "PartCountGood", "", at * 1000, float(number), None, 192))
            case "own":
                own = {"machine": "Press01", "metric": "Alarm", "code": "E7", "time_us": at * 1000 + 3, "text": "12",
                       "quality": 192}  # fmt: skip
                bodies.append(json.dumps({"schema": "prodlytics/1", "samples": [own]}).encode())
                expected.append(("Press01", "Alarm", "E7", at * 1000 + 3, None, "12", 192))
            case "json":
                bodies.append(b'{"values":[')
            case "base64":
                bodies.append(b"\x00\x01\x02")
            case "shape":
                bodies.append(b"7")
            case "time":
                bodies.append(b'{"id":"AB.Press01.X","v":1,"t":"soon"}')
    blob = avro(*bodies) if as_avro else b"".join(in_base64(body) for body in bodies)
    if not as_avro and not bodies:
        return
    found = parsed(blob)
    assert said(found.good) == expected
    assert found.seen == len(kinds) == len(found.good) + len(found.bad)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["MachineState", "PartCountGood", "Temperature_C", "x_cond"]),
            st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.text(min_size=1, max_size=20)),
            st.sampled_from([192, 64, 0]),
        ),
        min_size=1, max_size=30,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_what_our_bridge_forwards_comes_back_as_it_was_stored(told: list[tuple[str, float | str, int]]) -> None:
    values = [
        {"id": f"AB.Press01.{metric}", "v": value, "q": quality, "t": T + n}
        for n, (metric, value, quality) in enumerate(told)
    ]
    stored = kepserverex.parse(json.dumps({"timestamp": T, "values": values}), rules(), "broker").good
    if stored.empty:
        return
    # Every change counts here: nothing is left out by a dead-band.
    own = plant(cloud={"dead_bands": {}})
    chosen = Choice(own).of(stored)
    waiting = [Waiting(n, one.kind, 0, one.body) for n, one in enumerate(chosen)]
    body = message(frame("small", "s"), waiting)
    for blob in (nested(body), in_base64(body), avro(body, codec="deflate")):
        back = said(parsed(blob).good)
        assert set(back) <= set(said(stored))
        assert len(back) == len(chosen)
