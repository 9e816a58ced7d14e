"""The registry of models: one version in use, every change on record, and nothing of it can be altered."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import psycopg
import pytest

from prodlytics.db import model_registry as models
from prodlytics.db.connect import connect
from prodlytics.insights.store import to_bytes

DAY = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)


def trained(number: int, score: float = 0.5) -> models.Trained:
    content, digest = to_bytes({"number": number})
    return models.Trained(
        model_name="downtime_causes", algorithm="test", trained_from=DAY, trained_until=DAY + dt.timedelta(90),
        judged_from=None, judged_until=None, row_count=10, features=("a", "b"), feature_version="1",
        score_name="macro-F1", score=score, baseline_score=0.2, champion_score=None, metrics={"accuracy": 0.9},
        data_fingerprint=f"rows{number}", training_trigger="schedule", content=content, content_hash=digest,
    )  # fmt: skip


def changes(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    return conn.execute("SELECT version, action, changed_by FROM model_change ORDER BY change_id").fetchall()


def test_promotion_rollback_and_pinning(plain_database: str) -> None:
    with connect(plain_database) as conn:
        assert models.in_use(conn, "downtime_causes") is None
        first = models.register(conn, trained(1), True, "better", "v1")
        second = models.register(conn, trained(2), True, "better still", "v1")
        third = models.register(conn, trained(3), False, "not promoted: worse", "v1")
        assert (first, second, third) == (1, 2, 3)
        used = models.in_use(conn, "downtime_causes")
        assert used is not None
        assert (used.version, used.features, used.content) == (2, ("a", "b"), trained(2).content)

        models.promote(conn, "downtime_causes", 1, "engineer", "the new one calls everything material")
        models.pin(conn, "downtime_causes", 1, "engineer", "until the sensor is repaired")
        used = models.in_use(conn, "downtime_causes")
        assert used is not None
        assert (used.version, used.is_pinned) == (1, True)
        models.pin(conn, "downtime_causes", None, "engineer", "repaired")
        by_version = {row["version"]: row for row in models.versions(conn)}
        assert {v: row["status"] for v, row in by_version.items()} == {1: "champion", 2: "retired", 3: "rejected"}
        assert not any(row["is_pinned"] for row in by_version.values())
        assert changes(conn) == [
            (1, "promoted", "training"), (2, "promoted", "training"), (3, "rejected", "training"),
            (1, "rolled_back", "engineer"), (1, "pinned", "engineer"), (1, "unpinned", "engineer"),
        ]  # fmt: skip


def test_the_same_training_is_stored_once(plain_database: str) -> None:
    with connect(plain_database) as conn:
        models.register(conn, trained(1), True, "better", "v1")
        assert models.register(conn, trained(1), True, "better", "v1") == 1
        # The same bytes from other rows are another version; the file is kept once.
        again = replace(trained(1), data_fingerprint="other rows")
        assert models.register(conn, again, False, "as good", "v1") == 2
        assert conn.execute("SELECT count(*) FROM model_file").fetchone() == (1,)


def test_a_version_that_is_not_there_is_refused_with_those_that_are(plain_database: str) -> None:
    with connect(plain_database) as conn:
        models.register(conn, trained(1), True, "better", "v1")
        with pytest.raises(models.NoSuchModelError, match="no version 7; there are 1"):
            models.promote(conn, "downtime_causes", 7, "engineer", "why not")
        with pytest.raises(models.NoSuchModelError, match="models: downtime_causes"):
            models.pin(conn, "causes", 1, "engineer", "why not")
        with pytest.raises(models.NoSuchModelError, match="No version"):
            models.pin(conn, "downtime_causes", None, "engineer", "why not")


@pytest.mark.parametrize("statement", ["UPDATE model_change SET why = ''", "DELETE FROM model_change"])
def test_what_was_done_with_models_cannot_be_altered(plain_database: str, statement: str) -> None:
    with connect(plain_database) as conn:
        models.register(conn, trained(1), True, "better", "v1")
        conn.commit()
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
            conn.execute(statement)
