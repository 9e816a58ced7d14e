"""The plant settings a run computes with.

Belongs here: one version for all steps of a run. What a version is and why nothing is lost: `db.plant_settings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodlytics.db.plant_settings import Version, notice

if TYPE_CHECKING:
    import dagster as dg
    import psycopg

    from prodlytics.plant.model import Plant

_OF_RUN: dict[str, Version] = {}


def version_of_run(context: dg.AssetExecutionContext, conn: psycopg.Connection[Any], plant: Plant) -> Version:
    """The version of this run's plant file; its first step makes it the one in force and marks what it changes.

    Later steps do not look again: a run that was overtaken by a newer plant file must not bring the old one back. It
    stops where it would compute (`hold`).

    Raises:
        InstallationChangedError: Plant id, time zone or day boundary are not those of the database.
    """
    if context.run.run_id not in _OF_RUN:
        _OF_RUN[context.run.run_id] = notice(conn, plant)
    return _OF_RUN[context.run.run_id]
