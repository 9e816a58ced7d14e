"""The shape every format produces: samples to store, and rows to explain.

Belongs here: the two frames, what a parse returns, text that can be stored and shown. Does not belong here: how a
format spells a sample (its own module), which rows are kept (`judge.py`), how they are stored (db).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

#: Columns of the samples to store. Text columns may be categorical: a name repeats a million times.
SAMPLE_COLUMNS = (
    "time",  # datetime64[us, UTC], when it was so on the machine
    "machine_id",
    "metric_name",
    "native_code",  # '' where the source has none
    "unit",
    "value",  # float64, NaN where there is only text
    "value_text",
    "quality",  # int16, OPC: good from 192
    "published_at",  # datetime64[us, UTC] or NaT, when the sender sent it
    "source",
    "origin",  # the file
    "position",  # int64, which record of the origin, from 1
)
BAD_COLUMNS = ("position", "reason", "detail", "payload", "event_time", "machine_id")

GOOD_QUALITY, UNCERTAIN_QUALITY, BAD_QUALITY = 192, 64, 0
#: numpy's own "not a time", so that an int64 array of microseconds can be viewed as datetime64.
NO_TIME = np.iinfo(np.int64).min

#: So many distinct texts of a column are few.
_FEW = 16
_UTC_TIME = pd.DatetimeTZDtype("us", "UTC")

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_UNITS = {
    "ms": "ms",
    "s": "s",
    "min": "min",
    "h": "h",
    "RPM": "RPM",
    "C": "°C",
    "F": "°F",
    "K": "K",
    "mms": "mm/s",
    "mm": "mm",
    "g": "g",
    "bar": "bar",
    "kPa": "kPa",
    "MPa": "MPa",
    "psi": "psi",
    "W": "W",
    "kW": "kW",
    "kWh": "kWh",
    "A": "A",
    "V": "V",
    "Hz": "Hz",
    "N": "N",
    "kN": "kN",
    "Nm": "Nm",
    "pct": "%",
    "lpm": "l/min",
}


@dataclass(frozen=True)
class Parsed:
    """What one batch of a file came to; `seen == len(good) + len(bad)`.

    `seen` is counted from the input, before anything is split, so that the equation can be checked.
    """

    good: pd.DataFrame
    bad: pd.DataFrame
    seen: int


class UnreadableFileError(Exception):
    """The file as a whole cannot be read; the text is one sentence that says why."""


def unit_of(metric_name: str) -> str | None:
    """The unit a tag name carries by the plants' convention (`Temperature_C`, `CycleTime_ms`); None without one."""
    _, underscore, suffix = metric_name.rpartition("_")
    return _UNITS.get(suffix) if underscore else None


def utc_times(microseconds: Ints) -> pd.Series:
    """Microseconds since 1970 as `datetime64[us, UTC]`; `NO_TIME` becomes NaT."""
    return pd.Series(microseconds.view("datetime64[us]"), dtype=_UTC_TIME)


def storable(text: str) -> bool:
    """Whether a database that speaks UTF-8 can hold the text: no NUL, no half of a surrogate pair."""
    if "\x00" in text:
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def shown(text: str, limit: int = 80) -> str:
    """The text as it can be stored and read in a message: bytes that are not text escaped, the length bounded."""
    safe = text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode("utf-8")
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."


def payload_of(record: object, limit: int = 2000) -> str:
    """The record as sent, as JSON text; bounded, since one record may be a whole message."""
    return shown(json.dumps(record, ensure_ascii=True, default=str), limit)


def bad_rows(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """A frame of `BAD_COLUMNS` from row dictionaries; `event_time` is microseconds since 1970 or missing."""
    if not rows:
        return _nothing_bad()
    return _bad_rows(rows)


@cache
def _nothing_bad() -> pd.DataFrame:
    """Made once: it took a seventh of the time of a small batch."""
    return _bad_rows([])


def _bad_rows(rows: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(BAD_COLUMNS), dtype=object)
    times = np.array([NO_TIME if t is None else t for t in frame["event_time"]], dtype=np.int64)
    frame["event_time"] = utc_times(times)
    frame["position"] = frame["position"].astype("int64")
    return frame


def explained(reason: str, detail: str, said: object) -> Parsed:
    """One row to explain that is not one of the input, such as something that never came."""
    values = (1, reason, detail, payload_of(said), None, None)
    row = dict(zip(BAD_COLUMNS, values, strict=True))
    return Parsed(pd.DataFrame(columns=list(SAMPLE_COLUMNS)), bad_rows([row]), 1)


def categories(sent: pd.Categorical) -> list[str]:
    """The distinct values of a categorical as plain text."""
    return [str(value) for value in sent.categories]


def recoded(sent: pd.Categorical, meanings: Sequence[str | None]) -> pd.Categorical:
    """Each category replaced by its meaning; None (and a missing value) becomes missing."""
    distinct = list(dict.fromkeys(m for m in meanings if m is not None))
    place = {meaning: code for code, meaning in enumerate(distinct)}
    # One place more than there are categories: code -1 (missing) finds it from the end.
    table = np.array([*(place[m] if m is not None else -1 for m in meanings), -1], dtype=np.int32)
    return pd.Categorical.from_codes(table[sent.codes], dtype=categories_of(distinct))


def categories_of(distinct: Sequence[str]) -> pd.CategoricalDtype:
    """The type of a column of these texts, each different; few of them are made once, for the next small batch."""
    if len(distinct) <= _FEW:
        return _of_few(tuple(distinct))
    return pd.CategoricalDtype(pd.Index(distinct, dtype=object))


def constant(value: str, length: int) -> pd.Categorical:
    """A text column that says the same in every row."""
    return pd.Categorical.from_codes(np.zeros(length, dtype=np.int8), dtype=_only(value))


@lru_cache(maxsize=4096)
def _of_few(distinct: tuple[str, ...]) -> pd.CategoricalDtype:
    return pd.CategoricalDtype(pd.Index(list(distinct), dtype=object))


@lru_cache(maxsize=256)
def _only(value: str) -> pd.CategoricalDtype:
    return pd.CategoricalDtype(pd.Index([value], dtype=object))


def losers_of(conflicts: pd.DataFrame) -> pd.DataFrame:
    """Samples that gave way to another of the same tag and time, as quarantine rows."""
    rows = []
    for row in conflicts.to_dict("records"):
        value = row["value_text"] if isinstance(row["value_text"], str) else row["value"]
        rows.append(
            {
                "position": row["position"],
                "reason": row["reason"],
                "detail": row["detail"],
                "payload": shown(
                    f"{row['metric_name']} {row['native_code']} = {value} (quality {row['quality']})", 2000
                ),
                "event_time": row["time"],
                "machine_id": row["machine_id"],
            }
        )
    return pd.DataFrame(rows)
