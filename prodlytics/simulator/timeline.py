"""One machine's weeks, stretch by stretch.

Belongs here: what the machine did when and why, from the plan and chance. Does not belong here: pieces (`cycles.py`),
sensors (`signals.py`), what anybody is told of it. Times are integer milliseconds since 1970 (UTC), which is what
controllers' gateways report.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from prodlytics.plant.calendar import plan_rows
from prodlytics.plant.model import Machine, MachineStateName, Part, Plant
from prodlytics.simulator import catalogue
from prodlytics.simulator.catalogue import HOUR_MS, Character, Signal, StopKind

MINUTE_MS = 60_000


class PlanRow(NamedTuple):
    """A row of the plan; begin and end in milliseconds since 1970."""

    begin: int
    end: int
    plan: str
    shift: str | None
    date: dt.date


class Stretch(NamedTuple):
    """What a machine did in [begin, end). `cycle_ms` is 0 unless it ran; `wear` is that of the tool at the begin."""

    begin: int
    end: int
    state: MachineStateName
    reason: str | None
    fault: int
    order: int
    cycle_ms: float
    tool: int
    wear: float
    wear_per_ms: float
    scrap: float
    plan: str
    shift: str | None


class Order(NamedTuple):
    """A work order as planned: good pieces wanted, pieces to start, pieces made before the story begins."""

    part: Part | None
    quantity: int
    pieces: int
    done_before: int
    pace: float


class Omen(NamedTuple):
    """A sensor that drifts over [begin, end) before a fault (or for no reason: then `real` is False)."""

    signal: Signal
    begin: int
    end: int
    strength: float
    real: bool


class ForcedStop(NamedTuple):
    """A stop the story wants: no chance involved."""

    begin: int
    end: int
    reason: str
    fault: int


@dataclass
class Timeline:
    """One machine's whole story."""

    machine: Machine
    plan: list[PlanRow]
    stretches: list[Stretch]
    orders: list[Order]
    omens: list[Omen]
    tool_changes: list[tuple[int, int]] = field(default_factory=list)
    "Time and number of the new tool."


class _Stop(NamedTuple):
    until: int
    state: MachineStateName
    reason: str | None
    fault: int


def read_plan(plant: Plant, machine: Machine, start: dt.datetime, end: dt.datetime) -> list[PlanRow]:
    """The plan of a machine in [start, end)."""
    rows = plan_rows(plant, machine, start, end)
    begins = _ms(rows["starts_at"])
    ends = _ms(rows["ends_at"])
    return [
        PlanRow(begin, until, str(plan), shift, date)
        for begin, until, plan, shift, date in zip(
            begins, ends, rows["plan"], rows["shift"], rows["production_date"], strict=True
        )
    ]


def _ms(times: pd.Series) -> list[int]:
    return [int(t) for t in times.to_numpy(dtype="datetime64[ms]").astype(np.int64)]


def live(
    plant: Plant,
    machine: Machine,
    plan: Sequence[PlanRow],
    forced: ForcedStop | None,
    seed: tuple[int, ...],
    weak: bool,
) -> Timeline:
    """Let a machine live through its plan.

    Args:
        plant: For parts, reasons and fault codes.
        machine: Which one.
        plan: Rows in order without gaps.
        forced: A stop that has to happen.
        seed: The same seed gives the same story.
        weak: Whether it breaks down more often than others.
    """
    rng = np.random.default_rng(seed)
    walk = _Walk(plant, machine, plan[0], catalogue.character(machine, rng, weak), rng)
    for row in _cut(plan, forced):
        if forced and row.begin == forced.begin:
            walk.stop = _Stop(forced.end, "fault", walk.known(forced.reason), forced.fault)
        walk.live_through(row)
    walk.drift_for_nothing(plan[0].begin, plan[-1].end)
    return Timeline(machine, list(plan), walk.stretches, walk.orders, walk.omens, walk.tool_changes)


def _cut(plan: Sequence[PlanRow], forced: ForcedStop | None) -> list[PlanRow]:
    """The plan with an edge where the forced stop begins."""
    rows: list[PlanRow] = []
    for row in plan:
        if forced and row.begin < forced.begin < row.end:
            rows += [row._replace(end=forced.begin), row._replace(begin=forced.begin)]
        else:
            rows.append(row)
    return rows


