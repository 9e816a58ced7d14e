"""Samples go in once: against a dictionary that knows nothing of COPY, tags or savepoints."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pandas as pd
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodlytics.db.connect import connect
from prodlytics.db.telemetry import TagIds, WriteResult, few_samples, write_few, write_samples
from prodlytics_tests.db.samples import Row, batch

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
INGESTED = dt.datetime(2026, 3, 3, 7, 30, 0, 123457, tzinfo=dt.UTC)
ANOTHER = itertools.count(1)
#: A fixture that hypothesis may use again: every example begins with an empty store.
REUSED = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Held(NamedTuple):
    value: float | None
    text: str | None
    quality: int
    published: dt.datetime | None


Key = tuple[str, str, str, dt.datetime]
Store = dict[Key, Held]


def age(sample: Held) -> dt.datetime:
    return sample.published or dt.datetime.min.replace(tzinfo=dt.UTC)


def same(one: Held, other: Held) -> bool:
    return one[:3] == other[:3]


def wins(best: Held, there: Held, same_file: bool) -> bool:
    """Published later, or at the same time (or nobody knows when) and further down in the same file."""
    return age(best) > age(there) or (same_file and age(best) == age(there))


def meet(there: Held | None, best: Held, same_file: bool) -> list[str]:
    """What becomes of a batch's best sample for a tag and time, given what the store holds."""
    if there is None:
        return ["stored"]
    if same(there, best):
        return ["duplicate"]
    return ["stored", "replaced"] if wins(best, there, same_file) else ["lost"]


def expect(store: Store, rows: Sequence[Row], of_this_file: set[Key]) -> Counter[str]:
    """What the rules say becomes of a batch; changes `store` and which of its samples are of this file."""
    outcomes: Counter[str] = Counter()
    offered: dict[tuple[str, str, str, dt.datetime], list[Held]] = {}
    for machine, metric, code, time, value, text, quality, published in rows:
        offered.setdefault((machine, metric, code, time), []).append(Held(value, text, quality, published))
    for key, several in offered.items():
        # The last of the latest published.
        best = several.pop(max(range(len(several)), key=lambda nth: (age(several[nth]), nth)))
        there = store.get(key)
        outcomes.update("duplicate" if same(sample, best) else "lost" for sample in several)
        outcomes.update(meet(there, best, key in of_this_file))
        if (
            there is None
            or age(best) > age(there)
            or (wins(best, there, key in of_this_file) and not same(best, there))
        ):
            store[key] = best
            of_this_file.add(key)
    return outcomes


def held(conn: psycopg.Connection[Any]) -> Store:
    rows = conn.execute(
        "SELECT machine_id, metric_name, native_code, time, value, value_text, quality, published_at"
        " FROM machine_telemetry"
    ).fetchall()
    return {row[:4]: Held(*row[4:]) for row in rows}


def write(conn: psycopg.Connection[Any], rows: Sequence[Row], nth_file: int | None = None) -> WriteResult:
    """Write a batch as of a file of its own, read at a time of its own, unless it is said which file it is of."""
    nth = next(ANOTHER) if nth_file is None else nth_file
    with conn.transaction():
        return write_samples(conn, batch(rows), ingested_at=INGESTED + dt.timedelta(seconds=nth))


@pytest.fixture
def conn(database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(database, autocommit=True) as connection:
        yield connection


def empty(conn: psycopg.Connection[Any]) -> None:
    conn.execute("TRUNCATE telemetry_sample, tag")


times = st.integers(0, 4).map(lambda n: NOON + dt.timedelta(hours=9 * n, microseconds=n))
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5)
values = st.one_of(st.sampled_from([1.0, 2.5, -7.0]), st.floats(allow_nan=False))
rows_of = st.tuples(
    st.sampled_from(["M1", "M2"]),
    st.sampled_from(["Count", "State"]),
    st.sampled_from(["", "E7"]),
    times,
    st.none() | values,
    st.none() | st.sampled_from(["", "on", 'say "no"\t\\N\n', "Überlauf °C"]) | texts,
    st.sampled_from([192, 64, 0]),
    st.none() | st.integers(0, 3).map(lambda n: NOON + dt.timedelta(days=2, seconds=n)),
)
batches_of = st.lists(st.lists(rows_of, max_size=12), min_size=1, max_size=4)
files_of = st.lists(batches_of, min_size=1, max_size=3)


@REUSED
@given(files=files_of)
def test_any_batches_leave_what_the_rules_say(conn: psycopg.Connection[Any], files: list[list[list[Row]]]) -> None:
    empty(conn)
    store: Store = {}
    of_files: list[set[Key]] = [set() for _ in files]
    for nth, rows in [(nth, rows) for nth, batches in enumerate(files) for rows in batches]:
        expected = expect(store, rows, of_files[nth])
        result = write(conn, rows, nth)
        ours = result.conflicts[result.conflicts["position"] != -1]
        assert (result.stored, result.duplicates) == (expected["stored"], expected["duplicate"])
        assert (len(ours), len(result.conflicts) - len(ours)) == (expected["lost"], expected["replaced"])
        assert result.stored + result.duplicates + len(ours) == len(rows)
        assert held(conn) == store


