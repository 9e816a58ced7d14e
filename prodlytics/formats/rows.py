"""Rows of a table before anybody knows what they mean: CSV lines and Parquet batches in one shape.

Belongs here: bytes to columns, and lines that do not fit. Does not belong here: what a column means (`table.py`).
In CSV of samples a newline always ends a row (a stray quote then costs its line and not the rest of the file).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from prodlytics.formats.sample import Flags, Ints, UnreadableFileError, payload_of, shown

#: Column of a file: its name, or its number from 0.
Column = str | int
CSV_BLOCK = 16 * 2**20
PARQUET_BATCH = 250_000
#: A row is far shorter; without a line end for so long it is no table.
_LINE_LIMIT = 64 * 2**20
_NEWLINE, _QUOTE, _RETURN, _SPACE = 10, 34, 13, 32


@dataclass
class Rows:
    """Some rows: the columns asked for, where each row stood, the row as sent, and lines that are no rows."""

    columns: dict[Column, pa.Array]
    position: Ints
    payload: Callable[[int], str]
    misfits: list[dict[str, object]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.position)


def read_csv(
    file: BinaryIO, wanted: Sequence[Column], *, delimiter: str, header: bool, block_size: int = CSV_BLOCK
) -> Iterator[Rows]:
    """A CSV file block by block, every column as text (missing where the line is too short).

    Positions are line numbers from 1, the header's line included.

    Raises:
        UnreadableFileError: The file is no text, or has not the columns asked for.
    """
    reader = _CsvReader(wanted, delimiter, header)
    for block in _blocks(file, block_size):
        rows = reader.read(block)
        if rows is not None:
            yield rows
    if not reader.started:
        raise UnreadableFileError("the file has no header line" if header else "the file has no line")


def read_parquet(file: BinaryIO, wanted: Sequence[Column], *, batch_size: int = PARQUET_BATCH) -> Iterator[Rows]:
    """A Parquet file batch by batch with the types it has; positions are row numbers from 1.

    Raises:
        UnreadableFileError: The file is damaged, or has not the columns asked for.
    """
    try:
        parquet = pq.ParquetFile(file)
        names = parquet.schema_arrow.names
        places = {column: _place(column, names) for column in wanted}
        read = [names[place] for place in dict.fromkeys(places.values())]
        # A name that repeats a million times stays a dictionary.
        texts = [f.name for f in parquet.schema_arrow if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
        parquet = pq.ParquetFile(file, read_dictionary=texts)
        position = 1
        for batch in parquet.iter_batches(batch_size=batch_size, columns=read):
            batch.validate(full=True)
            columns = {column: batch.column(read.index(names[place])) for column, place in places.items()}
            yield Rows(columns, np.arange(position, position + len(batch), dtype=np.int64), _parquet_payload(batch))
            position += len(batch)
    except (pa.ArrowException, OSError, EOFError) as error:
        raise UnreadableFileError(f"the file is not Parquet that can be read: {shown(str(error), 200)}") from error


def _parquet_payload(batch: pa.RecordBatch) -> Callable[[int], str]:
    return lambda row: payload_of(batch.slice(row, 1).to_pylist()[0])


def _place(column: Column, names: Sequence[str]) -> int:
    if isinstance(column, int):
        if column >= len(names):
            raise UnreadableFileError(f"the format asks for column {column}, but the file has only {len(names)}")
        return column
    try:
        return list(names).index(column)
    except ValueError:
        has = shown(", ".join(names), 300)
        raise UnreadableFileError(f"the format asks for column {column!r}, but the file has {has}") from None


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The file in pieces that end with a line."""
    rest = b""
    while read := file.read(size):
        end = read.rfind(b"\n") + 1
        if not end:
            rest += read
            if len(rest) > _LINE_LIMIT:
                raise UnreadableFileError("the file is not text: it has no line ends")
            continue
        yield rest + read[:end]
        rest = read[end:]
    if rest:
        yield rest