class _Walk:
    """A machine on its way through time: what is going on, and how far the next events are."""

    def __init__(
        self, plant: Plant, machine: Machine, first: PlanRow, character: Character, rng: np.random.Generator
    ) -> None:
        self.machine, self.character, self.rng = machine, character, rng
        self.zone: ZoneInfo = plant.zone
        self.parts = catalogue.parts_of(plant, machine)
        self.codes = catalogue.fault_codes(plant)
        self.reasons = catalogue.known_reasons(plant)
        self.stretches: list[Stretch] = []
        self.orders: list[Order] = []
        self.omens: list[Omen] = []
        self.tool_changes: list[tuple[int, int]] = []
        self.stop: _Stop | None = None
        self.row = first
        self.last_work: PlanRow | None = None
        self.tool, self.tool_used_ms = 0, 0.0
        self.tool_life_ms = self.draw_tool_life() * float(rng.uniform(0.4, 1.0))
        self.micro_ms = self.exponential(character.micro_every_h)
        self.clocks_ms = np.array([self.exponential(hours) for hours in character.every_h])
        self.pieces_left = 0.0
        self.next_order(first.date, begun=float(rng.uniform(0.2, 0.9)))

    # ---- chance ----------------------------------------------------------------------------------------------------
    def exponential(self, hours: float) -> float:
        return float(self.rng.exponential(hours)) * HOUR_MS

    def lognormal_ms(self, median_min: float, sigma: float, least_s: float = 5.0) -> int:
        drawn = median_min * MINUTE_MS * float(np.exp(self.rng.normal(0.0, sigma)))
        return int(max(drawn, least_s * 1000))

    def draw_tool_life(self) -> float:
        return self.character.tool_life_h * float(self.rng.normal(1.0, 0.08)) * HOUR_MS

    def known(self, reason: str) -> str | None:
        return reason if reason in self.reasons else None

    def drift_for_nothing(self, begin: int, end: int) -> None:
        """Sensors also drift when nothing is wrong; whoever learns from them has to live with it."""
        for _ in range(self.rng.poisson((end - begin) / (96 * HOUR_MS))):
            at = int(self.rng.integers(begin, end))
            signal: Signal = ("temperature", "vibration", "power")[int(self.rng.integers(3))]
            self.omens.append(Omen(signal, at, at + int(self.rng.integers(4, 14)) * MINUTE_MS, 0.6, real=False))

    # ---- the plan --------------------------------------------------------------------------------------------------
    def live_through(self, row: PlanRow) -> None:
        self.row = row
        if row.plan == "planned":
            self.come_to_work(row)
            self.work(row.begin, row.end)
            self.last_work = row
        elif row.plan == "break":
            self.rest(row)
        elif row.plan == "planned_stop":
            self.add(row.begin, row.end, "off", self.known(catalogue.MAINTENANCE), 0)
            self.stop = None
        else:
            self.leave(row)

    def come_to_work(self, row: PlanRow) -> None:
        """Nobody presses the button on the minute: warming up at a shift's start, a minute or two after a break."""
        if self.stop is not None:
            return
        fresh = self.last_work is None or self.last_work.shift != row.shift or self.last_work.date != row.date
        away = not self.stretches or self.stretches[-1].state == "off"
        if fresh:
            late = self.lognormal_ms(6.0 if away else 2.0, 0.5)
        elif self.stretches and self.stretches[-1].plan == "break" and self.stretches[-1].state != "running":
            late = self.lognormal_ms(1.2, 0.7)
        else:
            return
        self.stop = _Stop(row.begin + late, "idle", None, 0)

    def rest(self, row: PlanRow) -> None:
        if self.stop is not None:
            until = min(self.stop.until, row.end)
            self.add(row.begin, until, self.stop.state, self.stop.reason, self.stop.fault)
            self.stop = None if until < row.end else self.stop
            if until < row.end:
                self.add(until, row.end, "idle", None, 0)
        elif self.rng.random() < self.character.works_through_breaks:
            self.work(row.begin, row.end)
        else:
            self.add(row.begin, row.end, "idle", None, 0)

    def leave(self, row: PlanRow) -> None:
        """Off until the next shift; now and then somebody stays to get an order out."""
        begin = row.begin
        stays = self.stretches and self.stretches[-1].state == "running" and row.end - row.begin > 6 * HOUR_MS
        if stays and self.rng.random() < 0.25:
            begin = row.begin + int(self.rng.integers(20, 90)) * MINUTE_MS
            self.work(row.begin, begin)
        self.stop = None
        self.add(begin, row.end, "off", None, 0)

    # ---- work ------------------------------------------------------------------------------------------------------
    def work(self, begin: int, end: int) -> None:
        at = begin
        while at < end:
            if self.stop is not None:
                until = min(self.stop.until, end)
                self.add(at, until, self.stop.state, self.stop.reason, self.stop.fault)
                if self.stop.until <= end:
                    self.stop = None
                at = max(until, at)
            else:
                at = self.run(at, end)

    def run(self, at: int, end: int) -> int:
        """Run until something happens or time is up; returns when."""
        bent = catalogue.bent(catalogue.local_hour(self.zone, at))
        order = self.orders[-1]
        slow = 1.18 if self.rng.random() < 0.07 else 1.0
        pace = self.character.pace * order.pace * bent.pace * slow * float(self.rng.normal(1.0, 0.008))
        cycle_ms = catalogue.ideal_cycle_ms(self.machine, order.part, self.row.date) * pace
        wear = self.tool_used_ms / self.tool_life_ms
        rates = np.array(
            [bent.stops * (0.3 + 2.0 * wear if k.reason == catalogue.TOOL_BREAK else 1.0) for k in self.character.kinds]
        )
        waits = self.clocks_ms / rates
        first = int(np.argmin(waits))
        order_ms = self.pieces_left * cycle_ms
        tool_ms = self.tool_life_ms - self.tool_used_ms
        micro_ms = self.micro_ms / bent.stops
        ahead = max(min(float(waits[first]), order_ms, tool_ms, micro_ms), 1.0)
        until = min(at + int(np.ceil(ahead)), end)
        lasted = until - at
        self.add(at, until, "running", None, 0, cycle_ms, wear, bent.scrap)
        self.tool_used_ms += lasted
        self.pieces_left -= lasted / cycle_ms
        self.micro_ms -= lasted * bent.stops
        self.clocks_ms -= lasted * rates
        self.meet(until)
        return until

    def meet(self, at: int) -> None:
        """What is due now, if anything; the rest stays due and comes next."""
        due = int(np.argmin(self.clocks_ms))
        if self.pieces_left <= 0:
            self.change_over(at)
        elif self.tool_used_ms >= self.tool_life_ms:
            self.change_tool(at, self.lognormal_ms(7.0, 0.35))
        elif self.clocks_ms[due] <= 0:
            self.clocks_ms[due] = self.exponential(self.character.every_h[due])
            self.break_down(at, self.character.kinds[due])
        elif self.micro_ms <= 0:
            self.micro_ms = self.exponential(self.character.micro_every_h)
            jam = self.rng.random() < 0.25
            until = at + int(np.clip(self.lognormal_ms(0.6, 0.6, 4.0), 4_000, 115_000))
            fault = self.codes.get("ELEC_SENSOR", catalogue.UNMAPPED_FAULT) if jam else 0
            self.stop = _Stop(until, "fault" if jam else "idle", None, fault)

    def break_down(self, at: int, kind: StopKind) -> None:
        lasts = self.lognormal_ms(kind.median_min, kind.sigma, 20.0)
        fault = 0
        if kind.state == "fault":
            # A fault in twenty shows a number that says nothing.
            mute = self.rng.random() < 0.05
            fault = catalogue.UNMAPPED_FAULT if mute else self.codes.get(kind.reason, catalogue.UNMAPPED_FAULT)
        if kind.signal is not None and self.rng.random() < 0.9:
            lead = int(kind.lead_min * MINUTE_MS * float(self.rng.uniform(0.7, 1.4)))
            self.omens.append(Omen(kind.signal, at - lead, at, float(self.rng.uniform(0.8, 1.4)), real=True))
        if kind.reason == catalogue.TOOL_BREAK:
            self.new_tool(at + lasts)
        self.stop = _Stop(at + lasts, catalogue.sayable(self.machine, kind.state), self.known(kind.reason), fault)

    def change_tool(self, at: int, lasts: int) -> None:
        self.new_tool(at + lasts)
        self.stop = _Stop(at + lasts, "setup", self.known(catalogue.TOOL_CHANGE), 0)

    def new_tool(self, at: int) -> None:
        self.tool += 1
        self.tool_used_ms, self.tool_life_ms = 0.0, self.draw_tool_life()
        self.tool_changes.append((at, self.tool))

    def change_over(self, at: int) -> None:
        before = self.orders[-1].part
        self.next_order(self.row.date)
        same = before is self.orders[-1].part
        self.stop = _Stop(at + self.lognormal_ms(8 if same else 27, 0.35), "setup", self.known(catalogue.CHANGEOVER), 0)

    def next_order(self, day: dt.date, begun: float = 0.0) -> None:
        part = self.parts[int(self.rng.integers(len(self.parts)))] if self.parts else None
        cycle_ms = catalogue.ideal_cycle_ms(self.machine, part, day)
        step = 50 if cycle_ms < 20_000 else 10
        wanted = float(self.rng.uniform(5.0, 15.0)) * HOUR_MS / cycle_ms
        quantity = max(round(wanted / step) * step, step)
        pieces = int(np.ceil(quantity * 1.025))
        done = int(pieces * begun)
        self.orders.append(Order(part, quantity, pieces, done, float(self.rng.choice([1.0, 1.02, 1.05, 1.12]))))
        self.pieces_left = float(pieces - done)

    def add(
        self, begin: int, end: int, state: MachineStateName, reason: str | None, fault: int,
        cycle_ms: float = 0.0, wear: float = 0.0, scrap: float = 0.0,
    ) -> None:  # fmt: skip
        if end <= begin:
            return
        running = state == "running"
        self.stretches.append(
            Stretch(
                begin, end, state if running else catalogue.sayable(self.machine, state), reason, fault,
                len(self.orders) - 1, cycle_ms, self.tool, wear, 1.0 / self.tool_life_ms if running else 0.0,
                scrap * self.character.scrap, self.row.plan, self.row.shift,
            )
        )  # fmt: skip
