"""Whatever arrives: no parse function raises, every record is stored or explained, nothing unstorable is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from prodlytics.formats import kepserverex, mtconnect, plain, sparkplug
from prodlytics.formats.sample import Parsed, storable
from prodlytics.formats.sparkplug_session import NO_SESSIONS, Sessions
from prodlytics_tests.formats import sparkplug_wire as w
from prodlytics_tests.formats.floor import NOW, T, message, plant, rules, sample

RULES = rules()
MACHINES = {machine.id for machine in plant().machines}
NOW_US = int(NOW.timestamp()) * 1_000_000
YEAR_MS = 31_536_000_000
TEN_MB = 10_000_000

TAGS = st.sampled_from(["AB.Press01.PartCountGood", "AB.Press01.Robot.Load", "Nobody.Knows.Me", "", "AB.Press01.", "."])
TEXT = st.text(st.characters(), max_size=20)  # with NUL and halves of surrogate pairs
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.lists(st.integers(), max_size=2),
    st.dictionaries(TEXT, st.integers(), max_size=2),
    st.sampled_from(["NaN", "12abc", "1e999", "-inf", "'; DROP TABLE tag; --", "51.25", "", 10**400, -(2**63), 2**64]),
)  # fmt: skip
TIMES = st.one_of(ODD, st.sampled_from([T, T + YEAR_MS, T - YEAR_MS, 0, -1, 2**63, "2026-11-23T10:00:00Z"]))
QUALITIES = st.one_of(ODD, st.sampled_from([True, False, 0, 64, 192, 500]))


def assert_explained(parsed: Parsed) -> None:
    """What holds of every answer of a parse function."""
    good, bad = parsed.good, parsed.bad
    assert parsed.seen == len(good) + len(bad)
    assert all(reason for reason in bad["reason"])
    assert all(detail and storable(detail) for detail in bad["detail"])
    assert all(isinstance(payload, str) and storable(payload) for payload in bad["payload"])
    assert set(good["machine_id"]) <= MACHINES
    assert all(name and storable(name) for name in good["metric_name"])
    assert all(storable(text) for text in good["value_text"] if text is not None)
    assert all(storable(code) for code in good["native_code"])
    assert not np.isinf(good["value"].to_numpy(dtype=float)).any()
    usable = good[good["quality"] >= 192]
    assert (usable["value"].notna() | usable["value_text"].notna()).all()
    assert good["time"].between(RULES.not_before, RULES.not_after).all()


def damaged(valid: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Something valid, cut off, with bytes changed, or with bytes in between."""

    def apply(content: bytes, at: int, how: str, noise: bytes) -> bytes:
        place = at % (len(content) + 1)
        return {
            "whole": content,
            "cut": content[:place],
            "changed": content[:place] + noise + content[place + len(noise) :],
            "between": content[:place] + noise + content[place:],
        }[how]

    kinds = st.sampled_from(["whole", "cut", "changed", "between"])
    return st.builds(apply, valid, st.integers(0, 5_000), kinds, st.binary(max_size=8))


JSON_RECORDS = st.dictionaries(st.sampled_from(["id", "v", "q", "t", "x"]), ODD, max_size=5) | st.builds(
    sample, tag=TAGS, v=ODD, q=QUALITIES, t=TIMES
)
JSON_MESSAGES = st.builds(
    lambda records, shape: json.dumps(
        {"list": records, "bare": records[:1], "message": {"timestamp": T, "values": records}}[shape]
    ).encode("utf-8", "surrogatepass"),
    st.lists(JSON_RECORDS, max_size=4),
    st.sampled_from(["list", "bare", "message"]),
)


@given(st.lists(damaged(JSON_MESSAGES) | st.binary(max_size=80), max_size=4))
@example([b'{"timestamp": 1, "values": [{"id": "AB.Press01.X", "v": nan, "q": tr'])
@example([b"\xff\xfe\x00"])
@example([b"[" * 100_000])
@example([message(sample(q=10**400), sample(v=10**400), sample(t=10**400), sample(t=str(10**400)))])
@example([message(sample(tag="Nobody.Knows.Me", v=float("nan"), q=False))])
def test_kepserverex(payloads: list[bytes]) -> None:
    assert_explained(kepserverex.parse_messages(payloads, RULES, "test"))


