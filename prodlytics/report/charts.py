"""The two pictures of the report, as PNG bytes.

Belongs here: drawing. Same figures, same bytes: no dates or versions go into the files. Does not belong here: the words
beside them, which say the same for those who see no pictures.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from prodlytics.kpi import spans
from prodlytics.plant.model import Plant
from prodlytics.report.figures import DayPoint
from prodlytics.report.words import GOOD, WATCH, band, percent, short_date

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK = "#1f2933"
_FAINT = "#6b7280"
#: 600 px wide in the page, twice as many in the file: phones have dense screens.
_WIDTH_INCHES = 6.0
_DPI = 200

#: Colours that stay apart for people who cannot tell red from green; the legend names each.
BUCKET_COLOURS: dict[str, tuple[str, str]] = {
    "running": ("running", "#2e8b57"),
    "failure": ("failure", "#b3261e"),
    "other_stop": ("other stop", "#f0a202"),
    "changeover": ("changeover", "#5b6ee1"),
    "micro_stop": ("short stop", "#f6d77a"),
    "planned_stop": ("planned stop", "#9aa5b1"),
    "break": ("break", "#d3d9df"),
    "not_scheduled": ("not scheduled", "#eef1f4"),
    "unknown": ("no data", "#ffffff"),
}


def trend_chart(points: Sequence[DayPoint]) -> bytes:
    """OEE per production day on the bands; a day without a figure is a gap in the line."""
    figure = _figure(2.1)
    axes = figure.add_axes((0.1, 0.15, 0.88, 0.82))
    values = [float("nan") if point.ratios.oee is None else point.ratios.oee * 100 for point in points]
    known = [value for value in values if value == value]
    top = max(100.0, *(value + 5 for value in known)) if known else 100.0
    # A line says how it moves, so it need not start at zero; the label at the bottom says where it does.
    floor = max(0.0, min([50.0, *(value // 10 * 10 - 10 for value in known)]))
    for low, high, oee in ((floor, WATCH * 100, 0.0), (WATCH * 100, GOOD * 100, WATCH), (GOOD * 100, top, GOOD)):
        axes.axhspan(low, high, color=band(oee).background, linewidth=0)
    days = range(len(points))
    axes.plot(days, values, color=_INK, linewidth=1.6, zorder=3)
    for day, point in enumerate(points):
        last = day == len(points) - 1
        if point.ratios.oee is None:
            axes.text(day, floor + 1, "–", ha="center", va="bottom", fontsize=11, color=_FAINT)
            continue
        axes.plot(
            [day], [values[day]], marker="o", markersize=8 if last else 5, color=band(point.ratios.oee).colour, zorder=4
        )
        if last:
            axes.annotate(
                percent(point.ratios.oee), (day, values[day]), xytext=(0, 8), textcoords="offset points", ha="right",
                fontsize=11, fontweight="bold", color=_INK, zorder=5,
            )  # fmt: skip
    axes.set_xlim(-0.5, len(points) - 0.5)
    axes.set_ylim(floor, top)
    axes.set_yticks([floor, WATCH * 100, GOOD * 100, 100], [f"{floor:.0f} %", "65 %", "85 %", "100 %"])
    shown = [day for day in days if (len(points) - 1 - day) % 3 == 0]
    axes.set_xticks(shown, [short_date(points[day].production_date) for day in shown])
    _plain(axes)
    return _png(figure)


def day_chart(plant: Plant, ledger: pd.DataFrame, start: dt.datetime, end: dt.datetime) -> bytes:
    """One strip per machine: what it did from `start` to `end`, in wall time."""
    figure = _figure(0.75 + 0.22 * len(plant.machines))
    height = figure.get_figheight()
    axes = figure.add_axes((0.24, 0.62 / height, 0.73, 1 - 0.67 / height))
    origin, width = spans.instant_us(start), spans.instant_us(end) - spans.instant_us(start)
    begins = spans.to_us(ledger["starts_at"]) - origin
    lasts = spans.to_us(ledger["ends_at"]) - spans.to_us(ledger["starts_at"])
    machine = ledger["machine_id"].to_numpy(dtype=object)
    bucket = ledger["bucket"].to_numpy(dtype=object)
    for row, one in enumerate(plant.machines):
        for name, (_, colour) in BUCKET_COLOURS.items():
            chosen = (machine == one.id) & (bucket == name)
            bars = list(zip(begins[chosen] / 3.6e9, lasts[chosen] / 3.6e9, strict=True))
            if bars:
                axes.broken_barh(bars, (row - 0.38, 0.76), facecolors=colour, **_edge(name))
    axes.set_xlim(0, width / 3.6e9)
    axes.set_ylim(len(plant.machines) - 0.5, -0.5)
    axes.set_yticks(range(len(plant.machines)), [_short(one.name) for one in plant.machines])
    hours = list(range(0, round(width / 3.6e9) + 1, 4))
    labels = [f"{(start + dt.timedelta(hours=hour)).astimezone(plant.zone):%H:%M}" for hour in hours]
    axes.set_xticks(hours, labels)
    _plain(axes)
    _legend(figure, set(bucket))
    return _png(figure)


def _edge(bucket: str) -> dict[str, Any]:
    """Time without data is hatched: white alone would look like nothing, and it is not nothing."""
    if bucket == "unknown":
        return {"hatch": "//////", "edgecolor": "#9aa5b1", "linewidth": 0.4}
    return {"linewidth": 0}


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


def _legend(figure: Figure, buckets: set[str]) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor=colour, label=label, **_edge(name))
        for name, (label, colour) in BUCKET_COLOURS.items()
        if name in buckets
    ]
    if handles:
        figure.legend(
            handles=handles, loc="lower center", ncols=-(-len(handles) // 2), fontsize=8, frameon=False, handlelength=1,
            handletextpad=0.4, columnspacing=1.2, labelspacing=0.3, borderaxespad=0.1,
        )  # fmt: skip


def _figure(height: float) -> Figure:
    # Without pyplot: no global state, no window system, safe in threads.
    from matplotlib.figure import Figure

    return Figure(figsize=(_WIDTH_INCHES, height), dpi=_DPI, facecolor="white")


def _plain(axes: Any) -> None:
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(length=0, labelsize=9, labelcolor=_INK, pad=3)


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
