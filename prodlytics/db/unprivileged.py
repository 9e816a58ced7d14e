"""Running PostgreSQL's programs when we are root, which they refuse to be.

Belongs here: who they run as instead, and where their files can lie so that this user reaches them. Does not belong
here: starting anything.
"""

from __future__ import annotations

import errno
import hashlib
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

_NAME = "nobody"
#: Kept over a restart of the machine, and everybody may enter it.
_OUTSIDE = Path("/var/tmp")


class As(TypedDict, total=False):
    """Arguments of `subprocess` that change the user."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Identity:
    """Who servers run as: ourselves (uid is None), or `nobody` where we are root."""

    uid: int | None
    gid: int | None

    @property
    def popen(self) -> As:
        """Arguments for `subprocess.run` and `Popen`."""
        if self.uid is None or self.gid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, *paths: Path) -> None:
        """Hand files over to this user."""
        if self.uid is not None and self.gid is not None:
            for path in paths:
                os.chown(path, self.uid, self.gid)


def identity() -> Identity:
    """Who PostgreSQL's programs run as."""
    if os.geteuid() != 0:
        return Identity(None, None)
    nobody = pwd.getpwnam(_NAME)
    return Identity(nobody.pw_uid, nobody.pw_gid)


def can_enter(path: Path) -> bool:
    """Whether a stranger may pass through every folder on the way."""
    return all(folder.stat().st_mode & 0o001 for folder in [path, *path.parents] if folder.is_dir())


def place_outside(folder: Path, label: str) -> Path:
    """A folder that strangers can enter, always the same one for `folder`.

    Raises:
        PermissionError: Somebody else has made a folder or link of that name.
    """
    place = _OUTSIDE / f"{label}-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    if place.is_symlink() or place.stat().st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, f"{place} belongs to somebody else, remove it", str(place))
    place.chmod(0o755)
    return place
