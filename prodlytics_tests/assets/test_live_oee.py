"""live_oee: what a row says, that the sensor keeps it up, and that somebody notices when it does not."""

from __future__ import annotations

import datetime as dt
from typing import Any

import dagster as dg
import psycopg
import pytest

from prodlytics.assets.live_oee import is_fresh, refresh
from prodlytics.assets.resources import Database
from prodlytics.db import dirty
from prodlytics.db.connect import connect
from prodlytics.db.locks import hold_dataset
from prodlytics.db.telemetry import write_samples
from prodlytics.definitions import build_defs
from prodlytics.plant.model import Plant
from prodlytics_tests.db.samples import Row, batch
from prodlytics_tests.kpi.feed import at, plant_of
from prodlytics_tests.kpi.floor import DAY

STATES = {"map": {"1": "running", "2": "idle", "3": "fault"}}
HOUR = 3600


def floor(**machine: Any) -> Plant:
    """One machine with a part every 60 s at best, in the first shift from six to half past two."""
    settings: dict[str, Any] = {
        "state": STATES,
        "counters": [{"metric": "Good", "counts": "good"}, {"metric": "Reject", "counts": "reject"}],
        "ideal_cycle_time_ms": 60_000,
        "silence_after_s": 300,
    }
    return plant_of(**(settings | machine))


def said(metric: str, *readings: tuple[float, float], machine: str = "M1") -> list[Row]:
    """Samples: seconds from six, and a number."""
    return [(machine, metric, "", at(second), value, None, 192, None) for second, value in readings]


def store(url: str, rows: list[Row], ingested_at: dt.datetime | None = None) -> None:
    """Store samples and leave marks, as the loader does."""
    with connect(url) as conn:
        written = write_samples(conn, batch(rows), ingested_at=ingested_at or dt.datetime.now(dt.UTC))
        touched = written.touched
        for dataset in ("machine_states", "production_events"):
            dirty.mark(conn, dataset, touched, "arrived")


