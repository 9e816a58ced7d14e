"""`prodlytics demo`: a simulated factory through the whole product, on an embedded database.

Belongs here: the order of steps and the summary at the end. Everything is computed by the same jobs as in production
and recorded in the demo's own Dagster instance. Does not belong here: simulating, deriving, reporting.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from prodlytics.assets.resources import Database
from prodlytics.automation.schedules import dirty_days
from prodlytics.backfill import Outcome, Runner, dagster_instance
from prodlytics.datasets.registry import DERIVED
from prodlytics.db.connect import connect
from prodlytics.db.frames import read
from prodlytics.db.migrate import migrate
from prodlytics.db.queries import sql
from prodlytics.ops.instance import NotConfiguredError
from prodlytics.partitions import production_days
from prodlytics.plant.load import load_plant
from prodlytics.settings import DEMO_PLANT, Settings

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.model import Plant

#: Says that the database in a home folder is a demo's, which the next demo may replace.
MARKER = "demo.json"


def run_demo(settings: Settings, days: int) -> dict[str, Any]:
    """Simulate, compute, summarize.

    Args:
        settings: Only `home` is used: the demo never touches a configured database or archive.
        days: Production days to simulate, today included.

    Returns:
        The summary that was printed.

    Raises:
        NotConfiguredError: The home folder holds a database that is not a demo's, or a step failed.
    """
    console = Console(highlight=False)
    settings = Settings(home=settings.home, plant=DEMO_PLANT, database_url=None, archive_url=None, landing_url=None)
    plant = load_plant(settings.plant)
    timings: dict[str, float] = {}
    with _progress(console) as step:
        with _timed(timings, "database"), step("starting the embedded database"):
            url = _fresh_database(settings)
        with _timed(timings, "simulation"), step(f"simulating {days} days of {len(plant.machines)} machines") as bar:
            late = _simulate(plant, settings, days, bar)
        with dagster_instance(settings) as instance:
            runner = Runner(plant, instance)
            _compute(runner, plant, days, step, timings)
            with _timed(timings, "late data"), step("late rows arrive: healing the days they change"):
                _heal(runner, plant, late, Path(settings.landing_place), Database(url=url))
            _learn(runner, plant, days, step, timings)
    with connect(url) as conn:
        summary = _summary(conn, plant, runner.outcome, settings, timings)
    _print(console, plant, summary, runner.outcome)
    if not runner.outcome.succeeded:
        raise NotConfiguredError("The demo did not finish: " + "; ".join(runner.outcome.errors))
    return summary


def _fresh_database(settings: Settings) -> str:
    from prodlytics.db.embedded import ensure_running, remove

    marker = settings.home / MARKER
    if marker.exists():
        remove(settings.home)
        for name in ("landing", "archive", "truth", "dagster", "late", "reports"):
            shutil.rmtree(settings.home / name, ignore_errors=True)
    elif settings.home.exists() and any(settings.home.iterdir()):
        raise NotConfiguredError(
            f"{settings.home} holds data that is not a demo's: run it elsewhere, with PRODLYTICS_HOME=.prodlytics-demo."
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    marker.write_text(json.dumps({"made_at": dt.datetime.now(dt.UTC).isoformat()}))
    url = ensure_running(settings.home)
    migrate(url)
    return url


def _simulate(plant: Plant, settings: Settings, days: int, bar: Callable[[int, int], None]) -> list[Path]:
    """Write the plant's files; those that arrive late are put aside and returned."""
    from prodlytics.simulator.history import simulate

    landing = Path(settings.landing_place)
    simulate(plant, landing, settings.truth_place, end=dt.datetime.now(dt.UTC), days=days, progress=bar)
    aside = settings.home / "late"
    aside.mkdir(exist_ok=True)
    moved = []
    for file in sorted((landing / "telemetry").glob("late-*")):
        moved.append(Path(shutil.move(file, aside / file.name)))
    return moved


def _compute(runner: Runner, plant: Plant, days: int, step: Callable[..., Any], timings: dict[str, float]) -> None:
    keys = production_days(plant).get_partition_keys()[-days:]
    running, closed = keys[-1], keys[:-1]
    for name, text, job, first, last in (
        ("entries", "loading what operators said", "ingest_entries", None, None),
        ("ingest", "loading telemetry, orders and costs", "ingest", running, running),
        ("chain", f"deriving parts, states, stops and OEE of {days} days", "chain", closed[0], running),
        ("close", "reporting and archiving the closed days", "close_day", closed[0], closed[-1]),
    ):
        with _timed(timings, name), step(text):
            if not runner.run(job, first=first, last=last):
                raise NotConfiguredError("The demo did not finish: " + "; ".join(runner.outcome.errors))


