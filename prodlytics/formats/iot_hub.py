"""Messages as Azure IoT Hub's routing writes them into blobs: JSON a line, or Avro.

Belongs here: the hub's envelope (base64 or nested bodies, when the hub got a message, which device sent it) and what is
in it: samples our own bridge forwards (`edge.cloud`), or messages of KEPServerEX. Does not belong here: which samples
are kept (`judge.py`). A sample is dated by itself: when the hub got it (`EnqueuedTimeUtc`) is when it was published.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pandas as pd

from prodlytics.formats import kepserverex
from prodlytics.formats.judge import RawSamples, Rules, judge
from prodlytics.formats.kepserverex import MISSING, Fields, Records, document_of, records_of
from prodlytics.formats.names import MachineNames
from prodlytics.formats.sample import NO_TIME, Parsed, UnreadableFileError, payload_of, shown
from prodlytics.formats.times import read_times

SOURCE = "iot_hub"
#: What a message of our own bridge says of itself (`edge.cloud.packing`).
OWN_SCHEMA = "prodlytics/1"
#: Samples that are turned into a frame together.
BATCH = 200_000
#: A message has at most 256 KB; with its envelope in base64 a third more.
_LINE_LIMIT = 4 * 2**20
_AVRO = b"Obj\x01"


@dataclass(frozen=True)
class _Message:
    """A body with its envelope, or what is wrong with it."""

    body: Any = None
    device: str | None = None
    enqueued: object = None
    sent: object = None
    "What came, for quarantine."
    problem: tuple[str, str] | None = None


@dataclass
class _Samples:
    """Samples read so far, column by column."""

    first_position: int
    name: list[str] = field(default_factory=list)
    machine: list[str | None] = field(default_factory=list)
    metric: list[str | None] = field(default_factory=list)
    code: list[str] = field(default_factory=list)
    value: list[Any] = field(default_factory=list)
    quality: list[Any] = field(default_factory=list)
    time: list[Any] = field(default_factory=list)
    published: list[Any] = field(default_factory=list)
    content: list[Any] = field(default_factory=list)
    us: dict[int, int] = field(default_factory=dict)
    "Row to its time, where it is in microseconds."
    text: dict[int, str] = field(default_factory=dict)
    "Row to a text that is one, whatever it looks like."
    problems: dict[int, tuple[str, str]] = field(default_factory=dict)

    def refuse(self, content: object, published: object, reason: str, detail: str) -> None:
        """One thing that is no sample."""
        self.problems[len(self.name)] = (reason, detail)
        self.add("", None, None, None, MISSING, None, published, content)

    def add(
        self, name: str, machine: str | None, metric: str | None, value: Any, quality: Any, time: Any, published: Any,
        content: object, code: str = "",
    ) -> None:  # fmt: skip
        """One sample."""
        self.name.append(name)
        self.machine.append(machine)
        self.metric.append(metric)
        self.code.append(code)
        self.value.append(value)
        self.quality.append(quality)
        self.time.append(time)
        self.published.append(published)
        self.content.append(content)


def parse_file(file: BinaryIO, rules: Rules, origin: str, fields: Fields | None = None) -> Iterator[Parsed]:
    """A blob, in batches of about `BATCH` samples; JSON lines and Avro are known by their bytes.

    Args:
        file: Seekable, at its start.
        rules: What samples are held against.
        origin: Name of the blob.
        fields: Names of a KEPServerEX template's fields.

    Raises:
        UnreadableFileError: The blob is neither, or Avro of something else.
    """
    start = file.read(len(_AVRO))
    file.seek(0)
    messages = _avro(file) if start == _AVRO else _json_lines(file)
    batch = _Samples(1)
    for message in messages:
        _read(message, batch, rules.names, fields or Fields())
        if len(batch.name) >= BATCH:
            yield _frame(batch, rules, origin)
            batch = _Samples(batch.first_position + len(batch.name))
    if batch.name:
        yield _frame(batch, rules, origin)


# ---- envelopes ------------------------------------------------------------------------------------------------------
def _json_lines(file: BinaryIO) -> Iterator[_Message]:
    number = 0
    while line := file.readline(_LINE_LIMIT):
        number += 1
        if len(line) >= _LINE_LIMIT:
            raise UnreadableFileError(f"line {number} is longer than {_LINE_LIMIT // 2**20} MiB: no blob of IoT Hub")
        if not line.strip():
            continue
        said = document_of(line)
        if isinstance(said, Records):
            reason, detail = said.problem or ("bad_json", "not JSON")
            yield _Message(sent=said.contents[0], problem=(reason, f"line {number}: {detail}"))
        elif not isinstance(said, dict) or "Body" not in said:
            detail = f"line {number}: no message of IoT Hub: it has no 'Body'"
            yield _Message(sent=said, problem=("unknown_shape", detail))
        else:
            yield _message(said, _decoded(said["Body"]), f"line {number}")


def _avro(file: BinaryIO) -> Iterator[_Message]:
    import fastavro

    # What the library raises for damaged bytes depends on where they are.
    damage = (ValueError, TypeError, LookupError, EOFError, OSError, MemoryError, ArithmeticError, zlib.error)
    try:
        records = iter(fastavro.reader(file))
    except (*damage, fastavro.schema.SchemaParseException) as error:
        raise UnreadableFileError(f"the Avro file cannot be read: {shown(str(error), 200)}") from error
    number = 0
    while True:
        try:
            record = next(records, None)
        except damage as error:
            detail = f"record {number + 1} and all after it cannot be read: {shown(str(error), 200)}"
            yield _Message(sent=None, problem=("bad_avro", detail))
            return
        if record is None:
            return
        number += 1
        if not isinstance(record, dict) or "Body" not in record:
            raise UnreadableFileError("the Avro file holds no messages of IoT Hub: its records have no 'Body'")
        yield _message(record, record["Body"], f"record {number}")


def _message(envelope: Mapping[str, Any], body: Any, where: str) -> _Message:
    system = envelope.get("SystemProperties")
    device = system.get("connectionDeviceId") if isinstance(system, Mapping) else None
    enqueued = envelope.get("EnqueuedTimeUtc")
    sent = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else envelope.get("Body")
    problem = None
    if isinstance(body, bytes):
        body = document_of(body)
    if body is None:
        problem = ("unknown_shape", f"{where}: the message has no body")
    elif isinstance(body, Records):
        reason, detail = body.problem or ("bad_json", "not JSON")
        problem = (reason, f"{where}: {detail}")
    return _Message(body, device if isinstance(device, str) else None, enqueued, sent, problem)


def _decoded(body: Any) -> Any:
    """Bytes of a body in base64; a body that stands there as JSON itself; what is wrong with one that is neither."""
    if not isinstance(body, str):
        return body
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        return Records([shown(body, 2000)], problem=("bad_base64", f"the body is not base64: {error}"))


# ---- bodies ---------------------------------------------------------------------------------------------------------
def _read(message: _Message, batch: _Samples, names: MachineNames, fields: Fields) -> None:
    body, published = message.body, message.enqueued
    if message.problem is not None:
        batch.refuse(message.sent, published, *message.problem)
    elif isinstance(body, dict) and body.get("schema") == OWN_SCHEMA and isinstance(body.get("samples"), list):
        for sample in body["samples"]:
            _own(sample, batch, names, published)
    else:
        for records in records_of(body, fields):
            _kepserverex(records, message, batch, names, fields)


def _own(sample: Any, batch: _Samples, names: MachineNames, published: object) -> None:
    """A sample of our own bridge: its text stays text, and its time is in microseconds."""
    row = len(batch.name)
    if not isinstance(sample, dict):
        batch.refuse(sample, published, "unknown_shape", "the sample is not an object")
        return
    machine, metric, code = (sample.get(name) for name in ("machine", "metric", "code"))
    text, moment = sample.get("text"), sample.get("time_us")
    batch.add(
        str(machine), names.ids.get(machine) if isinstance(machine, str) else None,
        metric if isinstance(metric, str) else None, sample.get("value"), sample.get("quality", MISSING), None,
        published, sample, code if isinstance(code, str) else "",
    )  # fmt: skip
    if isinstance(text, str):
        batch.text[row] = text
    if type(moment) is int and abs(moment) < 2**62:
        batch.us[row] = moment
    elif moment is not None:
        batch.problems[row] = ("bad_time", f"{payload_of(moment)[:80]} is no time in microseconds")


def _kepserverex(records: Records, message: _Message, batch: _Samples, names: MachineNames, fields: Fields) -> None:
    published = message.enqueued if records.published is None else records.published
    if records.problem is not None:
        batch.refuse(records.contents[0], published, *records.problem)
        return
    for one in records.contents:
        if not isinstance(one, dict):
            batch.refuse(one, published, "unknown_shape", "the sample is not an object")
        elif not isinstance(tag := one.get(fields.id), str):
            batch.refuse(one, published, "missing_name", f"{fields.id!r} is not the name of a tag")
        else:
            machine, metric = _tag(tag, message.device, names)
            values = (one.get(fields.value), one.get(fields.quality, MISSING), one.get(fields.time))
            batch.add(tag, machine, metric, *values, published, one)


def _tag(tag: str, device: str | None, names: MachineNames) -> tuple[str | None, str | None]:
    """Machine and metric of a tag; one that names no machine is of the device that sent it, where that is a machine."""
    found = names.split(tag)
    if found is None and device is not None and device in names.ids:
        found = names.ids[device], tag
    return found if found is not None else (None, None)


# ---- frames ---------------------------------------------------------------------------------------------------------
def _frame(batch: _Samples, rules: Rules, origin: str) -> Parsed:
    count = len(batch.name)
    problems = batch.problems
    quality = kepserverex.qualities_of(batch.quality, problems)
    number, text = kepserverex.values_of(batch.value, problems)
    for row, said in batch.text.items():
        number[row], text[row] = np.nan, said
    times = kepserverex.instants_of(batch.time)
    for row, us in batch.us.items():
        times.us[row] = us
        times.problems.pop(row, None)
    for row, problem in times.problems.items():
        problems.setdefault(row, problem)
    content = batch.content
    raw = RawSamples(
        position=np.arange(batch.first_position, batch.first_position + count, dtype=np.int64),
        sent=_names(batch.name),
        machine=_names(batch.machine),
        metric=_names(batch.metric),
        us=times.us,
        published_us=_published(batch.published),
        number=number,
        text=text,
        quality=quality,
        payload=lambda row: shown(content[row], 2000) if isinstance(content[row], str) else payload_of(content[row]),
        source=SOURCE,
        native_code=_names(batch.code),
        problems=problems,
    )
    return judge(raw, rules, origin)


def _names(said: Iterable[str | None]) -> pd.Categorical:
    return pd.Categorical(pd.array(list(said), dtype=object))


def _published(said: list[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """When messages were published: as their senders say, else when the hub got them. Unreadable is unknown."""
    import pyarrow as pa

    known = {one: NO_TIME for one in said if isinstance(one, str)}
    if known:
        read = read_times(pa.array(list(known), pa.string()))
        known = dict(zip(known, read.us.tolist(), strict=True))
    numbers = [None if isinstance(one, str) else one for one in said]
    us = kepserverex.instants_of(numbers).us
    for row, one in enumerate(said):
        if isinstance(one, str):
            us[row] = known[one]
    return us
