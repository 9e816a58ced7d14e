"""Tables of records that people and office systems write: orders, costs, entries; some thousands of rows.

Belongs here: bytes to typed fields, and what is wrong with a row. Does not belong here: what the rows mean together
(whether an entry is known already, which version of an order counts). Unlike in tables of samples a quoted value may
hold line ends: notes do.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, BinaryIO, Literal

import pyarrow as pa

from prodlytics.formats.rows import Column, read_parquet
from prodlytics.formats.sample import UnreadableFileError, payload_of, shown, storable
from prodlytics.formats.times import read_times
from prodlytics.formats.values import number_of
from prodlytics.plant.model import LandingFormat

#: Such a table of more bytes is something else.
_SIZE_LIMIT = 256 * 2**20
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class RecordField:
    """One field of ours. Quantities and money may not be negative."""

    name: str
    kind: Literal["text", "number", "time", "date"] = "text"
    required: bool = False


@dataclass
class Record:
    """One row: its fields (missing is None), or what is wrong with it."""

    position: int
    payload: str
    sent: dict[str, str | None]
    values: dict[str, Any] = field(default_factory=dict)
    problem: tuple[str, str] | None = None

    def refuse(self, reason: str, detail: str) -> None:
        """Say what is wrong; the first thing said stays."""
        self.problem = self.problem or (reason, detail)

    def bad_row(self) -> dict[str, object]:
        """As a row for quarantine."""
        reason, detail = self.problem or ("", "")
        times = (self.values.get("starts_at"), self.values.get("started_at"))
        machine = self.values.get("machine_id")
        return {
            "position": self.position,
            "reason": reason,
            "detail": detail,
            "payload": self.payload,
            "event_time": next((time for time in times if time is not None), None),
            "machine_id": machine,
        }


def read_records(
    file: BinaryIO, kind: Literal["csv", "parquet"], form: LandingFormat, fields: Sequence[RecordField]
) -> list[Record]:
    """Every row of a file, with typed fields.

    Args:
        file: Seekable for Parquet.
        kind: What the file is.
        form: Which column is which field, constants, the form and zone of times.
        fields: The fields of the dataset.

    Raises:
        UnreadableFileError: The file as a whole cannot be read as the format says.
    """
    columns = _columns(form, fields)
    wanted = list(dict.fromkeys(columns.values()))
    records = []
    for position, cells, payload in _parquet(file, wanted) if kind == "parquet" else _csv(file, wanted, form):
        if isinstance(cells, tuple):
            records.append(Record(position, payload, {}, problem=cells))
            continue
        sent = {ours: cells[theirs] for ours, theirs in columns.items()}
        for ours, said in form.constants.items():
            sent[ours] = sent.get(ours) or said
        records.append(Record(position, payload, {ours: _text(said) for ours, said in sent.items()}))
    _type(records, fields, form)
    return records


def records_of(
    rows: Sequence[Mapping[str, object]], form: LandingFormat, fields: Sequence[RecordField]
) -> list[Record]:
    """Typed records from rows another system answered with, by our field names.

    All have position 0: the same row read again by an overlap is the same row in quarantine. Numbers must not have
    been floats on the way (`json.loads(..., parse_float=Decimal)`): money would not be what was sent.
    """
    records = []
    for row in rows:
        payload = payload_of({name: None if said is None else _spelled(said) for name, said in row.items()})
        sent = {name: None if said is None else _text(_spelled(said)) for name, said in row.items()}
        records.append(Record(0, payload, sent))
    _type(records, fields, form)
    return records


def new_or_changed(
    records: Sequence[Record],
    known: dict[tuple[Any, ...], tuple[Any, ...]],
    form: LandingFormat,
    key: Sequence[str],
    value: Sequence[str],
) -> list[dict[str, Any]]:
    """Rows that say something else than what is known, with their source; of a key said twice the last counts.

    Args:
        records: Sound records.
        known: Key to value as stored; brought up to date.
        form: Its name stands for the source where a record names none.
        key: Fields that name a row.
        value: Fields it says something by.
    """
    written = []
    for record in records:
        name = tuple(record.values[one] for one in key)
        said = tuple(record.values[one] for one in value)
        if known.get(name) != said:
            known[name] = said
            written.append({**record.values, "source": record.sent.get("source") or form.name})
    return written


def _columns(form: LandingFormat, fields: Sequence[RecordField]) -> dict[str, Column]:
    names = {one.name for one in fields} | {"source"}
    said = [*form.columns, *form.constants]
    for ours in said:
        if ours not in names:
            known = ", ".join(sorted(names))
            raise UnreadableFileError(f"landing format {form.name!r}: no field {ours!r}; write one of {known}")
    missing = [one.name for one in fields if one.required and one.name not in said]
    if missing:
        raise UnreadableFileError(f"landing format {form.name!r}: no column or constant says {', '.join(missing)}")
    return dict(form.columns)


_Row = tuple[int, Mapping[Column, str | None] | tuple[str, str], str]


def _csv(file: BinaryIO, wanted: Sequence[Column], form: LandingFormat) -> Iterator[_Row]:
    data = file.read(_SIZE_LIMIT + 1)
    if len(data) > _SIZE_LIMIT:
        raise UnreadableFileError(f"the file has more than {_SIZE_LIMIT // 2**20} MiB; split it")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFileError("the file is UTF-16; save it as UTF-8")
    text = data.decode("utf-8-sig", "surrogateescape")
    names: list[str] | None = None
    for line, row in _split(text, form.delimiter):
        if isinstance(row, list) and not any(cell.strip() for cell in row):
            continue
        if names is None:
            if isinstance(row, str):
                raise UnreadableFileError(f"line {line} is not CSV: a quote is opened and not closed")
            names = [cell.strip() for cell in row] if form.header else [str(n) for n in range(len(row))]
            places = {column: _place(column, names) for column in wanted}
            if form.header:
                continue
        yield line, *_cells(line, row, places, len(names) if form.header else None)
    if names is None:
        raise UnreadableFileError("the file has no line with text")


def _cells(
    line: int, row: list[str] | str, places: Mapping[Column, int], width: int | None
) -> tuple[Mapping[Column, str | None] | tuple[str, str], str]:
    """The cells asked for or what is wrong with the line, and the line as it can be stored."""
    if isinstance(row, str):
        return ("open_quote", f"line {line}: a quote is opened and not closed"), payload_of(shown(row, 500))
    payload = payload_of([shown(cell, 500) for cell in row])
    if not all(map(_is_utf8, row)):
        return ("bad_utf8", f"line {line} is not UTF-8"), payload
    if width is not None and len(row) > width:
        return ("too_many_columns", f"line {line} has {len(row)} values for {width} columns"), payload
    return {column: row[at] if at < len(row) else None for column, at in places.items()}, payload


def _split(text: str, delimiter: str) -> list[tuple[int, list[str] | str]]:
    """Line numbers and rows; a line that is no row stays text."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        return [(reader.line_num, row) for row in reader]
    except csv.Error:
        # A quote is left open somewhere. Taken as the start of a value it swallows all that follows: so a line end ends
        # a row here, and the quote costs its line only.
        return [(number, _one(line, delimiter)) for number, line in enumerate(text.split("\n"), start=1)]


