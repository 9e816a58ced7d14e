"""Counter readings to parts: published cases, a simulated controller as the oracle, and locality."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.kpi.counters import (
    AHEAD,
    REACH,
    Counts,
    Kind,
    Readings,
    count_cumulative,
    count_increments,
    most_parts,
    value_range,
)


def _count(
    values: list[float],
    *,
    every_s: float = 60.0,
    cycle_s: float | None = 1.0,
    bits: int | None = None,
    signed: bool = False,
) -> Counts:
    low, high = value_range(bits, signed)
    rate = np.nan if cycle_s is None else 1.5 / cycle_s
    return count_cumulative(
        Readings(
            (np.arange(len(values)) * every_s * 1e6).astype(np.int64),
            np.array(values, dtype=float),
            np.full(len(values), rate),
            None if bits is None else high - low,
        )
    )


KNOWN_RATES = [pytest.param(1.0, id="ideal cycle known"), pytest.param(None, id="no ideal cycle")]


@pytest.mark.parametrize("cycle_s", KNOWN_RATES)
class TestReferenceCases:
    """Section 4 item 15 of the OEE conventions and defects 20 to 25 of the guide."""

    def test_16_bits_roll_over(self, cycle_s: float | None) -> None:
        counts = _count([65530, 12], bits=16, cycle_s=cycle_s)
        assert counts.parts.tolist() == [0, 18]
        assert counts.kind.tolist() == [Kind.BASELINE, Kind.ROLLOVER]

    def test_32_bits_with_a_sign_roll_over(self, cycle_s: float | None) -> None:
        counts = _count([2147483640, -2147483645], bits=32, signed=True, cycle_s=cycle_s)
        assert counts.parts.tolist() == [0, 11]

    @pytest.mark.parametrize("bits", [None, 16, 32])
    def test_reset(self, cycle_s: float | None, bits: int | None) -> None:
        counts = _count([4523, 7], bits=bits, cycle_s=cycle_s)
        assert counts.parts.tolist() == [0, 7]
        assert counts.kind[1] == Kind.RESET

    @pytest.mark.parametrize("bits", [None, 16, 32])
    def test_late_value_is_ignored(self, cycle_s: float | None, bits: int | None) -> None:
        counts = _count([4523, 4520, 4524], bits=bits, cycle_s=cycle_s)
        assert counts.parts.tolist() == [0, 0, 1]
        assert counts.kind.tolist() == [Kind.BASELINE, Kind.LATE, Kind.COUNTED]
        assert counts.before.tolist() == [-1, 0, 0]

    def test_first_reading_is_where_counting_begins(self, cycle_s: float | None) -> None:
        assert _count([4523], cycle_s=cycle_s).parts.tolist() == [0]

    def test_zero_is_a_reading(self, cycle_s: float | None) -> None:
        assert _count([0, 1, 2, 3], cycle_s=cycle_s).parts.sum() == 3

    def test_parts_right_after_a_reset_count(self, cycle_s: float | None) -> None:
        assert _count([50, 0, 3], cycle_s=cycle_s).parts.tolist() == [0, 0, 3]

    def test_publisher_sends_its_last_readings_again(self, cycle_s: float | None) -> None:
        assert _count([4520, 4521, 4522, 4521, 4522, 4523], cycle_s=cycle_s).parts.sum() == 3

    def test_a_zero_read_wrongly_is_ignored(self, cycle_s: float | None) -> None:
        assert _count([4523, 0, 4524, 4525], cycle_s=cycle_s).parts.sum() == 2

    def test_nothing(self, cycle_s: float | None) -> None:
        counts = _count([], cycle_s=cycle_s)
        assert (len(counts.parts), len(counts.kind), len(counts.before)) == (0, 0, 0)


def test_more_than_the_machine_can_make_is_put_aside() -> None:
    # A minute at an ideal cycle of 12 s: 5 parts, 7.5 with the headroom of 1.5.
    assert _count([100, 107], cycle_s=12).parts.tolist() == [0, 7]
    counts = _count([100, 108, 109], cycle_s=12)
    assert counts.kind.tolist() == [Kind.BASELINE, Kind.JUMP, Kind.COUNTED]
    assert counts.parts.tolist() == [0, 0, 1]


def test_a_spike_does_not_move_the_count() -> None:
    counts = _count([100, 101, 50000, 102], cycle_s=12)
    assert counts.kind.tolist() == [Kind.BASELINE, Kind.COUNTED, Kind.SPIKE, Kind.COUNTED]
    assert counts.parts.tolist() == [0, 1, 0, 1]


def test_set_back_without_coming_back_counts_on_from_there() -> None:
    counts = _count([4523, 4000, 4001, 4002, 4003, 4004, 4005], cycle_s=12)
    assert counts.kind[1] == Kind.SET_BACK
    assert counts.parts.tolist() == [0, 0, 1, 1, 1, 1, 1]


def test_a_small_counter_that_is_reset_for_every_batch_is_not_taken_for_late_readings() -> None:
    assert _count([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3], cycle_s=60).parts.sum() == 9
    assert _count([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3], cycle_s=None).parts.sum() == 9


def test_after_days_without_readings_a_small_number_is_a_reset_not_most_of_a_rollover() -> None:
    # 60 hours leave room for 216,000 cycles of a second: the rate alone would accept 61,020 parts.
    counts = _count([4523, 7], every_s=60 * 3600, bits=16)
    assert counts.parts.tolist() == [0, 7]


def test_a_part_that_ends_right_after_a_reading_counts() -> None:
    assert _count([100, 101], every_s=0.05, cycle_s=90).parts.tolist() == [0, 1]
    assert most_parts(np.array([14_400_000]), np.array([1.5 / 12.0])).tolist() == [2.0]


def test_a_value_sent_again_from_a_cache_takes_no_time_from_the_next_parts() -> None:
    # Every second part is reported; in between the old value is sent once more, just before the next two show.
    time = np.array([0, 24_000_000, 38_000_000, 48_100_000])
    counts = count_cumulative(Readings(time, np.array([4.0, 6.0, 6.0, 8.0]), np.full(4, 1.5 / 10.5)))
    assert counts.parts.tolist() == [0, 2, 0, 2]


def test_increments_are_their_own_count() -> None:
    readings = Readings(
        (np.arange(5) * 60_000_000).astype(np.int64), np.array([4.0, 0.0, 5.0, 999.0, -1.0]), np.full(5, 1.5 / 12)
    )
    counts = count_increments(readings)
    assert counts.parts.tolist() == [4, 0, 5, 0, 0]
    assert counts.kind[3:].tolist() == [Kind.JUMP, Kind.NEGATIVE]


class _Controller:
    """A counter as a controller keeps it: adds, rolls over, is set to zero; knows what readings cannot tell."""

    def __init__(self, value: int, bits: int | None, signed: bool) -> None:
        low, high = value_range(bits, signed)
        self.low, self.size = (0, None) if bits is None else (int(low), int(high - low))
        self.value = value
        self.shown = value
        self.since_shown = 0
        self.was_reset = False
        self.visible = 0

    def make(self, parts: int) -> None:
        self.since_shown += parts
        self.value += parts
        if self.size is not None:
            self.value = (self.value - self.low) % self.size + self.low

    def reset(self) -> None:
        """What was made since the last reading is gone."""
        self.value = self.since_shown = 0
        self.was_reset = True

    def read(self) -> int:
        # After a reset a number that is no lower than the one before looks like parts made on top of it.
        looks_like_more = self.was_reset and self.value >= self.shown
        self.visible += self.since_shown - (self.shown if looks_like_more else 0)
        self.shown, self.since_shown, self.was_reset = self.value, 0, False
        return self.value


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    bits_signed=st.sampled_from([(None, False), (8, False), (16, False), (16, True), (32, True), (32, False)]),
    cycle_s=st.sampled_from([5.0, 20.0, 90.0]),
    lost=st.floats(0, 0.6),
)
def test_total_is_what_the_controller_made(
    seed: int, bits_signed: tuple[int | None, bool], cycle_s: float, lost: float
) -> None:
    """Rollovers, resets and lost samples: every part that readings can show is counted once."""
    bits, signed = bits_signed
    chance = random.Random(seed)
    high = int(value_range(bits, signed)[1]) if bits else 0
    plc = _Controller(
        chance.choice([high - chance.randint(1, 40) if bits else 0, chance.randint(0, 100)]), bits, signed
    )
    times, values, pause = [0], [plc.read()], 0
    for step in range(1, 120):
        pause += 1
        # A reset near the edge of the counter looks like a rollover, one from below zero like a jump.
        if plc.shown >= 0 and (bits is None or plc.shown < high / 3) and chance.random() < 0.05:
            plc.reset()
        plc.make(chance.randint(0, int(60 / cycle_s)))
        # A small counter must be read before half of it has passed: with more, nobody could tell.
        overdue = bits == 8 and (pause + 1) * 60 / cycle_s * 1.5 + 2 > 128
        if chance.random() >= lost or overdue:
            times.append(step * 60_000_000)
            values.append(plc.read())
            pause = 0
    size = None if plc.size is None else float(plc.size)
    counts = count_cumulative(
        Readings(
            np.array(times, dtype=np.int64), np.array(values, dtype=float), np.full(len(times), 1.5 / cycle_s), size
        )
    )
    assert counts.parts.sum() == plc.visible


@settings(max_examples=300, deadline=None)
@given(
    values=st.lists(st.sampled_from([0, 1, 2, 3, 50, 100, 101, 102, 103, 250, 5000]), min_size=25, max_size=60),
    rising=st.booleans(),
    cycle_s=st.sampled_from([None, 1.0, 20.0]),
    bits=st.sampled_from([None, 8, 16]),
    data=st.data(),
)
def test_a_reading_is_judged_from_its_neighbourhood(
    values: list[int], rising: bool, cycle_s: float | None, bits: int | None, data: st.DataObject
) -> None:
    """However wild the readings: with the promised context a window alone says the same as the whole."""
    level = list(np.cumsum(values)) if rising else values
    readings = [float(v % 256) if bits == 8 else float(v) for v in level]
    whole = _count(readings, cycle_s=cycle_s, bits=bits)
    first = data.draw(st.integers(0, len(values) - 1))
    last = data.draw(st.integers(first + 1, len(values)))
    low, high = max(first - REACH, 0), min(last + AHEAD, len(values))
    alone = _count(readings[low:high], cycle_s=cycle_s, bits=bits)
    assert alone.parts[first - low : last - low].tolist() == whole.parts[first:last].tolist()
    assert alone.kind[first - low : last - low].tolist() == whole.kind[first:last].tolist()


@settings(max_examples=100, deadline=None)
@given(values=st.lists(st.integers(0, 70000), max_size=40), cycle_s=st.sampled_from([None, 1.0]))
def test_parts_are_never_negative_and_never_implausible(values: list[int], cycle_s: float | None) -> None:
    counts = _count([float(v) for v in values], cycle_s=cycle_s)
    assert (counts.parts >= 0).all()
    if cycle_s is not None:
        at = np.arange(len(values))
        # A value may have been shown up to five readings before the one that is compared with.
        elapsed = (at - counts.before + 5) * 60.0
        assert (counts.parts[1:] <= elapsed[1:] * 1.5).all()