PLAIN_PAYLOADS = st.one_of(
    st.binary(max_size=40),
    TEXT.map(lambda text: text.encode("utf-8", "surrogatepass")),
    damaged(st.builds(lambda value, time: json.dumps({"value": value, "timestamp_ms": time}).encode(), ODD, TIMES)),
    ODD.map(lambda value: json.dumps(value).encode()),
)
TOPICS = st.one_of(TEXT, st.sampled_from(["plain/AB/Press01/X", "plain/AB/Press01/X/Y", "plain/'; DROP TABLE tag/b/c",
                                         "plain/../../etc", "plain/+/#/x", "spBv1.0", "", "/", "$SYS/x"]))  # fmt: skip


@given(st.lists(st.builds(plain.Value, TOPICS, PLAIN_PAYLOADS, st.integers(0, 2**62)), max_size=4))
@example([plain.Value("plain/AB/Press01/X", b'{"value": 1, "timestamp_ms": 1e400}', NOW_US)])
@example([plain.Value("plain/AB/Press01/X", b"[" * 4_000, NOW_US)])
def test_plain(values: list[plain.Value]) -> None:
    assert_explained(plain.parse_values(values, "plain/{channel}/{device}/{tag}", RULES, "test"))


NUMBERS = st.integers(0, 2**64 - 1) | st.sampled_from([T, T + YEAR_MS, T - YEAR_MS, 0])
WIRE_VALUES = st.one_of(
    st.integers(0, 2**32 - 1).map(w.int_value), NUMBERS.map(w.long_value), st.floats(width=32).map(w.float_value),
    st.floats().map(w.double_value), st.booleans().map(w.boolean_value), st.binary(max_size=8).map(w.string_value),
    st.binary(max_size=8).map(lambda content: w.block(18, content)), st.just(b""),
)  # fmt: skip
WIRE_METRICS = st.builds(
    w.metric,
    WIRE_VALUES,
    name=st.none() | st.binary(max_size=6) | st.sampled_from(["X", "bdSeq", "Node Control/Rebirth", "a/b", "a\x00b"]),
    alias=st.none() | st.integers(0, 3) | NUMBERS,
    at=st.none() | NUMBERS,
    datatype=st.none() | st.integers(0, 40) | st.integers(0, 2**32 - 1),
    historical=st.booleans(),
    null=st.booleans(),
    quality=st.none() | st.integers(0, 1000),
)
WIRE_PAYLOADS = damaged(
    st.builds(
        lambda metrics, sent, seq: w.payload(*metrics, sent=sent, seq=seq),
        st.lists(WIRE_METRICS, max_size=3),
        st.none() | NUMBERS,
        st.none() | st.integers(0, 260) | NUMBERS,
    )
)
WIRE_TOPICS = st.one_of(
    TOPICS,
    st.sampled_from([f"spBv1.0/AB/{kind}/E" for kind in ("NBIRTH", "NDATA", "NDEATH", "NCMD")]),
    st.sampled_from([f"spBv1.0/AB/{kind}/E/Press01" for kind in ("DBIRTH", "DDATA", "DDEATH", "DCMD")]),
)
WIRE_MESSAGES = st.builds(
    sparkplug.Received, WIRE_TOPICS, WIRE_PAYLOADS | st.binary(max_size=60), st.integers(NOW_US - 10, NOW_US + 10)
)


@given(st.lists(st.lists(WIRE_MESSAGES, max_size=4), max_size=4))
def test_sparkplug(batches: list[list[sparkplug.Received]]) -> None:
    sessions: Sessions = NO_SESSIONS
    for batch in batches:
        reading = sparkplug.parse_messages(batch, sessions, RULES, "test")
        assert_explained(reading.parsed)
        again = sparkplug.parse_messages(batch, sessions, RULES, "test")
        assert again.sessions == reading.sessions
        assert again.rebirths == reading.rebirths
        assert len(again.parsed.good) == len(reading.parsed.good)
        sessions = reading.sessions


@given(WIRE_PAYLOADS)
def test_sparkplug_data_that_carry_metrics_are_never_passed_over(payload: bytes) -> None:
    """Noise can be valid protobuf that says nothing: a message of data is samples or an explanation."""
    birth = sparkplug.Received("spBv1.0/AB/NBIRTH/Press01", w.payload(w.bd_seq(1), sent=T, seq=0), NOW_US)
    born = sparkplug.parse_messages([birth], NO_SESSIONS, RULES, "test").sessions
    protocol = b"bdSeq" in payload or b"Control" in payload
    data = sparkplug.Received("spBv1.0/AB/NDATA/Press01", payload, NOW_US)
    assert protocol or sparkplug.parse_messages([data], born, RULES, "test").parsed.seen > 0


