"""Asking a vendor's mock as the plant does.

Belongs here: what the tests of all adapters share. Does not belong here: one vendor.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import psycopg

from prodlytics.plant.connection import Connection
from prodlytics.plant.model import Plant
from prodlytics.sources.asking import Answered, ask_connection
from prodlytics_tests.sources.landing_place import at, landing_plant

NOW = at(7200)


def connected(**connection: Any) -> Plant:
    """The small plant with one connection."""
    return landing_plant(connections=[connection])


def ask(url: str, plant: Plant, environment: dict[str, str], now: dt.datetime = NOW) -> Answered:
    """Ask the plant's one connection."""
    (connection,) = plant.connections
    assert isinstance(connection, Connection)
    with psycopg.connect(url, autocommit=True) as conn:
        return ask_connection(conn, plant, connection, environment, now)
