"""Mappings that people write in YAML, of spreadsheets as of databases.

Belongs here: text to a model, and what is wrong with it as one sentence. Does not belong here: what a mapping says
(`sheet_mapping.py`, `prodlytics.sources.adapters.sql.mapping`); the plant file, whose every line is named
(`prodlytics.plant.load`).
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


class MappingFileError(ValueError):
    """A mapping cannot be used; the text is one sentence."""


def read_mapping(content: bytes, model: type[M], name: object) -> M:
    """What a mapping's file says.

    Args:
        content: The file, UTF-8.
        model: What it has to be.
        name: What to call it to the one who wrote it.

    Raises:
        MappingFileError: It is not YAML or no such mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return model.model_validate(YAML(typ="safe").load(content.decode("utf-8")))
    except (YAMLError, UnicodeDecodeError) as error:
        raise MappingFileError(f"The mapping {name} is not YAML: {str(error).splitlines()[0]}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise MappingFileError(f"The mapping {name} is wrong at {where}: {first['msg']}.") from error
