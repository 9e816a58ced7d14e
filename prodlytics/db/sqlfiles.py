"""Where the SQL lies: the source tree's `sql/`, or its twin inside the installed package."""

from __future__ import annotations

from pathlib import Path


def sql_folder() -> Path:
    """The folder with migrations, views, queries and roles."""
    package = Path(__file__).resolve().parent.parent
    source = package.parent / "sql"
    return source if source.is_dir() else package / "_sql"
