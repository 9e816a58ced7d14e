"""What an hour of a machine costs.

Belongs here: rates of a machine on a production day, the price of lost time. Does not belong here: material, which
scrap carries with it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache

import numpy as np
import pandas as pd

from prodlytics.kpi.spans import FloatArray
from prodlytics.plant.model import History, Machine

US_PER_HOUR = 3.6e9
#: Money is rounded to millionths: beyond that there is only the noise of binary fractions.
MONEY_DIGITS = 6


class Rates:
    """Machine and labour rate of one machine, per hour; NaN on days for which none is configured."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._on = lru_cache(maxsize=None)(self._find)

    def machine(self, days: Iterable[dt.date]) -> FloatArray:
        """Machine rate on each production day."""
        return np.array([self._on(day)[0] for day in days], dtype=np.float64)

    def labor(self, days: Iterable[dt.date]) -> FloatArray:
        """Labour rate on each production day."""
        return np.array([self._on(day)[1] for day in days], dtype=np.float64)

    def told(self, day: dt.date) -> str:
        """The settings of the day as text, for a fingerprint."""
        window = self._machine.startup_window_min
        return f"{self._on(day)} {window.on(day) if window is not None else None}"

    def priced(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows of lost time (production_date, loss_us) with what it cost and what of that is not known."""
        hours = rows["loss_us"].to_numpy(dtype=np.float64) / US_PER_HOUR
        machine, labor = self.machine(rows["production_date"]), self.labor(rows["production_date"])
        return rows.assign(
            material_cost=np.full(len(rows), np.nan),
            labor_cost=hours * labor,
            machine_cost=hours * machine,
            no_material_cost=False,
            no_ideal_cycle=False,
            no_labor_rate=np.isnan(labor),
            no_machine_rate=np.isnan(machine),
            flag=rows["flag"] if "flag" in rows else np.full(len(rows), None, dtype=object),
        )

    def _find(self, day: dt.date) -> tuple[float, float]:
        return _rate(self._machine.machine_rate_per_h, day), _rate(self._machine.labor_rate_per_h, day)


def _rate(history: History[Decimal] | None, day: dt.date) -> float:
    rate = history.on(day) if history is not None else None
    return np.nan if rate is None else float(rate)
