"""How fast the bridge is: beside a subscriber that writes nothing, with real servers, in one run.

Run by `make bench`; alone with `--quick` for a look. Broker, database (which flushes every commit to the disk),
generator and bridge are processes of their own and share this machine's processors. Writes benchmarks/results/
bridge.json and bridge.md. What the generator says the broker took is compared with what is in the database, each time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import psutil
import psycopg

from benchmarks.machine import machine, verdict
from benchmarks.traffic import Load, Sent
from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.edge.rig import BridgeProcess, bridge, wait_until
from prodlytics_tests.servers import mosquitto, timescale
from prodlytics_tests.servers.databases import migrated_database

RESULTS = Path(__file__).with_name("results")
PLANT_RATE = 120
HOUR = 3600 * PLANT_RATE
#: A receiver that needs longer than this after the last message was falling behind.
BEHIND_S = 0.5
#: Aims of the latency: messages a second to milliseconds at the 99th percentile.
LATENCY_AIMS_MS = {120: 50, 1_000: 50, 10_000: 250}
#: Only the time of the first tag is asked for, so few tags take turns.
LATENCY_TAGS = 12
VISIBLE = (
    "SELECT (extract(epoch FROM time) * 1000)::bigint FROM telemetry_sample WHERE tag_id = %(tag)s"
    " AND time > to_timestamp(greatest(%(last)s, %(first)s - 1) / 1000.0)"
)


@dataclass(frozen=True)
class Effort:
    """How long is measured."""

    step_s: float = 10.0
    latency_s: float = 30.0
    rest_s: float = 30.0
    backlog: int = HOUR
    single: tuple[int, ...] = (5_000, 10_000, 15_000, 20_000, 25_000, 30_000, 35_000)
    hundred: tuple[int, ...] = (750, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500)


QUICK = Effort(4.0, 10.0, 10.0, 60_000, (5_000, 10_000, 20_000, 30_000), (750, 1_500, 3_000))


class Receiver(Protocol):
    """Whatever takes messages from the broker."""

    @property
    def port(self) -> int:
        """Of its broker."""

    def count(self) -> int:
        """Samples it has dealt with since it was started."""

    def missing(self, samples: int) -> int:
        """Of so many samples sent since the last call, how many it has not kept."""


@dataclass(frozen=True)
class Step:
    """One rate, held or not."""

    rate: float
    sent_rate: float
    behind_s: float
    missing: int
    held: bool


class Stored:
    """A bridge with its database."""

    def __init__(self, process: BridgeProcess) -> None:
        self.process, self.port = process, process.broker_port

    def count(self) -> int:
        counted = [self.process.metric(name) for name in ("samples_total", "duplicate_samples_total")]
        return 0 if any(number != number for number in counted) else int(sum(counted))

    def missing(self, samples: int) -> int:
        with psycopg.connect(self.process.database) as conn:
            found = conn.execute("SELECT count(*) FROM telemetry_sample").fetchone()
            conn.execute("TRUNCATE telemetry_sample")
        assert found is not None
        return samples - int(found[0])


@dataclass
class Bare:
    """The subscriber that writes nothing."""

    port: int
    counter: Path
    samples: int = 1
    process: subprocess.Popen[bytes] | None = None
    _before: int = field(default=0)

    def start(self) -> Bare:
        self.counter.write_bytes(bytes(8))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.subscriber", str(self.port), str(self.counter)]
        )
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(10)

    def count(self) -> int:
        with self.counter.open("r+b") as file, mmap.mmap(file.fileno(), 8) as seen:
            (count,) = struct.unpack("q", seen[:])
        return int(count) * self.samples

    def missing(self, samples: int) -> int:
        return 0


class Clock:
    """Sample times: each measurement goes on where the last ended, so that no sample is said twice."""

    def __init__(self) -> None:
        self._next_ms = int(time.time() * 1000) - 6 * 3_600_000

    def after(self, load_samples: int, tags: int) -> int:
        first = self._next_ms
        self._next_ms += load_samples // tags + 1
        return first


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    results = {"machine": machine(), "quick": quick, **_measure(QUICK if quick else Effort())}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "bridge.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "bridge.md").write_text(_table(results))
    print(_table(results))


def _measure(effort: Effort) -> dict[str, Any]:
    clock = Clock()
    results: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(timescale.durable())
        url = stack.enter_context(migrated_database(server))
        with mosquitto.running() as broker, bridge(broker, url, folder / "home", DEMO_PLANT) as process:
            stored = Stored(process)
            _settle(stored, clock)
            results["rest"] = _rest(stored, clock, effort.rest_s)
            results["latency"] = [_latency(stored, clock, rate, effort.latency_s, folder) for rate in LATENCY_AIMS_MS]
            results["bridge"] = _limits(stored, clock, effort)
            _, steady = process.stop(), process.start
            results["bridge"]["drain"] = _drain(stored, clock, effort.backlog, steady)
            results["memory_mib"] = _memory(process)
        results["bare"] = _bare(clock, effort, folder)
    return results


def _bare(clock: Clock, effort: Effort, folder: Path) -> dict[str, Any]:
    with mosquitto.running() as broker:
        receiver = Bare(broker.port, folder / "counter").start()
        try:
            wait_until(lambda: _answers(receiver, clock), "a subscriber")
            found = _limits(receiver, clock, effort)
            receiver.stop()
            receiver.samples = 1
            found["drain"] = _drain(receiver, clock, effort.backlog, receiver.start)
        finally:
            receiver.stop()
    return found


def _answers(receiver: Bare, clock: Clock) -> bool:
    before = receiver.count()
    Sent.of(_load(receiver, clock, 1_000, 10, 1).start())
    time.sleep(0.2)
    return receiver.count() > before


def _settle(stored: Stored, clock: Clock) -> None:
    """Let every tag be known, and the code be warm."""
    samples = 12_000
    Sent.of(_load(stored, clock, 2_000, samples, 1).start())
    wait_until(lambda: stored.count() >= samples, "the first samples stored")
    assert stored.missing(samples) == 0


def _limits(receiver: Receiver, clock: Clock, effort: Effort) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, samples, rates in (("single", 1, effort.single), ("hundred", 100, effort.hundred)):
        if isinstance(receiver, Bare):
            receiver.samples = samples
        steps = list(_ladder(receiver, clock, rates, samples, effort.step_s))
        held = [step.rate for step in steps if step.held]
        found[name] = {
            "held": max(held, default=0) * samples, "missing": sum(step.missing for step in steps),
            "steps": [asdict(step) for step in steps],
        }  # fmt: skip
        print(name, type(receiver).__name__, found[name]["held"], file=sys.stderr)
    return found


def _ladder(receiver: Receiver, clock: Clock, rates: Sequence[int], samples: int, seconds: float) -> Iterator[Step]:
    """Ever more messages a second, until a rate is not held twice: others use this machine too."""
    for rate in rates:
        for _ in range(2):
            step = _step(receiver, _load(receiver, clock, rate, int(rate * seconds), samples))
            yield step
            if step.held:
                break
        else:
            return


def _step(receiver: Receiver, load: Load) -> Step:
    before, total = receiver.count(), load.messages * load.samples
    sent = Sent.of(load.start())
    wait_until(lambda: receiver.count() - before >= total, f"{total} samples", patience_s=120)
    behind = time.monotonic() - sent.ended
    held = behind < BEHIND_S and sent.rate > 0.97 * load.rate
    return Step(load.rate, round(sent.rate), round(behind, 3), receiver.missing(total), held)


def _drain(receiver: Receiver, clock: Clock, messages: int, start: Callable[[], object]) -> dict[str, float]:
    """What the broker kept while nobody was there, from the start of the process."""
    Sent.of(_load(receiver, clock, 0, messages, 1).start())
    began = time.monotonic()
    start()
    wait_until(lambda: receiver.count() >= messages, "the backlog drained", patience_s=600)
    seconds = time.monotonic() - began
    return {
        "messages": messages, "seconds": seconds, "per_second": messages / seconds,
        "times_real_time": messages / PLANT_RATE / seconds, "missing": receiver.missing(messages),
    }  # fmt: skip


def _latency(stored: Stored, clock: Clock, rate: int, seconds: float, folder: Path) -> dict[str, float]:
    """From the network call of the generator to a reader who finds the sample; of every `LATENCY_TAGS`th message."""
    messages = int(rate * seconds)
    first_ms = clock.after(messages, LATENCY_TAGS)
    load = Load(stored.port, rate, messages, 1, LATENCY_TAGS, first_ms, sent=str(folder / "sent.npy"))
    before = stored.count()
    params = {"tag": _first_tag(stored.process.database), "first": first_ms}
    with _viewer(stored.process.database, VISIBLE, params, folder / "seen.npy"):
        Sent.of(load.start())
        wait_until(lambda: stored.count() - before >= messages, "all samples stored", patience_s=120)
        time.sleep(0.2)
    seen, sent = np.load(folder / "seen.npy"), np.load(folder / "sent.npy")
    took_ms = (seen[:, 1] - sent[(seen[:, 0] - first_ms) * LATENCY_TAGS]) / 1e6
    return {
        "rate": rate, "observed": len(took_ms), "p50_ms": float(np.percentile(took_ms, 50)),
        "p99_ms": float(np.percentile(took_ms, 99)), "most_ms": float(took_ms.max()),
        "missing": stored.missing(messages),
    }  # fmt: skip


def _rest(stored: Stored, clock: Clock, seconds: float) -> dict[str, float]:
    """Shares of a core at the rate of the plant; nobody reads meanwhile."""
    processes = {"bridge": _of_bridge(stored.process), "database": _of_database(stored.process.database)}
    messages = int(PLANT_RATE * seconds)
    before = {name: _cpu_s(process) for name, process in processes.items()}
    began = time.monotonic()
    Sent.of(_load(stored, clock, PLANT_RATE, messages, 1).start())
    took = time.monotonic() - began
    shares = {name: (_cpu_s(process) - before[name]) / took for name, process in processes.items()}
    time.sleep(0.5)
    return {**shares, "together": sum(shares.values()), "missing": stored.missing(messages)}


def _load(receiver: Receiver, clock: Clock, rate: float, messages: int, samples: int) -> Load:
    return Load(receiver.port, rate, messages, samples, first_ms=clock.after(messages * samples, Load.tags))


@contextlib.contextmanager
def _viewer(url: str, query: str, params: dict[str, int], found: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.viewer", url, query, json.dumps(params), str(found)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield
    process.communicate()
    assert process.returncode == 0


def _first_tag(url: str) -> int:
    with psycopg.connect(url) as conn:
        found = conn.execute(
            "SELECT tag_id FROM tag WHERE machine_id = 'Press01' AND metric_name = 'Temperature_C'"
        ).fetchone()
    assert found is not None
    return int(found[0])


def _of_bridge(process: BridgeProcess) -> psutil.Process:
    assert process.process is not None
    return psutil.Process(process.process.pid)


def _of_database(url: str) -> psutil.Process:
    with psycopg.connect(url) as conn:
        server = psutil.Process(conn.info.backend_pid).parent()
    assert server is not None
    return server


def _cpu_s(process: psutil.Process) -> float:
    """Of a process and its children, also of those that have ended."""
    times = process.cpu_times()
    total: float = times.user + times.system + times.children_user + times.children_system
    for child in process.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            own = child.cpu_times()
            total += own.user + own.system
    return total


def _memory(process: BridgeProcess) -> float:
    resident: int = _of_bridge(process).memory_info().rss
    return resident / 2**20


def _table(results: dict[str, Any]) -> str:
    ours, bare, rest = results["bridge"], results["bare"], results["rest"]
    rows = [
        ("one sample a message, messages/s held", "single", 10_000),
        ("100 samples a message, samples/s held", "hundred", 150_000),
    ]
    missing = sum(part["missing"] for part in (*(ours[name] for name in ("single", "hundred", "drain")), rest,
                                               *results["latency"]))  # fmt: skip
    lines = [
        f"# The bridge{', a quick look' if results['quick'] else ''}",
        "",
        f"Commit {results['machine']['commit']}, {results['machine']['cpus']} CPUs shared by broker, generator, bridge "
        f"and database, load {results['machine']['load_average']:.1f} at the start. The bare subscriber (paho, "
        "acknowledges by hand, writes nothing) is the practical limit.",
        "",
        "| what | bridge | bare subscriber | ratio | aim | |",
        "|---|---|---|---|---|---|",
    ]
    for text, name, aim in rows:
        held, limit = ours[name]["held"], bare[name]["held"]
        lines.append(f"| {text} | {held:,} | {limit:,} | {_ratio(held, limit)} | {aim:,} | {verdict(held >= aim)} |")
    drain, limit = ours["drain"], bare["drain"]
    lines += [
        f"| backlog of {drain['messages']:,} messages, times real time | {drain['times_real_time']:.0f} | "
        f"{limit['times_real_time']:.0f} | {_ratio(drain['per_second'], limit['per_second'])} | 25 | "
        f"{verdict(drain['times_real_time'] >= 25)} |",
        "",
        "| publish to visible, messages/s | p50 ms | p99 ms | aim p99 | |",
        "|---|---|---|---|---|",
        *(
            f"| {one['rate']:,} | {one['p50_ms']:.0f} | {one['p99_ms']:.0f} | {LATENCY_AIMS_MS[one['rate']]} | "
            f"{verdict(one['p99_ms'] < LATENCY_AIMS_MS[one['rate']])} |"
            for one in results["latency"]
        ),
        "",
        "| what | measured | aim | |",
        "|---|---|---|---|",
        f"| share of a core at {PLANT_RATE} messages/s, bridge and database | {rest['bridge']:.1%} + "
        f"{rest['database']:.1%} = {rest['together']:.1%} | 15% | {verdict(rest['together'] < 0.15)} |",
        f"| samples the broker took and the database has not | {missing} | 0 | {verdict(missing == 0)} |",
        f"| memory of the bridge after all this, MiB | {results['memory_mib']:.0f} | | |",
        "",
    ]
    return "\n".join(lines)


def _ratio(ours: float, theirs: float) -> str:
    return f"{ours / theirs:.2f}" if theirs else "-"


if __name__ == "__main__":
    main()
