"""`prodlytics import-history`: the conversation about a spreadsheet, and its report.

Belongs here: showing what was understood, asking what only a person knows, files of mappings and of rejected rows. Does
not belong here: understanding and storing (`formats.sheet_mapping`, `sources.history`).
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prodlytics.formats.mapping_file import MappingFileError, read_mapping
from prodlytics.formats.sample import UnreadableFileError
from prodlytics.formats.sheet import Sheet, read_sheets
from prodlytics.formats.sheet_mapping import KINDS, NoTableError, Proposal, SheetMapping, What, propose

if TYPE_CHECKING:
    from prodlytics.formats.records import Record
    from prodlytics.plant.model import Plant
    from prodlytics.sources.history import Imported

#: Rows that are shown before anything is stored.
SHOWN = 10
#: A spreadsheet takes a cell that begins like this for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ImportRefusedError(ValueError):
    """The file cannot be imported as it was asked; one sentence that says what to write."""


def load_mapping(file: Path) -> SheetMapping:
    """A mapping somebody wrote or saved.

    Raises:
        ImportRefusedError: It is not there, or says something that is no mapping.
    """
    try:
        return read_mapping(file.read_bytes(), SheetMapping, file)
    except OSError as error:
        raise ImportRefusedError(f"The mapping {file} cannot be read: {error.strerror}.") from error
    except MappingFileError as error:
        raise ImportRefusedError(str(error)) from error


def save_mapping(mapping: SheetMapping, file: Path) -> None:
    """Write a mapping for the next file of the same kind."""
    from ruamel.yaml import YAML

    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(mapping.model_dump(mode="json", exclude_defaults=True), text)
    file.write_text(text.getvalue(), encoding="utf-8")


def agreed(
    sheets: list[Sheet], plant: Plant, what: What | None, sheet: str | None,
    ask: Callable[[str, str | None], str] | None,
) -> SheetMapping:  # fmt: skip
    """The mapping a file seems to have, completed by a person's answers.

    Args:
        sheets: The file.
        plant: The plant.
        what: What its rows are, where it was said.
        sheet: Which sheet, where it was said.
        ask: Asks a person: question and likely answer to answer; None where there is nobody.

    Raises:
        ImportRefusedError: Something is missing, or there is nobody to ask.
        NoTableError: There is nothing that looks like a table.
    """
    proposal = propose(sheets, plant, what, sheet)
    mapping = proposal.mapping
    if proposal.missing:
        raise ImportRefusedError(
            f"It looks like {mapping.what}, but no column says {', '.join(proposal.missing)}: write --what with one of "
            "the others, or a mapping (docs/history.md)."
        )
    open_questions = [one for one in proposal.questions if one.name is None]
    if ask is None and open_questions:
        raise ImportRefusedError(
            f"{open_questions[0].asks} Say so in a mapping (--mapping): {open_questions[0].field}."
        )
    if ask is not None:
        mapping = _answered(proposal, ask)
    return mapping


def _answered(proposal: Proposal, ask: Callable[[str, str | None], str]) -> SheetMapping:
    said: dict[str, Any] = proposal.mapping.model_dump()
    for question in proposal.questions:
        choices = ", ".join(question.choices[:12]) + (" ..." if len(question.choices) > 12 else "")
        left_out = "" if question.name is None else "; empty: leave its rows out"
        while True:
            answer = ask(f"{question.asks} ({choices}{left_out})", question.likely).strip()
            if answer in question.choices or (not answer and question.name is not None):
                break
        if question.name is None:
            said[question.field] = answer
        elif answer:
            said[question.field][question.name] = answer
    return SheetMapping.model_validate(said)


def open_sheet(file: Path, sheets: list[Sheet], mapping: SheetMapping) -> Sheet:
    """The sheet a mapping is for.

    Raises:
        ImportRefusedError: The file has no such sheet.
    """
    for sheet in sheets:
        if mapping.sheet is None or sheet.name == mapping.sheet or not sheet.name:
            return sheet
    names = ", ".join(sheet.name for sheet in sheets)
    raise ImportRefusedError(f"{file.name} has no sheet {mapping.sheet!r}; it has {names}.")


def preview(mapping: SheetMapping, records: list[Record]) -> str:
    """What was understood: the columns, and the first rows as they would be stored."""
    lines = [f"Rows are {mapping.what}; column names in row {mapping.header_row}."]
    lines += [f"  {field:14} = {name}" for field, name in mapping.columns.items()]
    for record in records[:SHOWN]:
        if record.problem is not None:
            lines.append(f"  row {record.position}: rejected, {record.problem[1]}")
            continue
        shown = {
            name: value.isoformat(timespec="seconds") if isinstance(value, dt.datetime) else value
            for name, value in record.values.items()
            if value is not None and name not in ("source_key", "source", "entered_at")
        }
        lines.append(f"  row {record.position}: " + ", ".join(f"{name} {value}" for name, value in shown.items()))
    return "\n".join(lines)


def as_text(told: Imported, dry_run: bool) -> str:
    """The report for people."""
    counts = told.counts
    lines = [
        f"{told.rows} rows ({told.totals} totals left out) are {counts.rows_in} records: {counts.stored} stored, "
        f"{counts.duplicate} known already, {len(told.rejected)} rejected."
    ]
    reasons: dict[str, list[tuple[int, str]]] = {}
    for number, reason, detail, _ in told.rejected:
        reasons.setdefault(reason, []).append((number, detail))
    for reason, rows in sorted(reasons.items(), key=lambda item: -len(item[1])):
        lines.append(f"  {len(rows)} {reason}, first in row {rows[0][0]}: {rows[0][1]}")
    if dry_run:
        lines.append("Nothing was kept: this was a dry run.")
    return "\n".join(lines)


def rejected_csv(told: Imported) -> str:
    """The rejected rows with their reasons, for a spreadsheet: nothing in it is a formula."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["row", "reason", "what to do", "cells as they were"])
    for number, reason, detail, cells in told.rejected:
        writer.writerow([number, reason, *(_harmless(cell) for cell in (detail, *cells))])
    return text.getvalue()


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


