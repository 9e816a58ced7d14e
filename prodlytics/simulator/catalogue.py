"""What can happen to a machine, and how often.

Belongs here: kinds of stops with their frequency, length and early signs; the character of each machine. Does not
belong here: when something happens (`timeline.py`), what sensors make of it (`signals.py`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np

from prodlytics.plant.model import Machine, MachineStateName, Part, Plant

Signal = Literal["temperature", "vibration", "power"]

#: Cycle of a part for which neither part nor machine has an ideal one, in milliseconds.
DEFAULT_CYCLE_MS = 30_000.0
HOUR_MS = 3_600_000


@dataclass(frozen=True)
class StopKind:
    """One reason for which machines stop.

    Attributes:
        reason: Code of the reason tree; a plant without it stops all the same, without a reason.
        every_h: Mean running hours between two such stops.
        median_min: Median length; lengths are lognormal with `sigma`.
        state: What the controller says meanwhile.
        signal: The sensor that shows it coming, `lead_min` minutes before.
        moving: Needs a rotating machine with a tool, such as one whose vibration is watched.
    """

    reason: str
    every_h: float
    median_min: float
    sigma: float = 0.6
    state: MachineStateName = "fault"
    signal: Signal | None = None
    lead_min: float = 0.0
    moving: bool = False


#: Faults have a code; the other stops are an idle machine that does not say why.
STOP_KINDS = (
    StopKind("MECH_BEARING", 160, 45, 0.7, signal="vibration", lead_min=18, moving=True),
    StopKind("MECH_HYDRAULIC", 90, 22, signal="vibration", lead_min=12, moving=True),
    StopKind("MECH_PNEUMATIC", 75, 10),
    StopKind("MECH_SPINDLE", 80, 30, 0.7, signal="temperature", lead_min=16, moving=True),
    StopKind("ELEC_DRIVE", 120, 25, 0.7, signal="power", lead_min=9),
    StopKind("ELEC_SENSOR", 45, 6),
    StopKind("ELEC_WIRING", 260, 40, 0.8),
    StopKind("ELEC_POWER", 320, 15),
    StopKind("TOOL_BREAK", 70, 12, signal="vibration", lead_min=6, moving=True),
    StopKind("MATL_DEFECT", 60, 9),
    StopKind("QUAL_DIMENSION", 90, 14),
    StopKind("MATL_SHORTAGE", 13, 9, 0.7, state="starved"),
    StopKind("OPER_PROGRAM_ERROR", 70, 10, state="idle", moving=True),
    StopKind("OPER_TRAINING", 110, 16, state="idle"),
    StopKind("QUAL_VISUAL", 45, 7, state="idle"),
    StopKind("MAIN_CLEANING", 26, 8, 0.4, state="idle"),
    StopKind("NODM_GAP", 90, 24, state="idle"),
)
TOOL_BREAK, TOOL_CHANGE, CHANGEOVER, MAINTENANCE = "TOOL_BREAK", "TOOL_CHANGE", "CHNG_SETUP", "MAIN_PM"
#: A fault nobody mapped to a reason: people have to name it.
UNMAPPED_FAULT = 900


@dataclass(frozen=True)
class Character:
    """How one machine differs from the others; rates multiply, hours are running hours."""

    kinds: tuple[StopKind, ...]
    every_h: tuple[float, ...]
    micro_every_h: float
    pace: float
    "Real cycle over ideal cycle on a good day."
    scrap: float
    "Share of rejects with a sharp tool on the day shift."
    tool_life_h: float
    works_through_breaks: float


@dataclass(frozen=True)
class Bent:
    """How a shift differs from the best one."""

    pace: float
    scrap: float
    stops: float


def character(machine: Machine, rng: np.random.Generator, weak: bool) -> Character:
    """Draw a machine's character; a weak one breaks down more than twice as often."""
    moving = machine.vibration_limits is not None
    kinds = tuple(kind for kind in STOP_KINDS if moving or not kind.moving)
    spread = np.exp(rng.normal(0.0, 0.35, len(kinds)))
    faults = np.array([0.4 if weak and kind.state == "fault" else 1.0 for kind in kinds])
    hours = np.array([kind.every_h for kind in kinds]) * spread * faults
    return Character(
        kinds=kinds,
        every_h=tuple(float(h) for h in hours),
        micro_every_h=float(rng.uniform(0.45, 1.1)),
        pace=float(rng.uniform(1.03, 1.12)),
        scrap=float(rng.uniform(0.008, 0.022)),
        tool_life_h=float(rng.uniform(9.0, 18.0)),
        works_through_breaks=float(rng.choice([0.0, 0.02, 0.12])),
    )


def bent(local_hour: int) -> Bent:
    """The night is slower, scraps more and stops more often; the afternoon lies in between."""
    if local_hour >= 22 or local_hour < 5:
        return Bent(pace=1.06, scrap=1.6, stops=1.35)
    if local_hour >= 14:
        return Bent(pace=1.02, scrap=1.15, stops=1.1)
    return Bent(pace=1.0, scrap=1.0, stops=1.0)


def parts_of(plant: Plant, machine: Machine) -> tuple[Part, ...]:
    """The parts a machine can make: those with an ideal cycle on it, else all."""
    own = tuple(part for part in plant.parts if machine.id in part.ideal_cycle_time_ms)
    return own or plant.parts


def ideal_cycle_ms(machine: Machine, part: Part | None, day: dt.date) -> float:
    """The ideal cycle in force: the part's on this machine, else the machine's own."""
    steps = part.ideal_cycle_time_ms.get(machine.id) if part else None
    ideal = steps.on(day) if steps else None
    if ideal is None and machine.ideal_cycle_time_ms is not None:
        ideal = machine.ideal_cycle_time_ms.on(day)
    return float(ideal) if ideal else DEFAULT_CYCLE_MS


def fault_codes(plant: Plant) -> dict[str, int]:
    """Reason code to the number a controller shows for it."""
    return {reason: int(code) for code, reason in plant.fault_reasons.items() if code.isdigit()}


def known_reasons(plant: Plant) -> frozenset[str]:
    """All reason codes of the second level."""
    return frozenset(reason.code for category in plant.reasons for reason in category.reasons)


def sayable(machine: Machine, state: MachineStateName) -> MachineStateName:
    """The state as this machine's controller can say it: without a word for starved or blocked it says idle."""
    words = set(machine.state.map.values())
    if state in words or not words:
        return state
    return "idle" if state in {"starved", "blocked"} else "off"


def local_time(zone: ZoneInfo, at: int) -> dt.datetime:
    """The plant's wall time at an instant in milliseconds since 1970."""
    return dt.datetime.fromtimestamp(at / 1000, zone)


def local_hour(zone: ZoneInfo, at: int) -> int:
    """The hour of the plant's wall time."""
    return local_time(zone, at).hour
