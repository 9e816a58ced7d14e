"""Samples of one machine as arrays, tag by tag.

Belongs here: from the frame that is read to what the derivations compute with. Does not belong here: what a tag means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.kpi import spans

#: OPC quality from which a sample is a measurement.
GOOD = 192


@dataclass(frozen=True)
class Tag:
    """All samples of one metric, in order of time.

    Attributes:
        time: Microseconds since 1970 UTC.
        value: NaN where there is no number.
        text: None where there is no text.
        code: Native code of a condition, '' otherwise.
        good: Whether the quality is good; says nothing about whether there is a value.
    """

    time: spans.IntArray
    value: npt.NDArray[np.float64]
    text: spans.ObjectArray
    code: spans.ObjectArray
    good: spans.BoolArray

    @property
    def measured(self) -> spans.BoolArray:
        """Where there is a number of good quality."""
        return np.asarray(self.good & np.isfinite(self.value), dtype=bool)


NOTHING = Tag(
    np.empty(0, dtype=np.int64),
    np.empty(0),
    np.empty(0, dtype=object),
    np.empty(0, dtype=object),
    np.empty(0, dtype=bool),
)


def read_tags(samples: pd.DataFrame) -> dict[str, Tag]:
    """Samples by metric.

    Args:
        samples: `time, metric_name, native_code, value, value_text, quality` of one machine.

    Raises:
        ValueError: The times carry no zone.
    """
    time = spans.to_us(samples["time"])
    order = np.argsort(time, kind="stable")
    value = samples["value"].to_numpy(dtype=np.float64, na_value=np.nan)
    text = spans.texts(samples["value_text"])
    native = spans.texts(samples["native_code"])
    good = samples["quality"].to_numpy() >= GOOD
    number, names = pd.factorize(samples["metric_name"])
    tags: dict[str, Tag] = {}
    for position, name in enumerate(names):
        rows = order[number[order] == position]
        tags[str(name)] = Tag(time[rows], value[rows], text[rows], native[rows], good[rows])
    return tags


def words(tag: Tag) -> spans.ObjectArray:
    """What each sample says as text, a number without needless decimals (`1.0` is `1`); None for nothing."""
    out = tag.text.copy()
    numeric = np.isfinite(tag.value) & spans.missing(tag.text)
    which, distinct = pd.factorize(tag.value[numeric])
    spelled = np.array([_spell(number) for number in distinct.tolist()], dtype=object)
    out[numeric] = spelled[which]
    return out


def _spell(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)
