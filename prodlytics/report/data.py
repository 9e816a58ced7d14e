"""What the daily report is made from and what comes out.

Belongs here: the two shapes. Does not belong here: reading the tables (the asset), computing (`figures.py`), words and
pictures (`words.py`, `charts.py`, `daily.py`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pandas as pd

from prodlytics.plant.model import Plant

#: Production days before this one in the trend.
DAYS_BEFORE = 13


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
