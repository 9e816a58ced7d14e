"""What the live views say of raw samples: the state now and since when, the parts of the running day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from prodlytics.db.connect import connect
from prodlytics.db.telemetry import write_samples
from prodlytics.kpi.alarms import ALL_CLEAR
from prodlytics.plant.calendar import production_date_of, production_day
from prodlytics.plant.model import Plant
from prodlytics.sources.live_sources import store_live_sources
from prodlytics_tests.db.samples import Row, batch
from prodlytics_tests.kpi.feed import plant_of

Conn = psycopg.Connection[Any]
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
STATES = {"metric": "State", "map": {"1": "running", "2": "idle", "3": "fault", "4": "fault", "ACTIVE": "running"}}
COUNTERS = [{"metric": "Good", "counts": "good"}, {"metric": "Bad", "counts": "reject"}]


def plant(**more: Any) -> Plant:
    """A plant whose production day began between 12 and 13 hours ago."""
    told = {"state": STATES, "counters": COUNTERS, "fault_metric": "Fault", "ideal_cycle_time_ms": 10_000}
    made = plant_of([], **(told | more))
    local = (NOW - dt.timedelta(hours=12)).astimezone(made.zone)
    return made.model_copy(update={"day_boundary": dt.time(local.hour)})


@pytest.fixture
def conn(database: str) -> Iterator[Conn]:
    with connect(database, autocommit=True) as conn:
        conn.row_factory = dict_row
        yield conn


def ago(seconds: float) -> dt.datetime:
    return NOW - dt.timedelta(seconds=seconds)


def say(conn: Conn, *said: tuple[float, str, float | str | None] | tuple[float, str, float | str | None, int]) -> None:
    """Samples of M1: seconds ago, metric, number or text, quality (good where it is left out)."""
    rows: list[Row] = []
    for seconds, metric, value, *quality in said:
        number = float(value) if isinstance(value, int | float) else None
        text = value if isinstance(value, str) else None
        rows.append(("M1", metric, "", ago(seconds), number, text, quality[0] if quality else 192, None))
    with connect(conn.info.dsn + f" password={conn.info.password}") as writer:
        write_samples(writer, batch(rows), ingested_at=NOW)


def status(conn: Conn) -> dict[str, Any]:
    row = conn.execute("SELECT * FROM live_machine_status").fetchone()
    assert row is not None
    return row  # type: ignore[return-value]


def production(conn: Conn) -> dict[str, Any]:
    row = conn.execute("SELECT * FROM live_production").fetchone()
    assert row is not None
    return row  # type: ignore[return-value]


def told(conn: Conn, state: str, since: dt.datetime, until: dt.datetime) -> None:
    """What the chain told of the state, as far as it went."""
    conn.execute(
        "INSERT INTO machine_states (machine_id, starts_at, ends_at, state, state_started_at, is_open, as_of)"
        " VALUES ('M1', %s, %s, %s, %s, true, now())",
        (max(since, until - dt.timedelta(hours=1)), until, state, since),
    )


class TestStatus:
    def test_the_newest_sample_says_the_state_and_the_first_alike_since_when(self, conn: Conn) -> None:
        store_live_sources(conn, plant(), NOW)
        say(conn, (300, "State", 1), (200, "State", 2), (100, "State", 3), (60, "State", 4), (20, "State", 3),
            (90, "Fault", 17))  # fmt: skip
        now = status(conn)
        assert (now["state"], now["state_since"], now["fault_code"]) == ("fault", ago(100), "17")
        assert (now["native_state"], now["unknown_reason"], now["last_heard_at"]) == ("3", None, ago(20))

    def test_a_word_is_looked_up_as_well_as_a_number(self, conn: Conn) -> None:
        store_live_sources(conn, plant(), NOW)
        say(conn, (50, "State", "ACTIVE"), (40, "State", 1.0))
        assert (status(conn)["state"], status(conn)["state_since"]) == ("running", ago(50))

    def test_a_late_sample_does_not_become_the_current_state(self, conn: Conn) -> None:
        store_live_sources(conn, plant(), NOW)
        say(conn, (30, "State", 1))
        say(conn, (90, "State", 3))
        assert status(conn)["state"] == "running"

    def test_a_state_that_has_lasted_for_days_is_still_the_state(self, conn: Conn) -> None:
        """The controller spoke five days ago, and only the temperature has since; the chain has told the state."""
        store_live_sources(conn, plant(), NOW)
        say(conn, (5 * 86_400, "State", 2), (10, "Temperature_C", 20))
        assert (status(conn)["state"], status(conn)["state_since"]) == ("idle", ago(5 * 86_400))
        told(conn, "idle", ago(5 * 86_400), ago(600))
        assert (status(conn)["state"], status(conn)["state_since"]) == ("idle", ago(5 * 86_400))

    def test_samples_before_what_is_told_are_not_read_again(self, conn: Conn) -> None:
        """A polled state: five days of the same, of which only the tail may be read."""
        store_live_sources(conn, plant(), NOW)
        say(conn, *((seconds, tag, 2) for seconds in range(0, 5 * 86_400, 60) for tag in ("State", "Good")))
        told(conn, "idle", ago(9 * 86_400), ago(600))
        assert status(conn)["state_since"] == ago(9 * 86_400)
        stored = 2 * 5 * 1440
        for view in ("live_machine_status", "live_production"):
            assert 1 <= rows_read(conn, view) < stored / 100

    def test_a_silent_machine_is_unknown_since_it_was_last_heard(self, conn: Conn) -> None:
        store_live_sources(conn, plant(silence_after_s=300), NOW)
        say(conn, (4000, "State", 1), (900, "Temperature_C", 20))
        now = status(conn)
        assert (now["state"], now["unknown_reason"], now["state_since"]) == ("unknown", "silent", ago(900))
        say(conn, (200, "Temperature_C", 20))
        assert status(conn)["state"] == "running", "a silent tag is not a silent machine"

    def test_what_cannot_be_known_says_why(self, conn: Conn) -> None:
        store_live_sources(conn, plant(), NOW)
        assert (status(conn)["state"], status(conn)["unknown_reason"]) == ("unknown", "never_heard")
        say(conn, (100, "Temperature_C", 20))
        assert status(conn)["unknown_reason"] == "no_state_sample"
        say(conn, (90, "State", 77))
        assert (status(conn)["unknown_reason"], status(conn)["native_state"]) == ("unmapped_state", "77")
        say(conn, (80, "State", 1, 0))
        assert (status(conn)["state"], status(conn)["unknown_reason"]) == ("unknown", "bad_quality")
        assert status(conn)["state_since"] == ago(90), "unknown since the word nobody knows"

    @pytest.mark.parametrize("word", [*ALL_CLEAR, " OK "])
    def test_a_tag_that_says_all_is_clear_gives_no_fault_code(self, conn: Conn, word: str) -> None:
        store_live_sources(conn, plant(), NOW)
        say(conn, (50, "State", 3), (60, "Fault", "E5"), (40, "Fault", word))
        assert (status(conn)["state"], status(conn)["fault_code"]) == ("fault", None)

    def test_a_machine_that_only_counts_runs_while_counts_arrive(self, conn: Conn) -> None:
        store_live_sources(conn, plant(state={"source": "counts"}, micro_stop_s=120), NOW)
        say(conn, *((1000 - 10 * n, "Good", n) for n in range(100)))
        assert (status(conn)["state"], status(conn)["state_since"]) == ("running", None), "nobody told since when"
        told(conn, "running", ago(4000), ago(600))
        assert (status(conn)["state"], status(conn)["state_since"]) == ("running", ago(4000))

    def test_a_machine_that_only_counts_is_idle_when_counts_stay_away(self, conn: Conn) -> None:
        store_live_sources(conn, plant(state={"source": "counts"}, micro_stop_s=120), NOW)
        say(conn, *((1000 - 10 * n, "Good", min(n, 80)) for n in range(100)))
        assert (status(conn)["state"], status(conn)["state_since"]) == ("idle", ago(200))

    def test_what_people_book_is_as_old_as_it_was_told(self, conn: Conn) -> None:
        store_live_sources(conn, plant(state={"source": "operator"}, counters=[]), NOW)
        assert (status(conn)["state"], status(conn)["unknown_reason"]) == ("unknown", "nothing_booked")
        told(conn, "running", ago(7200), ago(1800))
        now = status(conn)
        assert (now["state"], now["state_since"], now["derived_until"]) == ("running", ago(7200), ago(1800))


class TestProduction:
    def test_the_day_counts_from_its_boundary_and_the_first_reading_is_no_part(self, conn: Conn) -> None:
        store_live_sources(conn, plant(), NOW)
        say(conn, (7200, "Good", 5000), (3600, "Good", 5010), (10, "Good", 5025), (7200, "Bad", 3), (20, "Bad", 5))
        now = production(conn)
        assert (now["good_count"], now["reject_count"], now["rework_count"], now["null_reason"]) == (25, 2, 0, None)
        assert now["last_count_at"] == ago(10)

    def test_what_was_counted_before_the_day_is_not_in_it(self, conn: Conn) -> None:
        where = plant()
        opens = production_day(where, production_date_of(where, NOW))[0]
        before = (NOW - opens).total_seconds()
        store_live_sources(conn, where, NOW)
        say(conn, (before + 100, "Good", 10), (before + 50, "Good", 14), (before - 8, "Good", 15), (5, "Good", 20))
        now = production(conn)
        assert (now["production_date"], now["day_started_at"]) == (production_date_of(where, NOW), opens)
        assert now["good_count"] == 6

    def test_derived_parts_and_the_tail_make_the_day(self, conn: Conn) -> None:
        """What the chain judged stands, here a rollover; after it only growth is added."""
        store_live_sources(conn, plant(), NOW)
        say(conn, (3000, "Good", 65_530), (2000, "Good", 4), (1000, "Good", 6), (500, "Good", 6), (100, "Good", 9),
            (10, "Bad", 1))  # fmt: skip
        told(conn, "running", ago(3000), ago(900))
        for seconds, parts in ((2000, 10), (1000, 2)):
            conn.execute(
                "INSERT INTO production_events (time, machine_id, event_type, event_key, good_count, as_of)"
                " VALUES (%s, 'M1', 'cycle_complete', 'Good', %s, now())",
                (ago(seconds), parts),
            )
        now = production(conn)
        assert (now["good_count"], now["reject_count"], now["derived_until"]) == (15, 0, ago(900))

    @pytest.mark.parametrize(("readings", "why"), [
        ([(3000, 40), (2000, 50), (1000, 2)], "counter_fell"),
        ([(3000, 40), (2990, 50_000)], "counter_jumped"),
        ([], "no_reading"),
    ])  # fmt: skip
    def test_no_number_is_invented(self, conn: Conn, readings: list[tuple[float, float]], why: str) -> None:
        store_live_sources(conn, plant(), NOW)
        if readings:
            say(conn, *((seconds, "Good", value) for seconds, value in readings))
        now = production(conn)
        assert (now["good_count"], now["reject_count"], now["null_reason"]) == (None, None, why)

    def test_good_is_total_less_rejects_where_only_those_are_counted(self, conn: Conn) -> None:
        counters = [{"metric": "Total", "counts": "total"}, {"metric": "Bad", "counts": "reject"}]
        store_live_sources(conn, plant(counters=counters), NOW)
        say(conn, (900, "Total", 100), (30, "Total", 130), (900, "Bad", 7), (40, "Bad", 9))
        assert (production(conn)["good_count"], production(conn)["reject_count"]) == (28, 2)

    def test_increments_are_added(self, conn: Conn) -> None:
        store_live_sources(conn, plant(counters=[{"metric": "Made", "counts": "good", "kind": "increment"}]), NOW)
        say(conn, (900, "Made", 3), (600, "Made", 4), (300, "Made", 0), (100, "Made", 2))
        assert (production(conn)["good_count"], production(conn)["last_count_at"]) == (9, ago(100))


class TestShift:
    def test_the_running_shift_counts_from_its_start_breaks_included(self, conn: Conn) -> None:
        """Ten parts before the shift, of the others 3 derived and 4 read; a break line is of the same shift."""
        store_live_sources(conn, plant(), NOW)
        planned(conn, ("Early", 7200, 3600), ("Late", 3600, 1800), ("Late", 1800, 900), ("Late", 900, -3600))
        say(conn, (5000, "Good", 100), (4000, "Good", 110), (2000, "Good", 113), (800, "Good", 117), (50, "Bad", 1),
            (5000, "Bad", 1))  # fmt: skip
        told(conn, "running", ago(5000), ago(1500))
        for seconds, parts in ((4000, 10), (2000, 3)):
            conn.execute(
                "INSERT INTO production_events (time, machine_id, event_type, event_key, good_count, as_of)"
                " VALUES (%s, 'M1', 'cycle_complete', 'Good', %s, now())",
                (ago(seconds), parts),
            )
        now = production(conn)
        assert (now["good_count"], now["null_reason"]) == (17, None)
        assert (now["shift"], now["shift_started_at"], now["shift_null_reason"]) == ("Late", ago(3600), None)
        assert (now["shift_good_count"], now["shift_reject_count"], now["shift_rework_count"]) == (7, 0, 0)

    def test_what_a_counter_did_before_the_shift_says_nothing_against_it(self, conn: Conn) -> None:
        store_live_sources(conn, plant(), NOW)
        planned(conn, ("Early", 7200, 3600), ("Late", 3600, -3600))
        say(conn, (5000, "Good", 60), (4500, "Good", 0), (3600, "Good", 40), (900, "Good", 45))
        now = production(conn)
        assert (now["good_count"], now["null_reason"]) == (None, "counter_fell")
        assert (now["shift_good_count"], now["shift_null_reason"]) == (45, None), "of the reading at its first instant"
        say(conn, (100, "Good", 2))
        assert (production(conn)["shift_good_count"], production(conn)["shift_null_reason"]) == (None, "counter_fell")

    def test_a_shift_of_totals_and_rejects(self, conn: Conn) -> None:
        counters = [{"metric": "Total", "counts": "total"}, {"metric": "Bad", "counts": "reject"}]
        store_live_sources(conn, plant(counters=counters), NOW)
        planned(conn, ("Late", 600, -3600))
        say(conn, (900, "Total", 100), (700, "Total", 110), (30, "Total", 130), (900, "Bad", 7), (40, "Bad", 9))
        now = production(conn)
        assert (now["good_count"], now["shift_good_count"], now["shift_reject_count"]) == (28, 18, 2)

    @pytest.mark.parametrize(
        ("lines", "why"),
        [
            ([], "no_plan"),
            ([("Early", 7200, 3600)], "no_plan"),
            ([("Early", 7200, 3600), (None, 3600, -3600)], "no_shift"),
            ([("Late", 3600, -3600)], "no_reading"),
        ],
    )
    def test_without_a_shift_there_is_no_number(
        self, conn: Conn, lines: list[tuple[str | None, float, float]], why: str
    ) -> None:
        store_live_sources(conn, plant(), NOW)
        planned(conn, *lines)
        now = production(conn)
        assert (now["shift_good_count"], now["shift_null_reason"]) == (None, why)


def planned(conn: Conn, *lines: tuple[str | None, float, float]) -> None:
    """Lines of M1's plan: shift, seconds ago it began and ended."""
    date = production(conn)["production_date"]
    for shift, begin, end in lines:
        conn.execute(
            "INSERT INTO plan_calendar (machine_id, starts_at, ends_at, plan, shift, production_date, source)"
            " VALUES ('M1', %s, %s, 'planned', %s, %s, 'test')",
            (ago(begin), ago(end), shift, date),
        )


def test_a_changed_plant_file_changes_what_words_mean(conn: Conn) -> None:
    store_live_sources(conn, plant(), NOW)
    say(conn, (50, "State", 1))
    assert status(conn)["state"] == "running"
    store_live_sources(conn, plant(state={**STATES, "map": {"1": "setup"}}), NOW)
    assert status(conn)["state"] == "setup"


def rows_read(conn: Conn, view: str) -> float:
    """Samples that were read for a view, discarded ones included."""
    plan = conn.execute(
        sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) SELECT * FROM {}").format(sql.Identifier(view))
    ).fetchone()
    assert plan is not None
    return _of_samples(plan["QUERY PLAN"][0]["Plan"])  # type: ignore[call-overload]


def _of_samples(node: dict[str, Any]) -> float:
    # On TimescaleDB the parts of a table are tables of their own.
    of_samples = node.get("Relation Name", "").startswith(("telemetry_sample", "_hyper_"))
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    own = node["Actual Loops"] * (node["Actual Rows"] + removed) if of_samples else 0
    return own + sum(_of_samples(child) for child in node.get("Plans", []))