def _one(line: str, delimiter: str) -> list[str] | str:
    try:
        return next(csv.reader([line.rstrip("\r")], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return line


def _place(column: Column, names: Sequence[str]) -> int:
    if isinstance(column, int):
        return column
    if column not in names:
        has = shown(", ".join(names), 300)
        raise UnreadableFileError(f"the format asks for column {column!r}, but the file has {has}")
    return names.index(column)


def _is_utf8(cell: str) -> bool:
    return cell.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in cell)


def _parquet(file: BinaryIO, wanted: Sequence[Column]) -> Iterator[_Row]:
    for rows in read_parquet(file, wanted):
        # Values of any type as the text that would stand in a CSV.
        columns = {column: rows.columns[column].to_pylist() for column in wanted}
        for row, position in enumerate(rows.position.tolist()):
            cells = {c: None if values[row] is None else _spelled(values[row]) for c, values in columns.items()}
            yield position, cells, rows.payload(row)


def _spelled(value: object) -> str:
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _text(cell: str | None) -> str | None:
    return (cell.strip() or None) if cell is not None else None


def _type(records: list[Record], fields: Sequence[RecordField], form: LandingFormat) -> None:
    sound = [record for record in records if record.problem is None]
    for one in fields:
        if one.kind == "time":
            _times(sound, one, form)
            continue
        convert = {"text": _as_text, "number": _as_number, "date": _as_date}[one.kind]
        for record in sound:
            said = record.sent.get(one.name)
            record.values[one.name] = None if said is None else convert(record, one, said)
    for one in fields:
        for record in sound:
            if one.required and record.values[one.name] is None:
                record.refuse("missing_field", f"{one.name} is empty")


def _as_text(record: Record, one: RecordField, said: str) -> str | None:
    if storable(said):
        return said
    record.refuse("unstorable_text", f"{one.name} holds a NUL or half a character")
    return None


def _as_number(record: Record, one: RecordField, said: str) -> Decimal | None:
    if number_of(said) is None:
        record.refuse("bad_number", f"{one.name}: {shown(said)!r} is not a number (write 1234.5)")
        return None
    number = Decimal(said)
    if number < 0:
        record.refuse("negative_number", f"{one.name} is {said}")
        return None
    return number


def _as_date(record: Record, one: RecordField, said: str) -> dt.date | None:
    try:
        # An ERP's date may come as midnight with an offset: it is a date, and no zone is applied to it.
        return dt.date.fromisoformat(said[:10])
    except ValueError:
        record.refuse("bad_date", f"{one.name}: {shown(said)!r} is not a date (write 2026-11-23)")
        return None


def _times(records: list[Record], one: RecordField, form: LandingFormat) -> None:
    said = [record for record in records if record.sent.get(one.name) is not None]
    texts = [shown(record.sent[one.name] or "") for record in said]
    times = read_times(pa.array(texts, pa.string()), form.timezone, form.time_format)
    for record in records:
        record.values[one.name] = None
    for row, record in enumerate(said):
        if row in times.problems:
            reason, detail = times.problems[row]
            record.refuse(reason, f"{one.name}: {detail}")
        else:
            record.values[one.name] = _EPOCH + dt.timedelta(microseconds=int(times.us[row]))
