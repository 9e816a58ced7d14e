"""What an adapter to another system is, and bringing what it says into the datasets.

Belongs here: the contract, the cursor with its overlap, one transaction for a whole pass. Does not belong here: HTTP
(`ask.py`), one system's words (an adapter's own file), storing records (`landed_records.py`, as for files).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from prodlytics.db import locks
from prodlytics.db.queries import sql
from prodlytics.formats.records import Record, records_of
from prodlytics.plant.model import LandingFormat
from prodlytics.sources.ask import SourceUnavailableError
from prodlytics.sources.changed_there import entry_versions, orders_gone
from prodlytics.sources.contradictions import refuse_contradictions
from prodlytics.sources.counts import Counts
from prodlytics.sources.effective_dates import DATED, date_undated, fields_asked
from prodlytics.sources.landed_records import store_records

if TYPE_CHECKING:
    import psycopg

    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant

#: After so long everything is asked for again: an order that was closed leaves a filter on open ones.
FULL_EVERY = dt.timedelta(days=1)
#: At the far edge of what a source was asked for its answer may lack what lies across.
MARGIN = dt.timedelta(days=1)
_MODIFIED = "source_modified_at"


Dataset = Literal["work_orders", "part_costs", "ideal_cycles", "operator_entries"]


class Adapter(Protocol):
    """One resource of another system. `pages` is its transport, `parse` is pure."""

    source: str
    "The connection's name, as it stands in orders and costs."
    said_by: Literal["erp", "machinemetrics"]
    "Who says so in `operator_entries`."
    resource: str
    "Which of its resources; with `source` the name in `sync_state` and quarantine."
    dataset: Dataset
    overlap: dt.timedelta
    "How far behind the newest change already seen a pass begins."
    timezone: str | None
    "Zone of times that carry none; without it such rows are quarantined."
    reach: dt.timedelta | None
    "How far back everything reaches, where it has to be limited; None for without limit."
    complete: bool
    "Whether everything is really everything: a record that is missing from it was deleted there."

    def pages(self, since: dt.datetime | None) -> Iterable[Any]:
        """Answers changed at or after `since` (None: all), in a stable order.

        Raises:
            SourceUnavailableError: The system does not give them.
        """

    def parse(self, page: Any) -> list[Mapping[str, object]]:
        """Rows by our field names. Money stays Decimal, a date stays a date; nothing is made up for what is missing."""


class ReadWhole:
    """What adapters have in common whose system has no time of change to ask from: every pass reads all there is."""

    dataset: Dataset
    resource: str
    said_by: Literal["erp", "machinemetrics"] = "erp"
    overlap = dt.timedelta(0)
    reach: dt.timedelta | None = None
    complete = True

    def __init__(self, connection: Connection) -> None:
        self.source, self.timezone = connection.name, connection.timezone

    def pages(self, since: dt.datetime | None) -> Iterable[Any]:
        """As `Adapter.pages`."""
        raise NotImplementedError

    def parse(self, page: Any) -> list[Mapping[str, object]]:
        """As `Adapter.parse`."""
        raise NotImplementedError


def sync(conn: psycopg.Connection[Any], plant: Plant, adapter: Adapter, now: dt.datetime) -> Counts:
    """One pass: everything is fetched first, then stored in one transaction together with the cursor.

    A page that fails leaves neither rows nor a moved cursor, and says so in `sync_state`. Rows met again by the overlap
    are duplicates. What the source has changed or deleted of its entries is taken back here, never overwritten.

    Args:
        conn: In autocommit: no transaction is open while the other system is waited for.
        plant: The plant.
        adapter: What to ask.
        now: Our clock.

    Raises:
        SourceUnavailableError: The system did not give all pages, or gave nothing where something is stored.
    """
    name = f"{adapter.source}/{adapter.resource}"
    before = _cursor(conn, name)
    full = "full_at" not in before or now - before["full_at"] >= FULL_EVERY
    since = None if full or "modified_at" not in before else before["modified_at"] - adapter.overlap
    everything = since is None and adapter.complete
    form = LandingFormat(name=adapter.source, match="", dataset=adapter.dataset, timezone=adapter.timezone)

    def stored(rows: list[Mapping[str, object]]) -> Counts:
        # Two passes at once: the second one waits, and keeps what the first one has reached.
        locks.lock(conn, f"sync/{name}")
        # Typed anew for each try: storing writes into the records.
        records = records_of(rows, form, fields_asked(adapter.dataset))
        for record in records:
            record.sent["source_resource"] = adapter.resource
        amended = partial(_amended, conn, plant, adapter, name, now, everything)
        counts = store_records(conn, plant, form, records, name, f"sync of {name}", now, amended)
        reached = ({"full_at": now} if full else {}) | _newest(records, now)
        _succeeded(conn, name, adapter.dataset, reached, now, len(rows))
        return counts

    try:
        rows = [_named(name, adapter, row) for page in adapter.pages(since) for row in adapter.parse(page)]
        return locks.with_patience(conn, partial(stored, rows))
    except SourceUnavailableError as error:
        failed = {"source": name, "dataset": adapter.dataset, "now": now, "problem": str(error)}
        conn.execute(sql("upsert_sync_failure"), failed)
        raise


def _named(name: str, adapter: Adapter, row: Mapping[str, object]) -> Mapping[str, object]:
    """An entry with a key nobody else can have, and who says so."""
    if adapter.dataset != "operator_entries":
        return row
    key = row.get("source_key")
    return {**row, "source": adapter.said_by, "source_key": None if key is None else f"{name}/{key}"}


def _amended(
    conn: psycopg.Connection[Any], plant: Plant, adapter: Adapter, name: str, now: dt.datetime, everything: bool,
    records: list[Record],
) -> list[Record]:  # fmt: skip
    """The records, with what the source has changed or deleted since."""
    told = records
    refuse_contradictions(adapter.dataset, records)
    if adapter.dataset == "operator_entries":
        begins = now - adapter.reach + MARGIN if everything and adapter.reach is not None else None
        told = entry_versions(conn, adapter.said_by, f"{name}/", records, begins, now)
    elif adapter.dataset == "work_orders" and everything and adapter.reach is None:
        told = [*records, *orders_gone(conn, adapter.source, adapter.resource, records)]
    elif adapter.dataset in DATED:
        date_undated(conn, plant, adapter.dataset, records, now)
    if told and not records:
        raise SourceUnavailableError(
            f"{name}: the system has nothing at all where there was something before; nothing was taken as deleted"
        )
    return told


def _newest(records: list[Record], now: dt.datetime) -> dict[str, dt.datetime]:
    """Up to where changes were seen; a source whose clock is ahead must not hide what it changes next."""
    times = [time for record in records if (time := record.values.get(_MODIFIED)) is not None]
    return {"modified_at": min(max(times), now)} if times else {}


def _cursor(conn: psycopg.Connection[Any], name: str) -> dict[str, dt.datetime]:
    row = conn.execute(sql("select_sync_cursor"), {"source": name}).fetchone()
    return {key: dt.datetime.fromisoformat(said) for key, said in row[0].items()} if row else {}


def _succeeded(
    conn: psycopg.Connection[Any], name: str, dataset: str, reached: dict[str, dt.datetime], now: dt.datetime,
    records: int,
) -> None:  # fmt: skip
    known = _cursor(conn, name)
    moved = known | {key: max(time, known.get(key, time)) for key, time in reached.items()}
    cursor = json.dumps({key: time.isoformat() for key, time in moved.items()})
    said = {"source": name, "dataset": dataset, "cursor": cursor, "now": now, "records": records}
    conn.execute(sql("upsert_sync_success"), said)
