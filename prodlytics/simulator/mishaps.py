"""What happens to samples on their way to us.

Belongs here: gaps, late rows, readings out of order, rows that are plainly wrong. Does not belong here: which machine
it happens to (`story.py`), the files (`telemetry_files.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from prodlytics.plant.model import Plant
from prodlytics.simulator.series import Series, refreshed
from prodlytics.simulator.story import Trouble

YEAR_MS = 365 * 86_400_000


class Oddity(NamedTuple):
    """One row that should not be taken as it is. `machine` is the name as sent, `why` what is wrong with it.

    Attributes:
        value: As in the file; a text that is not a number is spelt as text in a message, as NaN in a table.
    """

    time: int
    machine: str
    metric: str
    value: float
    quality: int
    published_lag: int
    why: str


def lose(series: Sequence[Series], gap: Trouble) -> list[Series]:
    """Without what was sent in the gap; after it the gateway sends every tag once."""
    kept = []
    for one in series:
        if one.machine == gap.machine:
            whole = refreshed(one, np.array([gap.end], dtype=np.int64))
            one = whole.picked((whole.time < gap.begin) | (whole.time >= gap.end))
        kept.append(one)
    return kept


def hold_back(series: Sequence[Series], late: Trouble) -> tuple[list[Series], list[Series]]:
    """Those that arrive in time, and those that arrive late."""
    kept, held = [], []
    for one in series:
        if one.machine == late.machine:
            inside = (one.time >= late.begin) & (one.time < late.end)
            held.append(one.picked(inside))
            one = one.picked(~inside)
        kept.append(one)
    return kept, held


def out_of_order(series: Sequence[Series], machine: str, metric: str, after: int) -> tuple[list[Series], int | None]:
    """One reading of a counter that shows an older, lower count, and when (None: there was no place for it)."""
    changed, at = list(series), None
    for n, one in enumerate(series):
        if one.machine != machine or one.metric != metric or len(one.time) < 8:
            continue
        rises = (np.diff(one.value) > 0) & (np.diff(one.time) > 8_000)
        # Two rises before and one after: a dip in the middle of work, not at a stop or a reset.
        fit = np.flatnonzero(rises[:-2] & rises[1:-1] & rises[2:] & (one.time[2:-1] >= after)) + 2
        if len(fit):
            k = int(fit[0])
            at = int(one.time[k]) + 4_000
            changed[n] = Series(
                machine, metric, np.insert(one.time, k + 1, at), np.insert(one.value, k + 1, one.value[k - 2])
            )
    return changed, at


def oddities(plant: Plant, series: Sequence[Series], begin: int, end: int, seed: tuple[int, ...]) -> list[Oddity]:
    """A handful of wrong rows for one file that covers [begin, end).

    Doubled and contradicting rows repeat a sample of a sensor that is in the file.
    """
    rng = np.random.default_rng(seed)
    alias = {m.id: sent_name(plant, m.id) for m in plant.machines}
    # A state of bad quality would make the machine's state unknown: a trouble of its own, not a stray row.
    events = {name for m in plant.machines for name in (m.state.metric, m.fault_metric)}
    fit = [s for s in series if s.text is None and s.metric not in events and _inside(s, begin, end) >= 40]
    if not fit:
        return []
    sensors = [s for s in fit if s.metric == "Temperature_C"] or fit
    rows: list[Oddity] = []

    def take(count: int, of: Sequence[Series]) -> list[tuple[Series, int]]:
        taken = []
        for _ in range(count):
            one = of[int(rng.integers(len(of)))]
            first = int(np.searchsorted(one.time, begin))
            taken.append((one, first + int(rng.integers(_inside(one, begin, end)))))
        return list({(s.machine, s.metric, k): (s, k) for s, k in taken}.values())

    stranger = f"{alias[plant.machines[0].id].rpartition('.')[0] or 'Line'}.Unknown99"
    for one, k in take(4, fit):
        rows.append(Oddity(int(one.time[k]), stranger, one.metric, float(one.value[k]), 192, 400, "unknown_machine"))
    for one, k in take(3, sensors):
        rows.append(Oddity(int(one.time[k]) + 7, alias[one.machine], one.metric, np.nan, 192, 400, "not_a_number"))
    for one, k in take(2, sensors):
        ahead = int(one.time[k]) + YEAR_MS
        rows.append(Oddity(ahead, alias[one.machine], one.metric, float(one.value[k]), 192, 400, "future_time"))
    for one, k in take(4, fit):
        rows.append(Oddity(int(one.time[k]) + 11, alias[one.machine], one.metric, 0.0, 0, 400, "bad_quality"))
    for n, (one, k) in enumerate(take(6, sensors)):
        doubled = n < 4
        value = float(one.value[k]) + (0.0 if doubled else 1.5)
        why = "duplicate" if doubled else "conflict"
        rows.append(Oddity(int(one.time[k]), alias[one.machine], one.metric, value, 192, 5_000, why))
    return rows


def sent_name(plant: Plant, machine_id: str) -> str:
    """The name other systems use for a machine: its first alias, else its id."""
    aliases = plant.machine(machine_id).aliases
    return aliases[0] if aliases else machine_id


def _inside(series: Series, begin: int, end: int) -> int:
    first, last = np.searchsorted(series.time, [begin, end])
    return int(last - first)
