"""From the connections of plant.yaml to adapters that can be asked.

Belongs here: finding the adapter of a kind, its options and its secrets, and one sentence for what is missing. Does
not belong here: one system's words (`adapters/`), a pass (`connectors.py`).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, cast

from prodlytics.sources import adapters as kinds

if TYPE_CHECKING:
    from prodlytics.plant.connection import Connection
    from prodlytics.plant.model import Plant
    from prodlytics.sources.connectors import Adapter


class ConnectionSetupError(Exception):
    """A connection of plant.yaml cannot be used as it is set up; one sentence, without secrets."""


class Kind(Protocol):
    """What a module of `adapters/` has."""

    OPTIONS: Mapping[str, str | None]
    "Option to its default; None where it has to be written."
    SECRETS: tuple[str, ...]
    "Secrets it needs, e.g. `api_key`."

    def adapters(
        self, connection: Connection, options: Mapping[str, str], secrets: Mapping[str, str], plant: Plant
    ) -> Sequence[Adapter]:
        """One adapter for each resource. Asks nothing yet.

        Raises:
            ConnectionSetupError: An option makes no sense.
        """


def adapters_of(plant: Plant, connection: Connection, environment: Mapping[str, str]) -> Sequence[Adapter]:
    """The adapters of a connection, with options and secrets filled in.

    Args:
        plant: The plant.
        connection: One of its connections.
        environment: Where the secrets are, as `os.environ`.

    Raises:
        ConnectionSetupError: There is no such kind, an option or a secret is missing.
    """
    kind = _kind(connection)
    unknown = sorted(connection.options.keys() - kind.OPTIONS.keys())
    options = {name: connection.options.get(name, default) for name, default in kind.OPTIONS.items()}
    missing = sorted(name for name, said in options.items() if said is None)
    if unknown or missing:
        wrong = f"does not know {', '.join(unknown)}" if unknown else f"needs {', '.join(missing)}"
        raise ConnectionSetupError(
            f"Connection {connection.name} {wrong}: a system of kind {connection.kind} has the options "
            f"{', '.join(kind.OPTIONS) or 'none'} (plant.yaml, connections)."
        )
    variables = {name: f"PRODLYTICS_{connection.name}_{name}".upper() for name in kind.SECRETS}
    unset = [variable for variable in variables.values() if not environment.get(variable)]
    if unset:
        raise ConnectionSetupError(f"Connection {connection.name} needs {' and '.join(unset)} in the environment.")
    secrets = {name: environment[variable] for name, variable in variables.items()}
    # Times without a zone are the plant's where nobody says another.
    connection = connection.model_copy(update={"timezone": connection.timezone or plant.timezone})
    return kind.adapters(connection, {name: said for name, said in options.items() if said is not None}, secrets, plant)


def pairs_of(connection: Connection, options: Mapping[str, str], option: str) -> dict[str, str]:
    """An option that is a list of names: `their name=ours; their name=ours`.

    Raises:
        ConnectionSetupError: A pair is no pair.
    """
    pairs = [pair.partition("=") for pair in options[option].split(";") if pair.strip()]
    if any(not equals or not theirs.strip() or not ours.strip() for theirs, equals, ours in pairs):
        raise ConnectionSetupError(
            f"Connection {connection.name}: write {option} as `their name=ours; their name=ours`."
        )
    return {theirs.strip(): ours.strip() for theirs, _, ours in pairs}


def _kind(connection: Connection) -> Kind:
    known = sorted(module.name for module in pkgutil.iter_modules(kinds.__path__))
    if connection.kind not in known:
        raise ConnectionSetupError(
            f"Connection {connection.name} is of the unknown kind {connection.kind!r}: write {', '.join(known)}."
        )
    return cast(Kind, importlib.import_module(f"{kinds.__name__}.{connection.kind}"))
