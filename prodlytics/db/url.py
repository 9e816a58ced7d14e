"""Which database is in use.

Belongs here: the choice between the configured server and the embedded one. Does not belong here: starting it
(`embedded.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prodlytics.settings import Settings


def database_url(settings: Settings) -> str:
    """The product database's URL, starting the embedded server if no other is configured."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    from prodlytics.db.embedded import ensure_running

    return ensure_running(settings.home)
