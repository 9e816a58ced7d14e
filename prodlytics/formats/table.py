"""Tables of samples: long (one row per sample) and wide (one row per instant), CSV or Parquet.

Belongs here: which column means what, by the plant's landing format. Does not belong here: reading the bytes
(`rows.py`), which samples are kept (`judge.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from prodlytics.formats.judge import RawSamples, Rules, judge
from prodlytics.formats.rows import Column, Rows, read_csv, read_parquet
from prodlytics.formats.sample import (
    GOOD_QUALITY,
    NO_TIME,
    Flags,
    Parsed,
    UnreadableFileError,
    bad_rows,
    constant,
    payload_of,
)
from prodlytics.formats.times import Times, read_times
from prodlytics.formats.values import Values, quality_of, read_values
from prodlytics.plant.model import LandingFormat

#: The names a landing format may use, and what we call the field here.
FIELDS = {
    "time": "time",
    "machine": "machine",
    "machine_id": "machine",
    "metric": "metric",
    "metric_name": "metric",
    "id": "id",
    "value": "value",
    "value_text": "value_text",
    "native_code": "native_code",
    "unit": "unit",
    "quality": "quality",
    "published_at": "published_at",
    "source": "source",
}
Kind = Literal["csv", "parquet"]


def parse(file: BinaryIO, kind: Kind, form: LandingFormat, rules: Rules, origin: str) -> Iterator[Parsed]:
    """A file of samples, batch by batch.

    Args:
        file: Seekable for Parquet.
        kind: What the file is.
        form: Which column is what; times without a zone are in `form.timezone` or set aside.
        rules: What each sample is held against.
        origin: The file's name, stored with each row.

    Raises:
        UnreadableFileError: The file as a whole cannot be read as the format says.
    """
    columns = _columns(form)
    wanted: list[Column] = list(dict.fromkeys([*columns.values(), *_metric_columns(form).values()]))
    if kind == "csv":
        batches = read_csv(file, wanted, delimiter=form.delimiter, header=form.header)
    else:
        batches = read_parquet(file, wanted)
    for rows in batches:
        first, *others = _parts(rows, form, rules, origin)
        yield _with_misfits(first, rows)
        yield from others


def _columns(form: LandingFormat) -> dict[str, Column]:
    columns: dict[str, Column] = {}
    for ours, theirs in form.columns.items():
        if ours not in FIELDS:
            raise UnreadableFileError(
                f"landing format {form.name!r}: samples have no field {ours!r}; write one of {', '.join(FIELDS)}"
            )
        columns[FIELDS[ours]] = theirs
    known = {*columns, *(FIELDS.get(ours, ours) for ours in form.constants)}
    needed = {"time"} | ({"value"} if form.layout == "long" and "value_text" not in known else set())
    missing = sorted(needed - known)
    if "id" not in known:
        missing += sorted({"machine", *({"metric"} if form.layout == "long" else ())} - known)
    if missing:
        raise UnreadableFileError(f"landing format {form.name!r}: no column or constant says {', '.join(missing)}")
    return columns


def _metric_columns(form: LandingFormat) -> dict[str, Column]:
    if form.layout != "wide":
        return {}
    return {metric: column if form.header else int(column) for metric, column in form.metrics.items()}


def _parts(rows: Rows, form: LandingFormat, rules: Rules, origin: str) -> Iterator[Parsed]:
    common = _Common(rows, form, rules)
    if form.layout == "wide":
        for metric, column in _metric_columns(form).items():
            yield judge(common.wide(metric, column), rules, origin)
    else:
        yield judge(common.long(), rules, origin)


def _with_misfits(part: Parsed, rows: Rows) -> Parsed:
    if not rows.misfits:
        return part
    bad = bad_rows(rows.misfits)
    joined = pd.concat([bad, part.bad], ignore_index=True) if len(part.bad) else bad
    return replace(part, bad=joined, seen=part.seen + len(rows.misfits))


class _Common:
    """What all samples of a batch of rows share, worked out once."""

    def __init__(self, rows: Rows, form: LandingFormat, rules: Rules) -> None:
        self.rows = rows
        self.form = form
        self.rules = rules
        self.columns = _columns(form)
        self.times = self._times("time")
        self.published = self._times("published_at").us
        self.problems = dict(self.times.problems)
        self.quality = self._quality()
        self.constants = {FIELDS.get(ours, ours): value for ours, value in form.constants.items()}
        self._machines()

    def _array(self, name: str) -> pa.Array | None:
        column = self.columns.get(name)
        return None if column is None else self.rows.columns[column]

    def _category(self, name: str) -> pd.Categorical | None:
        array = self._array(name)
        if array is None:
            said = self.constants.get(name)
            return None if said is None else constant(said, len(self.rows))
        return _category(array)

    def _times(self, name: str) -> Times:
        array = self._array(name)
        if array is None:
            return Times(np.full(len(self.rows), NO_TIME, dtype=np.int64))
        return read_times(array, self.form.timezone, self.form.time_format)

    def _quality(self) -> npt.NDArray[np.int16]:
        array = self._array("quality")
        quality = np.full(len(self.rows), GOOD_QUALITY, dtype=np.int16)
        if array is None:
            return quality
        sent = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
        words = sent.dictionary.to_pylist()
        read = [GOOD_QUALITY if word in (None, "") else quality_of(word) for word in words]
        codes = np.asarray(pc.fill_null(sent.indices, -1).to_numpy(zero_copy_only=False))
        table = np.array([*(-1 if q is None else q for q in read), GOOD_QUALITY], dtype=np.int16)
        quality[:] = table[codes]
        for row in np.flatnonzero(quality < 0):
            detail = f"{payload_of(words[codes[row]])[:80]} is not a quality"
            self.problems.setdefault(int(row), ("bad_quality_flag", detail))
            quality[row] = 0
        return quality

    def _machines(self) -> None:
        tags = self._category("id")
        if tags is not None:
            self.sent = tags
            self.machine, self.metric = self.rules.names.tags(tags)
            return
        sent = self._category("machine")
        metric = self._category("metric")
        self.sent = _nothing(len(self.rows)) if sent is None else sent
        self.machine = self.rules.names.machines(self.sent)
        self.metric = _nothing(len(self.rows)) if metric is None else metric

    def long(self) -> RawSamples:
        """One sample per row."""
        values = self._values("value")
        words = self._array("value_text")
        if words is not None:
            _add_words(values, words)
        problems = {**values.problems, **self.problems}
        return self._raw(values, self.metric, problems)

    def _values(self, name: str) -> Values:
        array = self._array(name)
        if array is not None:
            return read_values(array)
        count = len(self.rows)
        return Values(np.full(count, np.nan), np.full(count, None, dtype=object))

    def wide(self, metric: str, column: Column) -> RawSamples:
        """One sample per row that has something in the metric's column."""
        values = read_values(self.rows.columns[column])
        rows: Flags = ~np.isnan(values.number) | (values.text != None)  # noqa: E711
        rows[list(values.problems)] = True
        places = np.flatnonzero(rows)
        place_of = {int(row): place for place, row in enumerate(places)}
        problems = {**values.problems, **self.problems}
        whole = self._raw(values, constant(metric, len(self.rows)), {})
        return replace(
            whole,
            position=whole.position[places],
            sent=whole.sent[places],
            machine=whole.machine[places],
            metric=whole.metric[places],
            us=whole.us[places],
            published_us=whole.published_us[places],
            number=whole.number[places],
            text=whole.text[places],
            quality=whole.quality[places],
            native_code=None if whole.native_code is None else whole.native_code[places],
            unit=None if whole.unit is None else whole.unit[places],
            problems={place_of[row]: problem for row, problem in problems.items() if row in place_of},
            # Two cells of a row can be wrong for the same reason: the metric tells them apart.
            payload=lambda place: f"{metric}: {self.rows.payload(int(places[place]))}",
        )

    def _raw(self, values: Values, metric: pd.Categorical, problems: dict[int, tuple[str, str]]) -> RawSamples:
        return RawSamples(
            position=self.rows.position,
            sent=self.sent,
            machine=self.machine,
            metric=metric,
            us=self.times.us,
            published_us=self.published,
            number=values.number,
            text=values.text,
            quality=self.quality,
            payload=self.rows.payload,
            source=self.constants.get("source", self.form.name),
            native_code=self._category("native_code"),
            unit=self._category("unit"),
            problems=problems,
        )


