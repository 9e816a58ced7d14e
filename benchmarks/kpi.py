"""How fast KPIs are computed: against the guide's loop on the same data, and beyond what Dagster itself costs.

Run by `make bench`; `--days 31` for a quick look. Writes benchmarks/results/kpi.json and kpi.md. Every figure comes
with what it is compared with, measured in the same run: this machine's absolute seconds say little.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks import floor, guide
from benchmarks.machine import machine, verdict
from prodlytics.assets.resources import Database
from prodlytics.backfill import RANGE_END, RANGE_START
from prodlytics.db import embedded
from prodlytics.db.connect import connect
from prodlytics.db.migrate import migrate
from prodlytics.definitions import build_defs
from prodlytics.partitions import production_days
from prodlytics.plant.calendar import production_day
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import Plant
from prodlytics.settings import DEMO_PLANT

RESULTS = Path(__file__).with_name("results")
#: What is computed from states and events; the guide's loop gives one table of these.
KPIS = ("machine_config", "plan_calendar", "downtime_events", "scrap_events", "machine_time", "oee_hourly",
        "oee_shift", "losses", "kpi_rollup")  # fmt: skip
#: The least that gives what the guide's loop gives: a row for each machine and hour.
OEE_ONLY = ("machine_config", "plan_calendar", "downtime_events", "machine_time", "oee_hourly")
SAMPLE_HOURS = 240


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    days = parser.parse_args().days
    plant = _plant(days)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        url = embedded.ensure_running(home)
        try:
            results = _measure(plant, url, days)
        finally:
            embedded.stop(home)
    RESULTS.mkdir(exist_ok=True)
    results = {
        "machine": {**machine(), "dagster": dg.__version__},
        "days": days,
        "machines": len(plant.machines),
        **results,
    }
    (RESULTS / "kpi.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "kpi.md").write_text(_table(results))
    print(_table(results))


def _plant(days: int) -> Plant:
    plant = load_plant(DEMO_PLANT)
    first = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=days + 2)
    return plant.model_copy(update={"first_day": min(first, plant.first_day)})


def _measure(plant: Plant, url: str, days: int) -> dict[str, Any]:
    migrate(url)
    keys = production_days(plant, running=False).get_partition_keys()[-days:]
    start, end = (production_day(plant, dt.date.fromisoformat(key)) for key in (keys[0], keys[-1]))
    volume = floor.fill(url, plant, start[0], end[1])
    with dg.DagsterInstance.ephemeral() as instance:
        run = _Runs(plant, url, instance)
        whole = _seconds(lambda: run.derive(KPIS, keys[0], keys[-1]))
        run.empty(OEE_ONLY[1:])
        oee_only = _seconds(lambda: run.derive(OEE_ONLY, keys[0], keys[-1]))
        growth = []
        for share in (12, 4, 2, 1):
            run.empty(KPIS[1:])
            count = max(1, days // share)
            seconds = _seconds(lambda: run.derive(KPIS, keys[0], keys[count - 1]))  # noqa: B023 called at once
            growth.append({"days": count, "seconds": seconds, "ms_per_machine_day": 1000 * seconds / count / 12})
        hourly = statistics.median(_seconds(lambda: run.derive(KPIS, keys[-1], keys[-1])) for _ in range(5))
        empty = statistics.median(_seconds(lambda: run.nothing(len(KPIS), keys[-1])) for _ in range(5))
    limit = statistics.median(_seconds(lambda: _only_count(url)) for _ in range(3))
    guide.prepare(url)
    hours = int((end[1] - start[0]) / guide.HOUR)
    step = max(1, hours // SAMPLE_HOURS)
    sample = [start[0] + guide.HOUR * n for n in range(0, hours, step)]
    took = _seconds(lambda: [guide.calculate_hour(url, hour) for hour in sample])
    loop = took / len(sample) * hours
    return {
        "states": volume.states, "events": volume.events, "hours": hours,
        "guide_seconds": loop, "guide_hours_measured": len(sample),
        "limit_seconds": limit, "limit_ratio": loop / limit,
        "oee_only_seconds": oee_only, "all_kpis_seconds": whole,
        "oee_only_ratio": loop / oee_only, "all_kpis_ratio": loop / whole,
        "growth": growth, "hourly_chain_seconds": hourly, "empty_chain_seconds": empty,
        "hourly_beyond_empty_seconds": hourly - empty,
    }  # fmt: skip


def _only_count(url: str) -> None:
    """The practical limit: the parts of each hour counted by the database, nothing told, checked or written."""
    with connect(url) as conn:
        conn.execute(
            "SELECT machine_id, date_trunc('hour', time), sum(good_count), sum(reject_count) FROM production_events"
            " GROUP BY 1, 2"
        ).fetchall()


class _Runs:
    """Dagster runs in this process."""

    def __init__(self, plant: Plant, url: str, instance: dg.DagsterInstance) -> None:
        self.plant, self.url, self.instance = plant, url, instance
        self.definitions = build_defs(plant=plant, database=Database(url=url))

    def derive(self, names: Sequence[str], first: str, last: str) -> None:
        selection = dg.AssetSelection.assets(*(dg.AssetKey([self.plant.plant, name]) for name in names))
        self._execute(self._job("bench", selection), first, last)

    def nothing(self, count: int, day: str) -> None:
        days = production_days(self.plant)

        def empty(number: int) -> dg.AssetsDefinition:
            deps = [dg.AssetKey(["nothing", str(number - 1)])] if number else []

            @dg.asset(key=["nothing", str(number)], partitions_def=days, deps=deps)
            def asset() -> None:
                pass

            return asset

        assets = [empty(number) for number in range(count)]
        job = dg.define_asset_job("nothing", selection=dg.AssetSelection.assets(*assets))
        definitions = dg.Definitions(assets=assets, jobs=[job], executor=dg.in_process_executor)
        self._execute(definitions.resolve_job_def("nothing"), day, day)

    def empty(self, tables: Sequence[str]) -> None:
        with connect(self.url) as conn:
            for table in (*tables, "dirty_mark", "restatements"):
                conn.execute(f'TRUNCATE "{table}"')

    def _job(self, name: str, selection: dg.AssetSelection) -> dg.JobDefinition:
        job = dg.define_asset_job(name, selection=selection)
        merged = dg.Definitions.merge(self.definitions, dg.Definitions(jobs=[job]))
        return merged.resolve_job_def(name)

    def _execute(self, job: dg.JobDefinition, first: str, last: str) -> None:
        tags = {RANGE_START: first, RANGE_END: last} if last != first else {}
        done = job.execute_in_process(
            instance=self.instance, partition_key=None if tags else first, tags=tags, raise_on_error=True,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip
        assert done.success


def _seconds(what: Callable[[], object]) -> float:
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def _table(results: dict[str, Any]) -> str:
    growth = results["growth"]
    per_day = [step["ms_per_machine_day"] for step in growth]
    beyond = results["hourly_beyond_empty_seconds"]
    lines = [
        f"# KPIs, {results['machines']} machines, {results['days']} days ({results['events']:,} events, "
        f"{results['states']:,} states)",
        "",
        f"Commit {results['machine']['commit']}, {results['machine']['cpus']} CPUs, load "
        f"{results['machine']['load_average']:.1f} at the start. The guide's loop was measured on "
        f"{results['guide_hours_measured']} of {results['hours']} hours and scaled.",
        "",
        "| what | seconds | guide's loop | ratio | aim | |",
        "|---|---|---|---|---|---|",
    ]
    for name, text in (
        ("oee_only", "hourly OEE, what the loop gives"),
        ("all_kpis", "all KPI tables"),
        ("limit", "practical limit: parts of each hour counted in one query, nothing else"),
    ):
        ratio = results[f"{name}_ratio"]
        lines.append(
            f"| {text} | {results[f'{name}_seconds']:.1f} | {results['guide_seconds']:.0f} | {ratio:.1f} | 100 | "
            f"{verdict(ratio >= 100) if name != 'limit' else ''} |"
        )
    lines += [
        "",
        "| what | seconds | aim | |",
        "|---|---|---|---|",
        f"| hourly chain of the KPI tables beyond as many empty assets | {beyond:.2f} | 1 | {verdict(beyond < 1)} |",
        "",
        "| days | seconds | ms per machine and day |",
        "|---|---|---|",
        *(f"| {step['days']} | {step['seconds']:.1f} | {step['ms_per_machine_day']:.1f} |" for step in growth),
        "",
        f"Linear: cost per machine and day grows by {max(per_day[1:]) / per_day[0]:.2f} from the shortest to the "
        "longest span.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
