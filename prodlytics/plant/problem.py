"""One thing that is wrong in a plant file.

Belongs here: the type that rules and reader share.
"""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where (keys and list positions from the top of the file) and what to write."""

    path: Path
    message: str