class _CsvReader:
    """Knows the header and the line number from block to block."""

    def __init__(self, wanted: Sequence[Column], delimiter: str, header: bool) -> None:
        self.wanted = wanted
        self.delimiter = delimiter
        self.header = header
        self.started = False
        self.line = 1
        self.width = 0
        self.places: dict[Column, int] = {}

    def read(self, block: bytes) -> Rows | None:
        """The rows of a block; None where it has only blank lines and the header."""
        if self.line == 1:
            block = _without_mark(block)
        ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == _NEWLINE) + 1
        if not len(ends) or ends[-1] != len(block):
            ends = np.append(ends, len(block))
        lines = _Lines(block, np.concatenate(([0], ends[:-1])), ends, self.line)
        self.line += len(ends)
        if not self.started:
            first = lines.first_with_text()
            if first is None:
                return None
            self._start(first, lines)
            if self.header:
                lines = lines.after(first)
        return self._rows(lines) if len(lines) else None

    def _start(self, first: int, lines: _Lines) -> None:
        self.started = True
        if self.header:
            try:
                names = [name.strip() for name in lines.fields(first, self.delimiter)]
            except _MisfitError as error:
                raise UnreadableFileError(f"the header cannot be read: {error.args[1]}") from error
            self.width = len(names)
            self.places = {column: _place(column, names) for column in self.wanted}
            return
        numbers = [int(column) for column in self.wanted]
        # Without a header the widest early line says how wide a line is; trailing fields may be left out.
        self.width = max(int(lines.count(ord(self.delimiter))[:1000].max()) + 1, *(n + 1 for n in numbers))
        self.places = {column: int(column) for column in self.wanted}

    def _rows(self, lines: _Lines) -> Rows | None:
        regular = (lines.count(ord(self.delimiter)) == self.width - 1) & (lines.count(_QUOTE) % 2 == 0)
        regular &= ~lines.blank()
        try:
            columns = self._columns(lines.joined(regular), int(regular.sum()))
        except (pa.ArrowInvalid, _OtherCountError):
            # Something in the block is not as it looks (bytes that are no UTF-8, delimiters in quotes): line by line.
            regular[:] = False
            columns = self._columns(b"", 0)
        parts = [(np.flatnonzero(regular), columns)]
        others = np.flatnonzero(~regular & ~lines.blank())
        misfits: list[dict[str, object]] = []
        if len(others):
            parts.append(self._one_by_one(lines, others, misfits))
        places = np.concatenate([place for place, _ in parts])
        joined = {c: pa.concat_arrays([part[c] for _, part in parts]) for c in self.wanted}
        return Rows(joined, lines.number + places.astype(np.int64), lambda row: lines.text(int(places[row])), misfits)

    def _columns(self, block: bytes, count: int) -> dict[Column, pa.Array]:
        if not count:
            return {column: pa.array([], pa.string()) for column in self.wanted}
        names = [str(place) for place in range(self.width)]
        table = pacsv.read_csv(
            pa.BufferReader(block),
            read_options=pacsv.ReadOptions(column_names=names, use_threads=False, block_size=len(block) + 1),
            parse_options=pacsv.ParseOptions(delimiter=self.delimiter),
            convert_options=pacsv.ConvertOptions(
                column_types={name: pa.string() for name in names},
                include_columns=list(dict.fromkeys(str(place) for place in self.places.values())),
            ),
        )
        if len(table) != count:
            raise _OtherCountError
        return {c: table.column(str(place)).combine_chunks() for c, place in self.places.items()}

    def _one_by_one(
        self, lines: _Lines, others: Ints, misfits: list[dict[str, object]]
    ) -> tuple[Ints, dict[Column, pa.Array]]:
        kept: list[int] = []
        found: dict[Column, list[str | None]] = {column: [] for column in self.wanted}
        for place in others:
            try:
                fields = lines.fields(int(place), self.delimiter)
                if self.header and len(fields) > self.width:
                    raise _MisfitError("too_many_columns", f"{len(fields)} values for {self.width} columns")
            except _MisfitError as error:
                reason, detail = error.args
                number = lines.number + int(place)
                misfits.append(
                    {
                        "position": number,
                        "reason": reason,
                        "detail": f"line {number}: {detail}",
                        "payload": lines.text(int(place)),
                        "event_time": None,
                        "machine_id": None,
                    }
                )
                continue
            kept.append(int(place))
            for column, at in self.places.items():
                found[column].append(fields[at] if at < len(fields) else None)
        return np.array(kept, dtype=np.int64), {c: pa.array(texts, pa.string()) for c, texts in found.items()}


class _MisfitError(Exception):
    """A line that is no row: reason and detail."""


class _OtherCountError(Exception):
    """The parser saw other lines than the newlines say."""


class _Lines:
    """Where the lines of a block begin and end."""

    def __init__(self, block: bytes, starts: Ints, ends: Ints, number: int) -> None:
        self.block = block
        self.starts = starts
        self.ends = ends
        self.number = number
        self._bytes = np.frombuffer(block, dtype=np.uint8)

    def __len__(self) -> int:
        return len(self.starts)

    def count(self, byte: int) -> Ints:
        """How often a byte occurs in each line."""
        places = np.flatnonzero(self._bytes == byte)
        return np.searchsorted(places, self.ends) - np.searchsorted(places, self.starts)

    def blank(self) -> Flags:
        """Lines with nothing but white space."""
        found: Flags = self.ends - self.starts <= 200
        for place in np.flatnonzero(found & (self._bytes[self.starts] <= _SPACE)):
            found[place] = not self.block[self.starts[place] : self.ends[place]].strip()
        return found & (self._bytes[self.starts] <= _SPACE)

    def first_with_text(self) -> int | None:
        blank = self.blank()
        return None if blank.all() else int(np.argmin(blank))

    def after(self, place: int) -> _Lines:
        """The lines behind one."""
        return _Lines(self.block, self.starts[place + 1 :], self.ends[place + 1 :], self.number + place + 1)

    def joined(self, chosen: Flags) -> bytes:
        """The chosen lines as one block."""
        if not chosen.any():
            return b""
        lengths = self.ends - self.starts
        if chosen.all():
            return self.block[self.starts[0] : self.ends[-1]]
        return self._bytes[self.starts[0] : self.ends[-1]][np.repeat(chosen, lengths)].tobytes()

    def text(self, place: int) -> str:
        """A line as it can be stored."""
        raw = self.block[self.starts[place] : self.ends[place]]
        return shown(raw.decode("utf-8", "backslashreplace").rstrip("\r\n"), 2000)

    def fields(self, place: int, delimiter: str) -> list[str]:
        """The values of one line.

        Raises:
            _MisfitError: The line is not UTF-8 or a quote is left open.
        """
        raw = self.block[self.starts[place] : self.ends[place]]
        try:
            text = raw.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise _MisfitError("bad_utf8", f"byte {error.start} is not UTF-8") from error
        if text.count('"') % 2:
            raise _MisfitError("open_quote", "a quote is opened and not closed")
        try:
            return next(csv.reader([text], delimiter=delimiter), [])
        except csv.Error as error:
            raise _MisfitError("bad_csv", shown(str(error))) from error


def _without_mark(block: bytes) -> bytes:
    if block.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFileError("the file is UTF-16; save it as UTF-8")
    return block.removeprefix(b"\xef\xbb\xbf")