@dataclass(frozen=True)
class Asked:
    """What somebody wrote on the command line."""

    file: Path
    what: str | None
    sheet: str | None
    mapping: Path | None
    save_mapping: Path | None
    rejected: Path | None
    dry_run: bool
    yes: bool
    quiet: bool
    "Nothing but the report, as one object."


def run(
    asked: Asked, has_person: bool, prompt: Callable[..., str], say: Callable[[str], None]
) -> dict[str, Any]:  # fmt: skip
    """Import a file as asked and say what became of it; the report as plain values.

    Args:
        asked: The command line.
        has_person: Whether somebody can answer.
        prompt: Asks (`typer.prompt`).
        say: Tells (`typer.echo`).

    Raises:
        ImportRefusedError: It was asked wrongly, or nobody agreed.
        NoTableError: The file has no table.
        UnreadableFileError: The file cannot be read.
        DatabaseUnavailable: The database cannot be reached.
    """
    from prodlytics.db.connect import connect
    from prodlytics.db.url import database_url
    from prodlytics.plant.load import load_plant
    from prodlytics.settings import Settings
    from prodlytics.sources.history import import_sheet, records_of_sheet

    settings = Settings()
    plant = load_plant(settings.plant)
    sheets = read_sheets(asked.file)
    kind = _what(asked.what)
    if asked.mapping is None:

        def ask(question: str, likely: str | None) -> str:
            return prompt(question, default=likely or "", show_default=bool(likely))

        mapping = agreed(sheets, plant, kind, asked.sheet, ask if has_person and not asked.yes else None)
    else:
        mapping = load_mapping(asked.mapping)
    sheet = open_sheet(asked.file, sheets, mapping)
    if not asked.quiet:
        say(preview(mapping, records_of_sheet(sheet, mapping, plant)[0]))
    if asked.mapping is None and not asked.yes and not asked.dry_run:
        if not has_person:
            raise ImportRefusedError("Nobody can be asked whether this is right: write --yes, --dry-run or --mapping.")
        if prompt("Import it? (yes, no)", default="no").strip().lower() not in ("y", "yes"):
            raise ImportRefusedError("Nothing was imported.")
    if asked.save_mapping is not None:
        save_mapping(mapping, asked.save_mapping)
    with connect(database_url(settings), autocommit=True) as conn:
        told = import_sheet(
            conn, plant, sheet, mapping, asked.file.name, dt.datetime.now(dt.UTC), dry_run=asked.dry_run
        )
    if asked.rejected is not None:
        asked.rejected.write_text(rejected_csv(told), encoding="utf-8-sig")
    if not asked.quiet:
        say(as_text(told, asked.dry_run))
    return {**told.as_dict(), "dry_run": asked.dry_run}


def exit_code(error: Exception) -> int | None:
    """2 where the file or the question is wrong; None for what is no error of an import."""
    return 2 if isinstance(error, ImportRefusedError | NoTableError | UnreadableFileError) else None


def _what(said: str | None) -> What | None:
    found = next((kind for kind in KINDS if kind == said), None)
    if said is not None and found is None:
        raise ImportRefusedError(f"--what {said} is none of {', '.join(KINDS)}.")
    return found
