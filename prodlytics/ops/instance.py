"""Dagster's own surroundings: its home folder, its database, its environment.

Belongs here: what must be true before a Dagster process starts. Does not belong here: definitions.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from prodlytics.settings import Settings


class NotConfiguredError(Exception):
    """Something a person must set first; the text says what."""


def project_file(name: str) -> Path:
    """A file of the project's top level, or its twin inside the installed package."""
    here = Path(__file__).resolve().parent.parent
    source = here.parent / name
    return source if source.is_file() else here / "_project" / name


def dagster_environment(settings: Settings) -> dict[str, str]:
    """The variables a Dagster process needs beside the ones that are set; prepares its home folder.

    With the embedded database Dagster's storage lies beside the product's, in a database of its own.

    Raises:
        NotConfiguredError: A database was configured for the product but none for Dagster.
    """
    home = (settings.home / "dagster").resolve()
    home.mkdir(parents=True, exist_ok=True)
    if settings.landing_url is None:
        Path(settings.landing_place).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(project_file("dagster.yaml"), home / "dagster.yaml")
    url = os.environ.get("PRODLYTICS_DAGSTER_URL")
    if url is None:
        if settings.database_url is not None:
            raise NotConfiguredError(
                "PRODLYTICS_DATABASE_URL is set but PRODLYTICS_DAGSTER_URL is not: write the URL of Dagster's own "
                "database, postgresql+psycopg2://user:password@host:5432/dagster."
            )
        from prodlytics.db.embedded import dagster_url

        url = dagster_url(settings.home)
    return {
        "DAGSTER_HOME": str(home),
        "PRODLYTICS_DAGSTER_URL": url,
        "PRODLYTICS_DAGSTER_FILES": str(home),
        "PRODLYTICS_HOME": str(settings.home.resolve()),
    }
