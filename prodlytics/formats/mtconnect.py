"""MTConnect: what an agent answers to `probe`, `current` and `sample`, as XML.

Belongs here: observations to samples, the header that says where the agent's buffer begins and ends, errors of the
agent. Does not belong here: asking the agent (`edge.mtconnect`), which samples are kept (`judge.py`).

`UNAVAILABLE` is bad quality: the agent has no connection to the machine. A condition is its level (NORMAL, WARNING,
FAULT) under its native code, because several of one item can be active at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

import numpy as np
import pandas as pd
import pyarrow as pa
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from prodlytics.formats.judge import RawSamples, Rules, judge
from prodlytics.formats.sample import BAD_QUALITY, GOOD_QUALITY, NO_TIME, Parsed, payload_of, shown, unit_of
from prodlytics.formats.times import read_times
from prodlytics.formats.values import not_finite, number_of

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SOURCE = "mtconnect"
#: An answer of 10,000 observations takes about 2 MiB.
ANSWER_LIMIT = 64 * 2**20
_UNAVAILABLE = "UNAVAILABLE"
#: Events that are names: 0042 is not 42.
_NAMES = frozenset(
    ("Program", "ProgramComment", "ProgramHeader", "Block", "Message", "ToolId", "ToolAssetId", "ToolGroup", "PartId",
     "PartGroupId", "PartUniqueId", "PartKindId", "SerialNumber", "PalletId", "WorkholdingId", "OperatorId", "User",
     "AssetChanged", "AssetRemoved", "Wire", "ProcessOccurrenceId", "ProcessAggregateId")
)  # fmt: skip
_UNITS = {
    "MILLIMETER": "mm", "MILLIMETER/SECOND": "mm/s", "MILLIMETER/SECOND^2": "mm/s²", "MILLIMETER_3D": "mm",
    "DEGREE": "°", "DEGREE/SECOND": "°/s", "REVOLUTION/MINUTE": "RPM", "PERCENT": "%", "CELSIUS": "°C", "SECOND": "s",
    "AMPERE": "A", "VOLT": "V", "WATT": "W", "WATT_SECOND": "Ws", "KILOWATT": "kW", "HERTZ": "Hz", "NEWTON": "N",
    "NEWTON_METER": "Nm", "PASCAL": "Pa", "LITER": "l", "LITER/SECOND": "l/s", "KILOGRAM": "kg", "GRAM": "g",
    "MICROMETER": "µm", "DECIBEL": "dB", "COUNT": "",
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """A data item as the agent's `probe` describes it: its name, the metric it becomes, and its unit."""

    name: str | None
    metric: str
    unit: str | None


@dataclass(frozen=True)
class Header:
    """Where an agent's buffer is; every restart of the agent makes another instance and counts anew."""

    instance_id: int
    first_sequence: int
    last_sequence: int
    next_sequence: int
    created: str


@dataclass(frozen=True)
class Devices:
    """Data items by their id, which is unique in an agent, and how many observations the agent keeps (0: unknown)."""

    items: Mapping[str, Item] = field(default_factory=dict)
    buffer_size: int = 0


@dataclass(frozen=True)
class Answer:
    """An answer of an agent.

    Attributes:
        parsed: Samples to store and rows to explain.
        header: Missing where the answer is none, or lacks it.
        error: Error code of the agent, such as OUT_OF_RANGE; `said` is its text.
    """

    parsed: Parsed
    header: Header | None = None
    error: str | None = None
    said: str = ""


@dataclass
class _Rows:
    """Observations in the order of the document."""

    sequences: list[int] = field(default_factory=list)
    machines: list[str | None] = field(default_factory=list)
    metrics: list[str | None] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    units: list[str | None] = field(default_factory=list)
    times: list[str | None] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)
    qualities: list[int] = field(default_factory=list)
    said: list[dict[str, Any]] = field(default_factory=list)
    problems: dict[int, tuple[str, str]] = field(default_factory=dict)


