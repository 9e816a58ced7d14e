"""The simulated plant as it goes on right now.

Belongs here: which sample is due when, without end. Does not belong here: how samples are written and sent
(`messages.py`, `publish.py`). The story is that of `timeline.py`, told in chapters of a day; counters go on where the
chapter before left them. A sample's time is the present one: at twenty times real time the machines work twenty times
as fast, they do not work in another time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from prodlytics.plant.model import Plant
from prodlytics.simulator import cycles as pieces
from prodlytics.simulator import series, signals, timeline
from prodlytics.simulator.catalogue import HOUR_MS, ideal_cycle_ms
from prodlytics.simulator.history import refuse_what_is_not_simulated
from prodlytics.simulator.series import Series
from prodlytics.simulator.timeline import Timeline

#: Told at once; and what goes before it, so that a chapter does not begin with everybody coming to work.
CHAPTER_MS, LEAD_MS = 24 * HOUR_MS, 8 * HOUR_MS
#: Sensors are computed at most so often; a higher rate is filled in between.
FINEST_MS = 5_000
#: How often a sensor speaks where nobody says a rate, in milliseconds of the story.
USUAL_MS = 15_000


@dataclass(frozen=True, slots=True)
class Sample:
    """A reading: when (milliseconds since 1970 UTC), of which tag, a number or a text.

    `parts` is what a counter really counted since its reading before, where somebody knows (`counting.py`).
    """

    time_ms: int
    machine: str
    metric: str
    value: float
    text: str | None = None
    parts: int | None = None


@dataclass
class _Chapter:
    begin: int
    end: int
    events: list[Series]
    sensors: list[Series]
    counts: dict[tuple[str, str], int]
    "What each counter holds at the end."


class LivePlant:
    """A plant at work; `until` gives what its machines said since the last call."""

    def __init__(
        self, plant: Plant, now: dt.datetime, *, speed: float, rate: float | None, seed: int,
        story: dt.datetime | None = None,
    ) -> None:  # fmt: skip
        """Begin the story.

        Args:
            plant: The factory.
            now: The present, with a zone.
            speed: How many times faster than real time it works.
            rate: Samples of sensors per second of real time, all machines together; None for the usual.
            seed: Chance.
            story: The moment of the plan at which the story begins, with a zone; None for `now`, or where work was
                planned last if nobody works now.

        Raises:
            ValueError: A machine works in a way that is not simulated.
        """
        refuse_what_is_not_simulated(plant)
        self._plant, self._speed, self._seed = plant, speed, seed
        self._real0 = now.timestamp() * 1000
        self._story0 = _working_moment(plant, now) if story is None else int(story.timestamp() * 1000)
        self._told = self._story0
        sensors = sum(4 if machine.vibration_limits is not None else 2 for machine in plant.machines)
        self._every_ms = max(USUAL_MS if rate is None else sensors * 1000 * speed / rate, 1.0)
        self._rng = np.random.default_rng((seed, 20))
        self._last: dict[tuple[str, str], int] = {}
        self._number = 0
        self._chapter = self._tell({})

    def until(self, now: dt.datetime) -> list[Sample]:
        """Everything that was said up to now since the last call, in the order of time."""
        upto = int(self._story0 + (now.timestamp() * 1000 - self._real0) * self._speed)
        said: list[Sample] = []
        while upto >= self._chapter.end:
            said += self._between(self._told, self._chapter.end)
            self._told = self._chapter.end
            self._chapter = self._tell(self._chapter.counts)
        said += self._between(self._told, upto)
        self._told = upto
        return sorted(said, key=lambda sample: sample.time_ms)

    def _between(self, begin: int, end: int) -> Iterator[Sample]:
        chapter = self._chapter
        for one in chapter.events:
            yield from self._samples(_cut(one, begin, end))
        for one in chapter.sensors:
            dense = self._every_ms < FINEST_MS
            yield from self._samples(self._filled(one, begin, end) if dense else _cut(one, begin, end))

    def _filled(self, one: Series, begin: int, end: int) -> Series:
        first, last = -(-begin // self._every_ms), -(-end // self._every_ms)
        time = (np.arange(first, last) * self._every_ms).astype(np.int64)
        between = np.interp(time, one.time, one.value)
        noise = self._rng.normal(0.0, 0.002, len(time))
        return Series(one.machine, one.metric, time, np.round(between * (1.0 + noise), 2))

    def _samples(self, one: Series) -> Iterator[Sample]:
        if not len(one.time):
            return
        tag = (one.machine, one.metric)
        place = np.arange(len(one.time))
        real = (self._real0 + (one.time - self._story0) / self._speed).astype(np.int64)
        # A gateway gives each value of a tag a time of its own.
        real = np.maximum.accumulate(np.maximum(real - place, self._last.get(tag, 0) + 1)) + place
        self._last[tag] = int(real[-1])
        texts = [None] * len(place) if one.text is None else one.text.tolist()
        for at, value, text in zip(real.tolist(), one.value.tolist(), texts, strict=True):
            yield Sample(at, one.machine, one.metric, value, text)

    def _tell(self, counts: dict[tuple[str, str], int]) -> _Chapter:
        """The next chapter; `counts` are what the counters hold."""
        begin = self._story0 + self._number * CHAPTER_MS
        end = begin + CHAPTER_MS
        chapter = _Chapter(begin, end, [], [], {})
        every = int(min(max(self._every_ms, FINEST_MS), 120_000))
        for index, machine in enumerate(self._plant.machines):
            seed = (self._seed, 21, self._number, index)
            plan = timeline.read_plan(self._plant, machine, _instant(begin - LEAD_MS), _instant(end))
            life = timeline.live(self._plant, machine, plan, None, seed, weak=False)
            chapter.sensors += signals.sensors(machine, life, every, seed)
            for one in self._events(life, begin, end, seed, counts):
                # Whoever starts to listen hears every value once.
                told = one.time[one.time < end]
                if not len(told):
                    continue
                refreshed = series.refreshed(one, np.array([begin + 37 * index], dtype=np.int64))
                chapter.events.append(_cut(refreshed, begin, end))
                if any(counter.metric == one.metric for counter in machine.counters):
                    chapter.counts[machine.id, one.metric] = int(refreshed.value[-1])
        self._number += 1
        return chapter

    def _events(
        self, life: Timeline, begin: int, end: int, seed: tuple[int, ...], counts: dict[tuple[str, str], int]
    ) -> list[Series]:
        machine = life.machine
        made = pieces.make(life, [], seed)
        # Pieces of the time before are not counted twice: the counter shows what it held when the chapter begins.
        made = made.after(begin)
        starts = series.counter_starts(machine, np.random.default_rng(seed))
        starts = {metric: counts.get((machine.id, metric), start) for metric, start in starts.items()}
        tags = series.counters(machine, made, begin, starts, None)
        counted = np.unique(np.concatenate([one.time for one in tags])) if tags else np.zeros(0, dtype=np.int64)
        cycle_time = series.cycle_times(machine, made, counted) if len(made.time) else None
        day = life.plan[-1].date
        tags += [
            *series.states(machine, life),
            series.tools(machine, life, begin - LEAD_MS, end),
            series.targets(machine, life, [ideal_cycle_ms(machine, order.part, day) for order in life.orders]),
        ]
        return tags if cycle_time is None else [*tags, cycle_time]


def _cut(one: Series, begin: int, end: int) -> Series:
    first, last = np.searchsorted(one.time, [begin, end])
    return one.picked(slice(int(first), int(last)))


def _working_moment(plant: Plant, now: dt.datetime) -> int:
    """Now, if somebody is to work; else a quarter into the last time somebody was."""
    plan = timeline.read_plan(plant, plant.machines[0], now - dt.timedelta(days=14), now)
    at = int(now.timestamp() * 1000)
    worked = [row for row in plan if row.plan == "planned"]
    if not worked or worked[-1].end >= at:
        return at
    return worked[-1].begin + (worked[-1].end - worked[-1].begin) // 4


def _instant(at: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC)
