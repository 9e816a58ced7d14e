"""Reading a plant file, and saying what is wrong with it.

Belongs here: YAML to `Plant`, and every complaint as a sentence with file, line, setting and what to write instead.
Does not belong here: what is right and wrong (`model.py`, `rules.py`).
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scalarfloat import ScalarFloat
from ruamel.yaml.scalarint import ScalarInt

from prodlytics.plant.alert_rules import missing_secrets
from prodlytics.plant.model import Plant
from prodlytics.plant.problem import Path as Place
from prodlytics.plant.rules import ContradictionError

#: What to write instead, for the complaints pydantic words for programmers.
WRITE = {
    "string_type": 'write text; what looks like a number goes in quotes, e.g. "1001"',
    "int_type": "write a whole number",
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "float_type": "write a number",
    "float_parsing": "write a number",
    "finite_number": "write a number",
    "decimal_type": "write an amount, e.g. 85.50",
    "decimal_parsing": "write an amount, e.g. 85.50",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "tuple_type": "write a list: one line per entry, each starting with a dash",
    "list_type": "write a list: one line per entry, each starting with a dash",
    "dict_type": "write settings below it, one `key: value` per line",
    "model_type": "write settings below it, one `key: value` per line",
    "time_type": 'write hours and minutes, e.g. "06:00"',
    "time_parsing": 'write hours and minutes, e.g. "06:00"',
    "date_type": "write a date, e.g. 2026-01-31",
    "date_parsing": "write a date, e.g. 2026-01-31",
    "date_from_datetime_parsing": "write a date, e.g. 2026-01-31",
    "date_from_datetime_inexact": "write a date without a time, e.g. 2026-01-31",
    "datetime_type": "write date and time, e.g. 2026-01-31T06:00",
    "datetime_parsing": "write date and time, e.g. 2026-01-31T06:00",
    "datetime_from_date_parsing": "write date and time, e.g. 2026-01-31T06:00",
}


class PlantFileError(Exception):
    """The plant file cannot be used; the text is one sentence per line, each saying where and what to write."""


class _Constructor(RoundTripConstructor):
    """Leaves dates to the types: YAML would read 2026-11-26T06:00:00Z as a time and not say that it had a zone."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_yaml_str)


