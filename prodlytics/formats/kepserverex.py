"""KEPServerEX IoT Gateway: JSON messages of `id`, `v`, `q`, `t`, one per line or one alone.

Belongs here: the shapes the gateway and its templates write (a message with `values`, an array, a bare record; numbers
as text, quality as flag or OPC number, renamed fields), and lines that are no JSON. Does not belong here: which
samples are kept (`judge.py`). A broken record costs that record, a broken line that line, never the file.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from dataclasses import fields as dataclass_fields
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import pyarrow as pa

from prodlytics.formats.judge import RawSamples, Rules, judge
from prodlytics.formats.sample import (
    GOOD_QUALITY,
    Floats,
    Parsed,
    UnreadableFileError,
    categories_of,
    payload_of,
    shown,
)
from prodlytics.formats.times import Times, epoch_times, read_times
from prodlytics.formats.values import not_finite, number_of, quality_of

SOURCE = "kepserverex"
#: Samples that are turned into a frame together.
BATCH = 200_000
#: C code of a controller prints these where JSON wants a number; Python reads NaN, and the sample is refused alone.
_BARE_NAN = re.compile(r"(:\s*)[-+]?(?:nan|inf(?:inity)?|1\.#\w+)(?=\s*[,}\]])", re.IGNORECASE)
#: A message is far shorter; 100,000 updates of a full agent buffer take about 10 MiB.
_LINE_LIMIT = 64 * 2**20
#: One message; a file saved as one document may be longer.
MESSAGE_LIMIT = 64 * 2**20
#: Longest document over several lines that is read as one.
_DOCUMENT_LIMIT = 64 * 2**20
MISSING = object()
_NUMERIC = frozenset((int, float, bool))
_MOMENTS = frozenset((int, float))


@dataclass(frozen=True)
class Fields:
    """The names a template gives the fields; the gateway's own by default."""

    id: str = "id"
    value: str = "v"
    quality: str = "q"
    time: str = "t"
    values: str = "values"
    published_at: str = "timestamp"

    @classmethod
    def named(cls, columns: dict[str, str | int]) -> Fields:
        """From the `columns` of a landing format: field of ours to name of theirs."""
        unknown = sorted(set(columns) - {field.name for field in dataclass_fields(cls)})
        if unknown:
            raise UnreadableFileError(f"a KEPServerEX message has no field {', '.join(unknown)}")
        return replace(cls(), **{ours: str(theirs) for ours, theirs in columns.items()})


_DEFAULT = Fields()


@dataclass
class Records:
    """The samples of a message as sent, or one thing that is none and what is wrong with it."""

    contents: list[Any]
    published: Any = None
    problem: tuple[str, str] | None = None


@dataclass
class _Batch:
    """Samples read so far, column by column."""

    first_position: int
    ids: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    qualities: list[Any] = field(default_factory=list)
    times: list[Any] = field(default_factory=list)
    published: list[Any] = field(default_factory=list)
    contents: list[Any] = field(default_factory=list)
    problems: dict[int, tuple[str, str]] = field(default_factory=dict)


def parse(data: bytes | str, rules: Rules, origin: str, fields: Fields = _DEFAULT) -> Parsed:
    """One message, or a text of several lines with a message each.

    Returns:
        Samples to store and rows to explain; never raises, whatever the bytes are.
    """
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    read = document_of(raw)
    if isinstance(read, Records) and b"\n" in raw.strip():
        parts = list(parse_lines(raw.splitlines(keepends=True), rules, origin, fields))
        return _joined(parts) if parts else _frame(_Batch(1), rules, origin)
    batch = _Batch(1)
    for records in records_of(read, fields):
        _add(batch, records, fields)
    return _frame(batch, rules, origin)


def parse_messages(payloads: Iterable[bytes], rules: Rules, origin: str, fields: Fields = _DEFAULT) -> Parsed:
    """Messages of a broker, read together; positions count samples over all of them."""
    batch = _Batch(1)
    for payload in payloads:
        for records in records_of(document_of(payload), fields):
            _add(batch, records, fields)
    return _frame(batch, rules, origin)


def parse_lines(lines: Iterable[bytes], rules: Rules, origin: str, fields: Fields = _DEFAULT) -> Iterator[Parsed]:
    """A file of messages, one a line, in batches of about `BATCH` samples; blank lines say nothing."""
    batch = _Batch(1)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        for records in records_of(document_of(line), fields):
            if records.problem is not None:
                records.problem = (records.problem[0], f"line {number}: {records.problem[1]}")
            _add(batch, records, fields)
        if len(batch.ids) >= BATCH:
            yield _frame(batch, rules, origin)
            batch = _Batch(batch.first_position + len(batch.ids))
    if batch.ids:
        yield _frame(batch, rules, origin)


