"""The production day as a Dagster partition.

Belongs here: the one daily definition all time-partitioned assets share. Does not belong here: `production_date` in
the data, which comes from the calendar (a night shift owns its morning), never from the partition key.
See https://docs.dagster.io/guides/build/partitions-and-backfills/partitioning-assets
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant


class NoSuchDayError(ValueError):
    """The plant has no such production day; the text says which it has."""


def production_days(plant: Plant, *, running: bool = True) -> dg.DailyPartitionsDefinition:
    """Production days in the plant's zone, cut at its fixed boundary.

    Args:
        plant: Zone, boundary and first day come from here.
        running: Whether the day that is not over yet has a key. Archive, report, publish and training take False:
            a day is theirs only when it is closed.
    """
    return dg.DailyPartitionsDefinition(
        start_date=dt.datetime.combine(plant.first_day, dt.time()),
        timezone=plant.timezone,
        hour_offset=plant.day_boundary.hour,
        minute_offset=plant.day_boundary.minute,
        end_offset=1 if running else 0,
    )
