"""One real plant through the front door: landed files, jobs, tables; and what the tables say, per production day.

Belongs here: what the tests of all sets ask the product. Does not belong here: what the answer should be
(`brute_force.py`).
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from prodlytics.backfill import Outcome
from prodlytics.plant.calendar import production_day
from prodlytics.plant.load import load_plant
from prodlytics_tests.end_to_end.plant_run import PlantRun
from prodlytics_tests.ledger.invariants import broken_rules
from prodlytics_tests.servers.databases import migrated_database

PLANTS = Path(__file__).parents[1] / "plants"
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True)
class RealRun:
    """A plant whose files have been loaded, derived and reported."""

    run: PlantRun
    outcome: Outcome

    def rows(self, query: LiteralString) -> list[tuple[Any, ...]]:
        """Rows of a query; times in UTC."""
        with psycopg.connect(self.run.url) as conn:
            conn.execute("SET timezone = 'UTC'")
            return conn.execute(query).fetchall()

    def said(self, check: str) -> dict[str, str]:
        """What a check said last on each asset, once it has passed there each time."""
        found = [one for one in self.outcome.checks if one.name == check]
        assert all(one.passed for one in found), found
        return {one.asset: one.says for one in found}

    def states(self) -> list[tuple[str, int, int, str, str | None]]:
        """Machine, start, end (microseconds since 1970), state and native state of every row of machine_states."""
        rows = self.rows("SELECT machine_id, starts_at, ends_at, state, native_state FROM machine_states")
        return [(machine, us(start), us(end), *names) for machine, start, end, *names in rows]

    def broken_rules(self, first: dt.date, last: dt.date) -> dict[str, int]:
        """Rules of the ledger that do not hold over these production days, which must be all that were derived."""
        opens, closes = production_day(self.run.plant, first)[0], production_day(self.run.plant, last)[1]
        return broken_rules(self.run.url, opens, closes)

    def ledger_hours(self) -> Counter[tuple[str, dt.date, str]]:
        """Microseconds by machine, production date and state in machine_time."""
        rows = self.rows(
            "SELECT machine_id, production_date, state, sum(duration_us)::bigint FROM machine_time GROUP BY 1, 2, 3"
        )
        return Counter({(machine, date, state): time for machine, date, state, time in rows})

    def parts(self) -> Counter[tuple[str, dt.date, str]]:
        """Good, rejected and reworked parts by machine and production date in oee_hourly, nonzero ones.

        Parts made while nobody knew the state are no part of the ratios but were made.
        """
        rows = self.rows(
            "SELECT machine_id, production_date, sum(good_count + gap_good_count)::int,"
            " sum(reject_count + rework_count + gap_reject_count)::int FROM oee_hourly GROUP BY 1, 2"
        )
        found: Counter[tuple[str, dt.date, str]] = Counter()
        for machine, date, good, bad in rows:
            found[machine, date, "good"], found[machine, date, "bad"] = good, bad
        return +found

    def reported(self) -> dict[dt.date, dict[str, Any]]:
        """The figures of each daily report."""
        return dict(self.rows("SELECT production_date, summary FROM daily_report"))


def us(instant: dt.datetime) -> int:
    """Microseconds since 1970."""
    return (instant - EPOCH) // dt.timedelta(microseconds=1)


@contextmanager
def real_run(
    server: str, name: str, folder: Path, files: dict[str, Path], days: tuple[str, str], closed: tuple[str, str]
) -> Iterator[RealRun]:
    """Land files (name below the landing place: file), derive all days, report and archive those of `closed`."""
    landing = folder / "landing"
    for target, source in files.items():
        (landing / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, landing / target)
    with migrated_database(server) as url:
        run = PlantRun(load_plant(PLANTS / f"{name}.yaml"), url, landing, folder / "archive", PLANTS / f"{name}.yaml")
        outcome = run.run(
            ("ingest_entries", None, None),
            ("ingest", days[1], None),
            ("chain", *days),
            ("close_day", *closed),
        )
        assert outcome.errors == [], outcome.errors
        yield RealRun(run, outcome)
