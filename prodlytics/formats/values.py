"""Values as other systems write them, to a number or a text.

Belongs here: numbers in text, booleans, not-a-number, OPC quality. Does not belong here: what a value means.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from prodlytics.formats.sample import BAD_QUALITY, GOOD_QUALITY, UNCERTAIN_QUALITY, Floats, shown

_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?$"
_is_number = re.compile(_NUMBER).match
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf(?:inity)?|1\.#\w+)", re.IGNORECASE).fullmatch

_QUALITY_WORDS = {
    "true": GOOD_QUALITY,
    "good": GOOD_QUALITY,
    "false": BAD_QUALITY,
    "bad": BAD_QUALITY,
    "uncertain": UNCERTAIN_QUALITY,
}


@dataclass
class Values:
    """A number (NaN where there is none) and a text (None where there is none), and what is wrong, by row."""

    number: Floats
    text: npt.NDArray[np.object_]
    problems: dict[int, tuple[str, str]] = field(default_factory=dict)


def number_of(text: str) -> float | None:
    """The number a text spells, e.g. `"51.25"`; None where it is a text (`"12abc"`) or no finite number."""
    trimmed = text.strip()
    if not _is_number(trimmed):
        return None
    number = float(trimmed)
    return number if math.isfinite(number) else None


def not_finite(text: str) -> bool:
    """Whether a text spells NaN or infinity, which is a failed measurement and never a name."""
    return _NOT_FINITE(text.strip()) is not None


def quality_of(sent: object) -> int | None:
    """OPC quality of a flag, number or word; None where it says nothing that can be read.

    Vendors use the high byte for their own remarks; only the low byte is quality.
    """
    if isinstance(sent, bool):
        return GOOD_QUALITY if sent else BAD_QUALITY
    if isinstance(sent, int | float):
        return int(sent) & 0xFF if 0 <= sent <= 0xFFFF and sent == int(sent) else None
    if isinstance(sent, str):
        word = sent.strip().lower()
        if word in _QUALITY_WORDS:
            return _QUALITY_WORDS[word]
        number = number_of(word)
        return None if number is None else quality_of(number)
    return None


def read_values(values: pa.Array) -> Values:
    """Values of any Arrow type: numbers and booleans as numbers, numbers in text as numbers, other text as text.

    A missing value has neither, without a problem: whether that may be depends on the quality.
    """
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return _from_text(values)
    if not (
        pa.types.is_integer(values.type)
        or pa.types.is_floating(values.type)
        or pa.types.is_boolean(values.type)
        or pa.types.is_decimal(values.type)
        or pa.types.is_null(values.type)
    ):
        return _from_text(pc.cast(values, pa.string()))
    if pa.types.is_boolean(values.type):
        values = pc.cast(values, pa.int8())
    number = np.array(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    missing = np.asarray(pc.is_null(values).to_numpy(zero_copy_only=False))
    wrong = np.flatnonzero(~np.isfinite(number) & ~missing)
    problems = {int(i): ("not_a_number", f"the value is {number[i]}") for i in wrong}
    number[wrong] = np.nan
    return Values(number, np.full(len(values), None, dtype=object), problems)


def _from_text(values: pa.Array) -> Values:
    trimmed = pc.utf8_trim_whitespace(values)
    present = pc.fill_null(pc.not_equal(trimmed, ""), False)
    numeric = pc.fill_null(pc.match_substring_regex(trimmed, _NUMBER), False)
    only = pc.if_else(numeric, pc.utf8_ltrim(trimmed, "+"), pa.scalar(None, trimmed.type))
    number = _floats(only)
    text = np.full(len(values), None, dtype=object)
    problems: dict[int, tuple[str, str]] = {}
    suspect = np.flatnonzero(~np.isfinite(number) & np.asarray(present.to_numpy(zero_copy_only=False)))
    for row in suspect.tolist():
        word = trimmed[row].as_py()
        if not_finite(word) or not np.isnan(number[row]):
            problems[row] = ("not_a_number", f"the value is {shown(word)}")
            number[row] = np.nan
    words = pc.and_(present, pc.invert(numeric))
    if pc.any(words).as_py():
        places = np.flatnonzero(words.to_numpy(zero_copy_only=False))
        text[places] = trimmed.filter(words).to_numpy(zero_copy_only=False)
        for row in problems:
            text[row] = None
    return Values(number, text, problems)


def _floats(numeric: pa.Array) -> Floats:
    try:
        read = pc.cast(numeric, pa.float64())
    except pa.ArrowInvalid:  # a form Python reads and Arrow does not, such as "5."
        series = pd.to_numeric(numeric.to_pandas(), errors="coerce")
        return np.array(series.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.array(read.to_numpy(zero_copy_only=False), dtype=np.float64)
