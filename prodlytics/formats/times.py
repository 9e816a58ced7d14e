"""Times as other systems write them, to microseconds since 1970.

Belongs here: ISO 8601, strptime forms, epoch numbers, Arrow timestamps, wall times in a zone. Does not belong here:
whether a time is plausible (`judge.py`). A time without a zone is never guessed: the format says which zone its
times are in, or the row is set aside.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from prodlytics.formats.sample import NO_TIME, Flags, Floats, Ints, shown

#: `time_format` values for numbers that count from 1970; without one, numbers are milliseconds.
EPOCH_US = {"epoch_s": 1_000_000.0, "epoch_ms": 1_000.0, "epoch_us": 1.0}
_ZONED = r"[T ].*(?:[Zz]|[+-]\d{2}(?::?\d{2})?)$"
#: Beyond this many microseconds a double no longer says which instant is meant; the year is about 2255.
_LARGEST_US = float(2**53)


@dataclass
class Times:
    """Microseconds since 1970 (`NO_TIME` where there is none), and why, by row."""

    us: Ints
    problems: dict[int, tuple[str, str]] = field(default_factory=dict)


def read_times(values: pa.Array, zone: str | None = None, time_format: str | None = None) -> Times:
    """Times of any Arrow type; missing ones are `NO_TIME` with the problem `missing_time`.

    Args:
        values: Text, numbers since 1970, dates or timestamps.
        zone: IANA zone of values that carry none; without it such rows get the problem `naive_time`.
        time_format: strptime form of text, or `epoch_s`, `epoch_ms`, `epoch_us` for numbers.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    missing = np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False))
    if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
        times = _arrow_times(values, zone)
    elif pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        numbers = np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False))
        times = epoch_times(numbers, EPOCH_US.get(time_format or "", 1_000.0))
    elif time_format in EPOCH_US:
        times = _epoch_text(values, EPOCH_US[time_format])
    else:
        times = _text_times(pc.utf8_trim_whitespace(pc.cast(values, pa.string())), zone, time_format)
    for row in np.flatnonzero(missing):
        times.problems[int(row)] = ("missing_time", "the row has no time")
    return times


def epoch_times(values: Floats, scale_us: float) -> Times:
    """Numbers since 1970 in units of `scale_us` microseconds."""
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.round(values * scale_us)
        usable = np.abs(scaled) < _LARGEST_US  # False for NaN as well
    us = np.full(len(values), NO_TIME, dtype=np.int64)
    us[usable] = scaled[usable].astype(np.int64)
    problems = {int(i): ("bad_time", f"{float(values[i])} is not a time") for i in np.flatnonzero(~usable)}
    return Times(us, problems)


def _epoch_text(values: pa.Array, scale_us: float) -> Times:
    numbers = pd.to_numeric(values.to_pandas(), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return _named(epoch_times(numbers, scale_us), values)


def _arrow_times(values: pa.Array, zone: str | None) -> Times:
    zoned = pa.types.is_timestamp(values.type) and values.type.tz is not None
    us = _as_int(pc.cast(values, pa.timestamp("us", "UTC" if zoned else None), safe=False))
    return Times(us) if zoned else _localized(us, zone)


def _as_int(stamps: pa.Array) -> Ints:
    filled = pc.fill_null(pc.cast(stamps, pa.int64()), NO_TIME)
    return np.array(filled.to_numpy(zero_copy_only=False), dtype=np.int64)


def _text_times(values: pa.Array, zone: str | None, time_format: str | None) -> Times:
    zoned = pc.fill_null(pc.match_substring_regex(values, _ZONED), False)
    if time_format is not None and "%z" not in time_format and "%Z" not in time_format:
        # The form has no zone, whatever the tail of the text looks like.
        zoned = pc.and_(zoned, False)
    is_zoned = np.asarray(zoned.to_numpy(zero_copy_only=False))
    if is_zoned.all():
        return _named(Times(_instants(values, "UTC", time_format)), values)
    us = np.full(len(values), NO_TIME, dtype=np.int64)
    us[is_zoned] = _instants(values.filter(pa.array(is_zoned)), "UTC", time_format)
    naive = np.flatnonzero(~is_zoned)
    read = _localized(_instants(values.filter(pa.array(~is_zoned)), None, time_format), zone)
    us[naive] = read.us
    times = Times(us, {int(naive[i]): problem for i, problem in read.problems.items()})
    return _named(times, values)


def _instants(values: pa.Array, tz: str | None, time_format: str | None) -> Ints:
    """Text that all carries an offset (`tz` UTC) or all carries none (`tz` None)."""
    if time_format is None:
        try:
            return _as_int(pc.cast(values, pa.timestamp("us", tz)))
        except pa.ArrowInvalid:
            pass  # Arrow stops at the first value it cannot read; pandas goes on and marks it.
    text = values.to_pandas().astype(object)
    stamps = pd.to_datetime(text, format=time_format or "ISO8601", errors="coerce", utc=tz is not None)
    return np.array(stamps.to_numpy(dtype="datetime64[us]")).view(np.int64)


def _localized(us: Ints, zone: str | None) -> Times:
    """Wall times in `zone` to instants; the clock changes of a zone are known up to 2037."""
    present = us != NO_TIME
    if zone is None:
        problem = ("naive_time", "the time has no zone: send an offset such as -05:00, or name the format's timezone")
        return Times(np.full(len(us), NO_TIME, dtype=np.int64), {int(i): problem for i in np.flatnonzero(present)})
    wall = pd.DatetimeIndex(us.view("datetime64[us]"))
    instants = _ints(wall.tz_localize(zone, ambiguous="NaT", nonexistent="NaT"))
    lost = np.flatnonzero(present & (instants == NO_TIME))
    problems: dict[int, tuple[str, str]] = {}
    if len(lost):
        exists = _ints(wall[lost].tz_localize(zone, ambiguous=np.ones(len(lost), bool), nonexistent="NaT")) != NO_TIME
        for row, twice in zip(lost.tolist(), exists, strict=True):
            how = "occurs twice" if twice else "does not occur"
            problems[row] = (
                "ambiguous_time",
                f"{wall[row].isoformat()} {how} in {zone} (clock change); send times with an offset",
            )
    return Times(instants, problems)


def _ints(index: pd.DatetimeIndex) -> Ints:
    return np.array(index.tz_convert("UTC").tz_localize(None).to_numpy(dtype="datetime64[us]")).view(np.int64)


def _named(times: Times, values: pa.Array) -> Times:
    """Say what could not be read, with the text itself."""
    unread: Flags = times.us == NO_TIME
    for row in np.flatnonzero(unread):
        text = values[int(row)].as_py()
        if text == "":
            times.problems[int(row)] = ("missing_time", "the row has no time")
        elif text is not None and times.problems.get(int(row), ("bad_time", ""))[0] == "bad_time":
            times.problems[int(row)] = ("bad_time", f"{shown(text)!r} is not a time that can be read")
    return times
