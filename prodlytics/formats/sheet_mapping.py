"""Which column of a spreadsheet is what: as somebody wrote it down, or as it looks.

Belongs here: the mapping, and proposing one from headers and values. What the values do not decide is a question, never
a guess: 03/04 is two days. Does not belong here: storing (`prodlytics.sources.history`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from prodlytics.formats.sheet import Cell, Row, Sheet
from prodlytics.formats.sheet_cells import DateOrder, DecimalMark, DurationUnit, text_of
from prodlytics.plant.model import Plant
from prodlytics.plant.values import Strict

What = Literal["stops", "production", "shift_totals", "scrap", "work_orders", "part_costs"]
KINDS: tuple[What, ...] = ("stops", "production", "shift_totals", "scrap", "work_orders", "part_costs")

#: What must be there for each kind: one of each group.
NEEDED: Mapping[What, tuple[tuple[str, ...], ...]] = {
    "stops": (("machine",), ("start",), ("end", "duration"), ("reason",)),
    "production": (("machine",), ("start",), ("end", "duration"), ("good", "reject")),
    "shift_totals": (("machine",), ("date",), ("shift",), ("good", "reject", "oee", "availability", "performance")),
    "scrap": (("machine",), ("date", "start"), ("reject",)),
    "work_orders": (("work_order",), ("status",)),
    "part_costs": (("part_number",), ("material_cost",), ("date",)),
}
#: Headers as they are met, bare of everything but letters and digits.
_HEADERS: Mapping[str, str] = {
    "machine": "machine machineid machinename asset equipment press workcenter workcentre resource station",
    "date": "date day productiondate shiftdate validfrom since effectivedate datum",
    "start": "start starttime from begin began stopstart downtimestart startedat timedown starts startsat",
    "end": "end endtime to until finish stopend downtimeend endedat timeup ends endsat",
    "duration": "duration minutes min mins downtime downtimemin durationmin downtimeminutes hours lost stoptime",
    "shift": "shift shiftname crew schicht",
    "reason": "reason reasoncode cause downtimereason stopreason code category grund",
    "note": "note notes comment comments remark remarks description details bemerkung",
    "part_number": "part partnumber partno item itemno product sku material article",
    "work_order": "workorder order orderno job jobno jobnumber wo ordernumber auftrag",
    "good": "good goodparts goodcount goodqty ok quantity qty produced pieces parts output goodpieces gut",
    "reject": "reject rejects rejected scrap scrapqty scrapped bad defects defective nok rejectcount ausschuss",
    "rework": "rework reworked reworkqty",
    "scrap_reason": "scrapreason defect defecttype rejectreason failuremode scrapcode",
    "entered_by": "operator enteredby employee name badge worker user recordedby",
    "oee": "oee oeepct",
    "availability": "availability avail",
    "performance": "performance perf",
    "quality": "quality fpy",
    "order_qty": "orderqty orderquantity ordered plannedqty planned",
    "completed_qty": "completed completedqty finished",
    "due_date": "duedate due promised",
    "status": "status state orderstatus",
    "customer": "customer customername client",
    "material_cost": "materialcost unitcost cost price costperunit materialcostperunit",
    "currency": "currency",
}
_KNOWN = {word: field for field, words in _HEADERS.items() for word in words.split()}
_DATES = ("date", "start", "end", "due_date")
_NUMBERS = ("duration", "good", "reject", "rework", "oee", "availability", "performance", "quality", "order_qty",
            "completed_qty", "material_cost")  # fmt: skip
_TOTALS = re.compile(r"^(grand |sub)?(total|sum|average|avg|mean)\b|^(summe|gesamt)\b", re.IGNORECASE)
#: Rows in which the header is looked for: titles and logos stand above it.
_ABOVE = 40


class SheetMapping(Strict):
    """How one kind of spreadsheet is read; written once, used for every file of that kind."""

    what: What
    sheet: str | None = None
    "Name of the sheet; None for the first, and for CSV."
    header_row: Annotated[int, Field(ge=1)]
    "Number of the row with the column names, as the spreadsheet shows it."
    columns: dict[str, str]
    "Our field to the header of its column."
    constants: dict[str, str] = Field(default_factory=dict)
    "Our field to what no column says, e.g. `machine` where a file is of one machine."
    date_order: DateOrder | None = None
    decimal: DecimalMark = "."
    duration_unit: DurationUnit = "min"
    machines: dict[str, str] = Field(default_factory=dict)
    "Their machine to ours."
    reasons: dict[str, str] = Field(default_factory=dict)
    "Their reason to a code of the plant file."
    shifts: dict[str, str] = Field(default_factory=dict)
    "Their shift to ours."


@dataclass(frozen=True)
class Question:
    """What only a person can decide: a field of the mapping, or a name (`machines`, `reasons`, `shifts`)."""

    field: str
    asks: str
    choices: tuple[str, ...]
    name: str | None = None
    "Their name, where it is one that means one of the choices."
    likely: str | None = None


@dataclass(frozen=True)
class Proposal:
    """A mapping as it looks, and what has to be asked before it may be used."""

    mapping: SheetMapping
    questions: tuple[Question, ...]
    missing: tuple[str, ...]
    "What no column seems to say, as sentences."


class NoTableError(ValueError):
    """No row of the sheet looks like the header of a table; the text says what to write."""


def bare(text: object) -> str:
    """A name bare of case, blanks, marks and leading zeros: `PRESS-01` and `Press 1` are one."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[^a-z0-9äöüß]", "", str(text).lower()))


