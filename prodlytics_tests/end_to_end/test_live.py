"""Live figures on the demo story: at any instant what the chain would store, whenever the chain last ran."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from prodlytics.assets.live_oee import compute
from prodlytics.db.connect import connect
from prodlytics.kpi.oee import ELEMENTS, RATIOS
from prodlytics.plant.model import PlanException, Plant
from prodlytics.simulator.truth import load_truth
from prodlytics_tests.assets.chain_by_hand import arrive, hold_back, run_chain, shift_sums
from prodlytics_tests.end_to_end.plant_run import PlantRun, plant_run
from prodlytics_tests.servers.databases import migrated_database

SECOND = dt.timedelta(seconds=1)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def loaded(plain_server: str, story: Path, tmp_path: Path) -> Iterator[PlantRun]:
    with migrated_database(plain_server) as url:
        run = plant_run(url, story, tmp_path)
        assert run.run(("ingest_entries", None, None), ("ingest", run.days[-1], None)).errors == []
        yield run


def stops(story: Path, first: dt.datetime, last: dt.datetime, shortest_s: float, longest_s: float) -> list[dt.datetime]:
    """The middles of the first true stops of such a length that lie in a span."""
    states = load_truth(story / "truth").states
    lasted = (states["ends_at"] - states["starts_at"]).dt.total_seconds()
    chosen = states[
        (states["state"] != "running")
        & (states["starts_at"] > first)
        & (states["ends_at"] < last)
        & (lasted > shortest_s)
        & (lasted < longest_s)
    ]
    middles = chosen["starts_at"] + (chosen["ends_at"] - chosen["starts_at"]) / 2
    return [moment.to_pydatetime() for moment in middles.sort_values()[:2]]


def with_overtime(plant: Plant) -> Plant:
    """A shift over the night in which the clocks go back."""
    begin, end = (dt.datetime.fromisoformat(wall) for wall in ("2026-10-31T23:00", "2026-11-01T06:00"))
    night = PlanException(kind="overtime", start=begin, end=end, reason="order in arrears", shift="Shift 3")
    return plant.model_copy(update={"exceptions": (*plant.exceptions, night)})


def test_live_figures_are_what_the_chain_would_store(loaded: PlantRun, story: Path) -> None:
    """In stops, micro-stops and breaks, over the change of clocks and of shifts; the last chain is up to hours old."""
    plant = with_overtime(loaded.plant)
    monday = utc("2026-11-02T14:40")
    chains = [utc("2026-11-01T05:02"), utc("2026-11-02T12:02"), utc("2026-11-02T17:02"), utc("2026-11-02T21:02")]
    cuts = [
        # 01:30 twice, and after that: the night has an hour more.
        utc("2026-11-01T06:30"), utc("2026-11-01T07:30"), utc("2026-11-01T08:30"),
        # The first shift begins at the boundary of the production day; the chain has not run in it yet.
        utc("2026-11-02T12:00"), utc("2026-11-02T12:01"),
        # In a break, and a second before the shift changes at half past two, on the dot, and after.
        utc("2026-11-02T17:20"), utc("2026-11-02T20:29:59"), utc("2026-11-02T20:30"), utc("2026-11-02T20:34"),
        *stops(story, monday, monday + dt.timedelta(hours=2), 600, 3600),
        *stops(story, monday, monday + dt.timedelta(hours=2), 20, 100),
    ]  # fmt: skip
    seen: set[str] = set()
    with connect(loaded.url, autocommit=True) as conn:
        hold_back(conn)
        arrive(conn, chains[0])
        run_chain(conn, plant, chains[0], days=1)
        for now in sorted([*chains[1:], *cuts]):
            arrive(conn, now)
            if now in chains:
                run_chain(conn, plant, now)
            with conn.transaction():
                computed = compute(conn, plant, now)
            live = computed.rows
            assert now - dt.timedelta(minutes=6) < computed.as_of <= now
            with conn.transaction(force_rollback=True):
                run_chain(conn, plant, now)
                stored = shift_sums(conn, plant, live)
            names = [*ELEMENTS, *RATIOS[:4]]
            pd.testing.assert_frame_equal(
                live[names].astype(float), stored[names].astype(float), check_exact=True, obj=f"at {now}"
            )
            seen |= set(live["state"])
            seen |= {name for name in ELEMENTS if (live[name] > 0).any()}
    assert {"running", "idle", "fault", "micro_stop_us", "break_us", "failure_us", "good_count", "reject_count"} <= seen
