"""`prodlytics models`: what was trained, how good it is, which version is in use, and changing that.

Belongs here: the command's actions and its table. Does not belong here: the registry (`db.model_registry`), training.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prodlytics.db import model_registry as registry
from prodlytics.ops.instance import NotConfiguredError

if TYPE_CHECKING:
    from prodlytics.settings import Settings

ACTIONS = ("list", "promote", "pin", "unpin", "train")  # training is a run, and stands in `backfill.train_now`


@dataclass(frozen=True)
class Told:
    """What the command says, for people and for machines."""

    text: str
    rows: list[dict[str, Any]]


def act(
    settings: Settings, action: str, model: str | None, version: int | None, why: str | None, by: str | None
) -> Told:
    """Do what was asked, and show what there is then.

    Raises:
        NotConfiguredError: The question is incomplete; the text says what to write.
        NoSuchModelError: There is no such model or version.
    """
    from prodlytics.db.connect import connect
    from prodlytics.db.url import database_url

    if action not in ACTIONS:
        raise NotConfiguredError(f"{action!r} is no action: write one of {', '.join(ACTIONS)}.")
    with connect(database_url(settings)) as conn:
        if action in ("promote", "pin", "unpin"):
            name, number, reason = _complete(action, model, version, why)
            who = by or getpass.getuser()
            if action == "promote":
                registry.promote(conn, name, number, who, reason)
            else:
                registry.pin(conn, name, number if action == "pin" else None, who, reason)
            conn.commit()
        rows = registry.versions(conn, model)
    return Told(_as_text(rows), rows)


def _complete(action: str, model: str | None, version: int | None, why: str | None) -> tuple[str, int, str]:
    example = f'prodlytics models {action} downtime_causes{"" if action == "unpin" else " 3"} --why "..."'
    if model is None or why is None or (version is None and action != "unpin"):
        raise NotConfiguredError(f"Say which model, which version and why: {example}")
    return model, version or 0, why


def _as_text(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "No model was trained yet: the weekly training comes on Sunday, or now with prodlytics models train."
    lines = []
    for row in rows:
        pinned = ", pinned" if row["is_pinned"] else ""
        lines.append(f"{row['model_name']} version {row['version']}: {row['status']}{pinned}")
        lines.append(f"  {row['status_reason']}")
        lines.append(
            f"  trained {row['trained_at']:%Y-%m-%d %H:%M} UTC ({row['training_trigger']}) on {row['row_count']} rows "
            f"of {row['trained_from']:%Y-%m-%d} to {row['trained_until']:%Y-%m-%d}"
        )
    return "\n".join(lines)