def propose(sheets: Sequence[Sheet], plant: Plant, what: What | None = None, sheet: str | None = None) -> Proposal:
    """The mapping a file seems to have.

    Args:
        sheets: All sheets of the file.
        plant: Its machines, shifts and reasons.
        what: What the rows are, where somebody says it.
        sheet: Which sheet; without it the one whose header is known best.

    Raises:
        NoTableError: There is nothing that looks like a table.
    """
    header, chosen = _header(sheets, sheet)
    columns: dict[str, str] = {}
    for cell in header.cells:
        field = _KNOWN.get(re.sub(r"[^a-z]", "", str(cell or "").lower()))
        if field is not None and field not in columns:
            columns[field] = str(cell).strip()
    kind = what or _kind(columns)
    rows = data_rows(chosen, header.number)
    asked: list[Question] = []
    order = _date_order(_values(rows, header, columns, _DATES), asked)
    decimal = _decimal(_values(rows, header, columns, _NUMBERS), asked)
    mapping = SheetMapping(
        what=kind, sheet=chosen.name or None, header_row=header.number, columns=columns, date_order=order,
        decimal=decimal, duration_unit=_unit(columns.get("duration")),
    )  # fmt: skip
    asked += _names(rows, header, columns, plant)
    missing = [" or ".join(group) for group in NEEDED[kind] if not set(group) & set(columns)]
    return Proposal(mapping, tuple(asked), tuple(missing))


def data_rows(sheet: Sheet, header_row: int) -> list[Row]:
    """The rows below the header, without those that add up the others."""
    return [row for row in sheet.rows if row.number > header_row and not is_total(row)]


def is_total(row: Row) -> bool:
    """Whether a row adds up others: its first text says so."""
    first = next((cell for cell in row.cells if cell is not None), None)
    return isinstance(first, str) and _TOTALS.match(first.strip()) is not None


def column_of(mapping: SheetMapping, header: Row) -> dict[str, int]:
    """Our field to the place of its column.

    Raises:
        NoTableError: A column of the mapping is not in the header.
    """
    places = {str(cell).strip(): place for place, cell in reversed(list(enumerate(header.cells))) if cell is not None}
    for field, name in mapping.columns.items():
        if name not in places:
            raise NoTableError(
                f"Row {header.number} has no column {name!r} (for {field}); it has {', '.join(places)}: correct the "
                "mapping, or its header_row."
            )
    return {field: places[name] for field, name in mapping.columns.items()}


def names_of(plant: Plant) -> dict[str, dict[str, str]]:
    """What a name means without asking: machines, reasons and shifts by their bare names and codes."""
    machines = {bare(one): m.id for m in plant.machines for one in (*m.aliases, m.name, m.id)}
    reasons = {bare(one): r.code for c in plant.reasons for r in c.reasons for one in (r.name, r.code)}
    reasons = {bare(one): c.code for c in plant.reasons for one in (c.name, c.code)} | reasons
    shifts = {bare(s.name): s.name for plan in plant.shift_plans for s in plan.shifts}
    return {"machines": machines, "reasons": reasons, "shifts": shifts}


