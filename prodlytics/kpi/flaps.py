"""Controllers that toggle between states.

Belongs here: settling (a state that is too short belongs to the state before) and counting changes. Does not belong
here: what a source says (`state_sources`), the timeline (`machine_states`).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from prodlytics.kpi import spans

#: How long after the last settled state its successors may belong to it; what still toggles then is taken as it is.
#: A bound, so that a day derived alone and a year derived at once look at the same samples.
LONGEST_FLAP = dt.timedelta(hours=1)
_LONGEST_FLAP_US = LONGEST_FLAP // spans.MICROSECOND


def settled(
    begins: spans.IntArray, ends: spans.IntArray, state: spans.ObjectArray, native: spans.ObjectArray, settle_us: int
) -> tuple[spans.ObjectArray, spans.ObjectArray]:
    """States and native states in which those shorter than `settle_us` have become part of the settled one before.

    A state is settled when it holds for `settle_us`. Shorter ones one after the other belong to the last settled one,
    if they begin within `LONGEST_FLAP` of its end. `unknown` is no state: it stays, and nothing belongs to what was
    before it.

    Args:
        begins: Starts of pieces of the timeline, in order, microseconds.
        ends: Their ends; each is the start of the next piece.
        state: State of each piece.
        native: The controller's word for each piece.
        settle_us: The shortest time for which a state must hold.
    """
    if not len(begins):
        return state, native
    new = spans.changes(begins, ends, [spans.codes(state)])
    first, last = np.flatnonzero(new), spans.last_of_runs(new)
    is_short = (ends[last] - begins[first] < settle_us) & (state[first] != "unknown")
    number = np.arange(len(first))
    base = np.maximum.accumulate(np.where(is_short, -1, number))
    known = base >= 0
    known[known] = state[first[base[known]]] != "unknown"
    since = np.where(known, begins[first] - ends[last[base]], 0)
    taken = np.where(is_short & known & (since <= _LONGEST_FLAP_US), last[base], -1)
    of_piece = taken[np.cumsum(new) - 1]
    moved = of_piece >= 0
    return (
        np.where(moved, state[of_piece], state).astype(object),
        np.where(moved, native[of_piece], native).astype(object),
    )


def changes_per_hour(states: pd.DataFrame, zone: ZoneInfo) -> list[tuple[str, pd.Timestamp, int]]:
    """How often the state of each machine changed in each hour of the plant's clock, most often first.

    Args:
        states: Rows of `machine_states`, any number of machines.
        zone: The plant's zone.

    Returns:
        Machine, start of the hour (aware, in `zone`), changes; hours without a change are left out.
    """
    ordered = states.sort_values(["machine_id", "starts_at"], kind="stable")
    same_machine = ordered["machine_id"] == ordered["machine_id"].shift()
    changed = ordered[same_machine & (ordered["state"] != ordered["state"].shift())]
    local = changed["starts_at"].dt.tz_convert(zone)
    # Not rounded: the hour that the clocks repeat is two hours.
    into = pd.to_timedelta(local.dt.minute * 60 + local.dt.second, unit="s") + pd.to_timedelta(
        local.dt.microsecond, unit="us"
    )
    counts = Counter(zip(changed["machine_id"], local - into, strict=True))
    return [(machine, hour, count) for (machine, hour), count in counts.most_common()]
