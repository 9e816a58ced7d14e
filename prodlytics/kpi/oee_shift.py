"""Elements and ratios of OEE per machine, shift and part: what every roll-up above the hour starts from.

Belongs here: which part was in work at an instant, shifts and parts as groups. Does not belong here: adding up
(`elements`), dividing (`oee`), rolling up further.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd

from prodlytics.datasets.registry import DATASETS
from prodlytics.kpi import spans
from prodlytics.kpi.elements import Ledger, Parts, add_up, counted
from prodlytics.kpi.oee import ratios
from prodlytics.plant.calendar import production_date_of, production_day
from prodlytics.plant.model import Machine, Plant

COLUMNS = list(DATASETS["oee_shift"].columns)
GROUP = ["production_date", "shift", "part_number"]


def derive_oee_shift(
    plant: Plant,
    machine: Machine,
    ledger: pd.DataFrame,
    events: pd.DataFrame,
    orders: pd.DataFrame,
    start: dt.datetime,
    end: dt.datetime,
    as_of: dt.datetime,
) -> pd.DataFrame:
    """One row per production date, shift and part: time in which the part was in work, and the parts made.

    Args:
        plant: Convention and ideal cycles of the parts.
        machine: Its own ideal cycle counts where a part has none on it.
        ledger: Rows of `machine_time` in the window.
        events: Rows of `production_events` in the window, counted as in `oee_hourly`: the sums over shifts and parts
            of a production date are those of its hours.
        orders: Rows of `work_orders` of the machine; time belongs to the part of the order in work, of several at once
            of the one started last. A booking that names its part takes the time it says it took, from the start of
            its production day on.
        start: Aware start of the window, at the boundary of a production day.
        end: Aware end of the window.
        as_of: What was known when this was computed.

    Returns:
        Columns of `oee_shift` without generated ones and revision. `shift` is '' outside any shift, `part_number` ''
        where nobody said what was made. `starts_at` and `ends_at` are the first and last instant of the row's time.
    """
    cells = Ledger.of(ledger)
    parts = counted(plant, machine, cells, events, start, end)
    pieces, part_of_piece = _by_part(plant, cells, events, orders)
    group, keys = _groups(pieces, part_of_piece, cells, parts)
    row_group, part_group = group[: len(pieces.start)], group[len(pieces.start) :]
    low, high = _extent(pieces, row_group, parts, part_group, len(keys))
    frame = add_up(pieces, row_group, parts, part_group, len(keys), plant.convention)
    frame = frame.assign(
        **{name: keys[name].to_numpy(dtype=object) for name in GROUP},
        machine_id=np.full(len(keys), machine.id, dtype=object),
        starts_at=spans.from_us(low),
        ends_at=spans.from_us(high),
        as_of=spans.from_us(np.full(len(keys), spans.instant_us(as_of), dtype=np.int64)),
    )
    return ratios(frame, plant.convention)[COLUMNS]


def ledger_by_part(plant: Plant, ledger: pd.DataFrame, events: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """The ledger cut where the part in work changes, as rows of `oee_shift` see it.

    Args:
        plant: Where production days begin.
        ledger: Rows of `machine_time` of one machine.
        events: As in `derive_oee_shift`.
        orders: As in `derive_oee_shift`.

    Returns:
        The columns of the ledger and part_number ('' where nobody said what was made), in order of time; `shift` is ''
        outside any shift.
    """
    pieces, part = _by_part(plant, Ledger.of(ledger), events, orders)
    shift = spans.texts(pieces.rows["shift"])
    return pieces.rows.reset_index(drop=True).assign(
        starts_at=spans.from_us(pieces.start),
        ends_at=spans.from_us(pieces.end),
        shift=np.where(spans.missing(shift), "", shift),
        part_number=np.where(spans.missing(part), "", part),
    )


def _by_part(
    plant: Plant, cells: Ledger, events: pd.DataFrame, orders: pd.DataFrame
) -> tuple[Ledger, spans.ObjectArray]:
    """The ledger cut where the part in work changes, and that part."""
    low, high = (int(cells.start[0]), int(cells.end[-1])) if len(cells.start) else (0, 0)
    orders = orders[orders["started_at"].notna()].sort_values(["started_at", "work_order"], kind="stable")
    begins, ends = spans.to_us(orders["started_at"]), spans.to_us(orders["ended_at"])
    numbers = spans.texts(orders["part_number"])
    booked = events[events["since"].notna() & events["part_number"].notna()]
    booked = booked[_names_its_own_part(booked, begins, ends, numbers)].sort_values(["time", "event_key"])
    since, time = spans.to_us(booked["since"]), spans.to_us(booked["time"])
    # The event is dated at the last instant of the time it took; one that took none takes none here.
    taken = np.where(time > since, time + 1, time)
    opens = np.array([_day_opens(plant, time) for time in booked["time"]], dtype=np.int64)
    begins = np.append(begins, np.maximum(since, opens))
    ends = np.append(np.where(ends == spans.MISSING, spans.FOREVER, ends), taken)
    numbers = np.append(numbers, spans.texts(booked["part_number"]))
    start, end = spans.cut(low, high, [cells.start, cells.end, begins, ends])
    row = spans.covering(cells.start, cells.end, start)
    inside = row >= 0
    part = spans.pick(numbers, spans.paint(start, end, begins, ends))
    return cells.at(row[inside], start[inside], end[inside]), part[inside]


def _names_its_own_part(
    booked: pd.DataFrame, begins: spans.IntArray, ends: spans.IntArray, numbers: spans.ObjectArray
) -> spans.BoolArray:
    """Bookings whose part is not the one of the order in work when they end."""
    at = spans.to_us(booked["time"])
    of_order = np.full(len(at), None, dtype=object)
    for number in range(len(begins)):
        until = ends[number] if ends[number] != spans.MISSING else spans.FOREVER
        of_order[(begins[number] <= at) & (at < until)] = numbers[number]
    return np.asarray(spans.texts(booked["part_number"]) != of_order, dtype=bool)


def _day_opens(plant: Plant, time: pd.Timestamp) -> int:
    """Start of the production day that ends at or after an instant: a booking on the boundary is of the day before."""
    date = production_date_of(plant, time.to_pydatetime() - spans.MICROSECOND)
    return spans.instant_us(production_day(plant, date)[0])


def _groups(
    pieces: Ledger, part_of_piece: spans.ObjectArray, cells: Ledger, parts: Parts
) -> tuple[spans.IntArray, pd.DataFrame]:
    """Number of the group of each piece and then of each counted part, and the groups in order."""
    # Dates and shifts are compared once for each row of the ledger: a hundred thousand parts lie in a few thousand.
    rows = pd.concat([pieces.rows[["production_date", "shift"]], cells.rows[["production_date", "shift"]]])
    of_member = np.concatenate([np.arange(len(pieces.start)), len(pieces.start) + parts.row])
    made = np.concatenate([part_of_piece, parts.rows["part_number"].to_numpy(dtype=object)])
    number = np.zeros(len(of_member), dtype=np.int64)
    values = {}
    for name, column in (("production_date", rows["production_date"]), ("shift", rows["shift"]), ("part_number", made)):
        told = np.asarray(column, dtype=object)
        code, values[name] = pd.factorize(np.where(spans.missing(told), "", told), sort=True)
        number = number * len(values[name]) + (code if name == "part_number" else code[of_member])
    group, found = pd.factorize(number, sort=True)
    code, keys = found, {}
    for name in reversed(GROUP):
        code, place = np.divmod(code, len(values[name]))
        keys[name] = values[name][place]
    return group.astype(np.int64), pd.DataFrame(keys)[GROUP]


def _extent(
    pieces: Ledger, row_group: spans.IntArray, parts: Parts, part_group: spans.IntArray, size: int
) -> tuple[spans.IntArray, spans.IntArray]:
    """First and last instant of each group; a group of parts without time lasts a microsecond at least."""
    low = np.full(size, spans.FOREVER, dtype=np.int64)
    high = np.full(size, spans.MISSING, dtype=np.int64)
    np.minimum.at(low, row_group, pieces.start)
    np.maximum.at(high, row_group, pieces.end)
    timeless = high[part_group] == spans.MISSING
    np.minimum.at(low, part_group[timeless], parts.time[timeless])
    np.maximum.at(high, part_group[timeless], parts.time[timeless] + 1)
    return low, high
