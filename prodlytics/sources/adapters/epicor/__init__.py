"""Epicor Kinetic, REST v2: jobs, their operations, what people booked on them, standards and part costs.

Belongs here: what is set up for it. Does not belong here: what it says (`jobs.py`, `labor.py`, `standards.py`,
`baq.py`), asking it (`asked.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from prodlytics.formats.names import MachineNames
from prodlytics.sources.adapters.epicor.asked import BEFORE, Asked, Resource
from prodlytics.sources.adapters.epicor.baq import Baq
from prodlytics.sources.adapters.epicor.jobs import Jobs, Operations
from prodlytics.sources.adapters.epicor.labor import Bookings
from prodlytics.sources.adapters.epicor.standards import COSTS, PartCosts, Standards
from prodlytics.sources.ask import session
from prodlytics.sources.connections import ConnectionSetupError, pairs_of

if TYPE_CHECKING:
    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant

OPTIONS: Mapping[str, str | None] = {
    "company": None,
    "site": "",
    "page_size": "500",
    # What of Kinetic is asked for, of: jobs operations bookings standards costs.
    "resources": "jobs operations bookings standards costs",
    # Which of its costs is the material cost of a part, and of which set of costs.
    "cost": "average",
    "cost_id": "1",
    # A query (BAQ) to read orders from instead of jobs and operations, and its columns:
    # `work_order=JobHead_JobNum; status=Calculated_Status`.
    "baq": "",
    "baq_columns": "",
}
SECRETS = ("api_key", "user", "password")


def adapters(
    connection: Connection, options: Mapping[str, str], secrets: Mapping[str, str], plant: Plant
) -> Sequence[Resource]:
    """The resources of one company, or of one of its sites."""
    name = connection.name
    if not options["page_size"].isdecimal() or not int(options["page_size"]):
        raise ConnectionSetupError(f"Connection {name}: page_size is a number of records, e.g. 500.")
    if options["cost"] not in COSTS:
        raise ConnectionSetupError(f"Connection {name}: write cost as one of {', '.join(COSTS)}.")
    # Without the key Kinetic refuses a user it knows.
    over = session({"x-api-key": secrets["api_key"]}, ca_file=connection.ca_file)
    over.auth = (secrets["user"], secrets["password"])
    machines = {**MachineNames.of(plant).ids, **connection.machines}
    asked = Asked(connection, options, over, machines, plant.first_day - BEFORE)
    made: dict[str, Resource] = {
        "jobs": Jobs(asked), "operations": Operations(asked), "bookings": Bookings(asked),
        "standards": Standards(asked), "costs": PartCosts(asked),
    }  # fmt: skip
    wanted = options["resources"].split()
    if unknown := sorted(set(wanted) - set(made)):
        raise ConnectionSetupError(f"Connection {name}: resources are {', '.join(made)}, not {', '.join(unknown)}.")
    if options["baq"]:
        columns = pairs_of(connection, options, "baq_columns")
        wanted = [one for one in wanted if one not in ("jobs", "operations")]
        return (Baq(asked, columns), *(made[one] for one in wanted))
    return [made[one] for one in wanted]
