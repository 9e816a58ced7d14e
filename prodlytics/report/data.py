"""What the daily report is made from and what comes out.

Belongs here: the two shapes. Does not belong here: reading the tables (the asset), computing (`figures.py`), words and
pictures (`words.py`, `charts.py`, `daily.py`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pandas as pd

from prodlytics.kpi.what_if import Answer, NotEnough
from prodlytics.plant.model import Plant

#: Production days before this one in the trend.
DAYS_BEFORE = 13
#: How much less of the largest cause the report asks about.
LEVER_SHARE = 1 / 3


@dataclass(frozen=True)
class Lever:
    """A question of "what if", and its answer of the whole weeks before.

    Attributes:
        asked: Loss or reason that would be less.
        share: How much less, 0 to 1.
        answer: What came out; one sentence where the question could not be asked.
    """

    asked: str
    share: float
    answer: Answer | NotEnough | str


@dataclass(frozen=True)
class DailyData:
    """Everything the report of one production day needs; frames have the columns of their tables.

    Attributes:
        plant: Names, rates, convention, thresholds.
        production_date: The day reported.
        oee: `oee_hourly` of the day, all machines.
        previous_oee: `oee_hourly` of the `DAYS_BEFORE` production days before.
        ledger: `machine_time` of the day.
        stops: `downtime_events` of the day.
        scrap: `scrap_events` of the day.
        losses: `losses` of the day.
        restatements: Rows of `restatements` made since the report before; those of any day are shown.
        quarantine: Columns dataset, reason, rows: what was quarantined since the report before.
        quality: `data_quality` of the seven production days up to this one.
        delivery: `sensor_delivery` of the day.
        lever: What less of the day's largest cause would bring; None where nothing was lost.
    """

    plant: Plant
    production_date: dt.date
    oee: pd.DataFrame
    previous_oee: pd.DataFrame
    ledger: pd.DataFrame
    stops: pd.DataFrame
    scrap: pd.DataFrame
    losses: pd.DataFrame
    restatements: pd.DataFrame
    quarantine: pd.DataFrame
    quality: pd.DataFrame
    delivery: pd.DataFrame
    lever: Lever | None


@dataclass(frozen=True)
class Report:
    """One finished report.

    Attributes:
        html: A whole page that needs nothing else: charts are in it as data URIs.
        plain_text: The same for readers without HTML.
        summary: The figures, ready for JSON; missing ones are None.
        fingerprint: Hash of figures and words; two reports that say the same have the same.
    """

    html: str
    plain_text: str
    summary: dict[str, object]
    fingerprint: str