def rows_of(url: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as conn:
        return conn.execute("SELECT * FROM live_oee ORDER BY machine_id").fetchall()


def live(url: str, plant: Plant, second: float) -> dict[str, Any]:
    """The one row, computed so many seconds after six."""
    refresh(plant, Database(url=url), at(second))
    (row,) = rows_of(url)
    return row


def heartbeat(until: int, machine: str = "M1") -> list[Row]:
    return said("Heartbeat", *((second, 1.0) for second in range(0, until + 1, 60)), machine=machine)


def test_a_row_is_the_shift_so_far(plain_database: str) -> None:
    """Six to eight: 90 minutes run, 20 in fault, 10 still idle; 72 good and 8 bad parts of a minute each."""
    good = [(60.0 * n, float(min(n, 72))) for n in range(0, 121)]
    reject = [(60.0 * n, float(max(0, min(n - 80, 8)))) for n in range(0, 121)]
    rows = said("MachineState", (0, 1), (3000, 3), (4200, 1), (6600, 2)) + said("Good", *good) + said("Reject", *reject)
    with connect(plain_database) as conn:
        conn.execute(
            "INSERT INTO work_orders (work_order, part_number, machine_id, status, started_at, source)"
            " VALUES ('W1', 'P9', 'M1', 'open', %s, 'test')",
            (at(-100),),
        )
    store(plain_database, rows)
    row = live(plain_database, floor(), 2 * HOUR)
    assert (row["shift"], row["production_date"]) == ("Shift 1", DAY)
    assert (row["shift_started_at"], row["shift_ends_at"]) == (at(0), at(8.5 * HOUR))
    assert (row["state"], row["state_since"]) == ("idle", at(6600))
    assert (row["planned_time_min"], row["run_time_min"]) == (120, 90)
    assert (row["good_count"], row["reject_count"]) == (72, 8)
    assert row["availability"] == pytest.approx(90 / 120)
    assert row["performance"] == pytest.approx(80 / 90)
    assert row["quality"] == pytest.approx(72 / 80)
    assert row["oee"] == pytest.approx(72 / 120)
    assert (row["part_number"], row["work_order"]) == ("P9", "W1")
    assert (row["coverage"], row["null_reason"]) == (1, None)
    assert (row["as_of"], row["last_heard_at"]) == (at(2 * HOUR), at(2 * HOUR))


def test_outside_any_shift_a_row_says_so(plain_database: str) -> None:
    plant = floor()
    days = ("tue",)
    timetable = plant.shift_plans[0]
    shifts = tuple(shift.model_copy(update={"weekdays": days}) for shift in timetable.shifts)
    plant = plant.model_copy(update={"shift_plans": (timetable.model_copy(update={"shifts": shifts}),)})
    store(plain_database, said("MachineState", (0, 1), (100, 1)))
    row = live(plain_database, plant, 120)
    assert (row["shift"], row["shift_started_at"], row["shift_ends_at"]) == (None, None, None)
    assert (row["oee"], row["null_reason"], row["planned_time_us"]) == (None, "no_planned_time", 0)
    assert (row["state"], row["production_date"]) == ("running", DAY)


def test_a_silent_machine_is_unknown_since_it_was_last_heard(plain_database: str) -> None:
    """M2 goes on talking; of the hour 40 minutes are known."""
    plant = floor()
    plant = plant.model_copy(update={"machines": (*plant.machines, plant.machines[0].model_copy(update={"id": "M2"}))})
    talks = heartbeat(2400) + heartbeat(HOUR, "M2")
    counts = said("Good", *((60.0 * n, float(n)) for n in range(0, 41)))
    store(plain_database, said("MachineState", (0, 1)) + said("MachineState", (0, 1), machine="M2") + talks + counts)
    refresh(plant, Database(url=plain_database), at(HOUR))
    silent, talking = rows_of(plain_database)
    assert (silent["state"], silent["state_since"], silent["last_heard_at"]) == ("unknown", at(2400), at(2400))
    assert silent["coverage"] == pytest.approx(40 / 60)
    assert silent["oee"] == pytest.approx(40 / 40)
    assert silent["unknown_us"] == 1200 * 10**6
    assert (talking["state"], talking["coverage"]) == ("running", 1)


def test_when_all_are_silent_the_state_is_unknown_and_the_figures_stay(plain_database: str) -> None:
    store(plain_database, said("MachineState", (0, 1)) + heartbeat(HOUR))
    row = live(plain_database, floor(), 2 * HOUR)
    assert (row["state"], row["state_since"]) == ("unknown", at(HOUR))
    assert (row["as_of"], row["planned_time_min"], row["coverage"]) == (at(HOUR), 60, 1)


def test_a_shift_in_which_nothing_was_heard_yet_has_no_data(plain_database: str) -> None:
    store(plain_database, said("MachineState", (0, 1)) + heartbeat(HOUR))
    row = live(plain_database, floor(), 9 * HOUR)
    assert (row["shift"], row["null_reason"], row["oee"], row["coverage"]) == ("Shift 2", "no_data", None, None)


def test_a_machine_never_heard_has_a_row(plain_database: str) -> None:
    row = live(plain_database, floor(), HOUR)
    assert (row["state"], row["state_since"], row["last_heard_at"]) == ("unknown", None, None)
    assert (row["oee"], row["null_reason"], row["coverage"]) == (None, "no_data", 0)


def test_only_machines_of_the_plant_keep_a_row(plain_database: str) -> None:
    plant = floor()
    both = plant.model_copy(update={"machines": (*plant.machines, plant.machines[0].model_copy(update={"id": "M2"}))})
    refresh(both, Database(url=plain_database), at(HOUR))
    refresh(plant, Database(url=plain_database), at(HOUR))
    assert [row["machine_id"] for row in rows_of(plain_database)] == ["M1"]


def now_heard(url: str, seconds_ago: float, ingested_ago: float = 0.0) -> None:
    now = dt.datetime.now(dt.UTC)
    time = now - dt.timedelta(seconds=seconds_ago)
    rows: list[Row] = [("M1", "MachineState", "", time, 1.0, None, 192, None)]
    store(url, rows, ingested_at=now - dt.timedelta(seconds=ingested_ago))


def tick(
    definitions: dg.Definitions, instance: dg.DagsterInstance, url: str, cursor: str | None = None
) -> dg.SensorResult | dg.SkipReason:
    repository = definitions.get_repository_def()
    context = dg.build_sensor_context(
        instance=instance, repository_def=repository, cursor=cursor, resources={"database": Database(url=url)}
    )
    result = repository.get_sensor_def("live_oee").evaluate_tick(context)
    return result  # type: ignore[return-value]


def test_the_sensor_writes_when_something_arrived_and_reports_once_an_hour(plain_database: str) -> None:
    definitions = build_defs(plant=floor(), database=Database(url=plain_database))
    now_heard(plain_database, 60)
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(definitions, instance, plain_database)
        assert first.run_requests == []
        assert [event.asset_key for event in first.asset_events] == [dg.AssetKey(["floor", "live_oee"])]
        (before,) = rows_of(plain_database)
        again = tick(definitions, instance, plain_database, first.cursor)
        assert again.skip_message == "Nothing new has arrived."
        now_heard(plain_database, 1)
        second = tick(definitions, instance, plain_database, first.cursor)
        (after,) = rows_of(plain_database)
    assert after["as_of"] > before["as_of"]
    # The clock may have struck in between.
    assert len(second.asset_events) <= 1


def test_the_sensor_survives_the_database(plain_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    definitions = build_defs(plant=floor(), database=Database(url=plain_database))
    with dg.DagsterInstance.ephemeral() as instance:
        away = tick(definitions, instance, "postgresql://nobody:hush-hush@127.0.0.1:1/nothing")
        assert "127.0.0.1:1/nothing cannot be used" in away.skip_message
        assert "hush-hush" not in away.skip_message
        monkeypatch.setattr("prodlytics.assets.live_oee.GIVE_UP_AFTER_S", 1)
        with connect(plain_database, autocommit=True) as conn:
            hold_dataset(conn, "live_oee")
            hangs = tick(definitions, instance, plain_database)
        assert hangs.skip_message == (
            "The live figures were not computed: canceling statement due to statement timeout."
            " The next tick tries again."
        )
        assert rows_of(plain_database) == []
        back = tick(definitions, instance, plain_database)
    assert back.asset_events
    assert len(rows_of(plain_database)) == 1


def test_the_asset_can_be_materialized_by_hand(plain_database: str) -> None:
    definitions = build_defs(plant=floor(), database=Database(url=plain_database))
    now_heard(plain_database, 60)
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["floor", "live_oee"])]
        )
        checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks == {"schema": True, "live_is_fresh": True}
    assert len(rows_of(plain_database)) == 1


def test_figures_that_stand_still_while_data_arrives_are_not_fresh(plain_database: str) -> None:
    now = dt.datetime.now(dt.UTC)

    def found() -> tuple[bool, str]:
        with connect(plain_database) as conn:
            check = is_fresh(conn, now)
        return check.passed, check.says

    assert found() == (
        True,
        "There are no live figures yet: sensor live_oee has not run. It runs with the Dagster daemon.",
    )
    now_heard(plain_database, 900, ingested_ago=890)
    refresh(floor(), Database(url=plain_database), now - dt.timedelta(seconds=880))
    assert found()[0]
    # It arrived a minute ago: the next tick will see it.
    now_heard(plain_database, 300, ingested_ago=60)
    assert found()[0]
    now_heard(plain_database, 310, ingested_ago=300)
    passed, says = found()
    assert not passed
    assert "stand still" in says
    assert "sensor live_oee" in says
