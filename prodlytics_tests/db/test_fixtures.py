"""The database fixtures themselves: migrated, empty, and nobody else's."""

from __future__ import annotations

import pytest

from prodlytics.db.connect import connect


@pytest.mark.parametrize("nth", [1, 2])
def test_every_test_has_a_fresh_migrated_database(database: str, nth: int) -> None:
    with connect(database) as conn:
        assert conn.execute("SELECT count(*) FROM tag").fetchone() == (0,)
        conn.execute("INSERT INTO tag (machine_id, metric_name, source) VALUES ('M', 'm', 'test')")
