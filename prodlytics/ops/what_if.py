"""From "a third less of this" to its answer: which loss and machines are meant, reading their weeks.

Belongs here: what people wrote to a loss or reason, the reads, one clear sentence where the question makes no sense.
Does not belong here: the arithmetic (`kpi.what_if`), how the answer is said (`report.what_if_text`).
"""

from __future__ import annotations

import datetime as dt
import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prodlytics.datasets.fields import LOSSES
from prodlytics.db.frames import read
from prodlytics.db.queries import sql
from prodlytics.plant.calendar import production_date_of

if TYPE_CHECKING:
    import pandas as pd
    import psycopg

    from prodlytics.kpi.what_if import Answer, NotEnough
    from prodlytics.plant.model import Plant

WEEK = dt.timedelta(days=7)
#: Name, the loss if a whole one is meant, else the reason codes.
Meaning = tuple[str, str | None, tuple[str, ...]]


class NoSuchQuestionError(ValueError):
    """The loss, machine or line asked about does not exist; the text is one sentence."""


class NothingToAskError(ValueError):
    """There is nothing in the tables yet; the text is one sentence that says what to do."""


@dataclass(frozen=True)
class Question:
    """What was asked.

    Attributes:
        asked: The loss, reason or reason category as it is called in the tables.
        loss: The loss, if a whole one was meant.
        reasons: Reason codes that are meant; empty for a whole loss.
        machines: Ids of the machines it is about.
        scope: What the OEE is of: a machine's id, a line's, or the plant's.
        line: The line, if one was asked about.
        share: How much less, 0 to 1.
    """

    asked: str
    loss: str | None
    reasons: tuple[str, ...]
    machines: tuple[str, ...]
    scope: str
    line: str | None
    share: float


def ask(
    conn: psycopg.Connection[Any],
    plant: Plant,
    asked: str,
    share: float,
    *,
    machine: str | None = None,
    line: str | None = None,
    weeks: int = 8,
    until: dt.date | None = None,
) -> tuple[Question, Answer | NotEnough]:
    """Answer what was asked on the command line.

    Args:
        conn: An open connection.
        plant: The plant.
        asked: A loss (`micro_stop`), a reason or category of the plant file (code or name), or a scrap reason.
        share: How much less, 0 to 1.
        machine: Only this machine.
        line: Only this line.
        weeks: How many whole weeks to look back at most.
        until: Only weeks that were over when this production day was; without it all that are over now.

    Raises:
        NoSuchQuestionError: There is no such loss, machine or line.
        NothingToAskError: Nothing has been computed yet.
    """
    from psycopg.errors import UndefinedTable

    from prodlytics.kpi.what_if import what_if

    try:
        question = find_question(plant, _known(conn), asked, share, machine=machine, line=line)
        mondays = _mondays(conn, plant, weeks, until)
    except UndefinedTable as error:
        raise NothingToAskError("The database is not at this version yet: run prodlytics migrate.") from error
    span = {
        "first": mondays[0] if mondays else plant.first_day,
        "last": mondays[-1] + WEEK if mondays else plant.first_day,
        "machines": list(question.machines),
    }
    elements = read(conn, sql("select_elements_of_weeks"), {**span, "line": question.line})
    if len({*elements["convention"], *elements["last_convention"]}) > 1:
        raise NothingToAskError(
            "These weeks were computed under different OEE conventions: compute them again with prodlytics backfill."
        )
    lost = read(conn, sql("select_losses_of_weeks"), span)
    return question, what_if(_measured(plant, question, elements), _meant(question, lost), mondays, share)


def find_question(
    plant: Plant,
    known: list[tuple[str, str]],
    asked: str,
    share: float,
    *,
    machine: str | None = None,
    line: str | None = None,
) -> Question:
    """What is meant by what was written.

    Args:
        plant: Machines, lines, reasons.
        known: Losses and reason codes that have occurred.
        asked: As written, in whatever case.
        share: How much less, 0 to 1.
        machine: As written, in whatever case.
        line: As written, in whatever case.

    Raises:
        NoSuchQuestionError: There is no such loss, machine or line, or the loss is none that can be less.
    """
    if machine is not None and line is not None:
        raise NoSuchQuestionError("A machine and a line cannot be asked about at once: leave one of them out.")
    machines, scope = tuple(one.id for one in plant.machines), plant.plant
    if machine is not None:
        scope = _one_of(machine, {one.id: one.id for one in plant.machines}, "machine")
        machines = (scope,)
    if line is not None:
        scope = _one_of(line, {one.line: one.line for one in plant.machines}, "line")
        machines = tuple(one.id for one in plant.machines if one.line == scope)
    name, loss, reasons = _find_loss(plant, known, asked)
    return Question(name, loss, reasons, machines, scope, scope if line is not None else None, share)