def parse_file(file: BinaryIO, rules: Rules, origin: str, fields: Fields = _DEFAULT) -> Iterator[Parsed]:
    """A file: a message a line, or one document over several lines as people save it.

    Raises:
        UnreadableFileError: The file is no text.
    """
    lines = _lines(file)
    first = next((line for line in lines if line.strip()), None)
    if first is None:
        return
    if isinstance(document_of(first), Records) and first.lstrip(b"\xef\xbb\xbf \t")[:1] in (b"{", b"["):
        rest = file.read(_DOCUMENT_LIMIT)
        if len(rest) < _DOCUMENT_LIMIT:
            if isinstance(document_of(first + rest), Records):
                yield from parse_lines(chain([first], rest.splitlines(keepends=True)), rules, origin, fields)
            else:
                yield parse(first + rest, rules, origin, fields)
            return
        lines = chain(_lines(io.BytesIO(rest[: rest.rfind(b"\n") + 1])), _lines(file, rest[rest.rfind(b"\n") + 1 :]))
    yield from parse_lines(chain([first], lines), rules, origin, fields)


def _lines(file: BinaryIO, start: bytes = b"") -> Iterator[bytes]:
    while line := start + file.readline(_LINE_LIMIT):
        start = b""
        if len(line) >= _LINE_LIMIT:
            raise UnreadableFileError(f"a line is longer than {_LINE_LIMIT // 2**20} MiB: no file of messages")
        yield line


def _joined(parts: list[Parsed]) -> Parsed:
    if len(parts) == 1:
        return parts[0]
    return Parsed(
        pd.concat([part.good for part in parts], ignore_index=True),
        pd.concat([part.bad for part in parts], ignore_index=True),
        sum(part.seen for part in parts),
    )


def document_of(raw: bytes) -> Any:
    """The document, or `Records` that say why there is none."""
    if len(raw) > MESSAGE_LIMIT:
        said = raw[:2000].decode("utf-8", "backslashreplace")
        detail = f"{len(raw)} bytes are no message: {MESSAGE_LIMIT // 2**20} MiB is the limit"
        return Records([shown(said, 2000)], problem=("too_large", detail))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        said = raw.decode("utf-8", "backslashreplace").strip()
        return Records([shown(said, 2000)], problem=("bad_utf8", f"byte {error.start} is not UTF-8"))
    try:
        return _decode(text)
    except (ValueError, RecursionError) as first:
        try:
            return _decode(_BARE_NAN.sub(r"\1NaN", text))
        except (ValueError, RecursionError):
            why = "cut off or not JSON" if isinstance(first, json.JSONDecodeError) else "nested or long beyond reason"
            return Records([shown(text.strip(), 2000)], problem=("bad_json", f"{why}: {shown(str(first))}"))


