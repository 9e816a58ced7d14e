"""Sparkplug B: births name what data number; deaths say that nobody knows."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pytest

from prodlytics.formats.judge import Rules
from prodlytics.formats.names import MachineNames
from prodlytics.formats.sparkplug import Reading, Received, parse_messages, rebirth_command
from prodlytics.formats.sparkplug_rows import place_of
from prodlytics.formats.sparkplug_session import NO_SESSIONS, NodeId, Sessions
from prodlytics_tests.formats import sparkplug_wire as w
from prodlytics_tests.formats.floor import NOW, T, plant

NODE = NodeId("Plant", "Edge1")
ARRIVED_US = int(NOW.timestamp()) * 1_000_000


def rules(aliases: tuple[str, ...] = ("Edge1.Press01",)) -> Rules:
    state = {"map": {"1": "running"}}
    machine = {"id": "Press01", "name": "One", "line": "L1", "aliases": list(aliases), "state": state}
    return Rules.of(plant(machines=[machine]), NOW)


class Floor:
    """Sends messages one after the other and remembers the sessions."""

    def __init__(self, aliases: tuple[str, ...] = ("Edge1.Press01",)) -> None:
        self.sessions: Sessions = NO_SESSIONS
        self.rules = rules(aliases)

    def hears(self, kind: str, payload: bytes, device: str = "Press01", edge: str = "Edge1") -> Reading:
        tail = f"/{device}" if kind.startswith("D") else ""
        message = Received(f"spBv1.0/Plant/{kind}/{edge}{tail}", payload, ARRIVED_US)
        reading = parse_messages([message], self.sessions, self.rules, "test")
        assert reading.parsed.seen == len(reading.parsed.good) + len(reading.parsed.bad)
        self.sessions = reading.sessions
        return reading

    def is_born(self, *metrics: bytes, session: int = 0) -> Reading:
        self.hears("NBIRTH", w.payload(w.bd_seq(session), sent=T, seq=0))
        return self.hears("DBIRTH", w.payload(*(metrics or (COUNT,)), sent=T, seq=1))


COUNT = w.metric(w.int_value(7), name="PartCountGood", alias=1, at=T, datatype=w.INT32)


def told(reading: Reading) -> list[tuple[str, Any]]:
    rows = reading.parsed.good.to_dict("records")
    return [(row["metric_name"], row["value_text"] if row["value_text"] is not None else row["value"]) for row in rows]


def reasons(reading: Reading) -> list[str]:
    return reading.parsed.bad["reason"].tolist()


def test_messages_written_out_byte_by_byte() -> None:
    """By hand from the protobuf encoding: a birth of X (alias 5, Int32, 1), then data for alias 5."""
    node = bytes.fromhex("08 80 c2 e4 be a0 34 18 00 12 0b 0a 05 62 64 53 65 71 20 04 58 02")
    birth = bytes.fromhex("08 80 c2 e4 be a0 34 18 01 12 09 0a 01 58 10 05 20 03 50 01")
    data = bytes.fromhex("08 89 c2 e4 be a0 34 18 02 12 0a 10 05 50 d6 ff ff ff 0f 28 00")
    floor = Floor()
    floor.hears("NBIRTH", node)
    assert told(floor.hears("DBIRTH", birth)) == [("X", 1.0)]
    reading = floor.hears("DDATA", data)
    assert (told(reading), reading.rebirths) == ([("X", -42.0)], frozenset())
    assert reading.parsed.good["time"][0] == dt.datetime(2026, 11, 23, 10, 0, 0, 9_000, tzinfo=dt.UTC)
    assert [row["quality"] for row in floor.hears("NDEATH", node[9:]).parsed.good.to_dict("records")] == [0]


def test_a_birth_says_names_values_and_times() -> None:
    reading = Floor().is_born()
    row = reading.parsed.good.iloc[0]
    assert (row["machine_id"], row["metric_name"], row["value"], row["quality"]) == ("Press01", "PartCountGood", 7, 192)
    assert row["time"] == dt.datetime(2026, 11, 23, 10, tzinfo=dt.UTC)
    assert row["source"] == "sparkplug"
    assert reading.rebirths == frozenset()


@pytest.mark.parametrize(
    ("datatype", "value", "meaning"),
    [
        (w.INT8, w.int_value(2**32 - 1), -1),  # two's complement of 32 bits
        (w.INT8, w.int_value(255), -1),  # of its own width
        (w.INT8, w.int_value(127), 127),
        (w.INT16, w.int_value(2**32 - 32768), -32768),
        (w.INT32, w.int_value(4294967295), -1),
        (w.INT32, w.int_value(2147483648), -2147483648),
        (w.INT32, w.int_value(2147483647), 2147483647),
        (w.INT32, w.long_value(2**64 - 5), -5),  # sign-extended to 64 bits
        (w.INT64, w.long_value(2**64 - 1), -1),
        (w.UINT8, w.int_value(255), 255),
        (w.UINT16, w.int_value(65535), 65535),
        (w.UINT32, w.int_value(4294967295), 4294967295),
        (w.UINT32, w.long_value(4294967295), 4294967295),
        (w.UINT64, w.long_value(2**53), 2**53),
        (w.FLOAT, w.float_value(0.5), 0.5),
        (w.DOUBLE, w.double_value(0.1), 0.1),
        (w.BOOLEAN, w.boolean_value(True), 1.0),
        (w.BOOLEAN, w.boolean_value(False), 0.0),
        (w.STRING, w.string_value("Ø 12"), "Ø 12"),
        (w.STRING, w.string_value("0042"), "0042"),
        (w.TEXT, w.string_value(""), ""),
        (w.DATETIME, w.long_value(T), float(T)),
    ],
)
def test_values_of_every_type(datatype: int, value: bytes, meaning: float | str) -> None:
    floor = Floor()
    assert told(floor.is_born(w.metric(value, name="X", alias=9, datatype=datatype))) == [("X", meaning)]
    assert told(floor.hears("DDATA", w.payload(w.metric(value, alias=9), sent=T + 1, seq=2))) == [("X", meaning)]


@pytest.mark.parametrize(
    ("datatype", "value", "reason"),
    [
        (w.INT32, w.string_value("12"), "unreadable_value"),
        (w.STRING, w.int_value(12), "unreadable_value"),
        (w.INT8, w.int_value(300), "unreadable_value"),
        (w.UINT8, w.int_value(256), "unreadable_value"),
        (w.BOOLEAN, w.int_value(1), "unreadable_value"),
        (w.FLOAT, w.float_value(math.nan), "not_a_number"),
        (w.DOUBLE, w.double_value(math.inf), "not_a_number"),
        (w.STRING, w.string_value(b"\xff"), "bad_utf8"),
        (w.STRING, w.string_value("a\x00b"), "unstorable_text"),
        (16, w.block(17, b"\x08\x01"), "unreadable_value"),
        (19, w.block(18, b""), "unreadable_value"),
        (99, w.block(16, b"x"), "unreadable_value"),
        (w.INT32, b"", "missing_value"),
    ],
)
def test_a_value_that_cannot_be_read_costs_that_metric(datatype: int, value: bytes, reason: str) -> None:
    reading = Floor().is_born(w.metric(value, name="X", datatype=datatype), COUNT)
    assert reasons(reading) == [reason]
    assert told(reading) == [("PartCountGood", 7.0)]


def test_null_and_the_quality_property() -> None:
    reading = Floor().is_born(
        w.metric(name="A", datatype=w.INT32, null=True),
        *(w.metric(w.int_value(1), name=f"Q{q}", datatype=w.INT32, quality=q) for q in (0, 64, 192, 500)),
    )
    assert reading.parsed.good["quality"].tolist() == [0, 0, 64, 192, 0]
    assert math.isnan(reading.parsed.good["value"][0])


def test_a_metric_without_its_own_time_has_that_of_the_message() -> None:
    floor = Floor()
    floor.is_born()
    data = w.payload(w.metric(w.int_value(8), alias=1), w.metric(w.int_value(6), alias=1, at=T - 9), sent=T + 5, seq=2)
    times = [int(time.timestamp() * 1000) for time in floor.hears("DDATA", data).parsed.good["time"]]
    assert times == [T + 5, T - 9]


def test_data_before_a_birth_is_put_aside_whole_and_the_birth_asked_for() -> None:
    reading = Floor().hears("DDATA", w.payload(w.metric(w.int_value(8), alias=1), sent=T, seq=9))
    assert reasons(reading) == ["no_birth"]
    assert "spBv1.0/Plant/DDATA/Edge1/Press01" in reading.parsed.bad["payload"][0]
    assert reading.rebirths == {NODE}


def test_a_device_birth_without_its_nodes_is_read_and_the_rest_asked_for() -> None:
    reading = Floor().hears("DBIRTH", w.payload(COUNT, sent=T, seq=4))
    assert told(reading) == [("PartCountGood", 7.0)]
    assert reading.rebirths == {NODE}


def test_an_alias_means_what_the_latest_birth_says() -> None:
    floor = Floor()
    floor.is_born(COUNT)
    other = w.metric(w.int_value(3), name="PartCountReject", alias=1, at=T, datatype=w.INT32)
    floor.is_born(other, session=1)
    reading = floor.hears("DDATA", w.payload(w.metric(w.int_value(4), alias=1), sent=T + 1, seq=2))
    assert told(reading) == [("PartCountReject", 4.0)]


def test_the_same_alias_on_two_devices() -> None:
    floor = Floor(("Edge1.A", "Edge1.B"))
    floor.hears("NBIRTH", w.payload(w.bd_seq(0), sent=T, seq=0))
    floor.hears("DBIRTH", w.payload(w.metric(w.int_value(1), name="X", alias=1, datatype=3), sent=T, seq=1), "A")
    floor.hears("DBIRTH", w.payload(w.metric(w.int_value(1), name="Y", alias=1, datatype=3), sent=T, seq=2), "B")
    data = w.payload(w.metric(w.int_value(5), alias=1), sent=T + 1, seq=3)
    assert told(floor.hears("DDATA", data, "A")) == [("X", 5.0)]


def test_an_alias_nobody_announced_and_one_announced_twice() -> None:
    floor = Floor()
    twice = w.metric(w.int_value(1), name="Other", alias=1, datatype=w.INT32)
    floor.is_born(COUNT, twice)
    for alias in (1, 77):
        reading = floor.hears("DDATA", w.payload(w.metric(w.int_value(4), alias=alias), sent=T + 1))
        assert reasons(reading) == ["unknown_alias"]
        assert reading.rebirths == {NODE}


def test_a_gap_is_said_and_what_came_is_kept() -> None:
    floor = Floor()
    floor.is_born()
    reading = floor.hears("DDATA", w.payload(w.metric(w.int_value(9), alias=1), sent=T + 1, seq=5))
    assert told(reading) == [("PartCountGood", 9.0)]
    assert reasons(reading) == ["sequence_gap"]
    assert "expected sequence number 2, got 5: 3 message(s)" in reading.parsed.bad["detail"][0]
    assert reading.rebirths == {NODE}
    assert floor.hears("DDATA", w.payload(w.metric(w.int_value(9), alias=1), sent=T + 2, seq=6)).rebirths == frozenset()


def test_the_sequence_wraps_from_255_to_0() -> None:
    floor = Floor()
    floor.is_born()
    for seq in [*range(2, 256), 0, 1]:
        reading = floor.hears("DDATA", w.payload(w.metric(w.int_value(9), alias=1), sent=T + seq, seq=seq))
        assert (reasons(reading), reading.rebirths) == ([], frozenset())


def test_a_sequence_that_starts_again_without_a_birth_makes_every_alias_doubtful() -> None:
    floor = Floor()
    floor.is_born()
    for seq in range(2, 12):
        floor.hears("DDATA", w.payload(w.metric(w.int_value(9), alias=1), sent=T + seq, seq=seq))
    reading = floor.hears("DDATA", w.payload(w.metric(w.int_value(9), alias=1), sent=T + 50, seq=3))
    assert reasons(reading) == ["sequence_gap", "no_birth"]
    assert reading.rebirths == {NODE}


def test_messages_that_are_delivered_again_change_nothing() -> None:
    floor = Floor()
    floor.is_born()
    sent = [w.payload(w.metric(w.int_value(seq), alias=1), sent=T + seq, seq=seq) for seq in range(2, 8)]
    first = [told(floor.hears("DDATA", one)) for one in sent]
    again = [floor.hears("DDATA", one) for one in sent[2:]]
    assert [told(reading) for reading in again] == first[2:]
    assert all(not reading.rebirths and not reasons(reading) for reading in again)
    after = floor.hears("DDATA", w.payload(w.metric(w.int_value(8), alias=1), sent=T + 8, seq=8))
    assert (told(after), reasons(after)) == ([("PartCountGood", 8.0)], [])


def test_an_old_message_is_not_read_with_the_aliases_of_a_later_birth() -> None:
    floor = Floor()
    floor.is_born(COUNT)
    old = w.payload(w.metric(w.int_value(9), alias=1), sent=T - 20, seq=200)
    floor.is_born(w.metric(w.int_value(3), name="PartCountReject", alias=1, at=T, datatype=w.INT32), session=1)
    reading = floor.hears("DDATA", old)
    assert (told(reading), reasons(reading)) == ([], ["before_birth"])


def test_a_node_death_makes_every_metric_bad_at_its_arrival_and_ends_the_session() -> None:
    floor = Floor(("Edge1.Press01", "Edge1"))
    floor.hears("NBIRTH", w.payload(w.bd_seq(3), w.metric(w.int_value(1), name="Up", datatype=3, at=T), sent=T, seq=0))
    floor.hears("DBIRTH", w.payload(COUNT, sent=T, seq=1))
    reading = floor.hears("NDEATH", w.payload(w.bd_seq(3), sent=T - 99_999))
    good = reading.parsed.good
    assert sorted(good["metric_name"]) == ["PartCountGood", "Up"]
    assert good["quality"].tolist() == [0, 0]
    assert good["value"].isna().all()
    assert set(good["time"]) == {NOW}
    assert reasons(floor.hears("DDATA", w.payload(w.metric(w.int_value(1), alias=1), sent=T, seq=2))) == ["no_birth"]
    assert told(floor.hears("NDEATH", w.payload(w.bd_seq(3)))) == []


def test_a_death_comes_after_the_last_sample_of_a_clock_that_is_ahead() -> None:
    ahead_ms = ARRIVED_US // 1000 + 5_000
    floor = Floor()
    floor.is_born(w.metric(w.int_value(1), name="X", at=ahead_ms, datatype=w.INT32))
    reading = floor.hears("NDEATH", w.payload(w.bd_seq(0)))
    assert reading.parsed.good["time"][0].timestamp() * 1000 == ahead_ms + 1


def test_the_death_of_an_earlier_session_is_ignored() -> None:
    floor = Floor()
    floor.is_born(session=8)
    reading = floor.hears("NDEATH", w.payload(w.bd_seq(7)))
    assert reading.parsed.seen == 0
    assert told(floor.hears("DDATA", w.payload(w.metric(w.int_value(1), alias=1), sent=T, seq=2))) != []
    assert reasons(floor.hears("NDEATH", b"")) == ["unknown_shape"]


def test_a_device_death_has_its_own_time_and_leaves_the_node_alive() -> None:
    floor = Floor()
    floor.is_born()
    reading = floor.hears("DDEATH", w.payload(sent=T + 7, seq=2))
    assert reading.parsed.good["quality"].tolist() == [0]
    assert reading.parsed.good["time"][0].timestamp() * 1000 == T + 7
    assert reading.rebirths == frozenset()
    after = floor.hears("DDATA", w.payload(w.metric(w.int_value(1), alias=1), sent=T + 8, seq=3))
    assert (reasons(after), after.rebirths) == (["no_birth"], {NODE})


def test_historical_data_keep_their_time() -> None:
    floor = Floor()
    floor.is_born()
    late = w.metric(w.int_value(2), alias=1, at=T - 3_600_000, historical=True)
    reading = floor.hears("DDATA", w.payload(late, sent=T + 1, seq=2))
    assert reading.parsed.good["time"][0] == dt.datetime(2026, 11, 23, 9, tzinfo=dt.UTC)


def test_metrics_of_the_protocol_are_no_tags() -> None:
    control = w.metric(w.boolean_value(False), name="Node Control/Rebirth", datatype=w.BOOLEAN)
    reading = Floor(("Edge1",)).hears("NBIRTH", w.payload(w.bd_seq(1), control, sent=T, seq=0))
    assert reading.parsed.seen == 0


def test_reading_changes_no_session_so_a_batch_can_be_read_again() -> None:
    floor = Floor()
    floor.is_born()
    before = floor.sessions
    batch = [
        Received(
            "spBv1.0/Plant/DDATA/Edge1/Press01", w.payload(w.metric(w.int_value(9), alias=1), sent=T + 1, seq=2), 1
        ),
        Received("spBv1.0/Plant/NDEATH/Edge1", w.payload(w.bd_seq(0)), ARRIVED_US),
    ]
    first = parse_messages(batch, before, floor.rules, "test")
    second = parse_messages(batch, before, floor.rules, "test")
    assert first.parsed.good.equals(second.parsed.good)
    assert first.sessions == second.sessions == {}
    assert NODE in before


def test_what_hosts_say_is_nothing_to_store() -> None:
    for topic in ("spBv1.0/STATE/demo", "spBv1.0/Plant/NCMD/Edge1", "spBv1.0/Plant/DCMD/Edge1/Press01"):
        assert parse_messages([Received(topic, b"\xff", 0)], {}, rules(), "test").parsed.seen == 0


def test_what_is_no_message_of_sparkplug() -> None:
    sent = {
        "unknown_topic": Received("spBv1.0/Plant/DDATA/Edge1", b"", 0),
        "bad_protobuf": Received("spBv1.0/Plant/NDATA/Edge1", b"\xff\xff", 0),
        "too_large": Received("spBv1.0/Plant/NDATA/Edge1", b"\x00" * (64 * 2**20 + 1), 0),
        "compressed": Received("spBv1.0/Plant/NDATA/Edge1", w.block(4, b"SPBV1.0_COMPRESSED"), 0),
    }
    reading = parse_messages(sent.values(), {}, rules(), "test")
    assert reasons(reading) == list(sent)
    assert reading.rebirths == frozenset()


@pytest.mark.parametrize(
    ("alias", "levels", "name", "place"),
    [
        ("G.E.D", ("G", "E", "D"), "Count", "Count"),
        ("E.D", ("G", "E", "D"), "Count", "Count"),
        ("D", ("G", "E", "D"), "Count", "Count"),
        ("D", ("G", "E", "D"), "Counts/Good", "Counts/Good"),
        ("E.Line1.Press01", ("G", "E"), "Line1/Press01/Count", "Count"),
        ("Line1.Press01", ("G", "E", "PLC"), "Line1/Press01/Count", "Count"),
        ("E", ("G", "E"), "Count", "Count"),
        ("E", ("G", "E", "Spindle"), "Load", "Spindle/Load"),
        ("X", ("G", "E", "D"), "Count", None),
        ("Count", ("G", "E", "D"), "Count", None),
    ],
)
def test_which_machine_a_metric_belongs_to(alias: str, levels: tuple[str, ...], name: str, place: str | None) -> None:
    found = place_of(MachineNames({alias: "M"}), levels, name)
    assert found == (None if place is None else ("M", place))


def test_the_machine_nobody_configured_is_named_as_an_alias_would_be() -> None:
    reading = Floor().hears("DBIRTH", w.payload(COUNT, sent=T, seq=1), device="Press77")
    assert reasons(reading) == ["unknown_machine"]
    assert "'Plant.Edge1.Press77'" in reading.parsed.bad["detail"][0]


def test_the_rebirth_command_byte_by_byte() -> None:
    """Timestamp 5; one metric: its name, timestamp 5, data type 11 (Boolean), boolean_value true."""
    name = b"Node Control/Rebirth"
    assert rebirth_command(5) == b"\x08\x05\x12\x1c\x0a\x14" + name + b"\x18\x05\x20\x0b\x70\x01"
