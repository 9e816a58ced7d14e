"""Whatever a changed setting changes in derived rows, its day is reached: derivations run twice, with both plants.

The data of every day has all that settings speak of: short stops, faults, reasons, rejects of several parts, silences,
words nobody translated. So a day that comes out differently without being reached is a setting that was forgotten.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.kpi.downtime_events import derive_downtime_events
from prodlytics.kpi.oee_hourly import derive_oee_hourly
from prodlytics.kpi.oee_shift import derive_oee_shift
from prodlytics.kpi.reach import longest_work
from prodlytics.kpi.scrap_events import derive_scrap_events
from prodlytics.plant.calendar import plan_rows, production_day
from prodlytics.plant.changed import reached
from prodlytics.plant.in_force import settings_in_force
from prodlytics.plant.model import Plant
from prodlytics_tests.kpi import feed, floor

DAYS = [floor.DAY + dt.timedelta(days=n) for n in range(4)]
DAY_MIN, DAY_S = 1440, 86400
DATASETS = ["production_events", "machine_states", "downtime_events", "scrap_events", "oee_hourly", "oee_shift"]
LUNCH = {"name": "Lunch", "start": "11:00", "end": "11:30"}
LATE = [
    {"name": "Shift 1", "start": "07:00", "end": "14:30", "breaks": [LUNCH]},
    {"name": "Shift 2", "start": "14:30", "end": "23:00"},
    {"name": "Shift 3", "start": "23:00", "end": "07:00"},
]  # fmt: skip


def base(**machine: Any) -> dict[str, Any]:
    """Settings of a plant whose night shift ends an hour into the next production day."""
    plain = deepcopy(floor.SETTINGS)
    plain["shift_plans"] = [{"shifts": LATE}]
    plain["machines"][0] |= {
        "state": {"map": {"1": "running", "2": "idle", "3": "fault", "4": "setup"}},
        "fault_metric": "Fault",
        "cycle_time_metric": "Cycle",
        "alarm_metrics": ["Alarm"],
        **machine,
    }
    return plain


PLAIN = {"telemetry": base(), "counts": base(state={"source": "counts"})}
DATES = st.sampled_from(DAYS)


@st.composite
def dated(draw: st.DrawFn, *values: float) -> list[dict[str, Any]]:
    return [
        {"since": "1970-01-01", "value": draw(st.sampled_from(values))},
        {"since": draw(DATES), "value": draw(st.sampled_from(values))},
    ]


def of_machine(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Callable[[dict[str, Any]], None]]:
    return values.map(lambda value: lambda plain: plain["machines"][0].__setitem__(name, value))


def of_plant(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Callable[[dict[str, Any]], None]]:
    return values.map(lambda value: lambda plain: plain.__setitem__(name, value))


def of_part(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Callable[[dict[str, Any]], None]]:
    return values.map(lambda value: lambda plain: plain["parts"][0]["ideal_cycle_time_ms"].__setitem__("M1", value))


def loss(plain: dict[str, Any]) -> None:
    plain["reasons"][0]["loss"] = "other_stop"


def silent_word(plain: dict[str, Any]) -> None:
    if plain["machines"][0]["state"].get("map"):
        plain["machines"][0]["state"]["map"]["2"] = "blocked"


def settling(plain: dict[str, Any]) -> None:
    if plain["machines"][0]["state"].get("map"):
        plain["machines"][0]["state"]["settle_s"] = 90


def narrow(plain: dict[str, Any]) -> None:
    plain["machines"][0]["counters"][0]["width_bits"] = 8


def no_rejects(plain: dict[str, Any]) -> None:
    plain["machines"][0]["counters"].pop()


CHANGES = st.one_of(
    of_machine("micro_stop_s", dated(30, 120, 400)),
    of_machine("ideal_cycle_time_ms", dated(6000, 60000, 600000)),
    of_machine("machine_rate_per_h", dated(10, 60)),
    of_machine("labor_rate_per_h", dated(10, 30)),
    of_machine("silence_after_s", st.sampled_from([60, 300, 3000, None])),
    of_machine("max_parts_per_s", st.sampled_from([0.001, 0.02, 1])),
    of_machine("fault_metric", st.sampled_from([None, "Alarm"])),
    of_machine("cycle_time_metric", st.sampled_from([None, "Alarm"])),
    of_machine("alarm_metrics", st.sampled_from([[], ["Fault"]])),
    of_part(dated(6000, 30000, 60000, 600000)),
    of_plant("currency", st.just("EUR")),
    of_plant("fault_reasons", st.sampled_from([{}, {"E1": "MATL_A"}])),
    of_plant("convention", st.sampled_from([{"changeover": "excluded"}, {"rework_is_good": True}])),
    st.sampled_from([loss, silent_word, settling, narrow, no_rejects]),
)


def telemetry(rng: np.random.Generator) -> pd.DataFrame:
    """Four days of a machine: states, counts, faults, cycle times, an alarm, with silences of minutes."""
    at = np.cumsum(rng.integers(20, 900, 1500))
    at = at[at < len(DAYS) * DAY_S]
    words = rng.choice(["1", "1", "2", "3", "4", "9"], len(at))
    tags = [
        feed.heard("MachineState", zip(at, words, strict=True)),
        feed.heard("Fault", zip(at + 1, np.where(words == "3", "E1", "0"), strict=True)),
        feed.heard("Cycle", zip(at, rng.integers(9000, 90000, len(at)).astype(float), strict=True)),
        feed.heard("Alarm", zip(at, rng.choice(["normal", "fault"], len(at)), strict=True)),
    ]
    for name, most in (("Good", 9), ("Reject", 2)):
        tags.append(feed.heard(name, zip(at, np.cumsum(rng.integers(0, most, len(at))).astype(float), strict=True)))
    return feed.together(*tags)


def entries(rng: np.random.Generator) -> pd.DataFrame:
    """Reasons and scrap that people entered on every day."""
    said = []
    for minute in range(30, len(DAYS) * DAY_MIN, 240):
        code = str(rng.choice(["MECH_A", "SETUP_A", "MATL_A", "STRANGE"]))
        said.append(floor.entry(minute, minute + 60, reason_code=code))
        said.append(floor.entry(minute, None, kind="scrap", quantity=2.0, part_number="P30", scrap_reason="Burr"))
    return floor.entries(*said)


def of_days(frame: pd.DataFrame, column: str, plant: Plant) -> dict[dt.date, str]:
    """The rows of each production day as text; `as_of` says nothing."""
    told = {}
    for day in DAYS:
        start, end = production_day(plant, day)
        inside = frame[(frame[column] >= start) & (frame[column] < end)]
        told[day] = inside.drop(columns="as_of").to_csv(index=False)
    return told


def derived(plant: Plant, dataset: str, inputs: dict[str, Any]) -> dict[dt.date, str]:
    """One dataset from the same inputs, day by day."""
    machine = plant.machine("M1")
    start, end = production_day(plant, DAYS[0])[0], production_day(plant, DAYS[-1])[1]
    plan, said = inputs["plan"], inputs["entries"]
    if dataset in ("production_events", "machine_states"):
        window = (0.0, float(len(DAYS) * DAY_S))
        derive = feed.events if dataset == "production_events" else feed.states
        one = derive(plant, inputs["samples"], window=window, gaps=_gaps(plant, inputs["samples"]))
        return of_days(one.rows, "time" if dataset == "production_events" else "starts_at", plant)
    if dataset == "downtime_events":
        stops = derive_downtime_events(plant, machine, inputs["states"], plan, said, floor.orders(), floor.NOW)
        # A stop is computed with the day of its first part; all its rows follow.
        stops["first"] = stops.groupby("stop_id")["time_start"].transform("min")
        return of_days(stops, "first", plant)
    if dataset == "scrap_events":
        costs = floor.costs(("P30", "2026-01-01", 2.0))
        scrap = derive_scrap_events(plant, machine, inputs["events"], said, costs, plan, start, end, floor.NOW)
        return of_days(scrap, "time", plant)
    if dataset == "oee_hourly":
        hours = derive_oee_hourly(plant, machine, inputs["ledger"], inputs["events"], start, end, floor.NOW)
        return of_days(hours, "time_bucket", plant)
    orders = floor.orders()
    shifts = derive_oee_shift(plant, machine, inputs["ledger"], inputs["events"], orders, start, end, floor.NOW)
    # Rows of a production date are computed with each day that has time of it; the first one is enough.
    return {day: shifts[shifts["production_date"] == day].drop(columns="as_of").to_csv(index=False) for day in DAYS}


def _gaps(plant: Plant, samples: pd.DataFrame) -> pd.DataFrame:
    """As the database finds them: spans longer than the limit in which no tag was heard."""
    limit = plant.machine("M1").silence_after_s
    heard = [0.0, *sorted({(time - floor.SIX).total_seconds() for time in samples["time"]})]
    return feed.spans_of([(a, b) for a, b in pairwise(heard) if limit is not None and b - a > limit])


@cache
def everything(source: str, seed: int) -> dict[str, Any]:
    """Inputs of every derivation, from the plant as it was."""
    plant, rng = Plant.model_validate(PLAIN[source]), np.random.default_rng(seed)
    start, end = production_day(plant, DAYS[0])[0], production_day(plant, DAYS[-1])[1]
    kinds, total = [], 0
    while total < len(DAYS) * DAY_MIN:
        length = float(rng.choice([0.5, 1.5, 5.0, 40.0, 150.0]))
        length = min(length, len(DAYS) * DAY_MIN - total)
        name = str(rng.choice(["running", "running", "idle", "fault", "setup", "unknown"]))
        kinds.append((length, name, "E1" if name == "fault" else None))
        total += length
    states = floor.states(*kinds)
    plan = plan_rows(plant, plant.machine("M1"), start, end)
    made = floor.events(
        *(
            (minute, int(rng.integers(0, 4)), int(rng.integers(0, 2)), int(rng.integers(0, 2)), part)
            for minute, part in zip(
                range(3, len(DAYS) * DAY_MIN, 7),
                rng.choice(np.array(["P30", "P50", None], dtype=object), 2000),
                strict=False,
            )
        )
    )
    said = entries(rng)
    return {
        "samples": telemetry(rng),
        "states": states,
        "plan": plan,
        "entries": said,
        "events": made,
        "ledger": floor.ledger_of(plant, states, plan, start, end, said),
    }


@pytest.mark.parametrize("source", list(PLAIN))
@settings(deadline=None, max_examples=15)
@given(change=CHANGES, seed=st.integers(0, 2))
def test_a_day_that_comes_out_differently_is_reached(
    source: str, change: Callable[[dict[str, Any]], None], seed: int
) -> None:
    old = Plant.model_validate(PLAIN[source])
    written = deepcopy(PLAIN[source])
    change(written)
    new = Plant.model_validate(written)
    inputs = everything(source, seed)
    found = {(one.dataset, one.day) for one in reached(old, new, {"M1": DAYS}, DATASETS, [])}
    for dataset in DATASETS:
        before, after = derived(old, dataset, inputs), derived(new, dataset, inputs)
        differing = [day for day in DAYS if before[day] != after[day]]
        missed = [day for day in differing if (dataset, day) not in found]
        # Rows near a day's edge that come out differently ask for the neighbour themselves.
        asked = {day + dt.timedelta(days=n) for day in differing for n in (-1, 1) if (dataset, day) in found}
        missed = [day for day in missed if dataset not in ("production_events", "machine_states") or day not in asked]
        assert missed == [], dataset


def machine_set(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda plain: plain["machines"][0].__setitem__(name, value)


def from_the_third(before: float, after: float) -> list[dict[str, Any]]:
    return [{"since": "1970-01-01", "value": before}, {"since": DAYS[2].isoformat(), "value": after}]


@pytest.mark.parametrize(
    "change",
    [
        machine_set("ideal_cycle_time_ms", from_the_third(60000, 600)),
        machine_set("ideal_cycle_time_ms", from_the_third(60000, 600000)),
        machine_set("labor_rate_per_h", from_the_third(30, 10)),
        machine_set("silence_after_s", 600),
        machine_set("alarm_metrics", []),
        loss,
        silent_word,
        settling,
        narrow,
        no_rejects,
    ],
)
def test_no_day_is_reached_that_comes_out_the_same(change: Callable[[dict[str, Any]], None]) -> None:
    """The data has something of everything on every day: what is reached must come out differently."""
    plain = deepcopy(PLAIN["telemetry"])
    change(plain)
    old, new, inputs = Plant.model_validate(PLAIN["telemetry"]), Plant.model_validate(plain), everything("telemetry", 0)
    found = {(one.dataset, one.day) for one in reached(old, new, {"M1": DAYS}, DATASETS, [])}
    assert found
    for dataset in {dataset for dataset, _ in found}:
        before, after = derived(old, dataset, inputs), derived(new, dataset, inputs)
        assert {day for day in DAYS if before[day] != after[day]} == {day for name, day in found if name == dataset}


@pytest.mark.parametrize("cycle_ms", [1000, 3_000_000])
def test_the_longest_pause_of_work_is_the_one_the_states_look_for(cycle_ms: float) -> None:
    plant = Plant.model_validate(base(state={"source": "counts"}, ideal_cycle_time_ms=cycle_ms))
    machine = plant.machine("M1")
    said = settings_in_force(plant, "machine_states", machine, DAYS[0]).values["longest pause of work on M1"]
    assert said == f"{longest_work(plant, machine).total_seconds():g} s"
