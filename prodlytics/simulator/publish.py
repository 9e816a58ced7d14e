"""`prodlytics simulate --mqtt`: the plant at work, published as it goes on, with faults on demand.

Belongs here: pace, sending, what goes wrong on purpose, the truth. Does not belong here: what machines do (`live.py`),
how it is written (`messages.py`, `sparkplug.py`). The truth is every sample whose message the broker acknowledged:
what the bridge must have stored, once, whatever happened in between. Sparkplug's messages are of quality of service 0:
there it is what went out on a connection, and nobody can promise more.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import heapq
import json
import random
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from prodlytics.edge.broker import Address
from prodlytics.plant.model import Plant
from prodlytics.simulator.counting import COUNTER_FAULTS, CounterFault, Dials
from prodlytics.simulator.live import LivePlant, Sample
from prodlytics.simulator.messages import Format, Message, Tag, Writer, feed_of
from prodlytics.simulator.sparkplug import EdgeNode

MessageFault = Literal["drop-connection", "duplicate", "late", "bad-json", "unknown-machine"]
MESSAGE_FAULTS: tuple[MessageFault, ...] = get_args(MessageFault)
Fault = MessageFault | CounterFault
FAULTS: tuple[Fault, ...] = (*MESSAGE_FAULTS, *COUNTER_FAULTS)
#: A part of a message waits at most so long for its message to be full.
LINGER_S = 1.0
TICK_S = 0.1
#: Messages the broker has not acknowledged; then the machines wait.
MOST_UNACKNOWLEDGED = 5_000
LATEST_S = 10.0
PATIENCE_S = 30.0


class BrokerGoneError(Exception):
    """The broker cannot be reached, or stays away; one sentence for people."""


@dataclass(frozen=True)
class Order:
    """What to publish.

    Attributes:
        form: How.
        speed: Times real time.
        rate: Samples of sensors per second; None for the usual.
        length_s: For how long; None until told to stop.
        faults: Fault to the probability with which it befalls a message, or a counter (`counting.Dials`).
        seed: Chance.
        story: The moment of the plan at which the story begins, with a zone; None for the present.
    """

    form: Format = "kepserverex"
    speed: float = 1.0
    rate: float | None = None
    length_s: float | None = None
    faults: Mapping[Fault, float] | None = None
    seed: int = 0
    story: dt.datetime | None = None


@dataclass
class Published:
    """What the broker acknowledged."""

    truth: Path
    samples: int = 0
    messages: int = 0
    faults: Counter[str] | None = None


def publish(
    plant: Plant, address: Address, truth: Path, order: Order, *, ca_file: Path | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Published:  # fmt: skip
    """Publish until the time is over or somebody stops it.

    Args:
        plant: The factory.
        address: The broker.
        truth: Folder for the truth, `live-<start>.jsonl`: one sample a line (`machine`, `metric`, `time_ms`, `value`
            or `text`; of counters also `parts`, really made since the reading before), and one line for each fault.
        order: What to publish.
        ca_file: Authority of the broker's certificate.
        stopped: Asked ten times a second.

    Raises:
        NoFeedError: The plant reads nothing in this format.
        BrokerGoneError: The broker is not there, or did not come back.
        ValueError: A machine works in a way that is not simulated.
    """
    start = dt.datetime.now(dt.UTC)
    node = EdgeNode(plant, feed_of(plant, "sparkplug")) if order.form == "sparkplug" else None
    writer = node or Writer(plant, order.form)
    live = LivePlant(plant, start, speed=order.speed, rate=order.rate, seed=order.seed, story=order.story)
    truth.mkdir(parents=True, exist_ok=True)
    path = truth / f"live-{start:%Y%m%dT%H%M%S%f}Z.jsonl"
    with path.open("w", encoding="utf-8") as file, _Line(address, ca_file, file, node) as line:
        faults = dict(order.faults or {})
        mischief = _Mischief(line, writer, faults, random.Random(order.seed))
        askew: dict[CounterFault, float] = {fault: faults.get(fault, 0.0) for fault in COUNTER_FAULTS}
        dials = Dials(plant, askew, random.Random(order.seed + 1), line.note)
        _play(live, dials, writer, mischief, line, order, stopped)
        line.settle(MOST_UNACKNOWLEDGED)
        mischief.let_go(float("inf"))
        line.settle(0)
        line.say_goodbye()
        return Published(path, line.samples, line.messages, mischief.done + dials.done)


def _play(
    live: LivePlant, dials: Dials, writer: Writer | EdgeNode, mischief: _Mischief, line: _Line, order: Order,
    stopped: Callable[[], bool],
) -> None:  # fmt: skip
    began = sent = time.monotonic()
    gathered: list[Sample] = []
    over = False
    while not over:
        now = time.monotonic()
        over = stopped() or (order.length_s is not None and now - began >= order.length_s)
        gathered += dials.show(live.until(dt.datetime.now(dt.UTC)))
        due = over or now - sent >= LINGER_S
        line.be_born()
        while line.is_open and (len(gathered) >= writer.per_message or (due and gathered)):
            for message in writer.write(gathered[: writer.per_message], _now_ms()):
                mischief.send(message)
            del gathered[: writer.per_message]
            sent = now
        if line.is_open:
            mischief.let_go(now)
        line.settle(MOST_UNACKNOWLEDGED)
        if not over:
            time.sleep(max(0.0, TICK_S - (time.monotonic() - now)))


class _Line:
    """The connection to the broker, and the file of what it acknowledged; with a `node` it speaks Sparkplug."""

    def __init__(self, address: Address, ca_file: Path | None, truth: IO[str], node: EdgeNode | None) -> None:
        self._address, self._truth, self._node = address, truth, node
        self._birth_due = threading.Event()
        self._told: dict[Tag, Sample] = {}
        self._by_birth: set[Sample] = set()
        self._waiting: dict[int, Message] = {}
        # paho holds its own lock while it reports an acknowledgement: nothing may wait there.
        self._acknowledged: deque[int] = deque()
        self.samples = self.messages = 0
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.on_publish = self._on_publish
        if node is not None:
            self._client.on_pre_connect = self._on_pre_connect
            self._client.on_message = self._on_message
        self._client.reconnect_delay_set(min_delay=1, max_delay=5)
        self._client.max_inflight_messages_set(1_000)
        if address.user:
            self._client.username_pw_set(address.user, address.password)
        if address.tls:
            self._client.tls_set_context(ssl.create_default_context(cafile=str(ca_file) if ca_file else None))

    def __enter__(self) -> _Line:
        refused: list[str] = []
        answered: list[bool] = []

        def on_connect(client: mqtt.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            if reason.is_failure:
                refused.append(str(reason))
            elif self._node is not None:
                client.subscribe(self._node.commands, qos=1)
                self._birth_due.set()
            answered.append(True)

        self._client.on_connect = on_connect
        try:
            self._client.connect(self._address.host, self._address.port, clean_start=True)
        except OSError as error:
            raise BrokerGoneError(
                f"No broker answers at {self._address.host}:{self._address.port}: {error}."
            ) from error
        self._client.loop_start()
        _wait(lambda: bool(answered), "The broker took the connection and did not answer.")
        if refused:
            self._client.loop_stop()
            raise BrokerGoneError(f"The broker refuses us: {refused[0]}.")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def is_open(self) -> bool:
        """Whether messages may be sent: those of Sparkplug only after a birth, the others wait for a connection."""
        return self._node is None or (self._client.is_connected() and not self._birth_due.is_set())

    def be_born(self) -> None:
        """Say the births that are due: the connection is a new one, or a host asked."""
        if self._node is None or not self._birth_due.is_set() or not self._client.is_connected():
            return
        self._birth_due.clear()
        self._write_down()
        # What the old connection did not take is lost, as it is with quality of service 0.
        self._waiting = {mid: message for mid, message in self._waiting.items() if message.qos}
        for message in self._node.births(self._told, _now_ms()):
            self.send(self._node.numbered(message))

    def say_goodbye(self) -> None:
        """A node tells its death before it hangs up: the broker keeps its will to itself then."""
        if self._node is not None:
            self.send(self._node.death(_now_ms()))
            self.settle(0)

    def send(self, message: Message) -> None:
        """Publish; it is true once the broker has acknowledged it."""
        info = self._client.publish(message.topic, message.payload, qos=message.qos)
        self._waiting[info.mid] = message

    def break_off(self) -> None:
        """Let the line go dead in the middle of a word; it comes back by itself."""
        line = self._client.socket()
        if isinstance(line, socket.socket):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def settle(self, most: int) -> None:
        """Write down what was acknowledged; wait until at most so many messages are not."""
        if not self._is_settled(most):
            _wait(lambda: self._is_settled(most), "The broker acknowledges nothing any more.")
        self._truth.flush()

    def note(self, fault: str) -> None:
        """A fault is true at once."""
        self._truth.write(f'{{"fault":"{fault}","time_ms":{_now_ms()}}}\n')

    def _is_settled(self, most: int) -> bool:
        self.be_born()
        return self._write_down() <= most and self.is_open

    def _write_down(self) -> int:
        while self._acknowledged:
            message = self._waiting.pop(self._acknowledged.popleft(), None)
            if message is None:
                continue
            self.messages += 1
            samples = message.samples if self._node is None else self._not_yet_told(message)
            self._truth.writelines(_lines(samples))
            self.samples += len(samples)
        return len(self._waiting)

    def _not_yet_told(self, message: Message) -> list[Sample]:
        """What a birth says once more, or a late message after a birth, is true once."""
        news = []
        for one in message.samples:
            tag = (one.machine, one.metric)
            told = self._told.get(tag)
            newer = told is None or told.time_ms < one.time_ms
            if newer:
                self._told[tag] = one
            if message.birth and newer:
                self._by_birth.add(one)
            if newer if message.birth else one not in self._by_birth:
                news.append(one)
        return news

    def _on_pre_connect(self, client: mqtt.Client, data: Any) -> None:
        assert self._node is not None
        will = self._node.connects(_now_ms())
        client.will_set(will.topic, will.payload, qos=will.qos)

    def _on_message(self, client: mqtt.Client, data: Any, message: mqtt.MQTTMessage) -> None:
        if self._node is not None and self._node.is_rebirth(bytes(message.payload)):
            self._birth_due.set()

    def _on_publish(self, client: mqtt.Client, data: Any, mid: int, reason: Any, properties: Any) -> None:
        self._acknowledged.append(mid)


class _Mischief:
    """Sends messages, and does to some of them what the world does."""

    def __init__(self, line: _Line, writer: Writer | EdgeNode, faults: dict[Fault, float], dice: random.Random) -> None:
        self._line, self._writer, self._dice = line, writer, dice
        self._faults = faults
        self._late: list[tuple[float, int, Message]] = []
        self.done: Counter[str] = Counter()

    def send(self, message: Message) -> None:
        """Send a message; what befalls it is drawn."""
        if message.birth:
            self._line.send(self._writer.numbered(message))
            return
        struck = [fault for fault in MESSAGE_FAULTS if self._dice.random() < self._faults.get(fault, 0.0)]
        for fault in struck:
            self.done[fault] += 1
            self._line.note(fault)
        if "bad-json" in struck:
            cut = max(1, len(message.payload) // 2)
            self._line.send(Message(message.topic, b'{"' + message.payload[:cut], qos=message.qos))
        if "unknown-machine" in struck:
            self._line.send(self._writer.numbered(self._writer.unknown_machine(_now_ms())))
        if "late" in struck:
            at = time.monotonic() + self._dice.uniform(1.0, LATEST_S)
            heapq.heappush(self._late, (at, self.done["late"], message))
            return
        numbered = self._writer.numbered(message)
        self._line.send(numbered)
        if "duplicate" in struck:
            self._line.send(Message(numbered.topic, numbered.payload, qos=numbered.qos))
        if "drop-connection" in struck:
            self._line.break_off()

    def let_go(self, now: float) -> None:
        """Send what was held back long enough."""
        while self._late and self._late[0][0] <= now:
            self._line.send(self._writer.numbered(heapq.heappop(self._late)[2]))


def _lines(samples: Iterable[Sample]) -> Iterable[str]:
    for one in samples:
        said: dict[str, object] = {"value": one.value} if one.text is None else {"text": one.text}
        if one.parts is not None:
            said["parts"] = one.parts
        yield json.dumps({"machine": one.machine, "metric": one.metric, "time_ms": one.time_ms, **said}) + "\n"


def _wait(until: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not until():
        if time.monotonic() > end:
            raise BrokerGoneError(what)
        time.sleep(0.01)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
