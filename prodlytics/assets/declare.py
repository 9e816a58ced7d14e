"""How a dataset becomes an asset: the same for all of them, in one place.

Belongs here: key prefix, group, owners, column schema, checks, partitions, backfill policy. Does not belong here: what
an asset computes. See https://docs.dagster.io/guides/build/assets
"""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, get_origin, get_type_hints

import dagster as dg

from prodlytics.assets.resources import Database
from prodlytics.datasets.registry import DATASETS, Dataset
from prodlytics.partitions import production_days

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant

OWNERS = ["team:data-engineering"]

#: The chain runs hourly; three missed hours need eyes.
HOURLY = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(hours=3), warn_window=dt.timedelta(hours=2))
DAILY = dg.FreshnessPolicy.time_window(fail_window=dt.timedelta(hours=50), warn_window=dt.timedelta(hours=26))

#: What the check that every asset has asks, where it is about rows.
SCHEMA_QUESTION = "Do all rows have the declared columns, types, ranges and key?"

F = TypeVar("F", bound=Callable[..., Any])


def resolved(function: F) -> F:
    """Give a function its annotations as types: Dagster reads them so, and postponed ones are text.

    `MaterializeResult[Any]`, which the type checker wants, is for Dagster no MaterializeResult: it gets the bare class.
    """
    hints = get_type_hints(function)
    if get_origin(hints.get("return")) is dg.MaterializeResult:
        hints["return"] = dg.MaterializeResult
    function.__annotations__ = hints
    return function


@contextmanager
def accepted_betas() -> Iterator[None]:
    """Take what Dagster 1.13 still calls beta, without its warning on every load.

    Single-run backfills: without them a year of days is a year of runs. Nothing else is silenced.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning)
        # Dagster's own sensor decorator passes the beta parameter `owners`, used or not.
        warnings.filterwarnings("ignore", message="Parameter `owners` of initializer", category=dg.BetaWarning)
        yield


def asset_key(plant: Plant, name: str) -> dg.AssetKey:
    """A dataset's asset key: several plants share one Dagster instance, so the plant comes first."""
    return dg.AssetKey([plant.plant, *name.split("/")])


def column_schema(dataset: Dataset) -> dg.TableSchema:
    """The columns with units, for the UI."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=name,
                type=field.type,
                description=field.description + (f" Unit: {field.unit}." if field.unit else ""),
                constraints=dg.TableColumnConstraints(nullable=name not in dataset.required),
                tags={"unit": field.unit} if field.unit else None,
            )
            for name, field in dataset.fields.items()
        ],
        constraints=dg.TableConstraints(other=[f"key: {', '.join(dataset.key)}"]),
    )


def asset_metadata(dataset: Dataset) -> dict[str, Any]:
    """What is known of a dataset before it is ever materialized."""
    return {"dagster/column_schema": column_schema(dataset), "dagster/table_name": dataset.name}


def dataset_asset(
    plant: Plant,
    name: str,
    *,
    deps: Iterable[str] = (),
    checks: Mapping[str, str],
    partitioned: bool = True,
    running_day: bool = True,
    freshness: dg.FreshnessPolicy = HOURLY,
    pool: bool = True,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Declare the asset of a dataset.

    Args:
        plant: Gives prefix, partitions and pool.
        name: Dataset of the registry.
        deps: Datasets it reads.
        checks: Name of each check of meaning to what it asks; `schema` is added to them.
        partitioned: By production day; otherwise the asset is always computed whole.
        running_day: Whether the day that is not over yet can be computed.
        freshness: When the UI calls it stale.
        pool: Whether it queues behind the plant's other derivations. A database lock makes it correct, this only
            keeps runs from waiting inside a transaction.
    """
    dataset = DATASETS[name]
    partitions = production_days(plant, running=running_day) if partitioned else None
    questions = {"schema": SCHEMA_QUESTION, **checks}

    def declare(function: Callable[..., Any]) -> dg.AssetsDefinition:
        with accepted_betas():
            return dg.asset(
                resolved(function),
                key=asset_key(plant, name),
                deps=[asset_key(plant, dep) for dep in deps],
                group_name=dataset.group,
                owners=OWNERS,
                description=dataset.description,
                kinds=set(dataset.kinds),
                metadata=asset_metadata(dataset),
                partitions_def=partitions,
                backfill_policy=dg.BackfillPolicy.single_run() if partitioned else None,
                freshness_policy=freshness,
                pool=f"{plant.plant}/derive" if pool else None,
                check_specs=check_specs(asset_key(plant, name), questions),
            )

    return declare


def external_asset(plant: Plant, name: str) -> dg.AssetSpec:
    """Declare a dataset that is written from outside, so that it cannot be materialized."""
    dataset = DATASETS[name]
    return dg.AssetSpec(
        asset_key(plant, name),
        group_name=dataset.group,
        description=dataset.description,
        owners=OWNERS,
        kinds=set(dataset.kinds),
        metadata=asset_metadata(dataset),
    )


def external_schema_check(plant: Plant, name: str, query: str) -> dg.AssetChecksDefinition:
    """The `schema` check of such a dataset, on the rows that the named query selects."""

    @dg.asset_check(asset=asset_key(plant, name), name="schema", description=SCHEMA_QUESTION)
    @resolved
    def schema(database: Database) -> dg.AssetCheckResult:
        from prodlytics.assets.checks import schema_check
        from prodlytics.datasets.models import validate
        from prodlytics.db.frames import read
        from prodlytics.db.queries import sql

        with database.connect() as conn:
            return schema_check(validate(name, read(conn, sql(query)))).result()

    return schema


def upkeep_asset(
    plant: Plant,
    name: str,
    *,
    deps: Iterable[str],
    description: str,
    columns: Mapping[str, tuple[str, str]],
    checks: Mapping[str, str],
    freshness: dg.FreshnessPolicy,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Declare an asset that looks after other datasets and has no table of its own (retention, backup).

    Args:
        plant: Gives prefix and pool.
        name: The asset's.
        deps: Assets it looks after.
        description: For the UI.
        columns: Type and meaning of what it says of each thing it looked at.
        checks: Name of each check to what it asks.
        freshness: When the UI calls it stale.
    """

    def declare(function: Callable[..., Any]) -> dg.AssetsDefinition:
        return dg.asset(
            resolved(function),
            key=asset_key(plant, name),
            deps=[asset_key(plant, dep) for dep in deps],
            group_name="archive",
            owners=OWNERS,
            description=description,
            kinds={"postgres"},
            metadata={"dagster/column_schema": described(columns)},
            freshness_policy=freshness,
            pool=f"{plant.plant}/archive",
            check_specs=check_specs(asset_key(plant, name), checks),
        )

    return declare


def described(columns: Mapping[str, tuple[str, str]]) -> dg.TableSchema:
    """Columns that no registry declares: name to type and meaning."""
    return dg.TableSchema(
        columns=[dg.TableColumn(name, kind, description=text) for name, (kind, text) in columns.items()]
    )


def check_specs(key: dg.AssetKey, questions: Mapping[str, str]) -> list[dg.AssetCheckSpec]:
    """Specs of an asset's checks: name to what it asks.

    Not partitioned: a run over many days evaluates a check once, and Dagster 1.13 then shows every day of a partitioned
    check as skipped. The latest evaluation counts, so the hourly schedule computes healed days before the running one.
    """
    return [dg.AssetCheckSpec(name, asset=key, description=question) for name, question in questions.items()]
