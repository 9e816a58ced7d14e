"""Computing production days from the command line, as Dagster runs.

Belongs here: running the jobs in this process into the Dagster instance in use, so that the UI shows runs, lineage and
checks afterwards; and what came out, for people. Does not belong here: what the jobs do.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

from prodlytics.assets.declare import accepted_betas
from prodlytics.db.connect import connect
from prodlytics.db.frames import read
from prodlytics.db.migrate import migrate
from prodlytics.db.plant_settings import refuse_moved_installation
from prodlytics.db.queries import sql
from prodlytics.db.url import database_url
from prodlytics.definitions import build_defs
from prodlytics.ops.instance import NotConfiguredError, dagster_environment
from prodlytics.partitions import NoSuchDayError, production_days
from prodlytics.plant.load import load_plant

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant
    from prodlytics.settings import Settings

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


@dataclass(frozen=True)
class CheckOutcome:
    """One check of one run."""

    asset: str
    name: str
    passed: bool
    severity: str
    says: str


@dataclass
class Outcome:
    """What some runs came to.

    Attributes:
        runs: Run id of each job.
        errors: One line for each run that failed.
        checks: Every check that was evaluated.
        set_aside: One line for each reason for which rows were quarantined.
        unreadable: One line for each landed file that could not be read.
    """

    runs: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    checks: list[CheckOutcome] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether every run did and every file could be read; failed checks are findings about the plant."""
        return not self.errors and not self.unreadable

    @property
    def failed_checks(self) -> list[CheckOutcome]:
        """The checks that found something."""
        return [check for check in self.checks if not check.passed]

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "runs": self.runs,
            "errors": self.errors,
            "checks": len(self.checks),
            "failed_checks": [vars(check) for check in self.failed_checks],
            "set_aside": self.set_aside,
            "unreadable": self.unreadable,
        }

    def as_text(self) -> str:
        """For people."""
        lines = [f"{len(self.runs)} runs, {len(self.checks)} checks, {len(self.failed_checks)} of them failed."]
        lines += [f"  {check.severity} {check.asset}: {check.says}" for check in self.failed_checks]
        lines += [f"  QUARANTINED {line}" for line in self.set_aside]
        lines += [f"  UNREADABLE {line}" for line in self.unreadable]
        lines += [f"  FAILED {error}" for error in self.errors]
        return "\n".join(lines)


class Runner:
    """Runs the jobs of one plant in this process, into one Dagster instance."""

    def __init__(self, plant: Plant, instance: dg.DagsterInstance, **resources: Any) -> None:
        self.plant = plant
        self.instance = instance
        self.definitions = build_defs(plant=plant, **resources)
        self.outcome = Outcome()

    def run(self, job: str, *, first: str | None = None, last: str | None = None) -> bool:
        """Run a job for a range of production days (one day: first only), or without a day.

        Returns:
            Whether it succeeded; an error is noted in the outcome, not raised.
        """
        tags = {}
        if first is not None and last is not None and last != first:
            tags = {RANGE_START: first, RANGE_END: last}
        with accepted_betas():
            definition = self.definitions.resolve_job_def(job)
        result = definition.execute_in_process(
            instance=self.instance,
            partition_key=first if not tags else None,
            tags=tags,
            raise_on_error=False,
            # The events are in Dagster's database; the terminal is for people.
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        name = f"{job} {first or ''}".strip() + (f" to {last}" if tags else "")
        self.outcome.runs[name] = result.run_id
        self.outcome.checks += [
            CheckOutcome(
                "/".join(found.asset_key.path[1:]),
                found.check_name,
                found.passed,
                found.severity.value,
                found.description or "",
            )
            for found in result.get_asset_check_evaluations()
        ]
        for event in result.filter_events(lambda event: event.is_step_failure):
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            self.outcome.errors.append(f"{name}: {error.message.strip() if error else 'unknown error'}")
        if not result.success and not self.outcome.errors:
            self.outcome.errors.append(f"{name}: see run {result.run_id} in the UI")
        return bool(result.success)


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance in use."""
    environment = dagster_environment(settings)
    os.environ.update(environment)
    url = environment["PRODLYTICS_DAGSTER_URL"].replace("postgresql+psycopg2://", "postgresql://", 1)
    with connect(url, autocommit=True) as conn:
        # Two processes that make Dagster's tables in a new database at once fail: one after the other.
        conn.execute("SELECT pg_advisory_lock(hashtextextended('prodlytics/dagster', 0))")
        instance = dg.DagsterInstance.get()
        instance.get_runs_count()
    with instance:
        yield instance


def run_backfill(
    settings: Settings, first: dt.date, last: dt.date, say: Callable[[str], None] | None = None
) -> Outcome:
    """Load what has landed, compute [first, last], and close the days of it that are over.

    Raises:
        PlantFileError: The plant file is wrong.
        DatabaseUnavailable: The database cannot be reached.
        InstallationChangedError: The plant file has other production days than the database.
        NoSuchDayError: A day lies outside the plant's partitions.
    """
    plant = load_plant(settings.plant)
    url = database_url(settings)
    migrate(url)
    with connect(url) as conn:
        refuse_moved_installation(conn, plant)
    began = dt.datetime.now(dt.UTC)
    with dagster_instance(settings) as instance:
        runner = Runner(plant, instance)
        compute_days(runner, first, last, say or (lambda _: None))
    with connect(url) as conn:
        quarantined = read(conn, sql("count_quarantine_since"), {"since": began})
        broken = read(conn, sql("select_unreadable_files"), {})
    runner.outcome.set_aside = [
        f"{row['rows']} rows of {row['dataset']}, {row['reason']}: {row['detail']}"
        for row in quarantined.to_dict("records")
    ]
    runner.outcome.unreadable = [f"{row['name']}: {row['error']}" for row in broken.to_dict("records")]
    return runner.outcome


def train_now(settings: Settings) -> None:
    """Train all models, as a run.

    Raises:
        NotConfiguredError: The run failed; the text says why.
    """
    with dagster_instance(settings) as instance:
        runner = Runner(load_plant(settings.plant), instance)
        if not runner.run("train_models"):
            raise NotConfiguredError("; ".join(runner.outcome.errors))


def compute_days(runner: Runner, first: dt.date, last: dt.date, say: Callable[[str], None]) -> None:
    """Ingest, chain and close production days; stops at the first job that fails."""
    running, closed = production_days(runner.plant), production_days(runner.plant, running=False)
    keys = [key for key in running.get_partition_keys() if first.isoformat() <= key <= last.isoformat()]
    if not keys:
        raise NoSuchDayError(
            f"No production day between {first} and {last}: the plant's first day is {runner.plant.first_day}, "
            "its last one is today."
        )
    over = set(closed.get_partition_keys())
    done = [key for key in keys if key in over]
    steps: list[tuple[str, str, str | None, str | None]] = [
        ("loading operator entries", "ingest_entries", None, None),
        (f"deriving {len(keys)} production days", "chain", keys[0], keys[-1]),
    ]
    if done:
        steps.append((f"reporting and archiving {len(done)} closed days", "close_day", done[0], done[-1]))
    for text, job, start, end in steps:
        say(text)
        if not runner.run(job, first=start, last=end):
            return
