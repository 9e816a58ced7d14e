"""Samples into messages of the hub.

Belongs here: how many of the waiting samples go into the next message, and how it is written. Does not belong here:
which samples there are (`choice`), sending (`forwarder`). The hub counts messages in units of 4 KB and takes at most
256 KB, so a message is sent when something in it must not wait any longer, and the rest of its last unit is filled
with what waits next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prodlytics.edge.cloud.choice import Kind
from prodlytics.plant.cloud import Cloud

UNIT = 4_096
#: What the hub may add to a message for its properties before it counts.
ALLOWANCE = 128
#: So much waiting is sent at once.
FULL_UNITS = 16
#: 248 KB, of the 256 that the hub takes.
MOST_UNITS = 62


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sample that waits: its sequence, how it is treated, since when (microseconds since 1970), and its JSON."""

    seq: int
    kind: Kind
    since_us: int
    body: str


def units(size: int) -> int:
    """The units of 4 KB that a message of so many bytes counts as."""
    return -(-(size + ALLOWANCE) // UNIT)


def next_count(waiting: Sequence[Waiting], now_us: int, cloud: Cloud, frame_bytes: int) -> int:
    """How many of the oldest samples make the next message; 0 as long as all may wait.

    Args:
        waiting: The oldest samples in the order of their sequence.
        now_us: Our clock, microseconds since 1970 UTC.
        cloud: How long samples may wait.
        frame_bytes: Size of a message without samples.
    """
    patience_us = {
        Kind.URGENT: cloud.urgent_s * 1e6,
        Kind.KEPT: cloud.batch_s * 1e6,
        Kind.REST: cloud.batch_s * 1e6,
    }
    ends: list[int] = []
    size = frame_bytes
    due = 0
    for place, one in enumerate(waiting, start=1):
        size += sample_bytes(one)
        ends.append(size)
        # A clock that was set back must not keep samples waiting for hours.
        if not 0 <= now_us - one.since_us < patience_us[one.kind]:
            due = place
    whole = (size + ALLOWANCE) // UNIT
    if whole >= FULL_UNITS:
        room = min(whole, MOST_UNITS)
    elif due:
        # All whole units go along: left behind, the next change would cost a message of its own for each.
        room = max(units(ends[due - 1]), whole)
    else:
        return 0
    fitting = sum(end + ALLOWANCE <= room * UNIT for end in ends)
    return max(fitting, 1)


def sample_bytes(one: Waiting) -> int:
    """What a sample adds to a message."""
    return len(_sample(one)) + 1


def frame(plant: str, stream: str) -> bytes:
    """The beginning of a message; `stream` names the outbox, whose sequence starts anew when its disk is replaced."""
    return f'{{"schema":"prodlytics/1","plant":"{plant}","stream":"{stream}","samples":['.encode()


def message(beginning: bytes, samples: Sequence[Waiting]) -> bytes:
    """A message of samples."""
    return beginning + b",".join(_sample(one) for one in samples) + b"]}"


def _sample(one: Waiting) -> bytes:
    return f'{{"seq":{one.seq},{one.body}'.encode()
