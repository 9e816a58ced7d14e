"""Counters that go wrong on purpose, and the parts that were really made.

Belongs here: what a controller shows after it lost its count, rolled over or showed an old value once. Does not belong
here: what machines make (`live.py`), what happens to messages (`publish.py`).

A fault strikes only where the readings leave no doubt of what happened: a counter that shows 7 where it showed 9 may
have been set to zero, and nobody could say what is true.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from prodlytics.plant.model import Counter as CounterTag
from prodlytics.plant.model import Plant
from prodlytics.simulator.live import Sample

CounterFault = Literal["counter-reset", "counter-rollover", "counter-step-back"]
COUNTER_FAULTS: tuple[CounterFault, ...] = get_args(CounterFault)
ROLLING_BITS = 16
#: Readings of a counter between two faults.
_APART = 8
#: A count below this may be one since a reset.
_CLEARLY_HIGH = 100
#: So near to its largest value a counter that falls may have rolled over.
_NEAR_THE_TOP = 1_000
#: After a longer silence a lower count may be one since a reset.
_SHORT_MS = 60_000


@dataclass
class _Dial:
    """One counter: what it really counted last, what it holds, what it showed before, and when."""

    size: int | None
    signed: bool
    raw: int
    held: int
    at_ms: int
    shown: int
    before: int
    calm: int = 0

    @property
    def top(self) -> int | None:
        """The first value it cannot show."""
        return None if self.size is None else self.size // (2 if self.signed else 1)

    def shows(self) -> int:
        """What a register of its width shows of what it holds."""
        if self.size is None or self.top is None:
            return self.held
        shown = self.held % self.size
        return shown - self.size if shown >= self.top else shown


class Dials:
    """The counters of a plant, with faults."""

    def __init__(
        self,
        plant: Plant,
        faults: Mapping[CounterFault, float],
        dice: random.Random,
        note: Callable[[CounterFault], None] = lambda fault: None,
    ) -> None:
        """Nothing was read yet.

        Args:
            plant: Whose counters.
            faults: Probability for each reading; of `counter-rollover` for each counter of 16 bits.
            dice: Chance.
            note: Told of each fault.

        Raises:
            ValueError: A rollover is wanted and no counter has 16 bits.
        """
        self._counters = {
            (machine.id, counter.metric): counter
            for machine in plant.machines
            for counter in machine.counters
            if counter.kind == "cumulative"
        }
        if faults.get("counter-rollover") and all(one.width_bits != ROLLING_BITS for one in self._counters.values()):
            raise ValueError(f"No counter of the plant has {ROLLING_BITS} bits, so none can roll over in time")
        self._faults, self._dice, self._note = faults, dice, note
        self._dials: dict[tuple[str, str], _Dial] = {}
        self.done: Counter[str] = Counter()

    def show(self, samples: Sequence[Sample]) -> list[Sample]:
        """Samples as the controllers show them, in the order of time; those of counters know their parts."""
        shown: list[Sample] = []
        for one in samples:
            counter = self._counters.get((one.machine, one.metric))
            shown += [one] if counter is None else self._reading(one, counter)
        return sorted(shown, key=lambda sample: sample.time_ms)

    def _reading(self, one: Sample, counter: CounterTag) -> list[Sample]:
        tag, raw = (one.machine, one.metric), int(one.value)
        dial = self._dials.get(tag)
        if dial is None:
            dial = self._dials[tag] = self._first(one, counter)
            return [replace(one, value=float(dial.shown), parts=0)]
        made = raw - dial.raw if dial.size is None else (raw - dial.raw) % dial.size
        said = []
        if made and self._can_reset(dial) and self._strikes("counter-reset"):
            dial.held, dial.calm = 0, 0
        elif made and self._can_step_back(dial, one) and self._strikes("counter-step-back"):
            said.append(replace(one, time_ms=(dial.at_ms + one.time_ms) // 2, value=float(dial.before), parts=0))
            dial.calm = 0
        dial.held += made
        dial.raw, dial.at_ms, dial.before, dial.shown = raw, one.time_ms, dial.shown, dial.shows()
        dial.calm += 1
        return [*said, replace(one, value=float(dial.shown), parts=made)]

    def _first(self, one: Sample, counter: CounterTag) -> _Dial:
        raw = int(one.value)
        wide = counter.width_bits is None or counter.width_bits == 64
        dial = _Dial(None if wide else 2 ** (counter.width_bits or 0), counter.signed, raw, raw, one.time_ms, raw, raw)
        if counter.width_bits == ROLLING_BITS and dial.top is not None and self._strikes("counter-rollover"):
            dial.held = dial.top - self._dice.randint(1, 5)
            dial.shown = dial.before = dial.shows()
        return dial

    def _can_reset(self, dial: _Dial) -> bool:
        if dial.calm < _APART or dial.shown < _CLEARLY_HIGH:
            return False
        return dial.top is None or dial.top - dial.shown > _NEAR_THE_TOP

    def _can_step_back(self, dial: _Dial, one: Sample) -> bool:
        in_between = 2 <= one.time_ms - dial.at_ms <= _SHORT_MS
        return in_between and dial.calm >= _APART and _CLEARLY_HIGH <= dial.before < dial.shown

    def _strikes(self, fault: CounterFault) -> bool:
        if self._dice.random() >= self._faults.get(fault, 0.0):
            return False
        self.done[fault] += 1
        self._note(fault)
        return True