@REUSED
@given(batches=batches_of, order=st.randoms())
def test_with_known_publication_the_order_of_arrival_does_not_matter(
    conn: psycopg.Connection[Any], batches: list[list[Row]], order: Any
) -> None:
    # Publication decides, so no two samples of this test share one.
    rows = [
        (*row[:7], NOON + dt.timedelta(days=3, microseconds=n)) for n, row in enumerate(r for b in batches for r in b)
    ]
    empty(conn)
    write(conn, rows)
    at_once = held(conn)
    order.shuffle(rows)
    empty(conn)
    for start in range(0, len(rows), 3):
        write(conn, rows[start : start + 3])
    assert held(conn) == at_once


def fresh(machine: str, count: int, start: dt.datetime = NOON) -> list[Row]:
    return [(machine, "Count", "", start + dt.timedelta(seconds=n), float(n), None, 192, None) for n in range(count)]


def test_fresh_replay_and_half_overlap(conn: psycopg.Connection[Any]) -> None:
    first = write(conn, fresh("M1", 1000))
    replay = write(conn, fresh("M1", 1000))
    half = write(conn, fresh("M1", 1000, NOON + dt.timedelta(seconds=500))[:500] + fresh("M2", 10))
    assert (first.stored, first.duplicates, len(first.conflicts)) == (1000, 0, 0)
    assert (replay.stored, replay.duplicates, len(replay.conflicts)) == (0, 1000, 0)
    # The same 500 seconds again, but counted from 0: the store's values stay, since nothing says when they were sent.
    assert (half.stored, half.duplicates, len(half.conflicts)) == (10, 0, 500)
    assert replay.touched == set()
    assert {machine for machine, _ in half.touched} == {"M2"}
    assert held(conn)[("M1", "Count", "", NOON + dt.timedelta(seconds=999))].value == 999.0


def test_a_file_says_the_same_in_one_batch_and_in_many(conn: psycopg.Connection[Any]) -> None:
    # Two values of one tag and time, and nothing says when they were sent: the one further down in the file is newer.
    first = ("M1", "execution", "", NOON, None, "ACTIVE", 192, None)
    second = ("M1", "execution", "", NOON, None, "READY", 192, None)
    write(conn, [first, second], 1)
    at_once = held(conn)
    empty(conn)
    write(conn, [first], 1)
    result = write(conn, [second], 1)
    assert held(conn) == at_once
    assert at_once[first[:4]].text == "READY"
    assert result.conflicts[["value_text", "position"]].to_dict("records") == [{"value_text": "ACTIVE", "position": -1}]
    # Another file changes nothing: it may be an old one.
    assert write(conn, [first], 2).conflicts["value_text"].tolist() == ["ACTIVE"]
    assert held(conn) == at_once


def test_the_loser_is_told_as_it_was_sent(conn: psycopg.Connection[Any]) -> None:
    old = ("M1", "Temp_C", "", NOON, 20.5, None, 192, NOON + dt.timedelta(seconds=1))
    new = ("M1", "Temp_C", "", NOON, 21.0, "hot", 64, NOON + dt.timedelta(seconds=2))
    write(conn, [old])
    conflicts = write(conn, [new]).conflicts
    told = conflicts.iloc[0]
    assert len(conflicts) == 1
    assert (told["value"], told["value_text"], told["quality"], told["published_at"]) == (20.5, None, 192, old[7])
    assert (told["position"], told["origin"], told["reason"]) == (-1, "store", "conflict")
    late = write(conn, [old]).conflicts.iloc[0]
    assert (late["value"], late["position"], late["origin"]) == (20.5, 1, "by hand")
    assert "published later" in late["detail"]
    assert [*conflicts.columns] == [*batch([]).columns, "reason", "detail"]


def test_touched_names_each_machine_and_quarter_hour(conn: psycopg.Connection[Any]) -> None:
    touched = write(conn, fresh("M1", 1000, NOON) + fresh("M2", 1, NOON + dt.timedelta(minutes=59))).touched
    assert touched == {
        ("M1", NOON),
        ("M1", NOON + dt.timedelta(minutes=15)),
        ("M2", NOON + dt.timedelta(minutes=45)),
    }


def test_our_own_clock_is_kept_to_the_microsecond(conn: psycopg.Connection[Any]) -> None:
    write(conn, fresh("M1", 1), 0)
    assert conn.execute("SELECT ingested_at FROM machine_telemetry").fetchall() == [(INGESTED,)]


def test_categories_are_text_like_any_other(conn: psycopg.Connection[Any]) -> None:
    rows = [*fresh("M2", 3), *fresh("M1", 3), ("M1", "State", "E7", NOON, None, "jam", 192, None)]
    frame = batch(rows)
    # Categories in an order that is not the alphabet's, one of them used by no row, as a parser leaves them.
    frame["machine_id"] = pd.Categorical(frame["machine_id"], ["M9", "M2", "M1"])
    for column in ("metric_name", "native_code", "unit", "value_text", "source", "origin"):
        frame[column] = frame[column].astype("category")
    with conn.transaction():
        assert write_samples(conn, frame, ingested_at=INGESTED).stored == 7
    with conn.transaction():
        again = write_samples(
            conn, pd.concat([frame, frame.iloc[:1].assign(machine_id="M3")], ignore_index=True), ingested_at=INGESTED
        )
    assert (again.stored, again.duplicates) == (1, 7)
    store: Store = {}
    expect(store, [*rows, ("M3", *rows[0][1:])], set())
    assert held(conn) == store


