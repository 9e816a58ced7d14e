"""What assets have in common that other systems bring: orders, costs, entries.

Belongs here: asking a connection from a run, and the check that says whether its answers are there in time. Does not
belong here: asking (`prodlytics.sources`), when (`prodlytics.automation`).
"""

from __future__ import annotations

import datetime as dt
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import asset_key, resolved
from prodlytics.assets.resources import Database

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant
    from prodlytics.sources.asking import Answered

#: Datasets other systems bring.
SOURCED = ("work_orders", "part_costs", "ideal_cycles", "operator_entries")


@dataclass(frozen=True)
class Report:
    """What a run that asked a system has to say."""

    answered: Answered

    @property
    def problems(self) -> list[str]:
        """Why something did not come, as sentences."""
        return self.answered.problems

    def numbers(self) -> dict[str, dict[str, int | str]]:
        """Dataset to its numbers for the UI, of those that were read."""
        told: dict[str, dict[str, int | str]] = {}
        for (resource, dataset), counts in self.answered.counts.items():
            one = told.setdefault(dataset, {})
            one[f"{resource}_records"] = counts.rows_in
            one[f"{resource}_stored"] = counts.stored
            one[f"{resource}_quarantined"] = counts.quarantined
        return told


def ask(plant: Plant, database: Database, name: str, now: dt.datetime) -> Report:
    """Ask the connection of this name.

    Raises:
        dg.Failure: The plant file has no such connection.
        DatabaseUnavailable: The database cannot be reached.
    """
    from prodlytics.sources.asking import ask_connection

    connection = next((one for one in plant.connections if one.name == name), None)
    if connection is None:
        known = ", ".join(one.name for one in plant.connections)
        raise dg.Failure(f"There is no connection {name!r} in the plant file: write {known}.", allow_retries=False)
    with database.connect(autocommit=True) as conn:
        return Report(ask_connection(conn, plant, connection, os.environ, now))


def answers(plant: Plant, database: Database, dataset: str) -> Check:
    """Whether the systems that bring a dataset answered when they were last asked, and lately."""
    from prodlytics.sources.asking import late

    with database.connect() as conn:
        found = late(conn, plant, dataset, dt.datetime.now(dt.UTC))
    return Check(
        "sources_answer",
        not found,
        " ".join(f"{one.says}." for one in found) or "Every system that was asked has answered in time.",
        {"sources_late": len(found)},
        # A pass that failed is asked again before anybody has to get up.
        warns=not any(one.for_long for one in found),
    )


def source_checks(plant: Plant) -> list[dg.AssetChecksDefinition]:
    """The check for each dataset other systems bring; none where no system is asked."""
    return [_check(plant, dataset) for dataset in SOURCED] if plant.connections else []


def _check(plant: Plant, dataset: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset_key(plant, dataset),
        name="sources_answer",
        description="Did every system that is asked for this answer when it was last asked, and lately?",
    )
    @resolved
    def sources_answer(database: Database) -> dg.AssetCheckResult:
        return answers(plant, database, dataset).result()

    return sources_answer
