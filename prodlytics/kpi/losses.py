"""Where planned time went: the six big losses, in minutes and in money.

Belongs here: from ledger, elements and scrap to the loss tree. Does not belong here: how any of the three is made.

Breakdowns and other unplanned stops, changeovers, micro-stops, reduced speed, defects, rejects at start-up. Reduced
speed is what remains of running time when every part is given its ideal cycle; it is negative where a machine is faster
than its ideal cycle, and stays so: that is a wrong ideal cycle, not a gain.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd

from prodlytics.kpi import spans
from prodlytics.plant.model import Machine, Plant

COLUMNS = ["machine_id", "loss", "reason_code", "minutes", "cost"]
#: Losses of the ledger, by bucket; the last two are losses only where the convention says so.
LOSS_OF_BUCKET = {
    "failure": "unplanned_stop",
    "other_stop": "unplanned_stop",
    "changeover": "changeover",
    "micro_stop": "micro_stop",
    "planned_stop": "planned_stop",
    "unknown": "unknown",
}
#: Scrap categories whose rejects are start-up losses, not defects of the running process.
START_UP = ("startup", "start_up")
#: Planned time and its losses must agree to the millisecond.
TOLERANCE_US = 1000.0
US_PER_MINUTE = 60e6


class LossesDoNotBalanceError(ValueError):
    """Ledger and elements do not tell the same story: one of them is older than the other."""


def loss_tree(ledger: pd.DataFrame, oee: pd.DataFrame, scrap: pd.DataFrame, plant: Plant) -> pd.DataFrame:
    """What each machine lost and why.

    Args:
        ledger: Rows of `machine_time`.
        oee: Rows of `oee_hourly` of the same hours.
        scrap: Rows of `scrap_events` of the same hours.
        plant: Convention, and the machines' rates per hour on each production day.

    Returns:
        machine_id, loss, reason_code (None where nobody said), minutes, cost in the plant's currency. Losses are
        unplanned_stop, changeover, micro_stop, reduced_speed, defects, startup; planned_stop and unknown where the
        convention counts them; no_ideal_cycle for running time that cannot be judged. Time costs the machine's rate,
        scrap what its material, labour and machine time cost. Cost is missing where nothing is known of it.

    Raises:
        LossesDoNotBalanceError: Planned time is not good parts plus losses, to the millisecond.
    """
    rates = _Rates(plant)
    stops = _stops(plant, ledger, rates)
    speed = _speed(oee, rates)
    rejects = _rejects(oee, scrap, rates)
    tree = pd.concat([frame for frame in (stops, speed, rejects) if len(frame)] or [stops])
    grouped = tree.groupby(["machine_id", "loss", "reason_code"], sort=True, dropna=False)
    sums = grouped[["minutes", "cost"]].sum(min_count=1).reset_index()
    sums["reason_code"] = spans.texts(sums["reason_code"])
    _assert_balance(oee, sums)
    return sums[COLUMNS]


class _Rates:
    """Machine rate per minute on a production day."""

    def __init__(self, plant: Plant) -> None:
        self.machines: dict[str, Machine] = {machine.id: machine for machine in plant.machines}
        self.known: dict[tuple[str, dt.date], float] = {}

    def per_minute(self, frame: pd.DataFrame) -> spans.FloatArray:
        """Rate for each row's machine and production day; NaN where none is configured."""
        pairs = zip(frame["machine_id"], frame["production_date"], strict=True)
        return np.array([self._rate(machine_id, day) for machine_id, day in pairs], dtype=np.float64)

    def _rate(self, machine_id: str, day: dt.date) -> float:
        if (machine_id, day) not in self.known:
            machine = self.machines.get(machine_id)
            history = machine.machine_rate_per_h if machine is not None else None
            rate = history.on(day) if history is not None else None
            self.known[machine_id, day] = np.nan if rate is None else float(rate) / 60
        return self.known[machine_id, day]


def _stops(plant: Plant, ledger: pd.DataFrame, rates: _Rates) -> pd.DataFrame:
    convention = plant.convention
    excluded = [
        bucket
        for bucket, choice in (
            ("changeover", convention.changeover),
            ("planned_stop", convention.planned_stops),
            ("unknown", convention.unknown),
        )
        if choice == "excluded"
    ]
    chosen = ledger["bucket"].isin(LOSS_OF_BUCKET) & ~ledger["bucket"].isin(excluded)
    lost = ledger[chosen]
    lost = lost.assign(us=spans.to_us(lost["ends_at"]) - spans.to_us(lost["starts_at"]))
    by = ["machine_id", "production_date", "bucket", "reason_code"]
    lost = lost.groupby(by, sort=True, dropna=False)["us"].sum().reset_index()
    return _timed(lost, lost["bucket"].map(LOSS_OF_BUCKET), lost["us"], rates, spans.texts(lost["reason_code"]))


