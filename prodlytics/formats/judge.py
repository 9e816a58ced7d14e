"""Which samples are kept, and what is said about the others.

Belongs here: the rules every format shares (machine known, time plausible, a value there, text that can be stored).
Does not belong here: how a format spells things, or what a value means for production (that is judged when parts and
states are derived). A sample of bad quality is kept with its quality: it says that the connection was lost.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.formats.names import MachineNames, units
from prodlytics.formats.sample import (
    BAD_COLUMNS,
    GOOD_QUALITY,
    NO_TIME,
    Flags,
    Floats,
    Ints,
    Parsed,
    bad_rows,
    constant,
    recoded,
    shown,
    storable,
    utc_times,
)
from prodlytics.plant.model import Plant

#: A clock this far ahead is wrong, not early.
FUTURE_SLACK = dt.timedelta(days=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
#: Times that can be shown and stored whatever else is wrong with the row: 1900 to 2200.
_SHOWABLE_US = (-2_208_988_800_000_000, 7_258_118_400_000_000)


@dataclass(frozen=True)
class Rules:
    """What a sample is held against."""

    names: MachineNames
    not_before: dt.datetime
    not_after: dt.datetime

    @classmethod
    def of(cls, plant: Plant, ingested_at: dt.datetime) -> Rules:
        """The rules of a plant for what arrives at `ingested_at` (aware)."""
        first = dt.datetime.combine(plant.first_day, plant.day_boundary, plant.zone)
        return cls(MachineNames.of(plant), first.astimezone(dt.UTC), ingested_at.astimezone(dt.UTC) + FUTURE_SLACK)


@dataclass
class RawSamples:
    """Samples as a format read them, column by column, all of one length.

    `machine` and `metric` are missing (code -1) where `sent` names no machine of ours or nothing at all. `problems`
    holds what the format itself found wrong, by row: the first thing wrong with a row is the one that is said.
    """

    position: Ints
    sent: pd.Categorical
    machine: pd.Categorical
    metric: pd.Categorical
    us: Ints
    published_us: Ints
    number: Floats
    text: npt.NDArray[np.object_]
    quality: npt.NDArray[np.int16]
    payload: Callable[[int], str]
    source: str
    native_code: pd.Categorical | None = None
    unit: pd.Categorical | None = None
    problems: dict[int, tuple[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.position)


def judge(raw: RawSamples, rules: Rules, origin: str) -> Parsed:
    """Split samples into those to store and those to explain; nothing is dropped."""
    problems = raw.problems
    _excuse_bad_quality(raw, problems)
    _names(raw, rules, problems)
    _values(raw, problems)
    _times(raw, rules, problems)
    _text(raw, problems)
    keep: Flags = np.ones(len(raw), dtype=np.bool_)
    keep[list(problems)] = False
    return Parsed(_good(raw, keep, origin), _bad(raw, problems), len(raw))


def _mark(problems: dict[int, tuple[str, str]], wrong: Flags, reason: str, detail: Callable[[int], str]) -> None:
    for row in np.flatnonzero(wrong):
        if int(row) not in problems:
            problems[int(row)] = (reason, detail(int(row)))


def _names(raw: RawSamples, rules: Rules, problems: dict[int, tuple[str, str]]) -> None:
    def unknown(row: int) -> str:
        name = raw.sent[row]
        if not isinstance(name, str) or not name:
            return "the row names no machine"
        return (
            f"nobody configured {shown(name)!r}: add it to plant.yaml under machines, as an id or in the aliases of "
            "the machine it means, and the file is read again"
        )

    _mark(problems, raw.machine.codes == -1, "unknown_machine", unknown)
    empty = [not name for name in raw.metric.categories]
    no_metric = np.array([*empty, True])[raw.metric.codes]
    _mark(problems, no_metric, "missing_metric", lambda row: "the row names no metric")


def _excuse_bad_quality(raw: RawSamples, problems: dict[int, tuple[str, str]]) -> None:
    """Not good and not a number go together: the quality says so already, the sample marks the lost connection.

    Before anything else is looked at: a row has one problem, and this one would hide another.
    """
    for row in [r for r, (reason, _) in problems.items() if reason == "not_a_number"]:
        if raw.quality[row] < GOOD_QUALITY:
            del problems[row]


def _values(raw: RawSamples, problems: dict[int, tuple[str, str]]) -> None:
    good = raw.quality >= GOOD_QUALITY
    nothing = good & np.isnan(raw.number)
    if nothing.any():
        nothing[nothing] = np.array([text is None for text in raw.text[nothing]], dtype=np.bool_)
        _mark(problems, nothing, "missing_value", lambda row: "the row has no value")


def _times(raw: RawSamples, rules: Rules, problems: dict[int, tuple[str, str]]) -> None:
    _mark(problems, raw.us == NO_TIME, "missing_time", lambda row: "the row has no time")
    late = raw.us > _us(rules.not_after)
    _mark(
        problems,
        late,
        "future_time",
        lambda row: f"{_iso(raw.us[row])} is more than a day ahead of our clock: set the clock of the sender",
    )
    early = raw.us < _us(rules.not_before)
    _mark(
        problems,
        early,
        "before_first_day",
        lambda row: (
            f"{_iso(raw.us[row])} lies before the plant's first day, which starts at "
            f"{rules.not_before:%Y-%m-%dT%H:%MZ}: set the sender's clock, or write an earlier first_day in plant.yaml"
        ),
    )


def _text(raw: RawSamples, problems: dict[int, tuple[str, str]]) -> None:
    """A NUL or half a surrogate pair would make the database refuse the whole batch."""
    spoken = np.flatnonzero([text is not None for text in raw.text]) if raw.text.any() else np.array([], dtype=int)
    wrong = np.zeros(len(raw), dtype=np.bool_)
    for row in spoken:
        wrong[row] = not storable(raw.text[row])
    for column in (raw.metric, raw.native_code, raw.unit):
        if column is not None:
            refused = np.array([*(not storable(str(name)) for name in column.categories), False])
            wrong |= refused[column.codes]
    _mark(problems, wrong, "unstorable_text", lambda row: "the text holds a NUL or half a character")


def _good(raw: RawSamples, keep: Flags, origin: str) -> pd.DataFrame:
    count = int(keep.sum())
    unit = raw.unit if raw.unit is not None else units(raw.metric)
    code = raw.native_code
    # In the order of SAMPLE_COLUMNS: told the columns as well, pandas takes twice as long.
    columns: dict[str, object] = {
        "time": utc_times(raw.us[keep]),
        "machine_id": raw.machine[keep],
        "metric_name": raw.metric[keep],
        "native_code": constant("", count) if code is None else _filled(code[keep]),
        "unit": unit[keep],
        "value": raw.number[keep],
        "value_text": raw.text[keep],
        "quality": raw.quality[keep],
        "published_at": utc_times(raw.published_us[keep]),
        "source": constant(raw.source, count),
        "origin": constant(origin, count),
        "position": raw.position[keep],
    }
    return pd.DataFrame(columns)


def _filled(code: pd.Categorical) -> pd.Categorical:
    """Native codes with '' where there is none."""
    if (code.codes >= 0).all():
        return code
    names = [str(name) for name in code.categories]
    with_empty = pd.Categorical.from_codes(
        np.where(code.codes < 0, len(names), code.codes), categories=pd.Index([*names, "\x00none"], dtype=object)
    )
    return recoded(with_empty, [*names, ""])


def _bad(raw: RawSamples, problems: dict[int, tuple[str, str]]) -> pd.DataFrame:
    if not problems:
        return bad_rows([])
    rows = []
    for row in sorted(problems):
        reason, detail = problems[row]
        us = int(raw.us[row])
        machine = raw.machine[row]
        values = (
            int(raw.position[row]),
            reason,
            detail,
            raw.payload(row),
            us if _SHOWABLE_US[0] < us < _SHOWABLE_US[1] else None,
            machine if isinstance(machine, str) else None,
        )
        rows.append(dict(zip(BAD_COLUMNS, values, strict=True)))
    return bad_rows(rows)


def _us(instant: dt.datetime) -> int:
    return (instant - _EPOCH) // dt.timedelta(microseconds=1)


def _iso(us: int) -> str:
    return f"{np.datetime64(int(us), 'us')}Z"
