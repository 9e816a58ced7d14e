"""Metrics of Sparkplug B to rows: values, qualities, times, names.

Belongs here: what one metric says. Does not belong here: which name an alias stands for (`sparkplug.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from prodlytics.formats import sparkplug_b_pb2 as wire
from prodlytics.formats.judge import RawSamples, Rules, judge
from prodlytics.formats.names import MachineNames
from prodlytics.formats.sample import BAD_QUALITY, GOOD_QUALITY, NO_TIME, UNCERTAIN_QUALITY, Parsed, payload_of
from prodlytics.formats.sparkplug_session import Known, Topic
from prodlytics.formats.times import epoch_times

SOURCE = "sparkplug"
_SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}
_UNSIGNED = {5: 8, 6: 16, 7: 32, 8: 64}
_FLOATS, _BOOLEAN, _TEXTS, _DATETIME = (9, 10), 11, (12, 14, 15), 13
_OTHERS = {16: "DataSet", 17: "Bytes", 18: "File", 19: "Template", 20: "PropertySet", 21: "PropertySetList"}
_NAN = float("nan")

Value = tuple[float, str | None]


class Unread(Exception):  # noqa: N818 - it is a verdict on a row as often as an error
    """Something that cannot be read, with its reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def storable_type(datatype: int) -> bool:
    """Whether a metric of this type is one number or one text; 0 is a birth that did not say."""
    return 0 <= datatype <= 15


def value(metric: wire.Metric, announced: int) -> Value:
    """The number and the text of a metric.

    Args:
        metric: As sent.
        announced: Data type its birth gave; its own, where it has one, counts first.

    Raises:
        Unread: It has no single value, or not one of its type.
    """
    kind = metric.WhichOneof("value")
    if metric.is_null or kind is None:
        return _NAN, None
    datatype = metric.datatype or announced or _type_of(kind)
    sent = getattr(metric, kind)
    if datatype in _TEXTS and kind == "string_value":
        try:
            return _NAN, sent.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Unread("bad_utf8", "the text is not UTF-8") from error
    if kind in ("int_value", "long_value"):
        return float(_integer(sent, datatype)), None
    if datatype in _FLOATS and kind in ("float_value", "double_value"):
        if not np.isfinite(sent):
            raise Unread("not_a_number", f"the value is {sent}")
        return sent, None
    if datatype == _BOOLEAN and kind == "boolean_value":
        return float(sent), None
    if datatype in _OTHERS or datatype > _DATETIME + 2:
        raise Unread("unreadable_value", f"{_OTHERS.get(datatype, f'data type {datatype}')} is no single value")
    raise Unread("unreadable_value", f"data type {datatype} is announced and a {kind.removesuffix('_value')} sent")


def _type_of(kind: str) -> int:
    """The data type of a metric that nobody announced with one."""
    return {"int_value": 7, "long_value": 8, "float_value": 9, "double_value": 10, "boolean_value": 11,
            "string_value": 12, "bytes_value": 17, "dataset_value": 16}.get(kind, 19)  # fmt: skip


def _integer(sent: int, datatype: int) -> int:
    """An integer of its width. Negative ones arrive as two's complement of 32 or 64 bits, or of their own width."""
    if datatype == _DATETIME:
        return sent
    if datatype in _UNSIGNED:
        if sent < 2 ** _UNSIGNED[datatype]:
            return sent
    elif datatype in _SIGNED:
        half = 2 ** (_SIGNED[datatype] - 1)
        for width in (_SIGNED[datatype], 32, 64):
            read = sent - 2**width if 2 ** (width - 1) <= sent < 2**width else sent
            if -half <= read < half:
                return read
    else:
        raise Unread("unreadable_value", f"data type {datatype} is announced and an integer sent")
    raise Unread("unreadable_value", f"{sent} does not fit data type {datatype}")


def quality(metric: wire.Metric) -> int:
    """OPC quality from the property `Quality` (0 bad, 192 good, 500 stale; 64 to 127 is uncertain); null is bad."""
    if metric.is_null:
        return BAD_QUALITY
    if not metric.HasField("properties"):
        return GOOD_QUALITY
    for key, said in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key == b"Quality":
            number = said.int_value if said.WhichOneof("value") == "int_value" else said.long_value
            if GOOD_QUALITY <= number <= 255:
                return int(number)
            return UNCERTAIN_QUALITY if 64 <= number < 128 else BAD_QUALITY
    return GOOD_QUALITY


