"""What people said about stops: who outranks whom, splits, merges, undos; against a brute force, in any order."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.kpi.downtime_events import entries_without_stop
from prodlytics.kpi.entries import in_force, taken_back
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.floor import at, calendar, entries, entry, states, stops_of

PLANNED = calendar((480, "planned"))
#: One stop from minute 10 to minute 70.
STOP = states((10, "running"), (60, "idle"), (410, "running"))


def said(*rows: dict[str, Any]) -> list[tuple[float, float, str | None]]:
    """From, to, reason of each part of the stop."""
    stops = stops_of(floor.plant(), STOP, PLANNED, entries(*rows))
    return [
        ((row.time_start - at(0)).total_seconds() / 60, (row.time_end - at(0)).total_seconds() / 60, row.reason_code)
        for row in stops.itertuples()
    ]


def reason(start: float, end: float | None, code: str, entered: float, **more: Any) -> dict[str, Any]:
    return entry(start, end, reason_code=code, entered_at=at(entered), **more)


def split(start: float, entered: float, **more: Any) -> dict[str, Any]:
    return entry(start, None, kind="split", entered_at=at(entered), **more)


def merge(start: float, end: float | None, entered: float, **more: Any) -> dict[str, Any]:
    return entry(start, end, kind="merge", entered_at=at(entered), **more)


def undo(key: str, own: str = "", **more: Any) -> dict[str, Any]:
    return entry(0, None, kind="undo", undoes=key, source_key=own or f"undo {key}", **more)


class TestWhoCounts:
    @pytest.mark.parametrize("imported", ["machinemetrics", "erp", "import", "something else"])
    def test_a_person_outranks_a_system_whenever_it_says_so(self, imported: str) -> None:
        rows = [reason(10, 70, "MATL_A", 80), reason(10, 70, "SETUP_A", 90, source=imported)]
        stops = stops_of(floor.plant(), STOP, PLANNED, entries(*rows))
        assert stops[["reason_code", "reason_source", "reason_entry"]].to_numpy().tolist() == [
            ["MATL_A", "operator", "e0"]
        ]

    def test_a_system_outranks_the_fault_code_and_says_its_name(self) -> None:
        fault = states((10, "running"), (60, "fault", "E1"), (410, "running"))
        stops = stops_of(floor.plant(), fault, PLANNED, entries(reason(10, 40, "SETUP_A", 80, source="machinemetrics")))
        assert stops[["reason_code", "reason_source", "reason_entry"]].to_numpy().tolist() == [
            ["SETUP_A", "machinemetrics", "e0"], ["MECH_A", "fault_code", None]
        ]  # fmt: skip

    def test_among_persons_the_latest_entered_wins(self) -> None:
        rows = [reason(10, 70, "MATL_A", 90, source="operator"), reason(10, 70, "SETUP_A", 80, source="supervisor")]
        assert said(*rows) == [(10, 70, "MATL_A")]

    def test_an_imported_reason_does_not_make_a_micro_stop_more(self) -> None:
        short = states((10, "running"), (1, "idle"), (469, "running"))
        for source, bucket in (("erp", "micro_stop"), ("maintenance", "other_stop")):
            stops = stops_of(floor.plant(), short, PLANNED, entries(reason(10, 11, "MATL_A", 80, source=source)))
            assert stops["bucket"].tolist() == [bucket]


class TestSplitAndMerge:
    def test_a_split_ends_what_has_no_end(self) -> None:
        assert said(reason(10, None, "MATL_A", 80), split(40, 90)) == [(10, 40, "MATL_A"), (40, 70, None)]

    def test_also_what_is_entered_after_it(self) -> None:
        rows = [split(40, 80), reason(10, None, "MATL_A", 90), reason(40, None, "SETUP_A", 91)]
        assert said(*rows) == [(10, 40, "MATL_A"), (40, 70, "SETUP_A")]

    def test_a_span_with_an_end_means_its_end(self) -> None:
        assert said(reason(10, 60, "MATL_A", 80), split(40, 90)) == [
            (10, 40, "MATL_A"), (40, 60, "MATL_A"), (60, 70, None)
        ]  # fmt: skip

    def test_a_split_may_bring_its_reason(self) -> None:
        assert said(split(40, 80, reason_code="MATL_A"), split(60, 90)) == [
            (10, 40, None), (40, 60, "MATL_A"), (60, 70, None)
        ]  # fmt: skip

    def test_nothing_is_inherited_across_a_cut_or_from_a_neighbour(self) -> None:
        two = states((10, "running"), (10, "idle"), (1, "running"), (10, "idle"), (449, "running"))
        stops = stops_of(floor.plant(), two, PLANNED, entries(reason(10, None, "MATL_A", 80), split(15, 90)))
        assert stops["reason_code"].tolist() == ["MATL_A", None, None]

    def test_a_merge_voids_the_cuts_before_it(self) -> None:
        rows = [reason(10, None, "MATL_A", 80), split(40, 90), merge(10, 70, 100)]
        assert said(*rows) == [(10, 70, "MATL_A")]
        assert said(*rows, split(50, 110)) == [(10, 50, "MATL_A"), (50, 70, None)]

    def test_a_merge_may_bring_the_reason(self) -> None:
        rows = [reason(10, None, "MATL_A", 80), split(40, 90, reason_code="MECH_A")]
        assert said(*rows, merge(10, None, 100, reason_code="SETUP_A")) == [(10, 70, "SETUP_A")]

    def test_a_merge_of_some_parts_leaves_the_others(self) -> None:
        cuts = [split(minute, 80) for minute in (20, 30, 40, 50)]
        assert [row[:2] for row in said(*cuts, merge(20, 40, 90))] == [(10, 20), (20, 40), (40, 50), (50, 70)]

    def test_a_system_neither_cuts_a_person_short_nor_voids_their_cut(self) -> None:
        assert said(reason(10, None, "MATL_A", 80), split(40, 90, source="erp")) == [
            (10, 40, "MATL_A"), (40, 70, "MATL_A")
        ]  # fmt: skip
        rows = [reason(10, None, "MATL_A", 80), split(40, 90), merge(10, 70, 100, source="erp")]
        assert said(*rows) == [(10, 40, "MATL_A"), (40, 70, None)]

    def test_a_cut_where_nothing_stands_cuts_nothing(self) -> None:
        assert said(reason(10, None, "MATL_A", 80), split(5, 90), split(10, 90), split(70, 90)) == [(10, 70, "MATL_A")]


class TestUndo:
    def test_of_a_split_of_a_merge_and_of_the_undo(self) -> None:
        rows = [reason(10, None, "MATL_A", 80, source_key="r"), split(40, 90, source_key="s")]
        assert said(*rows, undo("s")) == [(10, 70, "MATL_A")]
        assert said(*rows, undo("s", "u"), undo("u")) == [(10, 40, "MATL_A"), (40, 70, None)]
        rows.append(merge(10, 70, 100, source_key="m"))
        assert said(*rows, undo("m")) == [(10, 40, "MATL_A"), (40, 70, None)]
        assert said(*rows, undo("r")) == [(10, 70, None)]

    def test_of_something_that_has_not_arrived(self) -> None:
        assert said(undo("r")) == [(10, 70, None)]

    def test_by_hand(self) -> None:
        assert taken_back({"u": "a"}) == {"a"}
        assert taken_back({"u": "a", "v": "u"}) == {"u"}
        assert taken_back({"u": "a", "v": "u", "w": "v"}) == {"a", "v"}
        # Two undos of one entry: each alone takes it back.
        assert taken_back({"u": "a", "w": "a", "v": "u"}) == {"u", "a"}
        # Undos that take each other back do nothing, nor does what depends on them.
        assert "a" not in taken_back({"u": "v", "v": "u", "w": "w"})

    def test_every_kind_can_be_undone(self) -> None:
        rows = [entry(0, 5, kind=kind, source_key=kind) for kind in ("scrap", "production", "note", "reason")]
        assert in_force(entries(*rows, *(undo(row["source_key"]) for row in rows))).empty


def test_entries_that_lost_their_stop_are_named() -> None:
    rows = [
        reason(10, 70, "MATL_A", 80, source_key="fits"), reason(0, 11, "MATL_A", 80, source_key="overlaps"),
        reason(69, None, "MATL_A", 80, source_key="inside"), reason(70, None, "MATL_A", 80, source_key="late"),
        reason(70, 90, "MATL_A", 80, source_key="after"), reason(0, 10, "MATL_A", 80, source_key="before"),
        split(9, 80, source_key="cut outside"), merge(90, 99, 80, source_key="merge outside"),
        reason(70, 90, "MATL_A", 80, source_key="undone"), undo("undone"), entry(80, 90, kind="scrap", source_key="s"),
    ]  # fmt: skip
    lost = entries_without_stop(STOP, entries(*rows))
    assert sorted(lost["source_key"]) == ["after", "before", "cut outside", "late", "merge outside"]


# ---- brute force -------------------------------------------------------------------------------------------------
PERSONS = {"operator", "supervisor"}


@dataclass(frozen=True)
class Word:
    """One entry, times in minutes."""

    key: str
    kind: str
    start: int
    end: int | None
    code: str | None
    entered: int
    source: str
    undoes: str | None = None

    @property
    def person(self) -> bool:
        return self.source in PERSONS

    def row(self) -> dict[str, Any]:
        return entry(
            self.start, self.end, kind=self.kind, reason_code=self.code, entered_at=at(1000 + self.entered),
            source=self.source, source_key=self.key, undoes=self.undoes,
        )  # fmt: skip


def _holds(word: Word, words: list[Word]) -> bool:
    return not any(u.kind == "undo" and u.undoes == word.key and _holds(u, words) for u in words)


def _stop_of(minute: int, idle: list[bool]) -> tuple[int, int] | None:
    if not (0 <= minute < len(idle) and idle[minute]):
        return None
    first = last = minute
    while first and idle[first - 1]:
        first -= 1
    while last + 1 < len(idle) and idle[last + 1]:
        last += 1
    return first, last + 1


def brute_force(words: list[Word], idle: list[bool]) -> list[tuple[str | None, int] | None]:
    """For each minute of a stop the key of the entry that gives its reason and how often the stop was cut before."""
    there = [w for w in words if w.kind != "undo" and _holds(w, words)]

    def end_of(w: Word, cuts: list[Word]) -> int:
        if w.end is not None:
            return w.end
        stop = _stop_of(w.start, idle)
        if stop is None:
            return w.start
        shortening = [c.start for c in cuts if w.start < c.start < stop[1] and (c.person or not w.person)]
        return min([stop[1], *shortening])

    def void(cut: Word) -> bool:
        return any(
            m.kind == "merge" and (m.entered, m.key) > (cut.entered, cut.key) and m.start < cut.start < end_of(m, [])
            and (m.person or not cut.person)
            for m in there
        )  # fmt: skip

    standing = [w for w in there if not (w.kind == "split" and void(w))]
    cuts = [w for w in standing if w.kind == "split" and (s := _stop_of(w.start, idle)) and s[0] < w.start]
    out: list[tuple[str | None, int] | None] = []
    for minute in range(len(idle)):
        stop = _stop_of(minute, idle)
        if stop is None:
            out.append(None)
            continue
        about = [w for w in standing if w.code and w.start <= minute < end_of(w, cuts)]
        best = max(about, key=lambda w: (w.person, w.entered, w.key), default=None)
        before = {c.start for c in cuts if stop[0] < c.start <= minute}
        out.append((best.key if best else None, len(before)))
    return out


def told(words: list[Word], idle: list[bool]) -> list[tuple[str | None, int] | None]:
    """The same from downtime_events; how often a stop was cut is counted by where its parts begin."""
    rows = states(*((1, "idle" if one else "running") for one in idle))
    stops = stops_of(floor.plant({"micro_stop_s": 0.001}), rows, PLANNED, entries(*(word.row() for word in words)))
    out: list[tuple[str | None, int] | None] = [None] * len(idle)
    codes = {word.key: (word.code, word.source) for word in words}
    cut_at = {word.start for word in words if word.kind == "split"}
    seen: dict[str, tuple[str | None, int]] = {}
    for row in stops.itertuples():
        first = round((row.time_start - at(0)).total_seconds() / 60)
        last = round((row.time_end - at(0)).total_seconds() / 60)
        assert (row.reason_code, row.reason_source) == codes.get(row.reason_entry, (None, None))
        before = seen.get(row.stop_id)
        # A part begins where another entry speaks, or where a person cut: nowhere else.
        if before is not None and before[0] == row.reason_entry:
            assert first in cut_at
        number = 0 if before is None else before[1] + 1
        seen[row.stop_id] = (row.reason_entry, number)
        for minute in range(first, last):
            out[minute] = (row.reason_entry, number)
    return out


def _parts(cells: list[tuple[str | None, int] | None]) -> list[tuple[str | None, int] | None]:
    """Cuts counted as parts: a new part wherever entry or number of cuts changes within a stop."""
    out: list[tuple[str | None, int] | None] = []
    for index, cell in enumerate(cells):
        before = cells[index - 1] if index else None
        if cell is None or before is None:
            out.append(None if cell is None else (cell[0], 0))
            continue
        last = out[-1]
        assert last is not None
        out.append((cell[0], last[1] + (cell != before)))
    return out


@st.composite
def floors(draw: st.DrawFn) -> tuple[list[Word], list[bool], int]:
    idle = [state for length, state in draw(
        st.lists(st.tuples(st.integers(1, 15), st.booleans()), min_size=1, max_size=6)
    ) for _ in range(length)]  # fmt: skip
    words: list[Word] = []
    for number in range(draw(st.integers(0, 9))):
        kind = draw(st.sampled_from(["reason", "reason", "split", "split", "merge", "undo"]))
        start = draw(st.integers(0, len(idle)))
        length = draw(st.none() | st.integers(1, 30))
        code = draw(st.sampled_from(["MECH_A", "SETUP_A", "MATL_A"]))
        if kind != "reason" and draw(st.booleans()):
            code = None
        words.append(
            Word(
                key=f"k{number}", kind=kind, start=start, end=None if length is None else start + length,
                code=None if kind == "undo" else code, entered=draw(st.integers(0, 5)),
                source=draw(st.sampled_from(["operator", "supervisor", "erp"])),
                undoes=f"k{draw(st.integers(0, number - 1))}" if kind == "undo" and number else "nobody",
            )
        )  # fmt: skip
    return words, idle, draw(st.integers(0, 2**31))


@settings(max_examples=400, deadline=None)
@given(floors())
def test_every_minute_has_the_reason_the_rules_give_it_in_any_order_of_arrival(
    case: tuple[list[Word], list[bool], int],
) -> None:
    words, idle, seed = case
    expected = _parts(brute_force(words, idle))
    assert told(words, idle) == expected
    random.Random(seed).shuffle(words)
    assert told(words, idle) == expected


def test_undone_entries_do_not_matter_to_the_columns() -> None:
    rows = [reason(10, 70, "MATL_A", 80, source_key="a"), reason(10, 70, "SETUP_A", 90, source_key="b"), undo("b")]
    without = stops_of(floor.plant(), STOP, PLANNED, entries(rows[0]))
    pd.testing.assert_frame_equal(stops_of(floor.plant(), STOP, PLANNED, entries(*rows)), without)
