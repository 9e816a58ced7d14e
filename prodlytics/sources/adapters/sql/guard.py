"""Only SELECT: what a query is taken apart into, and what is in none of its parts.

Belongs here: one text of SQL. Does not belong here: what the login may do (`rights.py`), running it (`reading.py`).
What runs is written anew from the parsed tree, so that nothing can hide from the parser in a comment or a quote.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp


class NotASelectError(ValueError):
    """A query that is more, or other, than a SELECT; the text says what of it."""


def only_select(query: str, dialect: str) -> exp.Query:
    """The tree of a query that does nothing but read.

    Args:
        query: One statement.
        dialect: sqlglot's name of the database's SQL.

    Raises:
        NotASelectError: It cannot be parsed, is several statements, or holds something that writes, locks, waits, or
            calls what nobody knows.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        statements = [one for one in sqlglot.parse(query, dialect=dialect) if one is not None]
    except (SqlglotError, RecursionError, ValueError) as error:
        why = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise NotASelectError(f"it cannot be parsed as {dialect}: {why[:200]}") from error
    if len(statements) != 1:
        raise NotASelectError(f"it is {len(statements)} statements")
    (tree,) = statements
    if not isinstance(tree, exp.Select | exp.SetOperation):
        raise NotASelectError(f"it is {type(tree).__name__.upper()}, not SELECT")
    refused = (
        exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock, exp.Merge, exp.Copy, exp.LoadData, exp.Set, exp.SetItem,
        exp.Use, exp.Transaction, exp.Commit, exp.Rollback, exp.Kill, exp.Pragma, exp.Drop, exp.Alter, exp.Attach,
        exp.WithTableHint, exp.NextValueFor, exp.PropertyEQ, exp.Placeholder, exp.Parameter,
    )  # fmt: skip
    for node in tree.walk():
        # A SELECT is DML to the parser as well.
        if isinstance(node, refused) and not isinstance(node, exp.Query):
            raise NotASelectError(f"it holds {node.sql(dialect=dialect)[:80]!r}, which only reading does not need")
        if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
            raise NotASelectError(f"it calls {node.name}, of which nobody knows what it does")
    return tree