def _speed(oee: pd.DataFrame, rates: _Rates) -> pd.DataFrame:
    judged = oee["ideal_time_us"].notna()
    slow = _timed(oee[judged], "reduced_speed", (oee["running_us"] - oee["ideal_time_us"])[judged], rates)
    return pd.concat([slow, _timed(oee[~judged], "no_ideal_cycle", oee["running_us"][~judged], rates)])


def _rejects(oee: pd.DataFrame, scrap: pd.DataFrame, rates: _Rates) -> pd.DataFrame:
    """Time that went into parts that were not good, by reason where there is one; the rest was never explained.

    An hour's time is shared by its parts: which part of it each scrap row took is not known once several part numbers
    were made in one hour.
    """
    hours = oee[oee["ideal_time_us"].notna()].reset_index(drop=True)
    bad_us = (hours["ideal_time_us"] - hours["ideal_good_time_us"]).to_numpy(dtype=np.float64)
    bad = (hours["reject_count"] + hours["rework_count"]).to_numpy(dtype=np.float64)
    hour = _hour_of(hours, scrap)
    timed = hour >= 0
    quantity = scrap["quantity"].to_numpy(dtype=np.float64)
    named = np.bincount(hour[timed], weights=quantity[timed], minlength=len(hours))
    # Scrap made while nobody knew the state has no time in the hour, so there may be more rows than rejects.
    parts = np.maximum(named, bad)
    each = np.divide(bad_us, parts, out=np.zeros(len(hours)), where=parts > 0)
    us = np.where(timed, quantity * each[np.where(timed, hour, 0)], 0.0) if len(hours) else np.zeros(len(scrap))
    category = scrap["scrap_category"].str.lower() if len(scrap) else scrap["scrap_category"]
    explained = pd.DataFrame(
        {
            "machine_id": scrap["machine_id"],
            "loss": np.where(category.isin(START_UP), "startup", "defects"),
            "reason_code": spans.texts(
                scrap["scrap_reason"].where(scrap["scrap_reason"].notna(), scrap["scrap_category"])
            ),
            "minutes": us / US_PER_MINUTE,
            "cost": scrap[["material_cost", "labor_cost", "machine_cost"]].sum(axis=1, min_count=1),
        }
    )
    rest = _timed(hours, "defects", bad_us - named * each, rates)
    return pd.concat([explained, rest[rest["minutes"] != 0]])


def _hour_of(hours: pd.DataFrame, scrap: pd.DataFrame) -> spans.IntArray:
    """Row of `hours` in which each scrap row lies, -1 for none."""
    found = np.full(len(scrap), -1, dtype=np.int64)
    time = spans.to_us(scrap["time"])
    opens = spans.to_us(hours["time_bucket"])
    machine = scrap["machine_id"].to_numpy(dtype=object)
    for name, indices in hours.groupby("machine_id", sort=False).indices.items():
        rows = np.asarray(indices, dtype=np.int64)
        rows = rows[np.argsort(opens[rows], kind="stable")]
        mine = np.flatnonzero(machine == name)
        at = np.searchsorted(opens[rows], time[mine], side="right") - 1
        inside = (at >= 0) & (time[mine] < opens[rows][at] + 3_600_000_000)
        found[mine[inside]] = rows[at[inside]]
    return found


def _timed(
    rows: pd.DataFrame,
    loss: Any,
    us: pd.Series[Any] | spans.FloatArray,
    rates: _Rates,
    reason: spans.ObjectArray | None = None,
) -> pd.DataFrame:
    minutes = np.asarray(us, dtype=np.float64) / US_PER_MINUTE
    return pd.DataFrame(
        {
            "machine_id": rows["machine_id"],
            "loss": loss,
            "reason_code": pd.Series(reason, index=rows.index, dtype=object),
            "minutes": minutes,
            "cost": minutes * rates.per_minute(rows),
        }
    )


def _assert_balance(oee: pd.DataFrame, tree: pd.DataFrame) -> None:
    good = oee["ideal_good_time_us"].where(oee["ideal_time_us"].notna(), 0.0)
    left = (oee["planned_time_us"] - good).groupby(oee["machine_id"]).sum()
    lost = tree.groupby("machine_id")["minutes"].sum() * US_PER_MINUTE
    off = left.subtract(lost, fill_value=0.0)
    for machine_id, us in off[off.abs() > TOLERANCE_US].items():
        raise LossesDoNotBalanceError(
            f"{machine_id}: planned time differs from good parts and losses by {us / 1e6:.3f} s; "
            "materialize machine_time and oee_hourly of the same days again"
        )
