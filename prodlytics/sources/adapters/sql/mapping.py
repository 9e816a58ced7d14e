"""Which tables of an ERP's database are what: one SELECT for each resource, and its columns as our fields.

Belongs here: the file's shape, and finding it. Does not belong here: what a query may be (`guard.py`).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from prodlytics.formats.mapping_file import MappingFileError, read_mapping
from prodlytics.plant.values import Strict
from prodlytics.sources.connections import ConnectionSetupError
from prodlytics.sources.landed_records import fields_of

Dataset = Literal["work_orders", "part_costs", "ideal_cycles", "operator_entries"]
_SUFFIX = ".yaml"


class Resource(Strict):
    """One query and where its rows go."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    dataset: Dataset
    query: str
    "One SELECT without ORDER BY."
    columns: dict[str, str]
    "Our field to the query's column."
    key: tuple[str, ...]
    "Columns of the query that tell its rows apart: the order of the pages."
    changed: str | None = None
    "Column with the time of the last change, by which only news are read; without it every pass reads all."
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    "Our field to what their values mean: `status: {Active: open}`."
    constants: dict[str, str] = Field(default_factory=dict)
    only_our_machines: bool = False
    "Whether rows of other work centers are left out; of entries and ideal cycles they always are."

    @model_validator(mode="after")
    def _fields_are_known(self) -> Resource:
        known = {field.name: field.required for field in fields_of(self.dataset)}
        said = {*self.columns, *self.constants}
        if unknown := sorted(said - set(known)):
            raise ValueError(f"{self.dataset} has no {', '.join(unknown)}; write some of {', '.join(known)}")
        needed = [name for name, required in known.items() if required and name not in said and name != "since"]
        if self.dataset == "operator_entries":
            needed += [name for name in ("source_key",) if name not in said]
        if needed:
            raise ValueError(f"{self.dataset} needs {', '.join(needed)}")
        return self


class Mapping(Strict):
    """All resources of one ERP."""

    verified: bool = False
    "Whether somebody compared it with a real database of that ERP."
    resources: tuple[Resource, ...]


def load_mapping(name: str) -> Mapping:
    """A mapping that is shipped, by its name, or a file, by its path.

    Raises:
        ConnectionSetupError: There is none, or it is wrong; one sentence.
    """
    folder = resources.files(__package__) / "mappings"
    shipped = sorted(one.name.removesuffix(_SUFFIX) for one in folder.iterdir() if one.name.endswith(_SUFFIX))
    file = folder / f"{name}{_SUFFIX}" if name in shipped else Path(name)
    try:
        return read_mapping(file.read_bytes(), Mapping, name)
    except OSError as error:
        raise ConnectionSetupError(
            f"There is no mapping {name}: write {', '.join(shipped)}, or the path of a file."
        ) from error
    except MappingFileError as error:
        raise ConnectionSetupError(str(error)) from error
