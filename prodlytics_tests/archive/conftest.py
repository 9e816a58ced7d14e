from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from prodlytics.archive.store import ArchiveStore
from prodlytics.db.connect import connect


@pytest.fixture
def conn(plain_database: str) -> Iterator[psycopg.Connection]:
    with connect(plain_database) as connection:
        yield connection


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
def store(folder: Path) -> ArchiveStore:
    return ArchiveStore(folder)
