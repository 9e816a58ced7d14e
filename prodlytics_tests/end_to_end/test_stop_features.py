"""stop_features: every figure counted again from the raw samples, nothing of the future in it, late data taken in."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psycopg
import pytest

from prodlytics.assets.stop_features import features_of
from prodlytics.automation.schedules import dirty_days
from prodlytics.datasets.registry import INSIGHTS
from prodlytics.db.connect import connect
from prodlytics.db.frames import read
from prodlytics_tests.end_to_end.plant_run import PlantRun, plant_run
from prodlytics_tests.servers.databases import migrated_database

MINUTE = pd.Timedelta(minutes=1)


@pytest.fixture(scope="module")
def described(plain_server: str, story: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlantRun]:
    with migrated_database(plain_server) as url:
        run = plant_run(url, story, tmp_path_factory.mktemp("features"))
        assert run.load_and_derive().errors == []
        outcome = run.run(("insights", run.days[0], run.days[-1]))
        assert outcome.errors == []
        yield run


@pytest.fixture
def conn(described: PlantRun) -> Iterator[psycopg.Connection]:
    """A connection on which everything is rolled back."""
    with connect(described.url) as found:
        yield found
        found.rollback()


def stops(conn: psycopg.Connection) -> pd.DataFrame:
    return read(conn, "SELECT * FROM stop_features ORDER BY stop_started_at, machine_id")


def test_every_stop_of_a_minute_or_more_is_described_once(conn: psycopg.Connection) -> None:
    expected = read(
        conn,
        "SELECT DISTINCT machine_id, stop_started_at FROM downtime_events"
        " WHERE coalesce(stop_ended_at, as_of) - stop_started_at >= interval '60 seconds'",
    )
    found = stops(conn)
    assert len(found) > 250
    assert set(zip(found["machine_id"], found["stop_started_at"], strict=True)) == set(
        zip(expected["machine_id"], expected["stop_started_at"], strict=True)
    )


def test_windows_last_values_and_alarms_are_those_of_the_raw_samples(conn: psycopg.Connection) -> None:
    """Counted again in pandas, sample by sample, for every eighth stop."""
    raw = read(conn, "SELECT time, machine_id, metric_name, native_code, value, value_text, quality"
                     " FROM machine_telemetry WHERE quality >= 192")  # fmt: skip
    alarms = read(conn, "SELECT machine_id, time FROM production_events WHERE event_type = 'alarm'")
    by_machine = dict(list(raw.groupby("machine_id")))
    compared = 0
    for stop in stops(conn).iloc[::8].itertuples():
        said = by_machine[stop.machine_id]
        before = said[said["time"] < stop.stop_started_at]
        for column, length in (("sensors_60s", MINUTE), ("sensors_5min", 5 * MINUTE)):
            window = before[(before["time"] >= stop.stop_started_at - length) & before["value"].notna()]
            expected = {
                (name if not code else f"{name}[{code}]"): group.sort_values("time")["value"].to_numpy()
                for (name, code), group in window.groupby(["metric_name", "native_code"])
            }
            found = json.loads(getattr(stop, column))
            assert set(found) == set(expected)
            for tag, values in expected.items():
                figures = [found[tag][name] for name in ("n", "mean", "std", "min", "max", "last")]
                assert figures == pytest.approx(
                    [len(values), values.mean(), values.std(), values.min(), values.max(), values[-1]],
                    rel=1e-5,
                    abs=1e-5,
                )
                compared += 1
        day = before[before["time"] >= stop.stop_started_at - pd.Timedelta(days=1)]
        newest = day.sort_values("time").groupby(["metric_name", "native_code"]).tail(1)
        held = json.loads(stop.last_values)
        assert set(held) == {
            n if not c else f"{n}[{c}]" for n, c in zip(newest["metric_name"], newest["native_code"], strict=True)
        }
        for one in newest[newest["value_text"].notna()].itertuples():
            name = one.metric_name if not one.native_code else f"{one.metric_name}[{one.native_code}]"
            assert held[name]["text"] == one.value_text
        own = alarms[(alarms["machine_id"] == stop.machine_id) & (alarms["time"] < stop.stop_started_at)]
        assert stop.alarms_24h == (own["time"] >= stop.stop_started_at - pd.Timedelta(days=1)).sum()
    assert compared > 250


def test_changing_the_future_changes_no_feature_of_the_past(described: PlantRun, conn: psycopg.Connection) -> None:
    """Everything at and after a moment is taken away or altered, also what people said of earlier stops later."""
    before = stops(conn)
    moment = before["stop_started_at"].iloc[len(before) // 2]
    past = before[before["stop_started_at"] <= moment]
    at = {"at": moment.to_pydatetime()}
    conn.execute("DELETE FROM telemetry_sample WHERE time >= %(at)s", at)
    conn.execute("DELETE FROM production_events WHERE time >= %(at)s", at)
    conn.execute("DELETE FROM machine_states WHERE starts_at >= %(at)s", at)
    conn.execute("DELETE FROM downtime_events WHERE time_start > %(at)s", at)
    conn.execute("UPDATE work_orders SET ended_at = NULL WHERE ended_at > %(at)s", at)
    conn.execute("DELETE FROM work_orders WHERE started_at >= %(at)s", at)
    # A reason that somebody gave after the moment says something else now.
    conn.execute(
        "UPDATE downtime_events d SET reason_category = 'OTHER' FROM operator_entries e"
        " WHERE e.source_key = d.reason_entry AND e.entered_at >= %(at)s", at,
    )  # fmt: skip
    again = features_of(
        conn, described.plant, past[["machine_id", "stop_started_at", "stop_id", "state", "fault_code", "shift",
                                     "production_date"]], dt.datetime.now(dt.UTC),
    )  # fmt: skip
    compared = again.merge(past, on=["machine_id", "stop_started_at"], suffixes=("", "_before"))
    assert len(compared) == len(past) > 200
    assert list(compared["fingerprint"]) == list(compared["fingerprint_before"])


def test_a_cause_named_later_is_not_known_to_the_next_stop(conn: psycopg.Connection) -> None:
    found = stops(conn)
    named = found["previous_cause"].notna()
    assert named.any()
    assert not named.all()
    late = read(
        conn,
        "SELECT f.machine_id, f.stop_started_at, f.previous_cause FROM stop_features f"
        " JOIN LATERAL (SELECT d.* FROM downtime_events d WHERE d.machine_id = f.machine_id"
        "   AND d.stop_ended_at <= f.stop_started_at AND d.bucket <> 'micro_stop'"
        "   AND d.time_start >= f.stop_started_at - interval '24 hours' ORDER BY d.time_start DESC LIMIT 1) b ON true"
        " JOIN operator_entries e ON e.source_key = b.reason_entry WHERE e.entered_at >= f.stop_started_at",
    )
    assert len(late) > 0
    assert late["previous_cause"].isna().all()


def test_computing_again_changes_nothing_and_any_day_alone_gives_the_same(described: PlantRun) -> None:
    with connect(described.url) as conn:
        before = read(
            conn, "SELECT machine_id, stop_started_at, fingerprint, xmin::text FROM stop_features ORDER BY 1, 2"
        )
    outcome = described.run(*(("insights", day, None) for day in reversed(described.days)))
    assert outcome.errors == []
    with connect(described.url) as conn:
        after = read(
            conn, "SELECT machine_id, stop_started_at, fingerprint, xmin::text FROM stop_features ORDER BY 1, 2"
        )
    pd.testing.assert_frame_equal(before, after)


def test_a_late_sample_changes_the_stops_of_the_next_day_too(described: PlantRun) -> None:
    """A tag heard last before midnight still holds for the first stops of the day after."""
    with connect(described.url) as conn:
        row = conn.execute(
            "SELECT f.machine_id, f.stop_started_at FROM stop_features f WHERE f.production_date = %s"
            " ORDER BY f.stop_started_at LIMIT 1", (described.days[-1],),
        ).fetchone()  # fmt: skip
        assert row is not None
        machine, stop = row
        tag = conn.execute(
            "INSERT INTO tag (machine_id, metric_name, source) VALUES (%s, 'CoolantLevel_pct', 'test')"
            " RETURNING tag_id",
            (machine,),
        ).fetchone()
        assert tag is not None
        day_start = conn.execute(
            "SELECT min(starts_at) FROM plan_calendar WHERE production_date = %s AND machine_id = %s",
            (described.days[-1], machine),
        ).fetchone()
        assert day_start is not None
        late = day_start[0] - dt.timedelta(minutes=20)
        conn.execute("INSERT INTO telemetry_sample (tag_id, time, value) VALUES (%s, %s, 41)", (tag[0], late))
        conn.execute(
            "INSERT INTO dirty_mark (dataset, machine_id, quarter, cause) VALUES ('stop_features', %s, date_bin("
            " '15 minutes', %s::timestamptz, '2000-01-01'), 'late rows') ON CONFLICT DO NOTHING", (machine, late),
        )  # fmt: skip
        conn.commit()
    for _ in range(3):
        for day in sorted(dirty_days(described.plant, described.database, INSIGHTS)):
            assert described.run(("insights", day, None)).errors == []
    assert dirty_days(described.plant, described.database, ["stop_features"]) <= {described.days[-1]}
    with connect(described.url) as conn:
        held = conn.execute(
            "SELECT last_values::jsonb -> 'CoolantLevel_pct' ->> 'value' FROM stop_features"
            " WHERE machine_id = %s AND stop_started_at = %s", (machine, stop),
        ).fetchone()  # fmt: skip
    assert held == ("41",)


def test_without_a_model_the_rule_answers_and_says_what_is_missing(
    described: PlantRun, conn: psycopg.Connection
) -> None:
    rows = read(conn, "SELECT c.*, f.fault_code FROM downtime_causes c JOIN stop_features f USING (machine_id,"
                      " stop_started_at)")  # fmt: skip
    mapped = rows["fault_code"].isin(list(described.plant.fault_reasons))
    assert mapped.any()
    assert set(rows.loc[mapped, "answered_by"]) == {"rule"}
    assert set(rows.loc[~mapped, "answered_by"]) == {"none"}
    assert rows.loc[~mapped, "null_reason"].str.startswith("no model was trained yet").all()
    assert (rows.loc[~mapped, "cause"] == "unknown").all()
    expected = {
        code: category.code
        for code, reason in described.plant.fault_reasons.items()
        if (category := described.plant.reason_category(reason)) is not None
    }
    assert list(rows.loc[mapped, "cause"]) == [expected[code] for code in rows.loc[mapped, "fault_code"]]


def test_training_on_six_days_says_what_is_missing(described: PlantRun) -> None:
    outcome = described.run(("train_models", None, None))
    assert outcome.errors == []
    (check,) = [one for one in outcome.checks if one.name == "models_beat_their_baselines"]
    assert not check.passed
    assert "downtime_causes: not enough data: named stops on at least 10 days are needed" in check.says
    with connect(described.url) as conn:
        rows = conn.execute(
            "SELECT model_name, status, content_hash, training_trigger FROM model_registry"
            " WHERE model_name = 'downtime_causes'"
        ).fetchall()
    assert rows == [("downtime_causes", "rejected", None, "by_hand")]
