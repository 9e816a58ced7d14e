"""Cycles that a machine's cycle counters show.

Belongs here: readings of these counters as counts. Does not belong here: parts (`production_events`), which cycles are
only compared with.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from prodlytics.kpi import spans
from prodlytics.kpi.parts import read_counters
from prodlytics.kpi.samples import read_tags
from prodlytics.plant.model import Machine, Plant


def counted_cycles(
    plant: Plant, machine: Machine, samples: pd.DataFrame, start: dt.datetime, end: dt.datetime
) -> pd.DataFrame | None:
    """Cycles by the reading that showed them, with the rules for all counters (rollover, reset, late readings).

    Args:
        plant: Its ideal cycles decide what is plausible.
        machine: Its cycle counters; several are added up.
        samples: Of those tags, in the window and `counters.REACH` good ones around it, as for `production_events`.
        start: Aware, included.
        end: Aware, excluded.

    Returns:
        time and cycles; None where the machine has no cycle counter or none of them has ever been read.
    """
    counters = [counter for counter in machine.counters if counter.counts == "cycles"]
    silence_us = 0.0 if machine.silence_after_s is None else machine.silence_after_s * 1e6
    series, _ = read_counters(plant, machine, counters, read_tags(samples), silence_us)
    series = [one for one in series if len(one.time)]
    if not series:
        return None
    time = np.concatenate([one.time for one in series])
    count = np.concatenate([one.parts for one in series])
    inside = (count > 0) & (time >= spans.instant_us(start)) & (time < spans.instant_us(end))
    order = np.argsort(time[inside], kind="stable")
    return pd.DataFrame({"time": spans.from_us(time[inside][order]), "cycles": count[inside][order]})
