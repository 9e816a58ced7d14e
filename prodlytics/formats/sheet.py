"""Spreadsheets as people keep them, as rows of cells: Excel workbooks and CSV.

Belongs here: bytes to cells, whatever the delimiter or encoding, and cells that were merged. Does not belong here: what
a column means (`sheet_mapping.py`), what a cell says (`sheet_cells.py`). Formulas are never evaluated: a workbook holds
the values Excel computed.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prodlytics.formats.sample import UnreadableFileError

Cell = str | int | float | bool | dt.datetime | dt.date | dt.time | dt.timedelta | None

#: A month of a plant's spreadsheets is a few hundred KB; what unpacks to more is something else.
SIZE_LIMIT = 64 * 2**20
_ZIP = b"PK\x03\x04"
#: How Excel of Western Europe and America saves CSV where it does not save UTF-8.
_OLD_ENCODING = "cp1252"


@dataclass(frozen=True)
class Row:
    """A row with its number as the spreadsheet shows it, from 1."""

    number: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Sheet:
    """One sheet: its name ('' for CSV) and its rows that have a cell with something in it."""

    name: str
    rows: tuple[Row, ...]


def read_sheets(file: Path) -> list[Sheet]:
    """All sheets of a workbook, or the one of a CSV file.

    Raises:
        UnreadableFileError: It is not there, too large, or neither.
    """
    try:
        if file.stat().st_size > SIZE_LIMIT:
            raise UnreadableFileError(f"{file.name} has more than {SIZE_LIMIT // 2**20} MiB: split it.")
        data = file.read_bytes()
    except OSError as error:
        raise UnreadableFileError(f"{file} cannot be read: {error.strerror}.") from error
    if data.startswith(_ZIP):
        return _workbook(data, file.name)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise UnreadableFileError(f"{file.name} is an old Excel workbook (.xls): save it as .xlsx or CSV.")
    return [Sheet("", tuple(_csv(data, file.name)))]


def _workbook(data: bytes, name: str) -> list[Sheet]:
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(part.file_size for part in packed.infolist()) > 8 * SIZE_LIMIT:
                raise UnreadableFileError(f"{name} unpacks to more than {8 * SIZE_LIMIT // 2**20} MiB: split it.")
        book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    except UnreadableFileError:
        raise
    except Exception as error:
        raise UnreadableFileError(f"{name} is not an Excel workbook that can be read: {error}.") from error
    return [Sheet(sheet.title, tuple(_rows(sheet))) for sheet in book.worksheets]


def _rows(sheet: Any) -> list[Row]:
    # A merged cell holds its value once and means it for all of its rows.
    merged: dict[tuple[int, int], Cell] = {}
    for area in sheet.merged_cells.ranges:
        value = sheet.cell(area.min_row, area.min_col).value
        merged |= {(row, area.min_col): value for row in range(area.min_row + 1, area.max_row + 1)}
    found = []
    for number, cells in enumerate(sheet.iter_rows(values_only=True), start=1):
        own = tuple(merged.get((number, place), cell) for place, cell in enumerate(cells, start=1))
        if any(cell not in (None, "") for cell in cells):
            found.append(Row(number, own))
    return found


def _csv(data: bytes, name: str) -> list[Row]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode(_OLD_ENCODING, "replace")
    if "\x00" in text or not text.strip():
        raise UnreadableFileError(f"{name} is {'empty' if not text.strip() else 'no text'}: give an .xlsx or CSV file.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        return [
            Row(reader.line_num, tuple(cell.strip() or None for cell in cells))
            for cells in reader
            if any(cell.strip() for cell in cells)
        ]
    except csv.Error as error:
        raise UnreadableFileError(f"{name} is no CSV from line {reader.line_num} on: {error}.") from error


def _delimiter(text: str) -> str:
    """The one that splits most of the first lines into the same, largest number of cells; titles stand above."""
    lines = [line for line in text.splitlines() if line.strip()][:50]

    def regular(delimiter: str) -> int:
        widths = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        return max(widths.count(width) * (width - 1) for width in widths)

    return max((",", ";", "\t", "|"), key=regular)
