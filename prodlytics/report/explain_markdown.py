"""Figures as Markdown, for the pages of a materialization in Dagster.

Belongs here: the hours of a day, the time per bucket, one explained hour; each bounded in size, because Dagster keeps
what it is given with every run. Does not belong here: what made the numbers (`kpi`), text for terminals
(`explain_text`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from prodlytics.kpi import spans
from prodlytics.kpi.explain_figures import BUCKETS, label
from prodlytics.kpi.oee import roll_up
from prodlytics.report.explain_text import as_text
from prodlytics.report.words import count

if TYPE_CHECKING:
    import pandas as pd

    from prodlytics.kpi.explained import Explanation
    from prodlytics.plant.model import Plant

#: Characters that a table, or an explained hour, may take.
TABLE_SIZE, TEXT_SIZE = 24_000, 12_000
#: Production days of a longer run that are shown.
DAYS = 7
_RATIOS = ("availability", "performance", "quality", "oee")
_FIGURES = ("A", "P", "Q", "OEE", "empty because", "planned min", "run min", "good", "reject", "rework", "outside OEE")
HOW = "`prodlytics explain MACHINE HOUR` shows what made any of them, e.g. `prodlytics explain {machine} {hour}`."


def hours_table(plant: Plant, hours: pd.DataFrame) -> str:
    """What came out, hour by hour for one production day, day by day for several.

    Args:
        plant: Zone and convention.
        hours: Rows of `oee_hourly`.
    """
    if hours.empty:
        return "No hour was computed."
    local = hours["time_bucket"].dt.tz_convert(plant.timezone)
    newest = local.iloc[-1].isoformat(timespec="minutes")
    how = HOW.format(machine=hours["machine_id"].iloc[-1], hour=newest)
    # A night shift that ends after the boundary puts some hours into the day before.
    days = sorted(hours["production_date"].unique())
    if len(hours["time_bucket"].unique()) > 26:
        shown = hours[hours["production_date"].isin(days[-DAYS:])]
        totals = roll_up(shown, ["machine_id", "production_date"], plant.convention)
        rows = [
            [cell(row["machine_id"]), str(row["production_date"]), *_figures(row)] for row in totals.to_dict("records")
        ]
        return table(("machine", "production day", *_FIGURES), rows) + "\n\n" + how
    # Hours of which there is nothing to say are many on a Sunday.
    idle = (hours["planned_time_us"] == 0) & (hours[["good_count", "reject_count", "gap_good_count"]].sum(axis=1) == 0)
    rows = [
        [cell(row["machine_id"]), f"{at:%m-%d %H:%M%z}", *_figures(row)]
        for row, at, nothing in zip(hours.to_dict("records"), local, idle, strict=True)
        if not nothing
    ]
    left_out = f"{int(idle.sum())} hours without planned time and without parts are left out. " if idle.any() else ""
    return table(("machine", "hour", *_FIGURES), rows) + f"\n\n{left_out}{how}"


def _figures(row: Any) -> list[str]:
    ratios = ["" if np.isnan(row[name]) else f"{row[name]:.1%}" for name in _RATIOS]
    outside = row["gap_good_count"] + row["gap_reject_count"]
    return [
        *ratios,
        row["null_reason"] or "",
        f"{row['planned_time_us'] / 60e6:.1f}",
        f"{row['run_time_us'] / 60e6:.1f}",
        *(count(row[name]) for name in ("good_count", "reject_count", "rework_count")),
        count(outside) if outside else "",
    ]


def time_table(ledger: pd.DataFrame) -> str:
    """Share of each bucket in the time of each machine; every line adds up to 100.0 %.

    Args:
        ledger: Rows of `machine_time`.
    """
    if ledger.empty:
        return "No time was told."
    us = spans.to_us(ledger["ends_at"]) - spans.to_us(ledger["starts_at"])
    sums: dict[str, dict[str, int]] = {}
    for machine, bucket, length in zip(ledger["machine_id"], ledger["bucket"], us.tolist(), strict=True):
        of_machine = sums.setdefault(machine, dict.fromkeys(BUCKETS, 0))
        of_machine[bucket] += length
    total = {bucket: sum(one[bucket] for one in sums.values()) for bucket in BUCKETS}
    used = [bucket for bucket in BUCKETS if total[bucket]]
    rows = [
        _shares(name, [one[bucket] for bucket in used])
        for name, one in (*sorted(sums.items()), ("all machines", total))
    ]
    return table(("machine", *(f"{label(bucket)} %" for bucket in used), "sum %", "hours"), rows)


def _shares(name: str, lengths: Sequence[int]) -> list[str]:
    """Shares in tenths of a percent that add up to exactly 100.0: what rounding leaves goes to the largest rests."""
    total = sum(lengths)
    tenths = [length * 1000 // total for length in lengths]
    rests = sorted(range(len(lengths)), key=lambda n: (-(lengths[n] * 1000 % total), n))
    for n in rests[: 1000 - sum(tenths)]:
        tenths[n] += 1
    shown = [f"{n / 10:.1f}" for n in tenths]
    return [cell(name), *shown, f"{sum(tenths) / 10:.1f}", f"{total / 3.6e9:,.2f}"]


def hour_as_markdown(explanation: Explanation) -> str:
    """One explained hour as the command shows it, as a block of plain text."""
    text = as_text(explanation).replace("```", "'''")
    if len(text) > TEXT_SIZE:
        text = text[:TEXT_SIZE].rsplit("\n", 1)[0] + "\n... the rest is in what the command shows"
    return f"```text\n{text.rstrip()}\n```"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], size: int = TABLE_SIZE) -> str:
    """A table of at most `size` characters; how many rows did not fit is said below it."""
    lines = [f"|{'|'.join(columns)}|", f"|{'|'.join('---' for _ in columns)}|"]
    used, left_out = sum(map(len, lines)), 0
    for row in rows:
        line = f"|{'|'.join(row)}|"
        used += len(line) + 1
        if used > size:
            left_out += 1
        else:
            lines.append(line)
    if left_out:
        lines += ["", f"{left_out} more rows are in the table only."]
    return "\n".join(lines)


def cell(text: object) -> str:
    """Text for a cell: never a new column, a link or a tag."""
    plain = "".join(one if one.isprintable() else " " for one in str(text))
    return "".join(f"\\{one}" if one in "\\|`*_[]<>" else one for one in plain)
