"""Every query the code names is there, and every query that is there is named.

Two queries the MTConnect reader lives on went with a renaming; only its own tests, minutes into a run, noticed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import prodlytics
from prodlytics.db.sqlfiles import sql_folder

CODE = sorted(Path(prodlytics.__file__).parent.rglob("*.py"))
QUERIES = {file.stem for file in (sql_folder() / "queries").glob("*.sql")}


def named() -> Iterator[tuple[str, ast.expr]]:
    for file in CODE:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id="sql"), args=[name]):
                    yield f"{file.name}:{node.lineno}", name


def test_every_query_the_code_names_is_there() -> None:
    missing = [(place, name.value) for place, name in named() if isinstance(name, ast.Constant)
               and name.value not in QUERIES]  # fmt: skip
    assert missing == []


def test_every_query_is_named_by_the_code() -> None:
    said = {
        node.value
        for file in CODE
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    begun = {
        name.values[0].value
        for _, name in named()
        if isinstance(name, ast.JoinedStr) and isinstance(name.values[0], ast.Constant)
    }
    unused = {
        query for query in QUERIES - said
        if not any(query.startswith(str(one)) and query.removeprefix(str(one)) in said for one in begun)
    }  # fmt: skip
    assert unused == set()
