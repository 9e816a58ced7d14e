"""Weeks of a factory in seconds, as landed files.

Belongs here: the order of things, from the plan to the files, and how densely sensors are sampled. Does not belong
here: any detail of a machine, a sensor or a file (the modules beside this one).
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from prodlytics.plant.calendar import production_date_of, production_day
from prodlytics.plant.model import Plant
from prodlytics.simulator import cycles as pieces
from prodlytics.simulator import mishaps, paper_files, paperwork, series, signals, story, timeline
from prodlytics.simulator import truth as facts
from prodlytics.simulator.catalogue import HOUR_MS, ideal_cycle_ms
from prodlytics.simulator.cycles import Cycles
from prodlytics.simulator.series import Series
from prodlytics.simulator.story import Story, Trouble
from prodlytics.simulator.telemetry_files import TelemetryFiles
from prodlytics.simulator.timeline import Timeline

#: Telemetry rows of a machine and day, weekends included: 5 million for 12 machines in 45 days.
ROWS_PER_MACHINE_DAY = 9_260
DAY = dt.timedelta(days=1)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class SimulationReport:
    """What was written.

    Attributes:
        start: First instant of the story (UTC).
        end: First instant after it.
        telemetry_rows: Samples in all telemetry files.
        good: Good pieces of all machines.
        rejects: Rejected pieces.
        files: The landed files in the order in which they would have arrived.
        late_files: Those of them that hold rows of an earlier day.
        odd_rows: Rows that are not simply stored, by what is wrong with them.
    """

    seed: int
    start: dt.datetime
    end: dt.datetime
    telemetry_rows: int
    good: int
    rejects: int
    files: tuple[Path, ...]
    late_files: tuple[Path, ...]
    odd_rows: dict[str, int]


@dataclass
class _Factory:
    """The story while it is being told.

    `edges` are the day boundaries in milliseconds, the end included. From day `messages_from` on the gateway's own
    messages landed, before it one table a day.
    """

    plant: Plant
    seed: int
    edges: list[int]
    dates: list[dt.date]
    messages_from: int
    story: Story
    timelines: list[Timeline] = field(default_factory=list)
    made: dict[str, Cycles] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)


def simulate(
    plant: Plant,
    landing: Path,
    truth: Path,
    *,
    end: dt.datetime,
    days: int = 45,
    seed: int | None = None,
    progress: Progress | None = None,
) -> SimulationReport:
    """Simulate a plant and write what it would have sent us.

    The same plant, end, days and seed give the same files, byte for byte. A landing place holds one story: another
    end is another story.

    Args:
        plant: The factory.
        landing: Folder for telemetry/, work_orders/, part_costs/ and operator_entries/.
        truth: Folder for what really happened (`truth.load_truth`), outside the landing place.
        end: The story's last instant, with a zone; its production day is told up to here.
        days: Production days, that of `end` included; none before the plant's first day.
        seed: Chance; None for the plant's own.
        progress: Called with steps done and steps in all.

    Raises:
        ValueError: `end` has no zone, there is no day to tell, or a machine works in a way that is not simulated.
    """
    steps = 2 * len(plant.machines) + days + 1
    done = 0

    def step() -> None:
        nonlocal done
        done = min(done + 1, steps)
        if progress is not None:
            progress(done, steps)

    factory = _open(plant, end, days, seed)
    for index in range(len(plant.machines)):
        _live(factory, index)
        step()
    tags = _tags(factory, step)
    tags, late = _mistreated(factory, tags)
    telemetry, late_files, rows, odd = _write_telemetry(factory, landing, tags, late, step)
    papers = _write_papers(factory, landing)
    _write_truth(factory, truth, rows, odd)
    if progress is not None:
        progress(steps, steps)
    rejects = sum(int(c.reject.sum()) for c in factory.made.values())
    return SimulationReport(
        seed=factory.seed,
        start=dt.datetime.fromtimestamp(factory.edges[0] / 1000, dt.UTC),
        end=dt.datetime.fromtimestamp(factory.edges[-1] / 1000, dt.UTC),
        telemetry_rows=rows,
        good=sum(len(c.time) for c in factory.made.values()) - rejects,
        rejects=rejects,
        files=(*papers, *telemetry),
        late_files=tuple(late_files),
        odd_rows=odd,
    )


def refuse_what_is_not_simulated(plant: Plant) -> None:
    """Make sure that every machine can be simulated.

    Raises:
        ValueError: One works in a way that is not simulated.
    """
    for machine in plant.machines:
        if machine.state.source != "telemetry" or "running" not in machine.state.map.values():
            raise ValueError(f"{machine.id} cannot be simulated: only machines that send their state as a tag can")
        if any(counter.kind != "cumulative" for counter in machine.counters):
            raise ValueError(f"{machine.id} cannot be simulated: only counters that run up (kind: cumulative) can")


def _open(plant: Plant, end: dt.datetime, days: int, seed: int | None) -> _Factory:
    refuse_what_is_not_simulated(plant)
    last = production_date_of(plant, end)
    first = max(last - (days - 1) * DAY, plant.first_day)
    if days < 1 or first > last or not plant.machines:
        raise ValueError(f"nothing to simulate: {days} days up to {end} with the plant's first day {plant.first_day}")
    chance = seed if seed is not None else plant.simulation.seed if plant.simulation else 0
    dates = [first + n * DAY for n in range((last - first).days + 1)]
    starts = [production_day(plant, date)[0] for date in dates]
    edges = [_ms(start) for start in starts] + [_ms(end)]
    if edges[-1] == edges[-2]:
        del edges[-1], dates[-1]
    plans = {m.id: timeline.read_plan(plant, m, starts[0], _instant(edges[-1])) for m in plant.machines}
    messages_from = _last_days(plans[plant.machines[0].id], edges)
    told = story.choose(plant, plans, edges[messages_from], chance)
    return _Factory(plant, chance, edges, dates, messages_from, told)


def _last_days(plan: Sequence[timeline.PlanRow], edges: Sequence[int]) -> int:
    """The first of the last days on which half a day of work was planned, so that there is work among them."""
    for n in range(len(edges) - 2, -1, -1):
        work = sum(max(row.end - max(row.begin, edges[n]), 0) for row in plan if row.plan == "planned")
        if work >= 10 * HOUR_MS:
            return n
    return 0


def _ms(instant: dt.datetime) -> int:
    return round(instant.timestamp() * 1000)


def _instant(at: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC)


def _live(factory: _Factory, index: int) -> None:
    """Let one machine live, and make its pieces."""
    plant, told, machine = factory.plant, factory.story, factory.plant.machines[index]
    plan = timeline.read_plan(plant, machine, _instant(factory.edges[0]), _instant(factory.edges[-1]))
    forced = told.outage[1] if told.outage and told.outage[0] == machine.id else None
    life = timeline.live(plant, machine, plan, forced, (factory.seed, 1, index), weak=told.weak == machine.id)
    lots = [told.bad_lot[1]] if told.bad_lot and told.bad_lot[0] == machine.id else []
    factory.timelines.append(life)
    factory.made[machine.id] = pieces.make(life, lots, (factory.seed, 2, index))
    if forced:
        factory.troubles.append(Trouble("outage", machine.id, forced.begin, forced.end, f"fault {forced.fault}"))
    factory.troubles += [
        Trouble("bad_lot", machine.id, lot.begin, lot.end, f"{lot.times:g} times the rejects") for lot in lots
    ]


def _tags(factory: _Factory, step: Callable[[], None]) -> list[Series]:
    """Every tag of every machine; sensors as often as the wanted number of rows allows."""
    fixed: list[Series] = []
    for index in range(len(factory.timelines)):
        fixed += _event_tags(factory, index)
        step()
    wanted = ROWS_PER_MACHINE_DAY * len(factory.timelines) * (factory.edges[-1] - factory.edges[0]) / (24 * HOUR_MS)
    left = wanted - sum(len(one.time) for one in fixed)
    busy = 0.0
    for life in factory.timelines:
        running, standing = signals.sample_count(life)
        sensors = 4 if life.machine.vibration_limits is not None else 2
        busy += running * sensors
        left -= standing / signals.IDLE_EVERY_MS + standing / signals.REST_EVERY_MS * sensors
    every = int(np.clip(busy / max(left, 1.0), 5_000, 120_000))
    for index, life in enumerate(factory.timelines):
        fixed += signals.sensors(life.machine, life, every, (factory.seed, 3, index))
    return fixed


def _event_tags(factory: _Factory, index: int) -> list[Series]:
    life, begin, end = factory.timelines[index], factory.edges[0], factory.edges[-1]
    machine, made, told = life.machine, factory.made[life.machine.id], factory.story
    reset_at = None
    if told.reset and told.reset[0] == machine.id:
        reset_at = story.reset_time(life, told.reset[1], factory.edges[factory.messages_from])
        if reset_at is not None:
            factory.troubles.append(Trouble("counter_reset", machine.id, reset_at, reset_at, "all counters to 0"))
    starts = series.counter_starts(machine, np.random.default_rng((factory.seed, 4, index)))
    tags = series.counters(machine, made, begin, starts, reset_at)
    for one in tags:
        factory.troubles += story.rollovers(machine, one.metric, one.time, one.value)
    counted = np.unique(np.concatenate([one.time for one in tags])) if tags else np.zeros(0, dtype=np.int64)
    cycle_time = series.cycle_times(machine, made, counted)
    ideal = [ideal_cycle_ms(machine, order.part, _order_date(life, n)) for n, order in enumerate(life.orders)]
    tags += [
        *series.states(machine, life),
        series.tools(machine, life, begin, end),
        series.targets(machine, life, ideal),
    ]
    # Each production day the gateway starts anew and sends every tag once.
    daily = np.array(factory.edges[1:-1], dtype=np.int64) + 4_000 + 37 * index
    tags = [series.refreshed(one, daily) for one in tags]
    return tags if cycle_time is None else [*tags, cycle_time]


def _order_date(life: Timeline, order: int) -> dt.date:
    begin = next((s.begin for s in life.stretches if s.order == order), life.plan[-1].begin)
    return next(row.date for row in reversed(life.plan) if row.begin <= begin)


def _mistreated(factory: _Factory, tags: Sequence[Series]) -> tuple[list[Series], list[Series]]:
    """The tags as they arrived, and what arrived late."""
    told, kept = factory.story, list(tags)
    late: list[Series] = []
    if told.stale is not None:
        machine, after = told.stale
        metric = next((c.metric for c in factory.plant.machine(machine).counters if c.counts == "good"), "")
        kept, at = mishaps.out_of_order(kept, machine, metric, after)
        if at is not None:
            factory.troubles.append(Trouble("stale_reading", machine, at, at, f"{metric} shows an older count"))
    if told.gap is not None:
        kept = mishaps.lose(kept, told.gap)
        factory.troubles.append(told.gap)
    if told.late is not None:
        kept, late = mishaps.hold_back(kept, told.late)
        factory.troubles.append(told.late)
    return kept, late


def _write_telemetry(
    factory: _Factory, landing: Path, tags: Sequence[Series], late: Sequence[Series], step: Callable[[], None]
) -> tuple[list[Path], list[Path], int, dict[str, int]]:
    plant, edges = factory.plant, factory.edges
    folder = landing / "telemetry"
    files = TelemetryFiles(plant, tags, edges[-1], (factory.seed, 5))
    written: list[Path] = []
    odd: Counter[str] = Counter()
    rows = 0
    for n, date in enumerate(factory.dates):
        # Every ninth day has wrong rows, and so has the first day of messages.
        strange = n % 9 == 3 or n == factory.messages_from
        wrong = mishaps.oddities(plant, tags, edges[n], edges[n + 1], (factory.seed, 6, n)) if strange else []
        odd.update(row.why for row in wrong)
        if n >= factory.messages_from:
            written.append(folder / f"kepserverex-{date}.ndjson")
            rows += files.messages(written[-1], edges[n], edges[n + 1], wrong)
        else:
            written.append(folder / f"telemetry-{date}.parquet")
            rows += files.table(written[-1], edges[n], edges[n + 1], wrong)
        step()
    late_files: list[Path] = []
    if late and factory.story.late is not None:
        held = factory.story.late
        date = production_date_of(plant, _instant(held.begin))
        late_files.append(folder / f"late-{date}-{held.machine}.parquet")
        sent_at = min(held.end + 26 * HOUR_MS, edges[-1])
        rows += TelemetryFiles(plant, late, edges[-1], (factory.seed, 8)).table(
            late_files[0], edges[0], edges[-1], sent_at=sent_at
        )
    return [*written, *late_files], late_files, rows, dict(sorted(odd.items()))


def _write_papers(factory: _Factory, landing: Path) -> list[Path]:
    plant, end = factory.plant, factory.edges[-1]
    entries: list[paperwork.Row] = []
    orders: list[paperwork.Row] = []
    for index, life in enumerate(factory.timelines):
        made = factory.made[life.machine.id]
        entries += paperwork.reason_entries(plant, life, end, (factory.seed, 9, index))
        entries += paperwork.scrap_entries(plant, life, made, index % 2 == 0, end, (factory.seed, 10, index))
        orders += paperwork.work_orders(plant, life, made, end, (factory.seed, 11, index))
    last = factory.dates[-1].isoformat()
    change = factory.dates[len(factory.dates) // 2].isoformat()
    files = [
        paper_files.write_csv(plant, landing, "part_costs", f"part-costs-{last}", paperwork.part_costs(plant, change)),
        paper_files.write_csv(plant, landing, "work_orders", f"work-orders-{last}", orders),
    ]
    by_day: dict[dt.date, list[paperwork.Row]] = {}
    for row in paperwork.numbered(entries):
        place = int(np.searchsorted(factory.edges, int(str(row["entered_at"])), side="right")) - 1
        by_day.setdefault(factory.dates[min(place, len(factory.dates) - 1)], []).append(row)
    for date in sorted(by_day):
        files.append(paper_files.write_csv(plant, landing, "operator_entries", f"entries-{date}", by_day[date]))
    return files


def _write_truth(factory: _Factory, folder: Path, rows: int, odd: dict[str, int]) -> None:
    begin, end = factory.edges[0], factory.edges[-1]
    lives = factory.timelines
    changes = [
        (life.machine.id, at, series.tool_name(life.machine, tool))
        for life in lives
        for at, tool in life.tool_changes
        if begin < at < end
    ]
    omens = [(life.machine.id, omen.signal, omen.begin, omen.end, omen.real) for life in lives for omen in life.omens]
    facts.save(
        folder,
        facts.Truth(
            seed=factory.seed,
            start=facts.iso(begin),
            end=facts.iso(end),
            telemetry_rows=rows,
            odd_rows=odd,
            troubles=facts.troubles_of(factory.troubles),
            states=facts.state_frame(factory.plant, lives),
            production=facts.production_frame(lives, factory.made),
            tool_changes=facts.event_frame(("machine_id", "time", "tool_id"), changes),
            omens=facts.event_frame(("machine_id", "signal", "starts_at", "ends_at", "real"), omens),
        ),
    )
