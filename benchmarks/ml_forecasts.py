"""How good the forecasts of yield are on real data: what is used against the simplest forecasts, week by week.

Run by `make bench-ml`. From each of the last four weeks' beginnings the product chooses its forecast by backtest on the
weeks before, knowing nothing later, and forecasts seven days; the same days are forecast by every single candidate. The
guide's way is Prophet throughout. Parameters stand in `insights.forecasts`. Writes benchmarks/results/ml_forecasts.*.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.machine import machine, verdict
from prodlytics.insights.forecasts import backtest as bt
from prodlytics.insights.forecasts.choose import from_folds
from prodlytics.insights.forecasts.rows import DAILY
from prodlytics.insights.forecasts.series import Series, of_counts

RESULTS = Path(__file__).with_name("results")
DATA = Path(__file__).parents[2] / "shared" / "data"
JUDGED_WEEKS = 4


def main() -> None:
    """Measure and write."""
    series = [secom(), job_shop()]
    results: dict[str, Any] = {"machine": machine(), "judged_weeks": JUDGED_WEEKS, "series": []}
    for one in series:
        for name, candidates in (("every day", DAILY), ("with model libraries", bt.ALL)):
            results["series"].append(
                {"series": one.name, "days": len(one), "candidates": name, **measure(one, candidates)}
            )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "ml_forecasts.json").write_text(json.dumps(results, indent=2) + "\n")
    (RESULTS / "ml_forecasts.md").write_text(_table(results))
    sys.stdout.write(_table(results))


def secom() -> Series:
    """Wafers that passed, per day."""
    rows = pd.read_csv(DATA / "secom" / "labels_first_60_days.csv")
    days = pd.to_datetime(rows["time"], dayfirst=True).dt.date
    made = (rows["pass_fail"] == -1).groupby(days).agg(["sum", "size"])
    return of_counts("SECOM daily yield", list(made.index), list(made["sum"]), list(made["size"]))


def job_shop() -> Series:
    """Parts completed without being rejected or reworked, per day."""
    rows = pd.read_csv(DATA / "production_log" / "production_jan_feb.csv")
    counts = rows[["Qty_Completed", "Qty_Rejected", "Qty_for_MRB"]].apply(pd.to_numeric, errors="coerce")
    rows = rows[counts["Qty_Completed"].notna()]
    counts = counts.loc[rows.index]
    # A missing count of rejects in this log is none: whoever rejected nothing wrote nothing.
    bad = counts["Qty_Rejected"].fillna(0) + counts["Qty_for_MRB"].fillna(0)
    days = pd.to_datetime(rows["Complete Timestamp"]).dt.date
    made = pd.DataFrame({"good": counts["Qty_Completed"], "total": counts["Qty_Completed"] + bad}).groupby(days).sum()
    return of_counts("job-shop daily yield", list(made.index), list(made["good"]), list(made["total"]))


def measure(series: Series, candidates: Mapping[str, bt.Candidate]) -> dict[str, Any]:
    """Errors in units of the seasonal naive forecast's, and the share of days inside the interval."""
    began = time.perf_counter()
    ours: list[float] = []
    inside = days = 0
    single: dict[str, list[float]] = {name: [] for name in candidates}
    chosen = []
    for fold in bt.backtest(series, candidates, JUDGED_WEEKS):
        known = series.until(fold.origin)
        told = from_folds(known, candidates, bt.backtest(known, candidates, bt.FOLDS))
        if told.choice is None:
            continue
        chosen.append(told.choice.name)
        ours.append(bt.mean_error(fold.actual, told.point) / fold.scale)
        there = np.isfinite(fold.actual)
        inside += int(((fold.actual >= told.low) & (fold.actual <= told.high))[there].sum())
        days += int(there.sum())
        for name in single:
            single[name].append(fold.mase(name) if name in fold.point else float("nan"))
    errors = {name: float(np.nanmean(found)) for name, found in single.items() if np.isfinite(found).any()}
    best_simple = min(value for name, value in errors.items() if name in bt.SIMPLE)
    mase = float(np.nanmean(ours))
    return {
        "mase": mase, "best_simple_mase": best_simple, "ratio": mase / best_simple, "coverage": inside / days,
        "judged_days": days, "chosen": chosen, "each": errors, "took_s": time.perf_counter() - began,
    }  # fmt: skip


def _table(results: dict[str, Any]) -> str:
    lines = [
        "# Yield forecasts, seven days ahead, on real series",
        "",
        f"{results['machine']}; the last {results['judged_weeks']} weeks judge. MASE: less is better. Good: at most "
        "5 % worse than the best simple forecast, picked with hindsight from four. Beside it the 28-day mean.",
        "",
        "| Series | Candidates | MASE | 28-day mean | best simple | ratio | | coverage of 80 % | days | Prophet "
        "| chosen | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in results["series"]:
        prophet = one["each"].get("prophet")
        lines.append(
            f"| {one['series']} | {one['candidates']} | {one['mase']:.3f} "
            f"| {one['each']['last_28_mean']:.3f} | {one['best_simple_mase']:.3f} "
            f"| {one['ratio']:.2f} | {verdict(one['ratio'] <= 1.05)} | {one['coverage']:.2f} | {one['judged_days']} "
            f"| {'' if prophet is None else f'{prophet:.3f}'} | {', '.join(one['chosen'])} | {one['took_s']:.1f} |"
        )
    total = sum(one["judged_days"] for one in results["series"] if one["candidates"] == "every day")
    held = sum(one["coverage"] * one["judged_days"] for one in results["series"] if one["candidates"] == "every day")
    pooled = f"Pooled coverage of what is used every day: {held / total:.2f} of {total} days (good: 0.75 to 0.85)."
    lines += ["", pooled, ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
