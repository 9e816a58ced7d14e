"""How fast another system's orders are taken over: 10,000 that have all changed, from a mock ERP on loopback.

Run by `make bench`. Beside it the same pass without a database, which is what asking and reading the answers costs, and
the same orders written one statement each, which is what a flow without batches does. Writes benchmarks/results/sync.*.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.machine import machine, verdict
from prodlytics.db import embedded
from prodlytics.db.migrate import migrate
from prodlytics.plant.connection import Connection
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import Plant
from prodlytics.settings import DEMO_PLANT
from prodlytics.sources.connections import adapters_of
from prodlytics.sources.connectors import sync
from prodlytics.sources.counts import Counts
from prodlytics_tests.vendors.epicor import COMPANY, KEY, PASSWORD, USER, Kinetic, job
from prodlytics_tests.vendors.serving import Mishaps, serving

RESULTS = Path(__file__).with_name("results")
ORDERS = 10_000
AIM_S = 10.0
SECRETS = {"PRODLYTICS_ERP_API_KEY": KEY, "PRODLYTICS_ERP_USER": USER, "PRODLYTICS_ERP_PASSWORD": PASSWORD}


def main() -> None:
    """Measure and write."""
    erp = Kinetic([job(f"{n:06d}", ProdQty=1.0) for n in range(ORDERS)])
    with tempfile.TemporaryDirectory() as name, serving(erp.app(), Mishaps()) as address:
        home = Path(name)
        home.chmod(0o755)
        database = embedded.ensure_running(home)
        try:
            migrate(database)
            connection = Connection(
                name="erp", kind="epicor", url=f"{address}/kinetic", options={"company": COMPANY, "resources": "jobs"}
            )
            results = {"machine": machine(), "orders": ORDERS, **_measure(database, connection, erp)}
        finally:
            embedded.stop(home)
    (RESULTS / "sync.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "sync.md").write_text(_table(results))
    print(_table(results))


def _measure(database: str, connection: Connection, erp: Kinetic) -> dict[str, Any]:
    plant = load_plant(DEMO_PLANT)
    now = dt.datetime.now(dt.UTC)
    (adapter,) = adapters_of(plant, connection, SECRETS)
    with psycopg.connect(database, autocommit=True) as conn:

        def taken_over(pass_number: int, quantity: float | None = None) -> Callable[[], Any]:
            if quantity is not None:
                erp.jobs = [{**one, "ProdQty": quantity} for one in erp.jobs]
            return lambda: sync(conn, plant, adapter, now + dt.timedelta(minutes=pass_number))

        def whole(counts: Counts) -> None:
            if counts.stored != ORDERS:
                raise RuntimeError(f"{counts.stored} of {ORDERS} orders were stored: this was no measurement")

        return {
            "fresh_s": _seconds(taken_over(0), whole),
            "changed_s": _seconds(taken_over(1, 2.0), whole),
            "unchanged_s": _seconds(taken_over(2)),
            "asking_s": _seconds(lambda: [adapter.parse(page) for page in adapter.pages(None)]),
            "row_by_row_s": _seconds(lambda: _row_by_row(database, plant)),
        }


def _row_by_row(database: str, plant: Plant) -> None:
    """One committed statement an order."""
    with psycopg.connect(database, autocommit=True) as conn:
        for number in range(ORDERS):
            conn.execute(
                "UPDATE work_orders SET order_qty = 3, last_synced = now() WHERE work_order = %s", (f"{number:06d}",)
            )


def _seconds(work: Callable[[], Any], judge: Callable[[Any], None] = lambda found: None) -> float:
    began = time.perf_counter()
    found = work()
    took = time.perf_counter() - began
    judge(found)
    return took


def _table(results: dict[str, Any]) -> str:
    rows = [
        ("all changed", "changed_s", f"aim {AIM_S:.0f} s: {verdict(results['changed_s'] <= AIM_S)}"),
        ("all new", "fresh_s", ""),
        ("none changed", "unchanged_s", ""),
        ("asking and reading alone: the practical limit", "asking_s", ""),
        ("writing alone, a statement and a commit each", "row_by_row_s", ""),
    ]
    taken = results["machine"]
    lines = [
        f"# {results['orders']:,} orders of a mock ERP on loopback",
        "",
        f"Commit {taken['commit']}, {taken['cpus']} CPUs, load {taken['load_average']:.1f} at the start.",
        "",
        "| pass | seconds | times asking alone | |",
        "|---|---|---|---|",
    ]
    for what, name, said in rows:
        lines.append(f"| {what} | {results[name]:.2f} | {results[name] / results['asking_s']:.1f} | {said} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
