"""Orders from a query somebody wrote in Kinetic (a BAQ), where jobs are not what a plant works by.

Belongs here: its columns as our fields. Does not belong here: what the query should give (docs/connectors.md).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Literal

from prodlytics.sources import landed_orders
from prodlytics.sources.adapters.epicor.asked import Asked, Resource, Rows
from prodlytics.sources.connections import ConnectionSetupError


class Baq(Resource):
    """One row an order or operation, with the fields of a landed order."""

    resource = "baq"
    dataset: Literal["work_orders"] = "work_orders"

    def __init__(self, asked: Asked, columns: Mapping[str, str]) -> None:
        """Ask nothing yet.

        Args:
            asked: How the company is asked.
            columns: Our field to the query's column.

        Raises:
            ConnectionSetupError: A field is none of an order, or one that must be there is missing.
        """
        super().__init__(asked)
        self._columns, self._id = dict(columns), asked.options["baq"]
        known = {field.name: field.required for field in landed_orders.FIELDS}
        unknown = sorted(set(columns) - set(known))
        missing = [name for name, required in known.items() if required and name not in columns]
        if unknown or missing:
            wrong = f"does not know {', '.join(unknown)}" if unknown else f"needs {', '.join(missing)}"
            raise ConnectionSetupError(
                f"Connection {asked.connection.name}: baq_columns {wrong}; its fields are {', '.join(known)}."
            )

    def pages(self, since: dt.datetime | None) -> Iterable[Rows]:
        """All rows; the query's own order is kept by the columns that tell orders apart."""
        order = ",".join(self._columns[name] for name in ("work_order", "operation") if name in self._columns)
        return self._asked.pages(f"BaqSvc/{self._id}/Data", ",".join(self._columns.values()), order)

    def parse(self, page: Rows) -> list[Mapping[str, object]]:
        """One row of ours for each of theirs; machines that are none of ours are left out of it."""
        told: list[Mapping[str, object]] = []
        for row in page:
            said = {ours: row.get(theirs) for ours, theirs in self._columns.items()}
            if "machine_id" in said:
                said["machine_id"] = self._asked.machine(said["machine_id"])
            told.append({name: value if value != "" else None for name, value in said.items()})
        return told