def _decode(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # Python refuses integers of more than 4,300 digits
        return json.loads(text, parse_int=float)


def records_of(document: Any, fields: Fields) -> Iterator[Records]:
    """The messages in a document that `document_of` gave; what is none is said."""
    if isinstance(document, Records):
        yield document
    elif isinstance(document, list):
        for element in document:
            yield _of_object(element, fields)
        if not document:
            yield Records([document], problem=("unknown_shape", "the array is empty"))
    else:
        yield _of_object(document, fields)


def _of_object(element: Any, fields: Fields) -> Records:
    if not isinstance(element, dict):
        return Records([element], problem=("unknown_shape", "expected an object, an array of objects or a record"))
    if isinstance(element.get(fields.values), list):
        if not element[fields.values]:
            return Records([element], problem=("unknown_shape", f"{fields.values!r} is empty"))
        return Records(element[fields.values], element.get(fields.published_at))
    if fields.id in element:
        return Records([element])
    detail = f"neither {fields.values!r} (a message) nor {fields.id!r} (a record) is there"
    return Records([element], problem=("unknown_shape", detail))


def _add(batch: _Batch, records: Records, fields: Fields) -> None:
    """Column by column: sample by sample took a third of the bridge's time at 100 samples a message."""
    contents, first = records.contents, len(batch.ids)
    known: list[dict[str, Any]] = contents
    if records.problem is not None:
        batch.problems[first] = records.problem
        known = [{}]
    elif not all(type(one) is dict and type(one.get(fields.id)) is str for one in contents):
        known = [_named(batch, row, content, fields) for row, content in enumerate(contents, start=first)]
    batch.ids += [one.get(fields.id, "") for one in known]
    batch.values += [one.get(fields.value) for one in known]
    batch.qualities += [one.get(fields.quality, MISSING) for one in known]
    batch.times += [one.get(fields.time) for one in known]
    batch.published += [records.published] * len(contents)
    batch.contents += contents


def _named(batch: _Batch, row: int, content: Any, fields: Fields) -> dict[str, Any]:
    if not isinstance(content, dict):
        batch.problems[row] = ("unknown_shape", "the sample is not an object")
        return {}
    if not isinstance(content.get(fields.id), str):
        batch.problems[row] = ("missing_name", f"{fields.id!r} is not the name of a tag")
        return {}
    return content


def _frame(batch: _Batch, rules: Rules, origin: str) -> Parsed:
    count = len(batch.ids)
    codes, distinct = pd.factorize(np.array(batch.ids, dtype=object))
    sent = pd.Categorical.from_codes(codes, dtype=categories_of(distinct.tolist()))
    machine, metric = rules.names.tags(sent)
    problems = batch.problems
    quality = qualities_of(batch.qualities, problems)
    number, text = values_of(batch.values, problems)
    times = instants_of(batch.times)
    for row, problem in times.problems.items():
        problems.setdefault(row, problem)
    contents = batch.contents
    raw = RawSamples(
        position=np.arange(batch.first_position, batch.first_position + count, dtype=np.int64),
        sent=sent,
        machine=machine,
        metric=metric,
        us=times.us,
        published_us=instants_of(batch.published).us,
        number=number,
        text=text,
        quality=quality,
        payload=lambda row: contents[row] if isinstance(contents[row], str) else payload_of(contents[row]),
        source=SOURCE,
        problems=problems,
    )
    return judge(raw, rules, origin)


def qualities_of(sent: list[Any], problems: dict[int, tuple[str, str]]) -> np.ndarray[Any, np.dtype[np.int16]]:
    """OPC quality; a template that sends none is taken to send good values only."""
    quality = np.full(len(sent), GOOD_QUALITY, dtype=np.int16)
    for row, flag in enumerate(sent):
        if flag is True or flag is MISSING:
            continue
        read = quality_of(flag)
        if read is None:
            problems.setdefault(row, ("bad_quality_flag", f"{payload_of(flag)[:80]} is not a quality"))
        else:
            quality[row] = read
    return quality


def values_of(sent: list[Any], problems: dict[int, tuple[str, str]]) -> tuple[Floats, np.ndarray[Any, Any]]:
    """Numbers, booleans as 1 and 0, numbers in text as numbers; other text as it is (tool names, conditions)."""
    text = np.full(len(sent), None, dtype=object)
    plain = _plain_numbers(sent, _NUMERIC)
    if plain is not None and np.isfinite(plain).all():
        return plain, text
    number = np.full(len(sent), np.nan)
    for row, value in enumerate(sent):
        kind = type(value)
        if kind in _NUMERIC:
            number[row] = _double(value)
        elif kind is str:
            read = number_of(value)
            if read is not None:
                number[row] = read
            elif not_finite(value):
                problems.setdefault(row, ("not_a_number", f"the value is {shown(value)}"))
            else:
                text[row] = value
        elif value is not None:
            problems.setdefault(row, ("unreadable_value", "the value is neither a number, a flag nor a text"))
    for row in np.flatnonzero(~np.isfinite(number)).tolist():
        if type(sent[row]) in _NUMERIC:
            problems.setdefault(row, ("not_a_number", f"the value is {number[row]}"))
            number[row] = np.nan
    return number, text


def _plain_numbers(sent: list[Any], kinds: frozenset[type]) -> Floats | None:
    """All of them at once where there is nothing but numbers, which is nearly always."""
    if not kinds.issuperset(map(type, sent)):
        return None
    try:
        return np.array(sent, dtype=np.float64)
    except OverflowError:  # an integer beyond every double
        return None


def _double(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond every double
        return math.inf


def instants_of(sent: list[Any]) -> Times:
    """Milliseconds since 1970 as number or numeric text, or ISO 8601 with an offset."""
    plain = _plain_numbers(sent, _MOMENTS)
    if plain is not None:
        return epoch_times(plain, 1_000.0)
    numbers = np.full(len(sent), np.nan)
    words: dict[int, str] = {}
    for row, value in enumerate(sent):
        kind = type(value)
        if kind in _MOMENTS:
            numbers[row] = _double(value)
        elif kind is str:
            read = number_of(value)
            if read is None:
                words[row] = value
            numbers[row] = math.nan if read is None else read
    times = epoch_times(numbers, 1_000.0)
    for row, value in enumerate(sent):
        if value is None:
            times.problems[row] = ("missing_time", "the sample has no time")
    if words:
        _put_words(times, words)
    return times


def _put_words(times: Times, words: dict[int, str]) -> None:
    """Times in words, by row."""
    read = read_times(pa.array([shown(word) for word in words.values()], pa.string()))
    for place, row in enumerate(words):
        times.us[row] = read.us[place]
        times.problems.pop(row, None)
        if place in read.problems:
            times.problems[row] = read.problems[place]
