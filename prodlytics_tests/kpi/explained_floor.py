"""Hours of the floor, explained: from states, plan, counts and reasons written by hand to explanation and text."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pandas as pd

from prodlytics.kpi.explain import Background, explain, gather, stored_rows
from prodlytics.kpi.explained import Explanation
from prodlytics.kpi.machine_time import derive_machine_time
from prodlytics.kpi.oee_hourly import derive_oee_hourly
from prodlytics.plant.model import Plant
from prodlytics.report.explain_text import as_text
from prodlytics_tests.kpi import floor


def explained(
    plant: Plant,
    said: pd.DataFrame,
    plan: pd.DataFrame,
    made: pd.DataFrame,
    *,
    start: dt.datetime = floor.SIX,
    end: dt.datetime | None = None,
    reasons: pd.DataFrame | None = None,
    changed: dict[str, Any] | None = None,
    background: Background | None = None,
) -> list[Explanation]:
    """Explanations of all hours of a window that begins with a production day.

    Args:
        changed: Columns of the stored rows that somebody changed by hand.
    """
    end, machine = end or start + dt.timedelta(days=1), plant.machines[0]
    stops = floor.stops_of(plant, said, plan, reasons)
    ledger = derive_machine_time(plant, machine, plan, said, stops, start, end)
    hours = derive_oee_hourly(plant, machine, ledger, made, start, end, floor.NOW).assign(revision=1)
    hours = hours.assign(**(changed or {}))
    material = gather(
        plant, machine, ledger=ledger, events=made, plan=plan, states=said, stops=stops, start=start, end=end
    )
    return [explain(material, row, background) for row in stored_rows(hours)]


def told(one: Explanation) -> str:
    """The text in lines so long that none is broken, with every run of white space as one blank."""
    return " ".join(as_text(one, width=1000).split())
