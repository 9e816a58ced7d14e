"""yield_forecasts: what is expected of the next seven days, made at the end of each.

Belongs here: reading counts, writing forecasts, judging the ones that came true. The forecasts are
`prodlytics.insights.forecasts`.

A forecast is made once, with what was known: late data restates the counts and not what was expected of them. Computing
a day again makes its forecasts anew from the counts of now.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.checks import Check
from prodlytics.assets.declare import DAILY, dataset_asset
from prodlytics.assets.derive import Derivation, rederive
from prodlytics.assets.resources import Database
from prodlytics.assets.window import Window, day_edges

if TYPE_CHECKING:
    import psycopg

    from prodlytics.insights.forecasts.rows import Judged
    from prodlytics.plant.model import Plant

#: Forecasts of so many days are judged.
JUDGED_DAYS = 28
#: An interval of 80 % that holds much less of what comes is too narrow.
LEAST_COVERAGE = 0.7


def yield_forecasts(plant: Plant) -> dg.AssetsDefinition:
    """The asset for this plant."""

    @dataset_asset(
        plant,
        "yield_forecasts",
        deps=["kpi_rollup"],
        checks={
            "forecasts_came_true": "Were the forecasts of the last four weeks no worse than the 28-day mean?",
            "intervals_hold": "Did the 80 % intervals of the last four weeks hold at least 70 % of what came?",
        },
        running_day=False,
        freshness=DAILY,
    )
    def asset(context: dg.AssetExecutionContext, database: Database) -> dg.MaterializeResult[Any]:
        return rederive(context, plant, database, "yield_forecasts", _compute)

    return asset


def _compute(conn: psycopg.Connection, plant: Plant, window: Window) -> Derivation:
    import pandas as pd

    from prodlytics.db.frames import read
    from prodlytics.db.queries import sql
    from prodlytics.insights.forecasts.rows import HISTORY_DAYS, forecast_rows, judged
    from prodlytics.plant.calendar import production_date_of

    days = [
        (production_date_of(plant, start), end) for start, end in pairwise(day_edges(plant, window.start, window.end))
    ]
    last = days[-1][0]
    counts = read(conn, sql("select_daily_yield"), {"last": last, "days": HISTORY_DAYS + len(days)})
    rows = pd.concat([forecast_rows(counts, date, end, window.as_of) for date, end in days], ignore_index=True)
    asked = {"last": last, "days": JUDGED_DAYS}
    found = judged(read(conn, sql("select_forecasts_that_came_true"), asked))
    return Derivation(
        rows,
        "production_date = ANY(%(dates)s)",
        {"dates": [date for date, _ in days]},
        checks=(_came_true(found), _hold(found)),
        numbers={"series": int(rows[["level", "member"]].drop_duplicates().shape[0])},
    )


def _came_true(found: Judged | None) -> Check:
    if found is None:
        return Check("forecasts_came_true", True, "Too few forecasts have come true to be judged.", warns=True)
    # Both are judged on the same days; worse by a tenth is more than their noise.
    passed = found.error <= 1.1 * found.baseline_error
    return Check(
        "forecasts_came_true",
        passed,
        f"Over {found.count} forecasts the error was {100 * found.error:.2f} points of yield, that of the 28-day mean "
        f"{100 * found.baseline_error:.2f}.",
        {"error": found.error, "baseline_error": found.baseline_error},
        warns=True,
    )


def _hold(found: Judged | None) -> Check:
    if found is None or found.coverage is None:
        return Check("intervals_hold", True, "Too few forecasts have come true to be judged.", warns=True)
    return Check(
        "intervals_hold",
        found.coverage >= LEAST_COVERAGE,
        f"{found.coverage:.0%} of {found.count} days lay inside their 80 % interval.",
        {"coverage": found.coverage},
        warns=True,
    )
