"""What a measurement was taken on.

Belongs here: what every result says about itself. Does not belong here: what was measured.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
from typing import Any

#: Others on this machine: measured before we are busy ourselves.
_BUSY_BEFORE = os.getloadavg()[0]


def machine() -> dict[str, Any]:
    """Processors, versions, commit, time and load."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "cpus": os.cpu_count(), "python": platform.python_version(), "commit": commit.stdout.strip(),
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"), "load_average": round(_BUSY_BEFORE, 1),
    }  # fmt: skip


def verdict(holds: bool) -> str:
    """Whether an aim is reached, for the table."""
    return "pass" if holds else "falls short"