def streams(observations: Sequence[str], device: str, header: str) -> bytes:
    inside = "".join(observations)
    return (
        f'<MTConnectStreams xmlns="urn:mtconnect.org:MTConnectStreams:2.0">{header}<Streams>'
        f'<DeviceStream name="{device}"><ComponentStream component="Device">{inside}</ComponentStream></DeviceStream>'
        "</Streams></MTConnectStreams>"
    ).encode()


XML_TEXT = st.text(st.characters(min_codepoint=32, exclude_characters="<&\"'", exclude_categories=("Cs",)), max_size=12)
SAID = st.one_of(
    XML_TEXT, st.sampled_from(["UNAVAILABLE", "12", "NaN", "1 2 3", "12abc", "", "ACTIVE", "<Entry key='a'>1</Entry>"])
)
SEEN_AT = st.sampled_from(
    ["2026-11-23T10:00:00Z", "2026-11-23T10:00:00.1234567Z", "2027-11-23T10:00:00Z", "2016-01-01T00:00:00Z",
     "2026-11-23T10:00:00", "yesterday", "", "9999999-01-01T00:00:00Z"]
)  # fmt: skip
OBSERVATIONS = st.builds(
    lambda group, element, sequence, time, code, said: (
        f'<{group}><{element} dataItemId="d1" name="x" sequence="{sequence}" timestamp="{time}" nativeCode="{code}">'
        f"{said}</{element}></{group}>"
    ),
    st.sampled_from(["Samples", "Events", "Condition", "Other"]),
    st.sampled_from(["Load", "Execution", "Program", "Fault", "Unavailable", "LoadTimeSeries"]),
    st.integers(-1, 2**65) | st.just("x"),
    SEEN_AT,
    XML_TEXT,
    SAID,
)
HEADERS = st.one_of(
    st.just(""),
    st.builds(
        lambda first, last, time: (
            f'<Header instanceId="1" firstSequence="{first}" lastSequence="{last}" nextSequence="{last}" '
            f'creationTime="{time}"/>'
        ),
        st.integers(-1, 2**65),
        st.integers(-1, 10),
        SEEN_AT,
    ),
)
ANSWERS = st.builds(
    streams, st.lists(OBSERVATIONS, max_size=4), st.sampled_from(["AB.Press01", "Nobody", "Agent", ""]), HEADERS
)


@given(damaged(ANSWERS) | st.binary(max_size=80))
@example(b'<?xml version="1.0" encoding="no-such"?><a/>')
@example(b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;</a>')
@example(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>')
@example(b"<a>" * 50_000)
def test_mtconnect(body: bytes) -> None:
    answer = mtconnect.parse_answer(body, RULES, "test")
    assert_explained(answer.parsed)
    assert answer.header is not None or answer.error is not None or len(answer.parsed.bad) or answer.parsed.seen
    mtconnect.parse_devices(body)


@pytest.mark.parametrize("unit", [b"{", b"\x00", b"\x12", b"<a>", b"1"])
def test_ten_megabytes(unit: bytes) -> None:
    payload = unit * (TEN_MB // len(unit))
    assert_explained(kepserverex.parse_messages([payload], RULES, "test"))
    assert_explained(
        plain.parse_values([plain.Value("plain/AB/Press01/X", payload, NOW_US)], "plain/{a}/{b}/{c}", RULES, "x")
    )
    for kind in ("NBIRTH", "NDATA", "NDEATH"):
        received = sparkplug.Received(f"spBv1.0/AB/{kind}/Press01", payload, NOW_US)
        assert_explained(sparkplug.parse_messages([received], NO_SESSIONS, RULES, "test").parsed)
    assert_explained(mtconnect.parse_answer(payload, RULES, "test").parsed)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (sample(t=T + YEAR_MS), "future_time"),
        (sample(t=T - YEAR_MS), "before_first_day"),
        (sample(tag="Nobody.Knows.Me"), "unknown_machine"),
        (sample(v=float("nan")), "not_a_number"),
        (sample(q="perhaps"), "bad_quality_flag"),
        (sample(v={"a": 1}), "unreadable_value"),
    ],
)
def test_what_is_wrong_with_one_sample_is_said_and_the_next_one_kept(record: dict[str, Any], reason: str) -> None:
    parsed = kepserverex.parse_messages([message(record, sample())], RULES, "test")
    assert (parsed.bad["reason"].tolist(), len(parsed.good)) == ([reason], 1)
