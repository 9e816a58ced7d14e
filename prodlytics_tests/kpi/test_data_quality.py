"""How good the data is: cases written down by hand, and every second counted by brute force."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.kpi.data_quality import COLUMNS, Feed, derive_data_quality, stop_delays
from prodlytics.kpi.oee_shift import derive_oee_shift
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.floor import at, calendar, entries, entry, events, ledger_of, plant, states, stops_of

OTHER = {
    "reasons": [
        *floor.SETTINGS["reasons"],
        {
            "code": "REST",
            "name": "Rest",
            "loss": "other_stop",
            "reasons": [{"code": "REST_X", "name": "Something else", "other": True}],
        },
    ],
}


def gaps(*spans: tuple[float, float | None]) -> pd.DataFrame:
    """Silences from minute to minute."""
    return pd.DataFrame(
        {
            "starts_at": pd.to_datetime(pd.Series([at(s) for s, _ in spans], dtype=object), utc=True),
            "ends_at": pd.to_datetime(pd.Series([e if e is None else at(e) for _, e in spans], dtype=object), utc=True),
        }
    ).astype("datetime64[us, UTC]")


HEARD = Feed(gaps(), at(-60))


def quality(
    where: Plant,
    said: pd.DataFrame,
    plan: pd.DataFrame,
    reasons: pd.DataFrame | None = None,
    made: pd.DataFrame | None = None,
    feed: Feed | None = HEARD,
    as_of: dt.datetime = floor.NOW,
) -> list[dict[str, Any]]:
    """Rows of data_quality over the calendar, in order."""
    start, end = plan["starts_at"].iloc[0].to_pydatetime(), plan["ends_at"].iloc[-1].to_pydatetime()
    machine, said_why = where.machines[0], entries() if reasons is None else reasons
    ledger = ledger_of(where, said, plan, start, end, said_why)
    made = events() if made is None else made
    shifts = derive_oee_shift(where, machine, ledger, made, floor.orders(), start, end, as_of)
    stops = stops_of(where, said, plan, said_why)
    rows = derive_data_quality(where, machine, ledger, stops, said_why, shifts, feed, as_of)
    assert list(rows.columns) == COLUMNS
    return rows.to_dict("records")


def test_an_hour_by_hand() -> None:
    """20 min run, 10 min bearing (said after 4), 20 min run, 30 min nobody explained, 1 min short, 39 min run."""
    (row,) = quality(
        plant(),
        states(
            (20, "running"), (10, "idle"), (20, "running"), (30, "idle"), (9, "running"), (1, "idle"), (30, "running")
        ),
        calendar((120, "planned")),
        entries(entry(20, 30, reason_code="MECH_A", entered_at=at(24))),
        events((15, 10), (119, 30)),
    )  # fmt: skip
    assert row["stop_time_us"] == 40 * 60_000_000
    assert row["uncoded_time_us"] == 30 * 60_000_000
    assert row["uncoded_share"] == 0.75
    assert (row["stop_count"], row["coded_count"], row["coded_in_time_count"]) == (2, 1, 1)
    assert row["compliance"] == 0.5
    assert (row["delay_median_s"], row["delay_p90_s"]) == (240.0, 240.0)
    assert row["short_stop_count"] == 1
    assert row["running_us"] == 79 * 60_000_000
    # 40 pieces of an ideal minute in 80 minutes of run time (the short stop is a speed loss).
    assert row["performance"] == pytest.approx(0.5)
    assert row["ideal_cycle_suspect"] is False
    assert (row["state_coverage"], row["feed_coverage"], row["longest_silence_s"]) == (1.0, 1.0, 0.0)
    assert row["null_reason"] is None


def test_other_is_what_the_plant_file_says_it_is() -> None:
    (row,) = quality(
        plant(**OTHER),
        states((10, "running"), (10, "idle"), (10, "running"), (30, "idle")),
        calendar((60, "planned")),
        entries(entry(10, 20, reason_code="REST_X"), entry(30, 60, reason_code="MATL_A")),
    )
    assert (row["other_time_us"], row["other_share"], row["uncoded_share"]) == (10 * 60_000_000, 0.25, 0.0)


def test_the_calendar_explains_what_it_planned() -> None:
    (row,) = quality(plant(), states((10, "running"), (50, "idle")), calendar((10, "planned"), (50, "planned_stop")))
    assert (row["stop_time_us"], row["stop_count"]) == (0, 0)
    assert row["uncoded_share"] != row["uncoded_share"]  # missing
    assert row["null_reason"] == "uncoded_share: no_stops; compliance: no_stops"


def test_the_wait_begins_with_the_time_that_was_planned() -> None:
    """Down since before the shift: nobody was there to say why until it began."""
    where, plan = plant(), calendar((60, "not_scheduled"), (60, "planned"))
    said = states((120, "idle"))
    reasons = entries(entry(62, None, reason_code="MECH_A", entered_at=at(63)))
    (wait,) = stop_delays(where, stops_of(where, said, plan, reasons), reasons)["delay_us"]
    assert wait == 3 * 60_000_000


def test_a_wrong_reason_that_was_replaced_was_given_in_time() -> None:
    where, plan, said = plant(), calendar((60, "planned")), states((10, "running"), (50, "idle"))
    wrong = entry(10, 60, reason_code="MATL_A", entered_at=at(12), source_key="wrong")
    undo = entry(10, 60, kind="undo", undoes="wrong", entered_at=at(90), source_key="undo")
    right = entry(10, 60, reason_code="MECH_A", entered_at=at(91), source_key="right")
    both = entries(wrong, undo, right)
    assert stop_delays(where, stops_of(where, said, plan, both), both)["delay_us"].tolist() == [2 * 60_000_000]
    taken_back = entries(wrong, undo)
    assert stop_delays(where, stops_of(where, said, plan, taken_back), taken_back)["delay_us"].isna().tolist() == [True]


def test_what_a_system_says_is_no_reason_from_a_person() -> None:
    (row,) = quality(
        plant(),
        states((10, "running"), (50, "idle")),
        calendar((60, "planned")),
        entries(entry(10, 60, reason_code="MECH_A", source="machinemetrics", entered_at=at(11))),
    )
    assert (row["uncoded_time_us"], row["stop_count"], row["coded_count"]) == (0, 1, 0)
    assert "delay: nobody_gave_a_reason" in row["null_reason"]


@pytest.mark.parametrize(("minutes", "needs"), [(2, 0), (2.02, 1)])
def test_a_stop_over_two_minutes_needs_a_reason(minutes: float, needs: int) -> None:
    said = states((10, "running"), (minutes, "idle"), (50 - minutes, "running"))
    (row,) = quality(plant({"micro_stop_s": 60}), said, calendar((60, "planned")))
    assert row["stop_count"] == needs


@pytest.mark.parametrize(("known_until", "judged"), [(14, 0), (15, 1)])
def test_a_stop_is_judged_once_its_five_minutes_are_over(known_until: float, judged: int) -> None:
    said = states((10, "running"), (known_until - 10, "idle"), is_open=True)
    (row,) = quality(plant(), said, calendar((60, "planned")), as_of=at(known_until))
    assert row["stop_count"] == judged


def test_a_stop_counts_once_in_the_shift_in_which_it_begins() -> None:
    plan = calendar((60, "planned", "Shift 1", floor.DAY), (60, "planned", "Shift 2", floor.DAY))
    first, second = quality(plant(), states((50, "running"), (40, "idle"), (30, "running")), plan)
    assert (first["stop_count"], second["stop_count"]) == (1, 0)
    assert (first["uncoded_time_us"], second["uncoded_time_us"]) == (10 * 60_000_000, 30 * 60_000_000)


def test_faster_than_the_ideal_cycle_is_a_suspect_ideal_cycle() -> None:
    (row,) = quality(plant(), states((60, "running")), calendar((60, "planned")), made=events((59, 64)))
    assert row["performance"] == pytest.approx(64 / 60)
    assert row["ideal_cycle_suspect"] is True


def test_without_a_feed_nobody_can_say_that_it_was_heard() -> None:
    by_hand = plant({"state": {"source": "operator"}, "silence_after_s": None})
    (row,) = quality(by_hand, states((60, "running")), calendar((60, "planned")), feed=None)
    assert pd.isna(row["heard_time_us"])
    assert "feed_coverage: no_feed" in row["null_reason"]
    assert row["state_coverage"] == 1.0


def test_before_the_first_sample_nothing_was_heard() -> None:
    (row,) = quality(plant(), states((60, "running")), calendar((60, "planned")), feed=Feed(gaps(), at(45)))
    assert (row["feed_coverage"], row["longest_silence_s"]) == (0.25, 2700.0)


def test_a_feed_that_fell_silent_is_silent_from_its_last_sample() -> None:
    (row,) = quality(plant(), states((60, "running")), calendar((60, "planned")), feed=Feed(gaps((40, None)), at(-1)))
    assert (row["feed_coverage"], row["longest_silence_s"]) == (pytest.approx(2 / 3), 1200.0)


def test_who_is_responsible_changes_and_a_line_goes_first() -> None:
    two = [
        {"shift": "Shift 1", "name": "Ann"},
        {"since": "2026-03-02", "shift": "Shift 1", "name": "Bea"},
        {"since": "2026-03-03", "shift": "Shift 1", "name": "Cleo"},
        {"shift": "Shift 2", "name": "Dora"},
        {"shift": "Shift 2", "lines": ["L1"], "name": "Elsa"},
    ]
    plan = calendar((60, "planned", "Shift 1", floor.DAY), (60, "planned", "Shift 2", floor.DAY))
    rows = quality(plant(supervisors=two), states((120, "running")), plan)
    assert [row["supervisor"] for row in rows] == ["Bea", "Elsa"]


seconds = st.integers(0, 1799)


@settings(max_examples=60, deadline=None)
@given(
    stop=st.tuples(seconds, seconds),
    reason=st.tuples(seconds, seconds),
    silences=st.lists(st.tuples(seconds, seconds), max_size=4),
    pause=st.tuples(seconds, seconds),
)
def test_every_second_counted_by_hand(
    stop: tuple[int, int], reason: tuple[int, int], silences: list[tuple[int, int]], pause: tuple[int, int]
) -> None:
    """Half an hour in two shifts: a stop, a reason, a break and silences anywhere."""
    (s0, s1), (r0, r1), (p0, p1) = sorted(stop), sorted(reason), sorted(pause)
    silent = np.zeros(1800, dtype=bool)
    for a, b in silences:
        silent[min(a, b) : max(a, b)] = True
    edges = np.flatnonzero(np.diff(np.concatenate([[0], silent.view(np.int8), [0]])))
    feed = Feed(gaps(*[(a / 60, b / 60) for a, b in edges.reshape(-1, 2).tolist()]), at(-1))
    cut = sorted({0, p0, p1, 900, 1800})
    plan = calendar(
        *[
            ((b - a) / 60, "break" if p0 <= a < p1 else "planned", f"Shift {1 + (a >= 900)}", floor.DAY)
            for a, b in pairwise(cut)
        ]
    )
    said = states(*[(n / 60, name) for n, name in ((s0, "running"), (s1 - s0, "idle"), (1800 - s1, "running")) if n])
    given_ = entries(entry(r0 / 60, r1 / 60, reason_code="MATL_A")) if r1 > r0 else entries()
    rows = {row["shift"]: row for row in quality(plant(), said, plan, given_, feed=feed)}

    stopped = np.zeros(1800, dtype=bool)
    stopped[s0:s1] = True
    planned = np.ones(1800, dtype=bool)
    planned[p0:p1] = False
    coded = np.zeros(1800, dtype=bool)
    coded[r0:r1] = True
    # A stop of under two minutes of planned time is short; a person's reason makes its part one that needs one.
    is_short = (stopped & planned).sum() < 120
    needs = stopped & planned & (coded | ~is_short)
    for number, shift in enumerate(("Shift 1", "Shift 2")):
        inside = slice(900 * number, 900 * (number + 1))
        row = rows[shift]
        assert row["stop_time_us"] == needs[inside].sum() * 1_000_000
        assert row["uncoded_time_us"] == (needs & ~coded)[inside].sum() * 1_000_000
        # Running in a break is running, but the calendar did not plan it.
        assert row["plan_time_us"] == planned[inside].sum() * 1_000_000
        assert row["heard_time_us"] == (planned & ~silent)[inside].sum() * 1_000_000