class _ProblemError(Exception):
    """An observation that cannot be read, with its reason."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


def parse_devices(body: bytes) -> Devices:
    """What a `probe` answer describes; nothing from what is no such answer.

    The metric is the item's name, or its id where it has none or the device uses the name twice.
    """
    try:
        root = _root(body)
    except _ProblemError:
        return Devices()
    items: dict[str, Item] = {}
    for device in _named(root, "Device"):
        own = [item for item in _named(device, "DataItem") if item.get("id")]
        uses = Counter(item.get("name") for item in own)
        for item in own:
            name = item.get("name")
            metric = name if name and uses[name] == 1 else item.get("id", "")
            units = item.get("units")
            items[item.get("id", "")] = Item(name, metric, _UNITS.get(units, units) or None if units else None)
    buffer_size = next((_whole(header.get("bufferSize")) for header in _named(root, "Header")), None)
    return Devices(items, buffer_size or 0)


def parse_answer(
    body: bytes,
    rules: Rules,
    origin: str,
    items: Mapping[str, Item] | None = None,
    devices: Mapping[str, str] | None = None,
) -> Answer:
    """An answer to `current` or `sample`; never raises, whatever the bytes are.

    Args:
        body: What the agent sent.
        rules: What samples are held against; a machine may be named by the name or the uuid of the device.
        origin: For people: which agent.
        items: What `probe` said of the data items.
        devices: The agent's name or uuid of a device to a machine of ours, before the aliases of the plant.
    """
    rows = _Rows()
    try:
        root = _root(body)
    except _ProblemError as error:
        _refuse(
            rows, error.reason, error.detail, {"answer": shown(body[:1500].decode("utf-8", "backslashreplace"), 1500)}
        )
        return Answer(_judged(rows, rules, origin, None))
    header = _header(root)
    errors = [element for element in root.iter() if isinstance(element.tag, str) and element.get("errorCode")]
    if errors:
        code, said = errors[0].get("errorCode"), shown((errors[0].text or "").strip(), 300)
        return Answer(_judged(rows, rules, origin, None), header, code, said)
    ids = {**rules.names.ids, **(devices or {})}
    for device in _named(root, "DeviceStream"):
        _device(rows, device, ids, items or {})
    if header is None and not rows.said:
        detail = "the answer is no MTConnectStreams document with a header"
        _refuse(rows, "unknown_shape", detail, {"answer": shown(str(root.tag), 200)})
    return Answer(_judged(rows, rules, origin, header.created if header else None), header)


def _root(body: bytes) -> Element:
    if len(body) > ANSWER_LIMIT:
        raise _ProblemError("too_large", f"{len(body)} bytes are no answer: {ANSWER_LIMIT // 2**20} MiB is the limit")
    try:
        root: Element = fromstring(body)
    except DefusedXmlException as error:
        raise _ProblemError("bad_xml", "the answer defines entities, which no agent does") from error
    except (ParseError, ValueError, LookupError, RecursionError) as error:
        raise _ProblemError("bad_xml", f"cut off or not XML: {shown(str(error))}") from error
    return root


def _local(element: Element) -> str:
    """Name without the namespace, of which every version has its own."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _named(parent: Element, name: str) -> Iterator[Element]:
    return (element for element in parent.iter() if _local(element) == name)


def _header(root: Element) -> Header | None:
    for element in _named(root, "Header"):
        numbers = [
            _whole(element.get(name)) for name in ("instanceId", "firstSequence", "lastSequence", "nextSequence")
        ]
        if any(number is None for number in numbers):
            return None
        instance, first, last, following = (number or 0 for number in numbers)
        return Header(instance, first, last, following, element.get("creationTime") or "")
    return None