def _learn(runner: Runner, plant: Plant, days: int, step: Callable[..., Any], timings: dict[str, float]) -> None:
    """What Sunday's training and the hourly insights do: describe all stops, learn, answer for the latest week."""
    keys = production_days(plant).get_partition_keys()[-days:]
    for name, text, job, first, last in (
        ("features", "describing what was known at each stop", "insights", keys[0], keys[-1]),
        ("training", "training models on it, judged on later days", "train_models", None, None),
        ("answers", "likely causes of the latest week", "insights", keys[-7:][0], keys[-1]),
    ):
        with _timed(timings, name), step(text):
            runner.run(job, first=first, last=last)


def _heal(runner: Runner, plant: Plant, late: list[Path], landing: Path, database: Database) -> None:
    """What the hourly schedule does when late rows have come: load them, then compute every day they made dirty."""
    running = production_days(plant).get_partition_keys()[-1]
    for file in late:
        shutil.move(file, landing / "telemetry" / file.name)
    runner.run("ingest", first=running)
    # A day that comes out differently can reach into its neighbour (a stop over midnight): that is a second round.
    for _ in range(3):
        for day in sorted(dirty_days(plant, database, DERIVED)):
            runner.run("chain", first=day)
    # The trend of the two weeks after a restated day changes with it: one run over all of them.
    reports = sorted(dirty_days(plant, database, ["daily_report"]) - {running})
    if reports:
        runner.run("close_day", first=reports[0], last=reports[-1])


def _summary(
    conn: psycopg.Connection, plant: Plant, outcome: Outcome, settings: Settings, timings: dict[str, float]
) -> dict[str, Any]:
    """The figures of the summary, all from the tables and the same roll-up the report uses."""
    from prodlytics.kpi.losses import loss_tree
    from prodlytics.kpi.oee import roll_up

    oee = read(conn, sql("select_all_oee")).assign(plant=plant.plant)
    whole = roll_up(oee, ["plant"], plant.convention).iloc[0]
    machines = roll_up(oee, ["machine_id"], plant.convention).dropna(subset=["oee"]).sort_values("oee")
    top = loss_tree(read(conn, sql("select_all_losses")), ["loss", "reason_code"])
    counts: dict[str, int] = dict(conn.execute(sql("count_demo_rows")).fetchall())
    report = conn.execute(sql("select_newest_working_day")).fetchone()
    folder = settings.home / "reports"
    folder.mkdir(exist_ok=True)
    for date, html in conn.execute(sql("select_reports")):
        (folder / f"{date}.html").write_text(html, encoding="utf-8")
    return {
        "plant": plant.name,
        "plant_oee": float(whole["oee"]),
        "availability": float(whole["availability"]),
        "performance": float(whole["performance"]),
        "quality": float(whole["quality"]),
        "worst_machine": str(machines["machine_id"].iloc[0]),
        "worst_machine_oee": float(machines["oee"].iloc[0]),
        "currency": plant.currency,
        "top_losses": [
            {"loss": row["loss"], "reason_code": row["reason_code"], "minutes": row["minutes"], "cost": row["cost"]}
            for row in top.sort_values("minutes", ascending=False).head(8).to_dict("records")
        ],
        "rows": {name: int(count) for name, count in counts.items()},
        "failed_checks": list({(check.asset, check.name): vars(check) for check in outcome.failed_checks}.values()),
        "report": None if report is None else str(folder / f"{report[0]}.html"),
        "report_of": None if report is None else report[0],
        "seconds": {name: round(value, 1) for name, value in timings.items()},
    }


def _print(console: Console, plant: Plant, summary: dict[str, Any], outcome: Outcome) -> None:
    console.print()
    console.print(
        f"[bold]{plant.name}[/bold]: OEE {summary['plant_oee']:.1%} = availability {summary['availability']:.1%} x "
        f"performance {summary['performance']:.1%} x quality {summary['quality']:.1%}"
    )
    console.print(f"Worst machine: {summary['worst_machine']} with {summary['worst_machine_oee']:.1%}")
    table = Table("Top losses", "reason", "minutes", summary["currency"])
    for loss in summary["top_losses"]:
        table.add_row(loss["loss"], loss["reason_code"] or "-", f"{loss['minutes']:,.0f}", f"{loss['cost']:,.0f}")
    console.print(table)
    rows = summary["rows"]
    console.print(", ".join(f"{count:,} {name}" for name, count in rows.items()))
    console.print(f"\n{len(outcome.checks)} checks ran. These found what the simulator hid in the data:")
    for check in summary["failed_checks"]:
        console.print(f"  [yellow]![/yellow] {check['asset']}: {check['says']}")
    console.print(f"\nDaily report of {summary['report_of']}, the last full working day: {summary['report']}")
    console.print("Open the Dagster UI: [bold].venv/bin/prodlytics up[/bold]")


@contextmanager
def _progress(console: Console) -> Iterator[Callable[..., Any]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:

        @contextmanager
        def step(text: str) -> Iterator[Callable[[int, int], None]]:
            task = progress.add_task(text, total=None)

            def advance(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            yield advance
            progress.update(task, completed=1, total=1)
            if not console.is_terminal:
                console.print(f"done: {text}")

        yield step


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    timings[name] = timings.get(name, 0.0) + time.monotonic() - started
