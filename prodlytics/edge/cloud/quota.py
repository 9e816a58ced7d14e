"""What forwarding costs of the hub's daily quota.

Belongs here: the calculation, its table. Does not belong here: where the rates come from (`ops.doctor`). Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prodlytics.edge.cloud import packing
from prodlytics.edge.cloud.choice import Kind, kinds, written
from prodlytics.plant.model import Plant

DAY_S = 86_400.0
#: Messages of 4 KB a day that one unit of tier S1 takes.
S1_UNITS_PER_DAY = 400_000
#: A time and a sequence of the length they will have for years, a reading as long as readings get.
_LONGEST = 256
_TIME_US, _SEQ, _VALUE = 1_800_000_000_000_000, 999_999_999, -12345.678


@dataclass(frozen=True)
class TagRate:
    """How often a tag speaks: samples a day that leave its dead-band, or all where that is not known."""

    machine: str
    metric: str
    samples_per_day: float


@dataclass(frozen=True)
class QuotaPlan:
    """What a day costs, at most.

    Attributes:
        samples: Forwarded samples, by kind.
        messages: Messages.
        quota_units: The same in units of 4 KB, as the hub counts them.
    """

    samples: dict[Kind, float]
    messages: float
    quota_units: float

    @property
    def hub_units(self) -> int:
        """Units of tier S1 that are needed."""
        return max(1, math.ceil(self.share))

    @property
    def share(self) -> float:
        """Of the quota of one unit S1."""
        return self.quota_units / S1_UNITS_PER_DAY


def quota_plan(plant: Plant, tags: Sequence[TagRate], dead_band_share: float = 1.0) -> QuotaPlan:
    """What a day of forwarding costs at most.

    A message leaves when the oldest change has waited `urgent_s`, when the oldest of the rest has waited `batch_s`, or
    when 64 KB wait. So there are at most as many messages as there are such waits in a day (and as there are samples to
    begin one), plus one for every full message; and each wastes less than one unit beside the bytes it carries.

    Args:
        plant: For what is never dropped, and how long samples may wait.
        tags: Every tag that speaks.
        dead_band_share: Of the samples that may be dropped, how many leave their dead-band.
    """
    known = kinds(plant)
    samples: dict[Kind, float] = dict.fromkeys(Kind, 0.0)
    size = 0.0
    for tag in tags:
        kind = known.get((tag.machine, tag.metric), Kind.REST)
        count = tag.samples_per_day * (dead_band_share if kind is Kind.REST else 1.0)
        samples[kind] += count
        size += count * _bytes(tag)
    waits: Mapping[Kind, float] = {
        Kind.URGENT: DAY_S / plant.cloud.urgent_s,
        Kind.KEPT: DAY_S / plant.cloud.batch_s,
        Kind.REST: DAY_S / plant.cloud.batch_s,
    }
    others = samples[Kind.KEPT] + samples[Kind.REST]
    timed = min(samples[Kind.URGENT], waits[Kind.URGENT]) + min(others, waits[Kind.REST])
    overhead = len(packing.frame(plant.plant, "12345678")) + 2 + packing.ALLOWANCE
    # A full message ends less than a sample before the end of its last unit.
    full = size / (packing.FULL_UNITS * packing.UNIT - overhead - _LONGEST)
    messages = timed + full
    return QuotaPlan(samples, messages, timed + (size + messages * overhead + full * _LONGEST) / packing.UNIT)


def supposed(plant: Plant, others: int = 10, samples_per_s: float = 1.0) -> list[TagRate]:
    """Tags of a plant nothing is known of yet: those of the plant file, and so many others on each machine."""
    pairs = [*kinds(plant), *((machine.id, f"Sensor{n:02d}_mms") for machine in plant.machines for n in range(others))]
    return [TagRate(machine, metric, samples_per_s * DAY_S) for machine, metric in pairs]


def as_lines(plan: QuotaPlan) -> list[str]:
    """The plan for people."""
    return [
        f"{plan.samples[Kind.URGENT]:>14,.0f}  changes of state, fault and alarm a day, never dropped",
        f"{plan.samples[Kind.KEPT]:>14,.0f}  counter readings a day, never dropped",
        f"{plan.samples[Kind.REST]:>14,.0f}  other samples a day",
        f"{plan.messages:>14,.0f}  messages a day at most",
        f"{plan.quota_units:>14,.0f}  units of 4 KB a day at most: {plan.share:.1%} of one unit S1 (400,000 a day)",
        f"{plan.hub_units:>14,}  unit{'s' if plan.hub_units > 1 else ''} S1 needed",
    ]


def _bytes(tag: TagRate) -> int:
    body = written(tag.machine, tag.metric, "", _TIME_US, _VALUE, None, 192)
    return packing.sample_bytes(packing.Waiting(_SEQ, Kind.REST, 0, body))
