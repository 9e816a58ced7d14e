"""Times as other systems write them, against the standard library."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.formats.sample import NO_TIME
from prodlytics.formats.times import read_times

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
ZONES = ["America/Chicago", "Europe/Amsterdam", "Asia/Kolkata", "Australia/Lord_Howe"]


def us(instant: dt.datetime) -> int:
    return (instant - EPOCH) // dt.timedelta(microseconds=1)


def wall_times(first_year: int, last_year: int) -> st.SearchStrategy[dt.datetime]:
    start, end = (dt.datetime(year, 1, 1) for year in (first_year, last_year))  # noqa: DTZ001 walls have no zone
    return st.datetimes(start, end)


def offsets(minutes: int) -> dt.timezone:
    return dt.timezone(dt.timedelta(minutes=minutes))


INSTANTS = st.builds(
    lambda wall, zone: wall.replace(tzinfo=zone), wall_times(1990, 2090), st.integers(-14 * 60, 14 * 60).map(offsets)
)


@given(st.lists(INSTANTS, min_size=1, max_size=6), st.sampled_from(["T", " "]))
@settings(max_examples=100, deadline=None)
def test_what_carries_an_offset_is_the_instant_the_standard_library_reads(
    instants: list[dt.datetime], separator: str
) -> None:
    texts = [instant.isoformat(separator) for instant in instants]
    read = read_times(pa.array(texts))
    assert read.us.tolist() == [us(dt.datetime.fromisoformat(text)) for text in texts]
    assert read.problems == {}


@given(st.lists(wall_times(2000, 2037), min_size=1, max_size=6), st.sampled_from(ZONES))
@settings(max_examples=100, deadline=None)
def test_wall_times_are_read_in_their_zone_unless_they_say_two_things_or_nothing(
    walls: list[dt.datetime], zone: str
) -> None:
    read = read_times(pa.array([wall.isoformat() for wall in walls]), zone)
    for row, wall in enumerate(walls):
        first, second = (wall.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
        if first.utcoffset() == second.utcoffset():
            assert read.us[row] == us(first)
        else:
            assert read.us[row] == NO_TIME
            assert read.problems[row][0] == "ambiguous_time"


@pytest.mark.parametrize("kind", [pa.timestamp("s", "UTC"), pa.timestamp("ns", "Asia/Kolkata"), pa.int64()])
def test_arrow_types(kind: pa.DataType) -> None:
    instant = dt.datetime(2026, 3, 8, 7, 59, 59, tzinfo=dt.UTC)
    value = int(instant.timestamp() * 1000) if pa.types.is_integer(kind) else instant
    read = read_times(pa.array([value, None], kind))
    assert read.us.tolist() == [us(instant), NO_TIME]
    assert read.problems[1][0] == "missing_time"


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("%d.%m.%Y %H:%M", "08.03.2026 12:30", dt.datetime(2026, 3, 8, 17, 30, tzinfo=dt.UTC)),
        ("%Y/%m/%d %H:%M:%S.%f", "2012/01/30 06:24:00.000", dt.datetime(2012, 1, 30, 12, 24, tzinfo=dt.UTC)),
        ("epoch_s", "1586780606.5", dt.datetime(2020, 4, 13, 12, 23, 26, 500000, tzinfo=dt.UTC)),
        (None, "2026-07-01", dt.datetime(2026, 7, 1, 5, tzinfo=dt.UTC)),
        (None, "2026-07-01T00:00:00.1234567Z", dt.datetime(2026, 7, 1, 0, 0, 0, 123456, tzinfo=dt.UTC)),
    ],
)
def test_forms(form: str | None, text: str, expected: dt.datetime) -> None:
    read = read_times(pa.array([text, "nonsense"]), "America/Chicago", form)
    assert read.us[0] == us(expected)
    assert read.problems[1][0] == "bad_time"


def test_a_time_that_cannot_be_held_is_said_to_be_bad() -> None:
    read = read_times(pa.array([1e300, float("nan"), -1e19, 0.0]))
    assert set(read.problems) == {0, 1, 2}
    assert np.asarray(read.us)[3] == 0
