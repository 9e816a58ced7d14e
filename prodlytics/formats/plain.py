"""One value per topic: what Node-RED, a sensor or a gateway sends when the topic says which tag it is.

Belongs here: topic to tag, payload to value. Does not belong here: which samples are kept (`judge.py`).

A bare value has no time of its own: it is dated by its arrival. `{"value": 42.5, "timestamp_ms": 1733904005123}` (also
the payload of the United Manufacturing Hub) has one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from prodlytics.formats.judge import RawSamples, Rules, judge
from prodlytics.formats.sample import GOOD_QUALITY, NO_TIME, Parsed, categories_of, shown
from prodlytics.formats.times import epoch_times
from prodlytics.formats.values import not_finite, number_of

SOURCE = "mqtt"
#: A value is short; what is longer is no value.
VALUE_LIMIT = 4096
_PLACE = re.compile(r"\{[^{}/]*\}")


@dataclass(frozen=True)
class Value:
    """A payload with its topic and the time at which it arrived, in microseconds since 1970 UTC."""

    topic: str
    payload: bytes
    arrived_us: int


def subscription(pattern: str) -> str:
    """The MQTT topic filter of a pattern: `kepware/{channel}/{device}/{tag}` is `kepware/+/+/+`."""
    return "/".join("+" if "{" in level else level for level in pattern.split("/"))


def parse_values(values: Sequence[Value], pattern: str, rules: Rules, origin: str) -> Parsed:
    """Values of topics of one pattern."""
    count = len(values)
    matcher = _matcher(pattern)
    names = [_name(matcher, value.topic) for value in values]
    codes, distinct = pd.factorize(np.array(names, dtype=object))
    sent = pd.Categorical.from_codes(codes, dtype=categories_of(distinct.tolist()))
    machine, metric = rules.names.tags(sent)
    problems: dict[int, tuple[str, str]] = {}
    number = np.full(count, np.nan)
    text = np.full(count, None, dtype=object)
    stated_ms = np.full(count, np.nan)
    for row, value in enumerate(values):
        try:
            number[row], text[row], stated_ms[row] = _read(value.payload)
        except _ProblemError as error:
            problems[row] = (error.reason, error.detail)
    times = epoch_times(stated_ms, 1_000.0)
    arrived = np.array([value.arrived_us for value in values], dtype=np.int64)
    for row, problem in times.problems.items():
        if not np.isnan(stated_ms[row]):
            problems.setdefault(row, problem)
    raw = RawSamples(
        position=np.arange(1, count + 1, dtype=np.int64),
        sent=sent,
        machine=machine,
        metric=metric,
        us=np.where(np.isnan(stated_ms), arrived, times.us),
        published_us=np.full(count, NO_TIME, dtype=np.int64),
        number=number,
        text=text,
        quality=np.full(count, GOOD_QUALITY, dtype=np.int16),
        payload=lambda row: f"{shown(values[row].topic, 1000)}: {_shown(values[row].payload)}",
        source=SOURCE,
        problems=problems,
    )
    return judge(raw, rules, origin)


class _ProblemError(Exception):
    """A payload that is no value."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@lru_cache(maxsize=64)
def _matcher(pattern: str) -> re.Pattern[str]:
    """What the topic must look like; the levels in braces are the tag's name."""
    parts = []
    at = 0
    for place in _PLACE.finditer(pattern):
        parts += [re.escape(pattern[at : place.start()]), "([^/]+)"]
        at = place.end()
    return re.compile("".join([*parts, re.escape(pattern[at:])]), re.DOTALL)


def _name(matcher: re.Pattern[str], topic: str) -> str:
    found = matcher.fullmatch(topic)
    return ".".join(found.groups()) if found else topic.replace("/", ".")


def _read(payload: bytes) -> tuple[float, str | None, float]:
    """Number, text and stated time in milliseconds (NaN where there is none)."""
    if len(payload) > VALUE_LIMIT:
        raise _ProblemError("too_large", f"{len(payload)} bytes are no value")
    try:
        said = payload.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise _ProblemError("bad_utf8", f"byte {error.start} is not UTF-8") from error
    if said.startswith("{"):
        return _of_object(said)
    number, text = _value(said.strip('"') if said.startswith('"') else said)
    return number, text, float("nan")


def _of_object(said: str) -> tuple[float, str | None, float]:
    try:
        content = json.loads(said)
    except (ValueError, RecursionError) as error:
        raise _ProblemError("bad_json", f"cut off or not JSON: {shown(str(error))}") from error
    if "value" not in content:
        raise _ProblemError("unknown_shape", "an object with `value` and, if known, `timestamp_ms` is expected")
    stated = content.get("timestamp_ms")
    if stated is not None and (isinstance(stated, bool) or not isinstance(stated, int | float)):
        raise _ProblemError("unreadable_time", "`timestamp_ms` is not a number")
    number, text = _value(content["value"])
    return number, text, float("nan") if stated is None else _double(stated)


def _value(said: Any) -> tuple[float, str | None]:
    if isinstance(said, str):
        if said.lower() in ("true", "false"):
            return float(said.lower() == "true"), None
        number = number_of(said)
        if number is not None:
            return number, None
        if not_finite(said):
            raise _ProblemError("not_a_number", f"the value is {shown(said)}")
        return float("nan"), said or None
    if isinstance(said, bool | int | float):
        number = _double(said)
        if not np.isfinite(number):
            raise _ProblemError("not_a_number", f"the value is {number}")
        return number, None
    if said is None:
        return float("nan"), None
    raise _ProblemError("unreadable_value", "the value is neither a number, a flag nor a text")


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond every double
        return float("inf")


def _shown(payload: bytes) -> str:
    return shown(payload[:2000].decode("utf-8", "backslashreplace"), 2000)