class Rows:
    """The records of a batch, column by column."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._sent: list[str] = []
        self._machine: list[str | None] = []
        self._metric: list[str | None] = []
        self._ms: list[float] = []
        self._published_us: list[int] = []
        self._number: list[float] = []
        self._text: list[str | None] = []
        self._quality: list[int] = []
        self._said: list[tuple[Topic, wire.Metric] | str] = []
        self._problems: dict[int, tuple[str, str]] = {}
        self._places: dict[tuple[str, str], tuple[str, str] | None] = {}
        self.newest_us = 0

    def add(
        self,
        topic: Topic,
        metric: wire.Metric,
        sent_us: int,
        name: str | None,
        said: Value | Unread,
        quality: int = GOOD_QUALITY,
    ) -> None:
        """A metric as it was sent, under the name it has."""
        if isinstance(said, Unread):
            self._problems[len(self._sent)] = (said.reason, said.detail)
            said = (_NAN, None)
        place = self._place(topic, name) if name is not None else None
        ms = float(metric.timestamp) if metric.HasField("timestamp") else sent_us / 1_000 if sent_us > 0 else _NAN
        if not metric.is_historical and ms * 1_000 > self.newest_us and ms < 2**53:
            self.newest_us = int(ms) * 1_000
        self._put(topic.source, place, ms, sent_us, said, quality, (topic, metric))

    def add_stale(self, topic: Topic, known: Known, at_us: int) -> None:
        """A metric nobody knows the value of since a death; one that is no tag of a machine has none anyway."""
        place = self._place(topic, known.name)
        if place is not None and storable_type(known.datatype):
            self._put(topic.source, place, at_us / 1_000, NO_TIME, (_NAN, None), BAD_QUALITY, known.name)

    def refuse(self, said: str, reason: str, detail: str, sent_us: int) -> None:
        """A message as a whole."""
        self._problems[len(self._sent)] = (reason, detail)
        self._put("", None, sent_us / 1_000 if sent_us > 0 else _NAN, sent_us, (_NAN, None), GOOD_QUALITY, said)

    def judged(self, origin: str) -> Parsed:
        """Everything added, held against the rules."""
        count = len(self._sent)
        times = epoch_times(np.array(self._ms, dtype=np.float64), 1_000.0)
        for row, problem in times.problems.items():
            missing = np.isnan(self._ms[row])
            self._problems.setdefault(row, ("missing_time", "the metric has no time") if missing else problem)
        said = self._said
        raw = RawSamples(
            position=np.arange(1, count + 1, dtype=np.int64),
            sent=_categorical(self._sent),
            machine=_categorical(self._machine),
            metric=_categorical(self._metric),
            us=times.us,
            published_us=np.array(self._published_us, dtype=np.int64),
            number=np.array(self._number, dtype=np.float64),
            text=_objects(self._text),
            quality=np.array(self._quality, dtype=np.int16),
            payload=lambda row: _shown(said[row]),
            source=SOURCE,
            problems=self._problems,
        )
        return judge(raw, self._rules, origin)

    def _put(
        self,
        sent: str,
        place: tuple[str, str] | None,
        ms: float,
        published_us: int,
        said: Value,
        quality: int,
        shown: tuple[Topic, wire.Metric] | str,
    ) -> None:
        self._sent.append(sent)
        self._machine.append(place and place[0])
        self._metric.append(place and place[1])
        self._ms.append(ms)
        self._published_us.append(published_us)
        self._number.append(said[0])
        self._text.append(said[1])
        self._quality.append(quality)
        self._said.append(shown)

    def _place(self, topic: Topic, name: str) -> tuple[str, str] | None:
        key = (topic.source, name)
        if key not in self._places:
            levels = (*topic.node, topic.device) if topic.device else tuple(topic.node)
            self._places[key] = place_of(self._rules.names, levels, name)
        return self._places[key]


def place_of(names: MachineNames, levels: Sequence[str], name: str) -> tuple[str, str] | None:
    """Machine and metric; None where no machine is named.

    A machine may be named by `group.edge.device`, `edge.device` or `device`, each with folders of the metric's name at
    its end (`edge.Line1.Press01` for `Line1/Press01/PartCountGood`), or by folders alone. The longest name wins; what
    remains is the metric. At last a node may be a machine with its devices as folders.
    """
    folders = name.split("/")
    for first in range(len(levels) + 1):
        own = len(levels) - first
        parts = [*levels[first:], *folders]
        for end in range(len(parts) - 1, max(own, 1) - 1, -1):
            machine = names.ids.get(".".join(parts[:end]))
            if machine is not None:
                return machine, "/".join(parts[end:])
    for first in range(len(levels) - 1):
        parts = [*levels[first:], *folders]
        for end in range(len(levels) - first - 1, 0, -1):
            machine = names.ids.get(".".join(parts[:end]))
            if machine is not None:
                return machine, "/".join(parts[end:])
    return None


def _shown(said: tuple[Topic, wire.Metric] | str) -> str:
    if isinstance(said, str):
        return said
    topic, metric = said
    content: dict[str, object] = {"source": topic.source}
    for descriptor, sent in metric.ListFields():
        if descriptor.name != "properties":
            content[descriptor.name] = (
                sent[:1000].decode("utf-8", "backslashreplace") if isinstance(sent, bytes) else sent
            )
    return payload_of(content)


def _categorical(values: Sequence[str | None]) -> pd.Categorical:
    codes, distinct = pd.factorize(_objects(values))
    return pd.Categorical.from_codes(codes, categories=pd.Index(distinct, dtype=object))


def _objects(values: Sequence[str | None]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made
