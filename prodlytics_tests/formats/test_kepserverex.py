"""KEPServerEX messages: every shape met in the wild, and every way to be broken."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.formats import kepserverex
from prodlytics.formats.sample import BAD_COLUMNS, SAMPLE_COLUMNS, Parsed
from prodlytics_tests.formats.floor import T, message, rules, sample


def parse(data: bytes | str, fields: kepserverex.Fields | None = None) -> Parsed:
    return kepserverex.parse(data, rules(), "a.ndjson", fields or kepserverex.Fields())


def only_bad(data: bytes) -> dict[str, Any]:
    parsed = parse(data)
    assert (len(parsed.good), len(parsed.bad)) == (0, 1)
    return dict(parsed.bad.iloc[0])


def test_the_standard_message_of_the_gateway() -> None:
    data = (
        b'{"timestamp":1795428000500,"values":['
        b'{"id":"AB.Press01.SpindleSpeed_RPM","v":250,"q":true,"t":1795428000000},'
        b'{"id":"AB.Press01.Group1.Temperature_C","v":22.5,"q":true,"t":1795428000001}]}'
    )
    good = parse(data).good
    assert list(good.columns) == list(SAMPLE_COLUMNS)
    assert good["machine_id"].tolist() == ["Press01", "Press01"]
    assert good["metric_name"].tolist() == ["SpindleSpeed_RPM", "Group1.Temperature_C"]
    assert good["value"].tolist() == [250.0, 22.5]
    assert good["unit"].tolist() == ["RPM", "°C"]
    assert good["quality"].tolist() == [192, 192]
    assert good["time"].tolist() == [
        pd.Timestamp("2026-11-23T10:00:00Z"),
        pd.Timestamp("2026-11-23T10:00:00.001Z"),
    ]
    assert good["published_at"].tolist() == [pd.Timestamp("2026-11-23T10:00:00.5Z")] * 2
    assert good["position"].tolist() == [1, 2]
    assert set(good["origin"]) == {"a.ndjson"}


@pytest.mark.parametrize(
    "data",
    [
        message(sample(), sample(v=2, t=T + 1)),
        b"[" + message(sample()) + b"," + message(sample(v=2, t=T + 1)) + b"]",
        json.dumps([sample(), sample(v=2, t=T + 1)]).encode(),
        message(sample()) + b"\n\n" + message(sample(v=2, t=T + 1)) + b"\r\n",
        json.dumps(json.loads(message(sample(), sample(v=2, t=T + 1))), indent=2).encode(),
        b"\xef\xbb\xbf" + message(sample(), sample(v=2, t=T + 1)),
    ],
    ids=["message", "array of messages", "array of records", "lines", "indented", "byte order mark"],
)
def test_the_same_samples_in_every_shape(data: bytes) -> None:
    for parsed in (parse(data), whole_file(data)):
        assert parsed.good["value"].tolist() == [1.0, 2.0]
        assert parsed.bad.empty
        assert parsed.seen == 2


def whole_file(data: bytes) -> Parsed:
    parts = list(kepserverex.parse_file(io.BytesIO(data), rules(), "a.ndjson"))
    return Parsed(
        pd.concat([p.good for p in parts], ignore_index=True),
        pd.concat([p.bad for p in parts], ignore_index=True),
        sum(p.seen for p in parts),
    )


def test_a_bare_record() -> None:
    assert parse(json.dumps(sample(v=7)).encode()).good["value"].tolist() == [7.0]


def test_fields_renamed_by_a_template() -> None:
    fields = kepserverex.Fields.named({"id": "tagname", "time": "timestamp", "value": "value"})
    data = json.dumps([{"tagname": "AB.Press01.Run", "timestamp": T, "value": "51.25"}]).encode()
    good = parse(data, fields).good
    assert good["value"].tolist() == [51.25]
    assert good["quality"].tolist() == [192]
    assert good["time"].tolist() == [pd.Timestamp("2026-11-23T10:00:00Z")]


@pytest.mark.parametrize(
    ("sent", "number", "text"),
    [
        (4523, 4523.0, None),
        (0, 0.0, None),
        (-1.5, -1.5, None),
        ("51.25", 51.25, None),
        (" 7 ", 7.0, None),
        ("1e3", 1000.0, None),
        (True, 1.0, None),
        (False, 0.0, None),
        ("12abc", math.nan, "12abc"),
        ("1_000", math.nan, "1_000"),
        ("T12", math.nan, "T12"),
        ("", math.nan, ""),
        ("Ölstand niedrig", math.nan, "Ölstand niedrig"),
    ],
)
def test_values(sent: object, number: float, text: str | None) -> None:
    row = parse(message(sample(v=sent))).good.iloc[0]
    assert row["value"] == number or (math.isnan(number) and math.isnan(row["value"]))
    assert row["value_text"] == text


@pytest.mark.parametrize(
    ("sent", "quality"),
    [(True, 192), (False, 0), (192, 192), (0, 0), (64, 64), (216, 216), ("good", 192), ("Bad", 0), ("192", 192)],
)
def test_quality(sent: object, quality: int) -> None:
    assert parse(message(sample(q=sent))).good["quality"].tolist() == [quality]


@pytest.mark.parametrize("sent", [None, "maybe", -1, 1.5, 70_000, [1]])
def test_a_quality_nobody_can_read_is_not_good(sent: object) -> None:
    assert only_bad(message(sample(q=sent)))["reason"] == "bad_quality_flag"


def test_a_lost_connection_is_kept_as_such() -> None:
    parsed = parse(message(sample(v=0, q=False), sample(v=None, q=False, t=T + 1), sample(v="NaN", q=0, t=T + 2)))
    assert parsed.bad.empty
    assert parsed.good["quality"].tolist() == [0, 0, 0]
    assert parsed.good["value"].isna().tolist() == [False, True, True]


@pytest.mark.parametrize("bare", ["NaN", "Infinity", "-Infinity", "nan", "-1.#IND", "1.#QNAN", "inf", '"nan"', "1e999"])
def test_not_a_number_costs_the_sample_and_not_the_message(bare: str) -> None:
    data = message(sample(), sample(v=12345678, t=T + 1)).decode().replace("12345678", bare)
    parsed = parse(data)
    assert parsed.good["value"].tolist() == [1.0]
    assert parsed.bad["reason"].tolist() == ["not_a_number"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (sample(v=None), "missing_value"),
        (sample(v=[1]), "unreadable_value"),
        (sample(v={"x": 1}), "unreadable_value"),
        (sample(v=10**400), "not_a_number"),
        (sample(t=None), "missing_time"),
        (sample(t="yesterday"), "bad_time"),
        (sample(t=True), "bad_time"),
        (sample(t=1e300), "bad_time"),
        (sample(t="2026-11-23T10:00:00"), "naive_time"),
        (sample(t=T + 2 * 86_400_000), "future_time"),
        (sample(t=T // 1000), "before_first_day"),
        (sample(tag="AB.Press99.Run"), "unknown_machine"),
        (sample(tag="Press01"), "unknown_machine"),
        (sample(tag="AB.Press01."), "unknown_machine"),
        (sample(v="a\x00b"), "unstorable_text"),
        (sample(v="\ud800"), "unstorable_text"),
        ({"v": 1, "q": True, "t": T}, "missing_name"),
        ({"id": 7, "v": 1, "q": True, "t": T}, "missing_name"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_a_broken_sample_is_set_aside_and_its_neighbours_are_not(wrong: dict[str, Any], reason: str) -> None:
    parsed = parse(message(sample(), wrong, sample(v=3, t=T + 9)))
    assert parsed.good["value"].tolist() == [1.0, 3.0]
    assert parsed.bad["reason"].tolist() == [reason]
    assert parsed.bad["position"].tolist() == [2]


def test_a_machine_nobody_configured_is_named_and_one_is_told_what_to_do() -> None:
    bad = only_bad(message(sample(tag="AB.Press99.Run")))
    assert "'AB.Press99.Run'" in bad["detail"]
    assert "plant.yaml" in bad["detail"]
    assert "aliases" in bad["detail"]
    assert json.loads(bad["payload"])["id"] == "AB.Press99.Run"
    assert bad["event_time"] == pd.Timestamp("2026-11-23T10:00:00Z")


def test_the_longest_machine_name_wins() -> None:
    good = parse(message(sample("AB.Press01.Robot.Speed"), sample("AB.Press01.RobotSpeed"), sample("Robot01.a.b"))).good
    assert good["machine_id"].tolist() == ["Robot01", "Press01", "Robot01"]
    assert good["metric_name"].tolist() == ["Speed", "RobotSpeed", "a.b"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (message(sample())[:-7], "bad_json"),
        (b"\xff\xfe\xfd", "bad_utf8"),
        (b"hello", "bad_json"),
        (b"{}", "unknown_shape"),
        (b"[]", "unknown_shape"),
        (b"7", "unknown_shape"),
        (b"null", "unknown_shape"),
        (b'{"timestamp":1,"values":[]}', "unknown_shape"),
        (b'{"timestamp":1,"values":[5]}', "unknown_shape"),
        (b"[" * 100_000, "bad_json"),
        (b'{"timestamp":' + b"9" * 5000 + b',"values":[]}', "unknown_shape"),
    ],
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_a_broken_line_costs_that_line(line: bytes, reason: str) -> None:
    parsed = whole_file(message(sample()) + b"\n" + line + b"\n" + message(sample(v=2, t=T + 1)))
    assert parsed.good["value"].tolist() == [1.0, 2.0]
    assert parsed.bad["reason"].tolist() == [reason]
    assert parsed.seen == 3


def test_a_text_in_a_time_zone_is_an_instant() -> None:
    assert parse(message(sample(t="2026-11-23T04:00:00.1234567-06:00"))).good["time"].tolist() == [
        pd.Timestamp("2026-11-23T10:00:00.123456Z")
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["AB.Press01.Run", "AB.Press01.Robot.x", "X.Y.z", ""]) | JSON,
        "v": JSON,
        "q": st.booleans() | JSON,
        "t": st.integers(T - 10**9, T + 10**9) | JSON,
    },
)
MESSAGES = st.one_of(
    JSON,
    LIKELY,
    st.lists(LIKELY, max_size=5),
    st.builds(lambda v, t: {"timestamp": t, "values": v}, st.lists(LIKELY | JSON, max_size=5), JSON),
)


@given(st.lists(st.one_of(MESSAGES.map(lambda m: json.dumps(m).encode()), st.binary(max_size=60)), max_size=5))
@settings(max_examples=100, deadline=None)
def test_whatever_comes_every_record_is_kept_or_explained(lines: list[bytes]) -> None:
    for parsed in (parse(b"\n".join(lines)), *kepserverex.parse_file(io.BytesIO(b"\n".join(lines)), rules(), "x")):
        assert parsed.seen == len(parsed.good) + len(parsed.bad)
        assert list(parsed.bad.columns) == list(BAD_COLUMNS)
        positions = [*parsed.good["position"], *parsed.bad["position"]]
        assert len(set(positions)) == len(positions)
        assert parsed.bad["reason"].str.fullmatch(r"[a-z0-9_]+").all()
        # Whatever is said about a row can be stored.
        for column in ("detail", "payload"):
            for text in parsed.bad[column]:
                assert "\x00" not in text
                text.encode("utf-8")
        good = parsed.good
        assert good["time"].notna().all()
        assert good["machine_id"].isin(["Press01", "Robot01"]).all()
        usable = good[good["quality"] >= 192]
        assert (usable["value"].notna() | usable["value_text"].notna()).all()
        assert not good["value"].isin([math.inf, -math.inf]).any()