def _header(sheets: Sequence[Sheet], wanted: str | None) -> tuple[Row, Sheet]:
    best: tuple[int, Row, Sheet] | None = None
    for sheet in sheets:
        if wanted is not None and sheet.name != wanted:
            continue
        for row in sheet.rows[:_ABOVE]:
            fields = {_KNOWN.get(re.sub(r"[^a-z]", "", str(cell or "").lower())) for cell in row.cells} - {None}
            if len(fields) >= 2 and (best is None or len(fields) > best[0]):
                best = (len(fields), row, sheet)
    if best is None:
        names = ", ".join(repr(sheet.name) for sheet in sheets if sheet.name)
        where = f" in {names}" if names else ""
        raise NoTableError(f"No row{where} looks like column names: write a mapping (docs/history.md).")
    return best[1], best[2]


def _kind(columns: Mapping[str, str]) -> What:
    fits: list[tuple[int, What]] = []
    for kind in KINDS:
        groups = NEEDED[kind]
        met = sum(bool(set(group) & set(columns)) for group in groups)
        fits.append((met * 10 - len(groups) * 5, kind))
    return max(fits, key=lambda one: one[0])[1]


def _values(rows: Iterable[Row], header: Row, columns: Mapping[str, str], fields: Iterable[str]) -> list[str]:
    names = {columns[field] for field in fields if field in columns}
    places = [place for place, cell in enumerate(header.cells) if cell is not None and str(cell).strip() in names]
    return [
        cell.strip() for row in rows for place in places
        if place < len(row.cells) and isinstance(cell := row.cells[place], str) and cell.strip()
    ]  # fmt: skip


def _date_order(values: Iterable[str], asked: list[Question]) -> DateOrder | None:
    pairs = [
        (int(match[1]), int(match[2])) for value in values
        if (match := re.match(r"(\d{1,2})[./-](\d{1,2})[./-]\d{2,4}", value))
    ]  # fmt: skip
    if not pairs:
        return None
    day_first, month_first = any(a > 12 for a, _ in pairs), any(b > 12 for _, b in pairs)
    if day_first != month_first:
        return "dmy" if day_first else "mdy"
    a, b = pairs[0]
    how = "Some dates have the day first and some the month" if day_first else "The dates could be read both ways"
    asked.append(Question("date_order", f"{how}: what is {a:02}/{b:02}?", ("dmy", "mdy")))
    return None


def _decimal(values: Iterable[str], asked: list[Question]) -> DecimalMark:
    marked = [
        value for value in values if re.fullmatch(r"[-+]?[\d.,\s\u00a0]+%?\s*", value) and re.search("[.,]", value)
    ]
    commas = [v for v in marked if re.search(r",\d+\s*%?$", v) and not re.search(r",\d{3}\s*%?$", v)]
    points = [v for v in marked if re.search(r"\.\d+\s*%?$", v) and not re.search(r"\.\d{3}\s*%?$", v)]
    if commas and not points:
        return ","
    unclear = [v for v in marked if re.fullmatch(r"\d{1,3},\d{3}", v)]
    if unclear and not points:
        example = unclear[0]
        asks = f"Is {example} {example.replace(',', '')} or {example.replace(',', '.')}? The mark of decimals is"
        asked.append(Question("decimal", asks, (".", ",")))
    return "."


def _unit(header: str | None) -> DurationUnit:
    words = set(re.findall(r"[a-z]+", (header or "").lower()))
    if words & {"h", "hr", "hrs", "hours"}:
        return "h"
    return "s" if words & {"s", "sec", "seconds"} else "min"


def _names(rows: Sequence[Row], header: Row, columns: Mapping[str, str], plant: Plant) -> list[Question]:
    """Names that mean nothing known, with the one they look like most."""
    known = names_of(plant)
    asked = []
    for field, group in (("machine", "machines"), ("reason", "reasons"), ("shift", "shifts")):
        names = known[group]
        said = [text for value in _cells(rows, header, columns, field) if (text := text_of(value)) is not None]
        choices = tuple(dict.fromkeys(names.values()))
        for name in dict.fromkeys(said):
            if bare(name) in names:
                continue
            close = difflib.get_close_matches(bare(name), list(names), n=1, cutoff=0.6)
            likely = names[close[0]] if close else None
            asked.append(Question(group, f"Which {field} is {name!r}?", choices, name, likely))
    return asked


def _cells(rows: Iterable[Row], header: Row, columns: Mapping[str, str], field: str) -> list[Cell]:
    name = columns.get(field)
    places = [place for place, cell in enumerate(header.cells) if cell is not None and str(cell).strip() == name]
    return [row.cells[places[0]] for row in rows if places and places[0] < len(row.cells)]