@dataclass
class _Written:
    """What a file says, as plain values, and the line on which each setting stands."""

    content: Any = None
    lines: dict[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int:
        """The line of the setting at `place`, or of what it belongs to."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def load_plant(path: Path | str, environment: Mapping[str, str] | None = None) -> Plant:
    """Read a plant file.

    Args:
        path: The YAML file; its name appears in the complaints as given here.
        environment: Where the secrets of channels have to be; None does not look. Their values are not read.

    Raises:
        PlantFileError: The file is missing, no YAML, or not a valid plant; all that is wrong is named at once.
    """
    written = _read(Path(path))
    if written.content is None:
        raise PlantFileError(f"{path}: the file is empty; copy deploy/plants/demo.yaml and change it to your plant")
    if not isinstance(written.content, dict):
        raise PlantFileError(f"{path} line 1: write settings, one `key: value` per line, beginning with `plant:`")
    try:
        plant = Plant.model_validate(written.content)
    except ValidationError as error:
        complaints = sorted(set(_complaints(error, written)))
        raise PlantFileError("\n".join(f"{path} line {line}: {what}" for line, what in complaints)) from None
    missing = missing_secrets(plant, environment) if environment is not None else []
    if missing:
        raise PlantFileError("\n".join(f"{path} line {written.line(one.path)}: {one.message}" for one in missing))
    return plant


def _read(path: Path) -> _Written:
    yaml = YAML(typ="rt", pure=True)
    yaml.Constructor = _Constructor
    try:
        raw = yaml.load(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise PlantFileError(
            f"{path}: there is no such file; let PRODLYTICS_PLANT name your plant file (deploy/plants/demo.yaml is one)"
        ) from None
    except UnicodeDecodeError as error:
        raise PlantFileError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except OSError as error:
        raise PlantFileError(f"{path}: {error.strerror}; name a file that this user may read") from None
    except YAMLError as error:
        raise PlantFileError(_syntax(path, error)) from None
    written = _Written()
    written.content = _plain(raw, (), written.lines)
    return written


def _syntax(path: Path, error: YAMLError) -> str:
    if isinstance(error, ReaderError):
        return f"{path}: a character that YAML does not allow ({error.reason}); remove it"
    if not isinstance(error, MarkedYAMLError):
        return f"{path}: not YAML ({error}); compare with deploy/plants/demo.yaml"
    mark = error.problem_mark or error.context_mark
    where = f"{path} line {mark.line + 1}" if mark else str(path)
    problem = (error.problem or error.context or "not YAML").splitlines()[0]
    if isinstance(error, DuplicateKeyError):
        return f"{where}: {problem.split(' with value')[0]}; write each setting once"
    if "'\\t'" in problem or "tab" in problem:
        return f"{where}: a tab; write spaces, YAML does not allow tabs here"
    if "expected a single document" in (error.context or ""):
        return f"{where}: a second document begins; write one plant per file, without `---`"
    return f"{where}: {problem}; compare indentation, quotes and brackets with deploy/plants/demo.yaml"


def _plain(node: Any, place: Place, lines: dict[Place, int]) -> Any:
    if isinstance(node, CommentedMap):
        for key in node:
            lines[(*place, str(key))] = _key_line(node, key, lines.get(place, 1))
        return {key: _plain(value, (*place, str(key)), lines) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        for i in range(len(node)):
            lines[(*place, i)] = node.lc.item(i)[0] + 1
        return [_plain(value, (*place, i), lines) for i, value in enumerate(node)]
    if isinstance(node, ScalarFloat):
        return float(node)
    if isinstance(node, ScalarInt):
        return int(node)
    return str(node) if isinstance(node, str) else node


def _key_line(node: CommentedMap, key: Any, otherwise: int) -> int:
    try:
        return int(node.lc.key(key)[0]) + 1
    except KeyError:  # merged in with `<<`: it stands elsewhere
        return otherwise


def _complaints(error: ValidationError, written: _Written) -> Iterator[tuple[int, str]]:
    for detail in error.errors():
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ContradictionError):
            for problem in cause.problems:
                yield _sentence(written, problem.path, problem.message)
            continue
        place = _as_written(detail["loc"], written.content)
        if detail["type"] == "missing":
            yield _sentence(written, place, f"`{detail['loc'][-1]}` is missing; write `{detail['loc'][-1]}: ...`")
        elif detail["type"] == "extra_forbidden":
            yield _sentence(written, place, _unknown_setting(detail["loc"]))
        else:
            yield _sentence(written, place, _wrong_value(detail["type"], detail["msg"], detail["input"], cause))


def _sentence(written: _Written, place: Place, message: str) -> tuple[int, str]:
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return written.line(place), f"{name}: {message}" if name else message


def _as_written(loc: Sequence[int | str], content: Any) -> Place:
    """The part of a pydantic location that stands in the file (`steps` of a bare value does not, for one)."""
    place: list[str | int] = []
    here = content
    for part in loc:
        if isinstance(here, dict):
            key = next((key for key in here if str(key) == str(part)), None)
            if key is not None:
                place.append(str(key))
                here = here[key]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            place.append(part)
            here = here[part]
    return tuple(place)


def _wrong_value(kind: str, message: str, given: Any, cause: Any) -> str:
    if kind == "value_error" and cause is not None:
        return str(cause)
    shown = "nothing" if given is None else repr(given)
    if len(shown) > 60:
        shown = f"a {type(given).__name__}"
    if kind == "literal_error":
        return f"{shown} is not known here; write one of {message.removeprefix('Input should be ')}"
    if kind == "string_pattern_mismatch":
        return f"{shown} does not have the right form; write e.g. USD for a currency, name@example.com for an address"
    wish = WRITE.get(kind) or message.replace("Input should be", "write a value that is", 1)
    return f"{shown} does not fit; {wish}"


def _unknown_setting(loc: Sequence[int | str]) -> str:
    models: list[type[BaseModel]] = [Plant]
    for part in loc[:-1]:
        inner = [_models_in(m.model_fields[str(part)].annotation) for m in models if str(part) in m.model_fields]
        models = [model for found in inner for model in found] or models
    known = sorted({name for model in models for name in model.model_fields})
    wanted = str(loc[-1])
    near = difflib.get_close_matches(wanted, known, n=1)
    instead = f"did you mean `{near[0]}`? Write that" if near else f"write one of {', '.join(known)}"
    return f"there is no setting `{wanted}` here; {instead}"


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in typing.get_args(annotation) for model in _models_in(inner)]