def test_an_empty_batch_is_nothing(conn: psycopg.Connection[Any]) -> None:
    result = write(conn, [])
    assert (result.stored, result.duplicates, len(result.conflicts), len(result.touched)) == (0, 0, 0, 0)


def test_infinite_values_and_old_times_come_back(conn: psycopg.Connection[Any]) -> None:
    early = dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)
    write(conn, [("M1", "x", "", early, float("inf"), None, 192, None), ("M1", "x", "", NOON, -0.5, None, 0, None)])
    assert {key[3]: sample.value for key, sample in held(conn).items()} == {early: float("inf"), NOON: -0.5}


def test_a_transaction_given_up_leaves_nothing(conn: psycopg.Connection[Any]) -> None:
    write(conn, fresh("M1", 5))
    with conn.transaction(force_rollback=True):
        write_samples(conn, batch(fresh("M1", 50)), ingested_at=INGESTED)
        write_samples(conn, batch(fresh("M4", 50)), ingested_at=INGESTED)
    assert len(held(conn)) == 5


def test_writers_at_once_lose_nothing_and_count_each_sample_once(database: str) -> None:
    # Four writers, the same samples in different cuts: each sample is stored by exactly one of them.
    everything = [*fresh("M1", 150), *fresh("M2", 150)]
    stored: list[int] = []
    barrier = threading.Barrier(4)

    def writer(size: int) -> None:
        with connect(database, autocommit=True) as conn:
            barrier.wait()
            for start in range(0, len(everything), size):
                stored.append(write(conn, everything[start : start + size]).stored)

    threads = [threading.Thread(target=writer, args=(size,)) for size in (13, 31, 50, 64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with connect(database) as conn:
        assert len(held(conn)) == len(everything) == sum(stored)


def test_a_small_batch_in_one_statement_is_stored_as_by_the_usual_way(database: str) -> None:
    """Every column to the bit, odd numbers and texts included, and what it concerns for each machine and quarter."""
    after = NOON + dt.timedelta(minutes=20, microseconds=1)
    odd = [0.1 + 0.2, -0.0, 1e308, 5e-324, 12345678901234567.0, -1.5]
    rows: list[Row] = [("M1", f"T{nth}", "", NOON, value, None, 192, after) for nth, value in enumerate(odd)]
    rows += [
        ("M1", "T0", "", after, None, None, 0, None),
        ("M2", "T0", "4711", NOON, None, 'quote " back \\ new\nline \u00e4\U0001f4a5 {NULL}', 192, NOON),
        ("M2", "T1", "", NOON, 7.0, "NULL", 64, None),
    ]
    with connect(database, autocommit=True) as conn:
        told = []
        for write_one in (True, False):
            conn.execute("TRUNCATE telemetry_sample, arrival")
            if write_one:
                few = few_samples(conn, batch(rows), ingested_at=INGESTED, tags=TagIds())
                assert few is not None
                touched = few.touched
                write_few(conn, few, [(("states", "events"), touched), (("events",), {("M2", NOON)})], "live feed")
                noted = conn.execute(
                    "SELECT datasets, machine_id, quarter, cause FROM arrival ORDER BY 2, 3, 1"
                ).fetchall()
                assert noted == [
                    (["states", "events"], "M1", NOON, "live feed"),
                    (["states", "events"], "M1", NOON + dt.timedelta(minutes=15), "live feed"),
                    (["events"], "M2", NOON, "live feed"),
                    (["states", "events"], "M2", NOON, "live feed"),
                ]
                with pytest.raises(psycopg.errors.UniqueViolation):
                    write_few(conn, few, [(("states",), touched)], "live feed")
                assert len(conn.execute("SELECT FROM arrival").fetchall()) == 4
            else:
                with conn.transaction():
                    assert write_samples(conn, batch(rows), ingested_at=INGESTED).touched == touched
            stored = conn.execute(
                "SELECT s.* FROM telemetry_sample s JOIN tag t USING (tag_id) ORDER BY 1, 2"
            ).fetchall()
            told.append([repr(row) for row in stored])
    assert told[0] == told[1]
    assert len(told[0]) == len(rows)


def test_a_batch_that_one_statement_cannot_store_is_left_to_the_usual_way(plain_database: str) -> None:
    twice: list[Row] = [("M1", "T", "", NOON, value, None, 192, None) for value in (1.0, 2.0)]
    endless: list[Row] = [("M1", "T", "", NOON, float("inf"), None, 192, None)]
    with connect(plain_database, autocommit=True) as conn:
        for rows in (twice, endless):
            assert few_samples(conn, batch(rows), ingested_at=INGESTED, tags=TagIds()) is None
