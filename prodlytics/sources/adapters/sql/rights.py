"""What a login may do, as the database itself says: one that may write is refused.

Belongs here: the question for each database and reading its answer. Does not belong here: asking it (`reading.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

#: Dialect to the questions whose answers `writes` reads.
QUESTIONS: dict[str, tuple[str, ...]] = {
    "mysql": ("SHOW GRANTS",),
    "tsql": (
        "SELECT 'SERVER', permission_name FROM fn_my_permissions(NULL, 'SERVER')",
        "SELECT 'DATABASE', permission_name FROM fn_my_permissions(NULL, 'DATABASE')",
        "SELECT TOP 5 s.name + '.' + o.name, p.permission_name FROM sys.objects AS o"
        " JOIN sys.schemas AS s ON s.schema_id = o.schema_id"
        " CROSS APPLY fn_my_permissions(QUOTENAME(s.name) + '.' + QUOTENAME(o.name), 'OBJECT') AS p"
        " WHERE o.type IN ('U', 'V', 'P') AND p.permission_name NOT IN ('SELECT', 'VIEW DEFINITION', 'REFERENCES',"
        " 'VIEW CHANGE TRACKING')",
    ),
}
_READING = {
    "mysql": {"SELECT", "USAGE", "SHOW VIEW", "SHOW DATABASES"},
    "tsql": {
        "CONNECT", "CONNECT SQL", "CONNECT ANY DATABASE", "SELECT", "SELECT ALL USER SECURABLES", "VIEW DEFINITION",
        "VIEW ANY DATABASE", "VIEW ANY DEFINITION", "VIEW DATABASE STATE", "VIEW SERVER STATE",
        "VIEW ANY COLUMN MASTER KEY DEFINITION", "VIEW ANY COLUMN ENCRYPTION KEY DEFINITION", "SHOWPLAN",
        "VIEW DATABASE PERFORMANCE STATE", "VIEW SERVER PERFORMANCE STATE", "VIEW CHANGE TRACKING", "REFERENCES",
        "VIEW DATABASE SECURITY STATE", "VIEW SERVER SECURITY STATE", "VIEW PERFORMANCE DEFINITION",
        "VIEW SECURITY DEFINITION", "VIEW ANY PERFORMANCE DEFINITION", "VIEW ANY SECURITY DEFINITION",
    },
}  # fmt: skip
_GRANT = re.compile(r"GRANT (.+?) ON (.+?) TO ", re.IGNORECASE | re.DOTALL)


def writes(dialect: str, answers: Iterable[Sequence[Any]]) -> list[str]:
    """What of a login's rights goes beyond reading, for people; nothing where it may only read.

    Args:
        dialect: One of `QUESTIONS`.
        answers: Rows of all its questions.
    """
    found = _of_mysql(str(row[0]) for row in answers) if dialect == "mysql" else _of_tsql(answers)
    return list(dict.fromkeys(found))


def _of_mysql(grants: Iterable[str]) -> Iterable[str]:
    for grant in grants:
        match = _GRANT.match(grant)
        if match is None:
            # A role, or a form nobody has described: what it allows cannot be seen here.
            yield grant.partition(" IDENTIFIED ")[0]
            continue
        for right in re.sub(r"\([^)]*\)", "", match[1]).split(","):
            if right.strip().upper() not in _READING["mysql"]:
                yield f"{right.strip()} on {match[2]}"
        if re.search(r"WITH\s+GRANT\s+OPTION", grant, re.IGNORECASE):
            yield f"GRANT OPTION on {match[2]}"


def _of_tsql(permissions: Iterable[Sequence[Any]]) -> Iterable[str]:
    for what, name, *_ in permissions:
        if str(name).upper() not in _READING["tsql"]:
            yield f"{name} on {what}"