def _find_loss(plant: Plant, known: list[tuple[str, str]], asked: str) -> Meaning:
    """The name of what is meant, and the loss or the reasons."""
    meanings = _meanings(plant, known)
    found = meanings.get(asked.strip().casefold())
    if found is None:
        often = list(dict.fromkeys(reason or loss for loss, reason in known))[:8] or list(LOSSES[:6])
        names = {name: name for name, _, _ in meanings.values()}
        raise NoSuchQuestionError(f"There is no loss or reason {asked!r}: {_hint(asked, names, often)}")
    if found[1] == "no_ideal_cycle":
        raise NoSuchQuestionError(
            "no_ideal_cycle is running time that cannot be judged, not a loss that can be less: write the ideal cycle "
            "of these parts in the plant file."
        )
    return found


def _meanings(plant: Plant, known: list[tuple[str, str]]) -> dict[str, Meaning]:
    """Everything that can be written, without case. A code always means itself; names come last."""
    meant: dict[str, Meaning] = {loss: (loss, loss, ()) for loss in LOSSES}
    for category in plant.reasons:
        codes = [reason.code for reason in category.reasons]
        meant.setdefault(category.code.casefold(), (category.code, None, (category.code, *codes)))
    of_reasons = [reason for category in plant.reasons for reason in category.reasons]
    single = [reason.code for reason in of_reasons]
    single += [kind.code for kind in plant.scrap_categories] + [code for _, code in known if code]
    for code in single:
        meant.setdefault(code.casefold(), (code, None, (code,)))
    names = [(category.name, category.code) for category in plant.reasons]
    for name, code in [*names, *((reason.name, reason.code) for reason in of_reasons)]:
        meant.setdefault(name.casefold(), meant[code.casefold()])
    return meant


def _one_of(written: str, known: dict[str, str], kind: str) -> str:
    found = {name.casefold(): name for name in known}.get(written.strip().casefold())
    if found is None:
        raise NoSuchQuestionError(f"There is no {kind} {written!r}: {_hint(written, known, list(known))}")
    return found


def _hint(written: str, known: dict[str, str], some: list[str]) -> str:
    close = difflib.get_close_matches(written, list(known), n=1)
    return f"did you mean {close[0]}?" if close else f"there are {', '.join(some[:20])}."


def _known(conn: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    return [(str(loss), str(reason)) for loss, reason in conn.execute(sql("select_known_losses")).fetchall()]


def _mondays(conn: psycopg.Connection[Any], plant: Plant, weeks: int, until: dt.date | None) -> list[dt.date]:
    """The newest whole weeks, oldest first: the running day and what was never computed is in none."""
    row = conn.execute("SELECT max(as_of) FROM oee_shift").fetchone()
    if row is None or row[0] is None:
        raise NothingToAskError("Nothing has been computed yet: run prodlytics backfill for some weeks first.")
    running = production_date_of(plant, row[0])
    if until is not None:
        running = min(running, until + dt.timedelta(days=1))
    found = conn.execute(sql("select_whole_weeks"), {"running": running, "weeks": weeks}).fetchall()
    return sorted(monday for (monday,) in found)


def _measured(plant: Plant, question: Question, elements: pd.DataFrame) -> pd.DataFrame:
    """Elements with `in_oee`: of a line measured by one machine only that one makes its OEE."""
    from prodlytics.kpi.line_basis import SUM

    if question.line is None:
        return elements.assign(in_oee=True)
    basis = elements["basis"].fillna(SUM)
    return elements.assign(in_oee=((basis == SUM) | (basis == elements["machine_id"])).astype(bool))


def _meant(question: Question, lost: pd.DataFrame) -> pd.DataFrame:
    if question.loss is not None:
        return lost[lost["loss"] == question.loss].reset_index(drop=True)
    return lost[lost["reason_code"].isin(question.reasons)].reset_index(drop=True)
