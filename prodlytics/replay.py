"""Computing reported days again from the archive, and comparing.

Belongs here: a scratch schema with the product's tables, filled with archived samples, what people said and the
effective-dated configuration; the chain as Dagster runs it in there; the comparison with the archived figures. The
product's own tables are only read. Does not belong here: how anything is computed.

What it cannot know: orders and their state are kept as the ERP has them now, and the plant file is the one in use.
Where these changed since, the differences say so.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
from psycopg import sql as compose

from prodlytics.archive import manifest
from prodlytics.archive.restore import load_file
from prodlytics.archive.shape import Shape, shape_of
from prodlytics.archive.store import ArchiveStore
from prodlytics.assets.resources import Database, Places
from prodlytics.backfill import Runner
from prodlytics.datasets.registry import DATASETS
from prodlytics.db.connect import connect
from prodlytics.db.hot import MARGIN
from prodlytics.db.migrate import make_tables
from prodlytics.db.queries import sql
from prodlytics.partitions import production_days
from prodlytics.plant.calendar import production_day

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant

#: A function of the samples and entries around a day, whatever else the plant did; in the order data flows.
COMPARED = (
    "plan_calendar", "production_events", "machine_states", "downtime_events", "scrap_events", "machine_time",
    "oee_hourly", "oee_shift", "losses", "data_quality",
)  # fmt: skip
#: What is taken over as it stands: configuration with the dates from which it holds, and what people said.
_TAKEN_OVER = ("tag", "machine_config", "reason_codes", "work_orders", "part_costs", "ideal_cycles", "operator_entries")
#: Says what was known when a row was computed, not what it says.
_NOT_COMPARED = frozenset({"as_of", "fingerprint"})
_EXAMPLES = 5


class NothingToReplayError(Exception):
    """A replay is not possible; the text says what is missing."""


@dataclass
class Compared:
    """One dataset: rows that came out the same, differently, not at all, or additionally, and the first of them."""

    same: int = 0
    changed: int = 0
    missing: int = 0
    extra: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Replay:
    """What a replay came to.

    Attributes:
        errors: Jobs that failed.
        schema: Where the recomputed tables are, if they were kept.
    """

    first: dt.date
    last: dt.date
    datasets: dict[str, Compared]
    errors: list[str]
    schema: str | None

    @property
    def is_same(self) -> bool:
        """Whether every reported row came out again."""
        return not self.errors and not any(one.changed + one.missing + one.extra for one in self.datasets.values())

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "first": str(self.first),
            "last": str(self.last),
            "same": self.is_same,
            "datasets": {name: vars(one) for name, one in self.datasets.items()},
            "errors": self.errors,
            "schema": self.schema,
        }

    def as_text(self) -> str:
        """For people."""
        lines = [f"{self.first} to {self.last}: {'same inputs, same numbers' if self.is_same else 'differences'}."]
        for name, one in self.datasets.items():
            lines.append(
                f"  {name}: {one.same} rows the same, {one.changed} changed, {one.missing} missing, {one.extra} extra"
            )
            lines += [f"    {example}" for example in one.examples]
        lines += [f"  FAILED {error}" for error in self.errors]
        if self.schema:
            lines.append(f"The recomputed tables are in schema {self.schema}.")
        return "\n".join(lines)


def replay(
    url: str,
    plant: Plant,
    archive: str,
    first: dt.date,
    last: dt.date,
    *,
    keep: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Replay:
    """Recompute closed production days in a scratch schema and compare them with what is archived of them.

    Args:
        url: The product's database; its user must be allowed to create a schema.
        plant: The plant file.
        archive: The archive's place.
        first: First day to compare.
        last: Last day to compare.
        keep: Leave the scratch schema for a look.
        say: Progress, for people.

    Raises:
        NothingToReplayError: Days are not archived.
        ArchiveError: A file is missing or damaged.
        DatabaseUnavailable: The database cannot be reached.
    """
    store = ArchiveStore(archive)
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    with connect(url) as conn, _scratch(conn, keep) as schema:
        _refuse_gaps(conn, days)
        scratch_url = psycopg.conninfo.make_conninfo(url, options=f"-c search_path={schema}")
        say("taking over configuration and what people said")
        with connect(scratch_url) as scratch:
            make_tables(scratch)
            for table in _TAKEN_OVER:
                _take_over(scratch, table)
            scratch.commit()
            known = _load_samples(conn, scratch, store, plant, days, say)
        say("computing")
        errors = _compute(scratch_url, plant, min(known), max(known))
        with connect(scratch_url) as scratch:
            datasets = {name: _compare(conn, scratch, store, plant, name, days) for name in COMPARED}
    return Replay(first, last, datasets, errors, schema if keep else None)


@contextmanager
def _scratch(conn: psycopg.Connection[Any], keep: bool) -> Iterator[str]:
    schema = f"replay_{dt.datetime.now(dt.UTC):%Y%m%d_%H%M%S_%f}"
    conn.execute(compose.SQL("CREATE SCHEMA {}").format(compose.Identifier(schema)))
    conn.commit()
    try:
        yield schema
    finally:
        conn.rollback()
        if not keep:
            conn.execute(compose.SQL("DROP SCHEMA {} CASCADE").format(compose.Identifier(schema)))
            conn.commit()


def _refuse_gaps(conn: psycopg.Connection[Any], days: list[dt.date]) -> None:
    for name in ("machine_telemetry", *COMPARED):
        found = conn.execute(
            sql("select_archived_between"), {"dataset": name, "first": days[0], "last": days[-1]}
        ).fetchall()
        missing = sorted(set(days) - {date for (date,) in found})
        if missing:
            raise NothingToReplayError(
                f"{name} of {missing[0]} is not archived, so there is nothing to compute it from or to compare with: "
                f"close the day first, with prodlytics backfill {missing[0]}."
            )


def _take_over(scratch: psycopg.Connection[Any], table: str) -> None:
    names = compose.Identifier(table)
    scratch.execute(compose.SQL("INSERT INTO {0} OVERRIDING SYSTEM VALUE SELECT * FROM public.{0}").format(names))


def _load_samples(
    conn: psycopg.Connection[Any],
    scratch: psycopg.Connection[Any],
    store: ArchiveStore,
    plant: Plant,
    days: list[dt.date],
    say: Callable[[str], None],
) -> list[dt.date]:
    """Samples of the days and around them, from the archive; of a day that is not archived yet the hot ones.

    As far after the days as was computed when they were reported: a stop over the weekend ends on Monday.

    Returns:
        The days to compute.
    """
    row = conn.execute("SELECT max(production_date) FROM machine_time").fetchone()
    horizon = row[0] if row and row[0] else days[-1]
    known = []
    for date in [days[0] + dt.timedelta(days=n) for n in range(-MARGIN.days, len(days) + MARGIN.days)]:
        entry = manifest.current(conn, "machine_telemetry", date)
        if entry is not None:
            say(f"reading {date}: {entry.row_count} samples")
            load_file(scratch, store, entry, "machine_telemetry")
            known.append(date)
        elif days[-1] < date <= horizon:
            start, end = production_day(plant, date)
            scratch.execute(
                "INSERT INTO telemetry_sample SELECT * FROM public.telemetry_sample WHERE time >= %s AND time < %s",
                (start, end),
            )
            known.append(date)
        scratch.commit()
    return known


def _compute(url: str, plant: Plant, first: dt.date, last: dt.date) -> list[str]:
    """The chain over the days, in the scratch schema; returns what failed."""
    keys = [key for key in production_days(plant).get_partition_keys() if first.isoformat() <= key <= last.isoformat()]
    with dg.DagsterInstance.ephemeral() as instance, tempfile.TemporaryDirectory() as empty:
        places = Places(landing_url=empty, archive_url=str(Path(empty) / "archive"))
        runner = Runner(plant, instance, database=Database(url=url), places=places)
        runner.run("chain", first=keys[0], last=keys[-1])
        return runner.outcome.errors


def _compare(
    conn: psycopg.Connection[Any],
    scratch: psycopg.Connection[Any],
    store: ArchiveStore,
    plant: Plant,
    name: str,
    days: list[dt.date],
) -> Compared:
    reported = f"reported_{name}"
    table = {"table": compose.Identifier(name), "reported": compose.Identifier(reported)}
    scratch.execute(compose.SQL("CREATE TABLE {reported} (LIKE {table} INCLUDING ALL)").format(**table))
    for date in days:
        entry = manifest.current(conn, name, date)
        assert entry is not None
        load_file(scratch, store, entry, reported)
        scratch.commit()
    found = Compared()
    query = _comparison(shape_of(scratch, DATASETS[name]), name, reported)
    start, end = production_day(plant, days[0])[0], production_day(plant, days[-1])[1]
    for key, was, now, differing, rows in scratch.execute(query, {"start": start, "end": end}).fetchall():
        if not was:
            found.extra += rows
        elif not now:
            found.missing += rows
        elif differing:
            found.changed += rows
        else:
            found.same += rows
        if (not was or not now or differing) and len(found.examples) < _EXAMPLES:
            what = "; ".join(differing or []) if was and now else "only reported" if was else "only recomputed"
            found.examples.append(f"{key}: {what}")
    return found


def _comparison(shape: Shape, name: str, reported: str) -> compose.Composed:
    """Rows of both by key: whether there, what differs; all that are the same in one row."""
    dataset = DATASETS[name]
    columns = [column for column in dataset.columns if column not in _NOT_COMPARED and column not in dataset.key]
    pairs = compose.SQL(", ").join(
        compose.SQL(
            "CASE WHEN r.{0} IS DISTINCT FROM n.{0} THEN concat({1}::text, ' ', r.{0}, ' -> ', n.{0}) END"
        ).format(compose.Identifier(column), compose.Literal(column))
        for column in columns
    )
    key = compose.SQL(", ").join(compose.Identifier(column) for column in dataset.key)
    return compose.SQL(
        "SELECT key, was, now, differing, count(*) FROM ("
        " SELECT CASE WHEN r.here AND n.here AND cardinality(d.differing) = 0 THEN '' ELSE concat_ws(' ', {key}) END"
        " AS key, r.here IS TRUE AS was, n.here IS TRUE AS now,"
        " CASE WHEN r.here AND n.here THEN d.differing END AS differing"
        " FROM (SELECT true AS here, * FROM {reported}) r"
        " FULL JOIN (SELECT true AS here, * FROM {table} WHERE {time} >= %(start)s AND {time} < %(end)s) n"
        " USING ({key})"
        " CROSS JOIN LATERAL (SELECT array_remove(ARRAY[{pairs}], NULL) AS differing) d) rows"
        " GROUP BY key, was, now, differing ORDER BY key"
    ).format(
        key=key,
        pairs=pairs,
        reported=compose.Identifier(reported),
        table=compose.Identifier(name),
        time=compose.Identifier(shape.bounded_by.strip('"')),
    )
