"""A plant with a landing place, files to put there, and a look at what the database holds."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import psycopg

from prodlytics.plant.model import Plant
from prodlytics_tests.formats.floor import plant

FORMATS: list[dict[str, Any]] = [
    {"name": "kep", "match": "telemetry/*.ndjson*"},
    {
        "name": "tables",
        "match": "telemetry/*",
        "layout": "long",
        "columns": {"time": "time", "machine": "machine", "metric": "metric", "value": "value"},
    },
    {
        "name": "entries",
        "match": "entries/*.csv*",
        "dataset": "operator_entries",
        "layout": "long",
        "columns": {
            name: name
            for name in ("source_key", "machine_id", "kind", "starts_at", "ends_at", "reason_code", "quantity",
                         "reject_quantity", "scrap_category", "note", "why", "undoes", "entered_by",
                         "entered_at", "source")
        },
    },
    {
        "name": "figures",
        "match": "figures/*.csv*",
        "dataset": "operator_entries",
        "layout": "long",
        "columns": {
            name: name
            for name in ("source_key", "machine_id", "starts_at", "ends_at", "measure", "figure", "entered_by",
                         "entered_at", "source")
        },
        "constants": {"kind": "figure"},
    },
    {
        "name": "orders",
        "match": "orders/*.csv*",
        "dataset": "work_orders",
        "layout": "long",
        "columns": {
            name: name
            for name in ("work_order", "part_number", "machine_id", "order_qty", "completed_qty", "due_date", "status",
                         "started_at", "ended_at", "source_modified_at")
        },
    },
    {
        "name": "costs",
        "match": "costs/*.csv*",
        "dataset": "part_costs",
        "layout": "long",
        "columns": {"part_number": "part", "since": "since", "material_cost_per_unit": "cost"},
    },
]  # fmt: skip
#: Samples land within the rules of any real clock: the day before yesterday.
DAY = (dt.datetime.now(dt.UTC) - dt.timedelta(days=2)).replace(minute=0, second=0, microsecond=0)


def landing_plant(**changes: Any) -> Plant:
    return plant(**({"landing": FORMATS} | changes))


def put(folder: Path, name: str, data: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def at(seconds: float) -> dt.datetime:
    return DAY + dt.timedelta(seconds=seconds)


def kep(*values: tuple[str, float, Any], sent: float = 3600, q: Any = True) -> bytes:
    """A line: tag, seconds after DAY, value."""
    content = [{"id": tag, "v": v, "q": q, "t": int(at(s).timestamp() * 1000)} for tag, s, v in values]
    return json.dumps({"timestamp": int(at(sent).timestamp() * 1000), "values": content}).encode() + b"\n"


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn:
        return conn.execute(query).fetchall()  # type: ignore[arg-type]


def samples(url: str) -> list[tuple[Any, ...]]:
    return rows(
        url, "SELECT machine_id, metric_name, time, value, value_text, quality FROM machine_telemetry ORDER BY 1, 2, 3"
    )


def books(url: str) -> list[tuple[Any, ...]]:
    """Name, rows in, stored, quarantined, duplicate."""
    return rows(
        url,
        "SELECT name, rows_in, rows_stored, rows_quarantined, rows_duplicate FROM landed_file ORDER BY name, loaded_at",
    )


def assert_accounted(url: str) -> None:
    """Every row that came in is somewhere, and the tables hold what the books say."""
    assert (
        rows(url, "SELECT name FROM landed_file WHERE rows_in <> rows_stored + rows_quarantined + rows_duplicate") == []
    )
    (stored, refused) = rows(
        url,
        "SELECT coalesce(sum(rows_stored) FILTER (WHERE dataset = 'machine_telemetry'), 0)::bigint,"
        " coalesce(sum(rows_quarantined), 0)::bigint FROM landed_file",
    )[0]
    assert rows(url, "SELECT count(*) FROM telemetry_sample") == [(stored,)]
    assert rows(url, "SELECT count(*) FROM quarantine") == [(refused,)]