def _whole(text: str | None) -> int | None:
    """A number of the agent's, which are unsigned and of 64 bits."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= 20 else None


def _device(rows: _Rows, device: Element, ids: Mapping[str, str], items: Mapping[str, Item]) -> None:
    names = [name for name in (device.get("name"), device.get("uuid")) if name]
    machine = next((ids[name] for name in names if name in ids), None)
    observed = [
        (_local(group), one)
        for group in device.iter()
        if _local(group) in ("Samples", "Events", "Condition")
        for one in group
        if isinstance(one.tag, str)
    ]
    if machine is None:
        if device.get("name") != "Agent" and observed:  # the agent reports on itself as well
            _unknown(rows, names)
        return
    for group, one in observed:
        _observation(rows, machine, group, one, items)


def _unknown(rows: _Rows, names: list[str]) -> None:
    """One row for a device nobody configured: one per observation would bury everything else."""
    said = " or ".join(repr(shown(name)) for name in names) or "a device without a name"
    detail = f"nobody configured {said}: nothing of it is stored; add it to the aliases of its machine in plant.yaml"
    _refuse(rows, "unknown_machine", detail, {"device": [shown(name, 200) for name in names]})


def _refuse(rows: _Rows, reason: str, detail: str, said: dict[str, Any]) -> None:
    rows.problems[len(rows.said)] = (reason, detail)
    _put(rows, None, None, (0, "", None, None), (float("nan"), None), GOOD_QUALITY, said)


def _observation(rows: _Rows, machine: str, group: str, one: Element, items: Mapping[str, Item]) -> None:
    item_id = one.get("dataItemId") or ""
    item = items.get(item_id)
    if item is None or item.name != one.get("name"):
        # A description of another day: the shop's own have other ids for the same items.
        item = Item(None, one.get("name") or item_id, None)
    code = (one.get("nativeCode") or one.get("conditionId") or "") if group == "Condition" else ""
    text = (one.text or "").strip()
    level = _local(one).upper() if group == "Condition" else text
    quality = BAD_QUALITY if level == _UNAVAILABLE else GOOD_QUALITY
    value: tuple[float, str | None] = (float("nan"), None)
    if quality == GOOD_QUALITY:
        try:
            value = (float("nan"), level) if group == "Condition" else _value(group, one, text)
        except _ProblemError as error:
            rows.problems[len(rows.said)] = (error.reason, error.detail)
    sequence = _whole(one.get("sequence")) or 0
    said = {"element": _local(one), **{name: shown(value, 200) for name, value in one.attrib.items()}, "text": text}
    unit = item.unit or unit_of(item.metric)
    _put(rows, machine, item.metric, (sequence, code, unit, one.get("timestamp")), value, quality, said)


def _put(
    rows: _Rows,
    machine: str | None,
    metric: str | None,
    about: tuple[int, str, str | None, str | None],
    value: tuple[float, str | None],
    quality: int,
    said: dict[str, Any],
) -> None:
    """One row; `about` is its sequence, native code, unit and time."""
    sequence, code, unit, time = about
    rows.sequences.append(sequence)
    rows.machines.append(machine)
    rows.metrics.append(metric)
    rows.codes.append(code)
    rows.units.append(unit)
    rows.times.append(time)
    rows.numbers.append(value[0])
    rows.texts.append(value[1])
    rows.qualities.append(quality)
    rows.said.append(said)


def _value(group: str, one: Element, text: str) -> tuple[float, str | None]:
    """Number and text of a sample or an event."""
    if len(one) or one.get("sampleCount") is not None:
        raise _ProblemError("unreadable_value", "a set or a series is no single value")
    if group == "Events" and _local(one) in _NAMES:
        return float("nan"), text
    number = number_of(text)
    if number is not None:
        return number, None
    if not_finite(text):
        raise _ProblemError("not_a_number", f"the value is {shown(text)}")
    if group == "Events":
        return float("nan"), text
    if not text:
        return float("nan"), None
    if all(number_of(part) is not None for part in text.split()):
        return float("nan"), text  # a point in space
    raise _ProblemError("unreadable_value", f"{shown(text)!r} is no number, and a sample is one")


def _judged(rows: _Rows, rules: Rules, origin: str, created: str | None) -> Parsed:
    """Rows in the order in which the agent saw them, held against the rules."""
    count = len(rows.said)
    order = sorted(range(count), key=lambda row: rows.sequences[row])
    place = {row: at for at, row in enumerate(order)}
    problems = {place[row]: problem for row, problem in rows.problems.items()}
    times = read_times(pa.array([rows.times[row] for row in order], pa.string()))
    for at, problem in times.problems.items():
        problems.setdefault(at, problem)
    published = read_times(pa.array([created or None], pa.string())).us[0]
    raw = RawSamples(
        position=np.arange(1, count + 1, dtype=np.int64),
        sent=_categorical([rows.machines[row] for row in order]),
        machine=_categorical([rows.machines[row] for row in order]),
        metric=_categorical([rows.metrics[row] for row in order]),
        us=times.us,
        published_us=np.full(count, published if created else NO_TIME, dtype=np.int64),
        number=np.array([rows.numbers[row] for row in order], dtype=np.float64),
        text=_objects([rows.texts[row] for row in order]),
        quality=np.array([rows.qualities[row] for row in order], dtype=np.int16),
        payload=lambda at: payload_of(rows.said[order[at]]),
        source=SOURCE,
        native_code=_categorical([rows.codes[row] for row in order]),
        unit=_categorical([rows.units[row] for row in order]),
        problems=problems,
    )
    return judge(raw, rules, origin)


def _categorical(values: list[Any]) -> pd.Categorical:
    codes, distinct = pd.factorize(_objects(values))
    return pd.Categorical.from_codes(codes, categories=pd.Index(distinct, dtype=object))


def _objects(values: list[Any]) -> np.ndarray[Any, np.dtype[np.object_]]:
    made = np.empty(len(values), dtype=object)
    made[:] = values
    return made
