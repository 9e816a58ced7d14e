"""The queries of sql/queries, by name.

Belongs here: reading a file once. SQL lives in files named verb_object, so that it can be read, tried and explained on
its own; parameters are always bound.
"""

from __future__ import annotations

from functools import cache
from typing import LiteralString

from prodlytics.db.sqlfiles import sql_folder


@cache
def sql(name: str) -> LiteralString:
    """Text of sql/queries/NAME.sql."""
    return (sql_folder() / "queries" / f"{name}.sql").read_text(encoding="utf-8")
