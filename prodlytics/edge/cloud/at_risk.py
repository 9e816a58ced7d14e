"""What is on its way to the cloud and on no disk.

Belongs here: the numbers that are told. Does not belong here: holding (`forwarder`), telling (`edge.store`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AtRisk:
    """Samples that must not be dropped and are not on the disk.

    Attributes:
        since_us: When the disk began to refuse, microseconds since 1970 UTC.
        waiting: How many wait in memory: a kill loses them.
        lost: How many never reach the cloud: there were too many for the memory.
    """

    since_us: int
    waiting: int
    lost: int
