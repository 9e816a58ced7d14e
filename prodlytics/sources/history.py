"""History from spreadsheets: stops, bookings, totals of shifts, scrap, orders and costs of the weeks before.

Belongs here: rows of a sheet as the records that landed files and connections bring too, and storing them by the same
path. Does not belong here: reading cells (`formats.sheet_cells`), what a column is (`formats.sheet_mapping`).

An entry is known by its machine and moment (or shift): a corrected copy of a file takes back what it says differently
and says it anew, the same file once more says nothing new.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from prodlytics.db import locks
from prodlytics.formats.records import Record, records_of
from prodlytics.formats.sheet import Cell, Row, Sheet
from prodlytics.formats.sheet_cells import (
    clock_of,
    day_of,
    duration_of,
    moment_of,
    number_of,
    share_of,
    text_of,
)
from prodlytics.formats.sheet_mapping import SheetMapping, bare, column_of, is_total, names_of
from prodlytics.plant.calendar import REACH, plan_pieces, production_day
from prodlytics.plant.model import LandingFormat
from prodlytics.sources.changed_there import entry_key, entry_versions
from prodlytics.sources.counts import Counts
from prodlytics.sources.landed_records import fields_of, store_records

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Plant

_DATASET = {"work_orders": "work_orders", "part_costs": "part_costs"}
_PREFIX = "history/"
_FIGURES = ("oee", "availability", "performance", "quality")
#: Who said it, where no column says who.
_NOBODY = "spreadsheet"


@dataclass
class Imported:
    """What became of a sheet.

    Attributes:
        rows: Data rows, without blank ones.
        totals: Rows that add up others, left out.
        counts: Records: a row may be several (the pieces of a shift and its OEE).
        rejected: Row number, reason, what to do, and the row's cells as texts.
    """

    rows: int = 0
    totals: int = 0
    counts: Counts = field(default_factory=Counts)
    rejected: list[tuple[int, str, str, list[str]]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "rows": self.rows, "totals_left_out": self.totals, "records": self.counts.rows_in,
            "stored": self.counts.stored, "known_already": self.counts.duplicate, "rejected": len(self.rejected),
            "reasons": dict(Counter(reason for _, reason, _, _ in self.rejected)),
        }  # fmt: skip


def records_of_sheet(sheet: Sheet, mapping: SheetMapping, plant: Plant) -> tuple[list[Record], int]:
    """The records of a sheet, typed and with the number of their row, and how many totals were left out.

    Raises:
        NoTableError: The sheet has not the columns of the mapping.
    """
    header = next((row for row in sheet.rows if row.number == mapping.header_row), Row(mapping.header_row, ()))
    reader = _Reader(mapping, column_of(mapping, header), header, plant)
    below = [row for row in sheet.rows if row.number > mapping.header_row]
    data = [row for row in below if not is_total(row)]
    found = [(row, said) for row in data for said in reader.read(row)]
    form = _form(mapping, plant)
    records = records_of([said for _, said in found], form, fields_of(form.dataset))
    for (row, _), record in zip(found, records, strict=True):
        record.position = row.number
        record.payload = json.dumps([text_of(cell) for cell in row.cells], ensure_ascii=False)
    return records, len(below) - len(data)


def import_sheet(
    conn: psycopg.Connection[Any], plant: Plant, sheet: Sheet, mapping: SheetMapping, name: str, now: dt.datetime,
    *, dry_run: bool = False,
) -> Imported:  # fmt: skip
    """Store a sheet in one transaction: a kill leaves nothing of it, and the next run begins anew.

    Args:
        conn: In autocommit.
        plant: The plant.
        sheet: What to read.
        mapping: How.
        name: The file, as quarantine names it.
        now: Our clock.
        dry_run: Do all of it and keep none of it.

    Raises:
        NoTableError: The sheet has not the columns of the mapping.
    """
    from prodlytics.sources.contradictions import refuse_contradictions

    form = _form(mapping, plant)
    told = Imported()

    def stored() -> tuple[Counts, list[Record]]:
        records, told.totals = records_of_sheet(sheet, mapping, plant)
        told.rows = len({record.position for record in records})

        def amended(checked: list[Record]) -> list[Record]:
            refuse_contradictions(form.dataset, checked)
            if form.dataset != "operator_entries":
                return checked
            return entry_versions(conn, "import", _PREFIX, checked, None, now)

        with conn.transaction(force_rollback=dry_run):
            counts = store_records(conn, plant, form, records, f"{_PREFIX}{name}", f"history {name}", now, amended)
        return counts, records

    told.counts, records = stored() if dry_run else locks.with_patience(conn, stored)
    told.rejected = [
        (record.position, *record.problem, [str(cell or "") for cell in json.loads(record.payload)])
        for record in records if record.problem is not None
    ]  # fmt: skip
    return told


def _form(mapping: SheetMapping, plant: Plant) -> LandingFormat:
    dataset: Any = _DATASET.get(mapping.what, "operator_entries")
    return LandingFormat(name="history", match="", dataset=dataset, timezone=plant.timezone)


class _Reader:
    """Rows of one sheet as rows by our field names."""

    def __init__(self, mapping: SheetMapping, places: Mapping[str, int], header: Row, plant: Plant) -> None:
        self._mapping, self._places, self._plant = mapping, places, plant
        self._percent = {name for name in _FIGURES if "%" in str(mapping.columns.get(name, ""))}
        self._before: dict[str, dt.datetime] = {}
        self._seen: Counter[str] = Counter()
        kinds: dict[str, Callable[[Row], Iterator[Mapping[str, object]]]] = {
            "stops": self._stop, "production": self._booking, "shift_totals": self._totals, "scrap": self._scrap,
            "work_orders": self._order, "part_costs": self._cost,
        }  # fmt: skip
        self.read = kinds[mapping.what]

    @cached_property
    def _names(self) -> dict[str, dict[str, str]]:
        own = {"machines": self._mapping.machines, "reasons": self._mapping.reasons, "shifts": self._mapping.shifts}
        known = names_of(self._plant)
        return {group: known[group] | {bare(name): ours for name, ours in own[group].items()} for group in known}

    # ---- cells ------------------------------------------------------------------------------------------------------
    def _cell(self, row: Row, name: str) -> Cell:
        place = self._places.get(name)
        if place is None:
            return self._mapping.constants.get(name)
        return row.cells[place] if place < len(row.cells) else None

    def _text(self, row: Row, name: str) -> str | None:
        return text_of(self._cell(row, name))

    def _named(self, row: Row, name: str, group: str) -> str | None:
        """A name as we call it; one nobody knows stays as it is, and is refused by name."""
        said = self._text(row, name)
        return said if said is None else self._names[group].get(bare(said), said)

    def _number(self, row: Row, name: str) -> str | None:
        """A number as text; what is none stays as it is, and is refused."""
        cell = self._cell(row, name)
        number = number_of(cell, self._mapping.decimal)
        return text_of(cell) if number is None else str(number)

    def _day(self, row: Row) -> dt.date | None:
        return day_of(self._cell(row, "date"), self._mapping.date_order)

    def _moment(self, row: Row, name: str, day: dt.date | None) -> dt.datetime | None:
        """A wall time from one cell, or from a time of day and the row's day."""
        cell = self._cell(row, name)
        moment = moment_of(cell, self._mapping.date_order)
        if moment is not None and moment.date() > dt.date(1900, 1, 1):
            return moment
        clock = clock_of(cell)
        return None if day is None or clock is None else dt.datetime.combine(day, clock)

    # ---- time -------------------------------------------------------------------------------------------------------
    def _span(self, row: Row, machine: str | None) -> tuple[str | None, str | None]:
        """Start and end as texts: with an offset where they are certain, as they stand where they are not."""
        begins = self._moment(row, "start", self._day(row))
        lasts = duration_of(self._cell(row, "duration"), self._mapping.duration_unit, self._mapping.decimal)
        ends = self._moment(row, "end", begins.date() if begins is not None else self._day(row))
        if begins is None:
            return self._text(row, "start"), self._text(row, "end")
        if ends is not None and ends < begins and moment_of(self._cell(row, "end"), self._mapping.date_order) is None:
            # A time of day before the start is of the next day.
            ends += dt.timedelta(days=1)
        start = self._start(begins, ends, lasts, machine)
        if start is None:
            return begins.isoformat(), None if ends is None else ends.isoformat()
        if machine is not None:
            self._before[machine] = start
        if ends is not None:
            end = self._end(ends, start, lasts)
            return start.isoformat(), ends.isoformat() if end is None else end.isoformat()
        return start.isoformat(), None if lasts is None else (start + lasts).isoformat()

    def _start(
        self, begins: dt.datetime, ends: dt.datetime | None, lasts: dt.timedelta | None, machine: str | None
    ) -> dt.datetime | None:
        """The instant of a wall time; of two the one the row's length or the rows before say, None if nothing does."""
        may = self._instants(begins)
        if len(may) == 2 and ends is not None and lasts is not None:
            may = [one for one in may if any(end - one == lasts for end in self._instants(ends))]
        if len(may) == 2 and machine in self._before:
            may = [one for one in may if one >= self._before[machine or ""]]
        return may[0] if len(may) == 1 else None

    def _end(self, ends: dt.datetime, start: dt.datetime, lasts: dt.timedelta | None) -> dt.datetime | None:
        may = [one for one in self._instants(ends) if one >= start]
        if len(may) == 2 and lasts is not None:
            may = [one for one in may if one - start == lasts]
        return may[0] if len(may) == 1 else None

    def _instants(self, wall: dt.datetime) -> list[dt.datetime]:
        """The instants at which clocks of the plant showed a wall time: none, one or two."""
        both = {wall.replace(tzinfo=self._plant.zone, fold=fold).astimezone(dt.UTC) for fold in (0, 1)}
        return sorted(one for one in both if one.astimezone(self._plant.zone).replace(tzinfo=None) == wall)

    def _shift(self, machine: str | None, day: dt.date | None, shift: str | None) -> tuple[str | None, str | None]:
        """The span of a shift by the calendar, or of the production day where no shift is said."""
        if day is None:
            return None, None
        if shift is None:
            begins, ends = production_day(self._plant, day)
            return begins.isoformat(), ends.isoformat()
        own = next((one for one in self._plant.machines if one.id == machine), None)
        if own is None:
            return None, None
        begins, ends = production_day(self._plant, day)
        pieces = [
            piece for piece in plan_pieces(self._plant, own, begins - REACH, ends + REACH)
            if piece.date == day and piece.shift == shift
        ]  # fmt: skip
        if not pieces:
            return None, None
        epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        edges = (min(piece.begin for piece in pieces), max(piece.end for piece in pieces))
        first, last = (epoch + dt.timedelta(microseconds=edge) for edge in edges)
        return first.isoformat(), last.isoformat()

    # ---- rows -------------------------------------------------------------------------------------------------------
    def _entry(
        self, row: Row, kind: str, where: tuple[object, ...], begins: str | None, ends: str | None, **said: object
    ) -> dict[str, object]:
        """An entry, known by what it is about; several about the same are told apart by their order."""
        key = entry_key(kind, *("" if one is None else one for one in where))
        self._seen[key] += 1
        entered = self._moment(row, "entered_at", self._day(row))
        return {
            "source_key": f"{_PREFIX}{key}/{self._seen[key]}", "kind": kind, "source": "import",
            "starts_at": begins, "ends_at": ends,
            "entered_by": self._text(row, "entered_by") or _NOBODY,
            "entered_at": (ends or begins) if entered is None else entered.isoformat(),
            "note": self._text(row, "note"),
            **said,
        }  # fmt: skip

    def _stop(self, row: Row) -> Iterator[Mapping[str, object]]:
        machine = self._named(row, "machine", "machines")
        begins, ends = self._span(row, machine)
        reason = self._named(row, "reason", "reasons")
        yield self._entry(row, "reason", (machine, begins), begins, ends, machine_id=machine, reason_code=reason)

    def _booking(self, row: Row) -> Iterator[Mapping[str, object]]:
        machine = self._named(row, "machine", "machines")
        begins, ends = self._span(row, machine)
        made = self._made(row)
        yield self._entry(
            row, "production", (machine, begins, made["work_order"], made["part_number"]), begins, ends,
            machine_id=machine, **made,
        )  # fmt: skip

    def _totals(self, row: Row) -> Iterator[Mapping[str, object]]:
        machine, day = self._named(row, "machine", "machines"), self._day(row)
        shift = self._named(row, "shift", "shifts")
        begins, ends = self._shift(machine, day, shift)
        if begins is None:
            # What cannot be placed is refused with what was written: the day, or a shift the calendar does not have.
            begins = self._text(row, "date") if day is None else f"{day} shift {shift}"
        about = (machine, day or self._text(row, "date"), shift)
        made = self._made(row)
        if any(made[name] is not None for name in ("quantity", "reject_quantity", "rework_quantity")):
            where = (*about, made["work_order"], made["part_number"])
            yield self._entry(row, "production", where, begins, ends, machine_id=machine, **made)
        for name in _FIGURES:
            cell = self._cell(row, name)
            if cell is None:
                continue
            share = share_of(cell, self._mapping.decimal, name in self._percent)
            yield self._entry(
                row, "figure", (name, *about), begins, ends, machine_id=machine, measure=name,
                figure=text_of(cell) if share is None else str(share),
            )  # fmt: skip

    def _made(self, row: Row) -> dict[str, object]:
        return {
            "quantity": self._number(row, "good"), "reject_quantity": self._number(row, "reject"),
            "rework_quantity": self._number(row, "rework"), "part_number": self._text(row, "part_number"),
            "work_order": self._text(row, "work_order"),
        }  # fmt: skip

    def _scrap(self, row: Row) -> Iterator[Mapping[str, object]]:
        machine, shift = self._named(row, "machine", "machines"), self._named(row, "shift", "shifts")
        if self._cell(row, "start") is not None:
            begins, ends = self._span(row, machine)
        else:
            day = self._day(row)
            begins, ends = self._shift(machine, day, shift)
            begins = begins or (self._text(row, "date") if day is None else f"{day} shift {shift}")
        reason = self._text(row, "scrap_reason") or self._text(row, "reason")
        part = self._text(row, "part_number")
        yield self._entry(
            row, "scrap", (machine, begins, part, reason), begins, ends, machine_id=machine,
            quantity=self._number(row, "reject"), scrap_reason=reason, part_number=part,
            work_order=self._text(row, "work_order"),
        )  # fmt: skip

    def _order(self, row: Row) -> Iterator[Mapping[str, object]]:
        machine = self._named(row, "machine", "machines")
        begins, ends = self._span(row, machine) if "start" in self._places else (None, None)
        due = day_of(self._cell(row, "due_date"), self._mapping.date_order)
        yield {
            "work_order": self._text(row, "work_order"), "part_number": self._text(row, "part_number"),
            "machine_id": machine, "order_qty": self._number(row, "order_qty"),
            "completed_qty": self._number(row, "completed_qty"), "scrap_qty": self._number(row, "reject"),
            "customer_name": self._text(row, "customer"), "status": self._text(row, "status"),
            "due_date": self._text(row, "due_date") if due is None else due.isoformat(),
            "started_at": begins, "ended_at": ends,
        }  # fmt: skip

    def _cost(self, row: Row) -> Iterator[Mapping[str, object]]:
        day = self._day(row)
        yield {
            "part_number": self._text(row, "part_number"), "currency": self._text(row, "currency"),
            "since": self._text(row, "date") if day is None else day.isoformat(),
            "material_cost_per_unit": self._number(row, "material_cost"),
        }  # fmt: skip