def _add_words(values: Values, words: pa.Array) -> None:
    """The text column says what the number column does not."""
    if pa.types.is_dictionary(words.type):
        words = words.dictionary_decode()
    present = pc.fill_null(pc.not_equal(pc.cast(words, pa.string()), ""), False)
    places = np.flatnonzero(present.to_numpy(zero_copy_only=False))
    if len(places):
        values.text[places] = pc.cast(words.filter(present), pa.string()).to_numpy(zero_copy_only=False)
        for row in places:
            values.problems.pop(int(row), None)


def _category(array: pa.Array) -> pd.Categorical:
    """Any column as categories of text; a missing or empty one has none."""
    sent = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    words = [None if word is None else str(word).strip() for word in sent.dictionary.to_pylist()]
    distinct = list(dict.fromkeys(word for word in words if word))
    place = {word: code for code, word in enumerate(distinct)}
    table = np.array([*(place[word] if word else -1 for word in words), -1], dtype=np.int32)
    codes = table[np.asarray(pc.fill_null(sent.indices, -1).to_numpy(zero_copy_only=False))]
    return pd.Categorical.from_codes(codes, categories=pd.Index(distinct, dtype=object))


def _nothing(count: int) -> pd.Categorical:
    return pd.Categorical.from_codes(np.full(count, -1, dtype=np.int8), categories=pd.Index([], dtype=object))
