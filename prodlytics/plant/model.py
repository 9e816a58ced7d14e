"""What the client tells us about the plant, as types.

Belongs here: the shape of `plant.yaml` and what makes a single value valid, each with a message that says what to
write instead. Does not belong here: what must agree between parts of the file (`rules.py`), reading the file
(`load.py`), turning shifts into instants (`calendar.py`).
Local wall times carry no zone in the file; `Plant.timezone` says which one they are in.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, Generic, Literal, TypeVar
from zoneinfo import ZoneInfo

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from prodlytics.plant.alerting import Alerts
from prodlytics.plant.anomalies import Anomalies
from prodlytics.plant.cloud import Cloud
from prodlytics.plant.connection import Connection
from prodlytics.plant.people import Contact, Supervisor
from prodlytics.plant.rules import ContradictionError, contradictions
from prodlytics.plant.thresholds import Thresholds
from prodlytics.plant.values import (
    ALWAYS,
    WEEKDAYS,
    NativeValues,
    Positive,
    Rate,
    Strict,
    WallTime,
    Weekday,
    Zone,
)

T = TypeVar("T")

SLUG = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
MachineStateName = Literal["running", "idle", "starved", "blocked", "fault", "setup", "off", "unknown"]
LossClass = Literal["failure", "changeover", "planned_stop", "other_stop"]


class Since(Strict, Generic[T]):
    """A value and the local calendar date (production day) from which it holds."""

    since: dt.date = ALWAYS
    value: T
    source: str | None = None
    "The connection or file that says so; None for the plant file."

    @model_serializer(mode="wrap")
    def _without_nothing(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Settings recorded before there was a source are the same settings."""
        return {name: value for name, value in serialize(self).items() if name != "source" or value is not None}


def _as_history(raw: Any) -> Any:
    """Accept a bare value for "has always been so"."""
    if isinstance(raw, list | tuple):
        return raw
    return [{"value": raw}]


class History(Strict, Generic[T]):
    """A value that changes over time: what held on a given production day."""

    steps: tuple[Since[T], ...]

    @model_validator(mode="before")
    @classmethod
    def _accept_bare(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and "steps" in raw:
            return raw
        return {"steps": _as_history(raw)}

    @model_validator(mode="after")
    def _in_order(self) -> History[T]:
        dates = [step.since for step in self.steps]
        if not dates:
            raise ValueError("write one value, or a list of {since: date, value: ...}")
        if dates != sorted(set(dates)):
            raise ValueError("write the steps in order of `since`, each date once")
        return self

    def on(self, day: dt.date) -> T | None:
        """The value in force on `day`; None before the first step."""
        found: T | None = None
        for step in self.steps:
            if step.since <= day:
                found = step.value
        return found


class StateSource(Strict):
    """Where a machine's state comes from, and how the controller's words become ours.

    `metric`: the tag that carries the state. `map`: native value (as text; `1.0` counts as `1`) to our state; a value
    that is not in the map is quarantined. `duration_metric`: for sources that report "so many seconds in this state,
    ending now" in a second tag of the same time; outside those seconds the state is unknown. `source: operator`: the
    machine has no controller, bookings of people (operator entries of kind `production`) say when it ran.
    `settle_s`: a state that holds for less belongs to the state before, for a controller that toggles.
    """

    source: Literal["telemetry", "operator", "counts"] = "telemetry"
    metric: str = "MachineState"
    map: Annotated[dict[str, MachineStateName], NativeValues] = Field(default_factory=dict)
    duration_metric: str | None = None
    settle_s: Annotated[float, Field(gt=0, le=300)] | None = None

    @model_validator(mode="after")
    def _settles_what_a_controller_says(self) -> StateSource:
        if self.settle_s is not None and self.source != "telemetry":
            raise ValueError("settle_s is for states of a controller (source: telemetry): leave it out")
        return self


class Counter(Strict):
    """One tag that counts. `cumulative` runs up and rolls over at its width; `increment` says how many since before."""

    metric: str
    counts: Literal["good", "reject", "rework", "total", "cycles"]
    kind: Literal["cumulative", "increment"] = "cumulative"
    width_bits: Literal[8, 16, 24, 32, 64] | None = None
    signed: bool = False


class VibrationLimits(Strict):
    """Zone boundaries A/B, B/C, C/D in mm/s r.m.s. velocity, and the standard they come from."""

    ab_mms: Positive
    bc_mms: Positive
    cd_mms: Positive
    source: str


class Machine(Strict):
    """One work unit (ISO 22400: the smallest unit that is planned and measured)."""

    id: str
    name: str
    line: str
    aliases: tuple[str, ...] = ()
    "Names other systems use, e.g. KEPServerEX `Channel.Device` or a MachineMetrics name."
    state: StateSource = StateSource()
    counters: tuple[Counter, ...] = ()
    fault_metric: str | None = None
    cycle_time_metric: str | None = None
    alarm_metrics: tuple[str, ...] = ()
    "Condition tags whose changes become `alarm` events."
    vibration_class: str | None = None
    vibration_limits: VibrationLimits | None = None
    micro_stop_s: History[Positive] = Field(default_factory=lambda: History[Positive].model_validate(120.0))
    silence_after_s: Positive | None = 300.0
    "Seconds without any sample of the machine after which its state is unknown; null: the source reports its own loss."
    ideal_cycle_time_ms: History[Positive] | None = None
    "Used for parts that have no ideal cycle of their own on this machine."
    max_parts_per_s: Positive | None = None
    "Plausibility limit of counters; without it 1.5 times what the ideal cycle allows."
    machine_rate_per_h: History[Rate] | None = None
    labor_rate_per_h: History[Rate] | None = None
    startup_window_min: History[Positive] | None = None
    "Rejects so long after a changeover or the first start of a shift are start-up losses; absent: by category alone."


class Part(Strict):
    """A part number with what the calculation needs to know of it."""

    number: str
    name: str
    family: str | None = None
    material: str | None = None
    supplier: str | None = None
    ideal_cycle_time_ms: dict[str, History[Positive]] = Field(default_factory=dict)
    "Machine id to ideal cycle."


class Break(Strict):
    """A pause inside a shift, in local wall time; it keeps its length when the clocks change."""

    name: str
    start: WallTime
    end: WallTime


class Shift(Strict):
    """Local wall times; an end at or before the start means the next day. Owned by the day on which it starts."""

    name: str
    start: WallTime
    end: WallTime
    weekdays: tuple[Weekday, ...] = WEEKDAYS
    breaks: tuple[Break, ...] = ()


class ShiftPlan(Strict):
    """The timetable from `since` on; `machines` None means all.

    A machine named in plans follows those alone once the first of them holds, whatever the general plans say.
    """

    since: dt.date = ALWAYS
    machines: tuple[str, ...] | None = None
    shifts: tuple[Shift, ...]


class Holiday(Strict):
    """A date on which no shift starts; the night shift of the evening before still ends in its morning."""

    date: dt.date
    name: str


class PlanException(Strict):
    """A span that differs from the timetable, in local wall time.

    `overtime` plans time that was not scheduled, `closure` takes it out of the plan, `planned_stop` keeps it scheduled
    but excluded from planned time (maintenance agreed beforehand). Taken in the order of the list: a later one
    overrules an earlier one. `shift` and `breaks` are those of the overtime.
    """

    kind: Literal["overtime", "closure", "planned_stop"]
    start: dt.datetime
    end: dt.datetime
    reason: str
    shift: str | None = None
    machines: tuple[str, ...] | None = None
    breaks: tuple[Break, ...] = ()

    @model_validator(mode="after")
    def _forward(self) -> PlanException:
        if self.start.tzinfo or self.end.tzinfo:
            raise ValueError("write local wall time without a zone, e.g. 2026-11-26T06:00")
        if self.end <= self.start:
            raise ValueError("write an end that is after the start")
        return self


class Reason(Strict):
    """Second level of the reason tree: what people choose."""

    code: str
    name: str
    other: bool = False
    "True for what people choose when nothing else fits; much of it says that the tree lacks a reason."


class ReasonCategory(Strict):
    """First level of the reason tree; `loss` is the bucket of the ledger that stops with this reason fall into."""

    code: str
    name: str
    loss: LossClass
    equipment: bool = False
    "True where the stop counts as an equipment failure for MTBF and MTTR."
    reasons: tuple[Reason, ...]


class ScrapCategory(Strict):
    """What was wrong with a part that was thrown away."""

    code: str
    name: str


class Line(Strict):
    """How the OEE of a line comes from its machines: that of one machine, or of all added up.

    `bottleneck` (what holds where nothing is written): `machine`, or without it the machine with the longest ideal
    cycle per part that the period required. `last`: `machine`, or without it the last of the line in the list of
    machines. `sum`: the machines run side by side.
    """

    id: str
    "As the machines write it under `line`."
    name: str | None = None
    oee: Literal["bottleneck", "last", "sum"] = "bottleneck"
    machine: str | None = None


class Convention(Strict):
    """How OEE is counted; what is in force is stored with each row.

    `break_running`: a machine that produces in a break or outside the plan adds that time to planned time, or the time
    and its parts are kept out of OEE (`off_plan_*`). `performance_cap` only changes what is shown of a machine, never
    what is stored or added up, and so is not part of `code`.
    """

    planned_stops: Literal["excluded", "availability_loss"] = "excluded"
    changeover: Literal["availability_loss", "excluded"] = "availability_loss"
    unknown: Literal["excluded", "availability_loss"] = "excluded"
    rework_is_good: bool = False
    break_running: Literal["planned", "excluded"] = "planned"
    performance_cap: Literal["none", "1.0"] = "none"

    @field_validator("performance_cap", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """YAML reads 1.0 as a number."""
        return "1.0" if value == 1 else value

    @property
    def code(self) -> str:
        """Short and stable, for the `convention` column."""
        return (
            f"planned_stops={self.planned_stops};changeover={self.changeover};"
            f"unknown={self.unknown};rework_is_good={str(self.rework_is_good).lower()};"
            f"break_running={self.break_running}"
        )


class LandingFormat(Strict):
    """How one kind of file in the landing place is read.

    `match`: glob on the path below the landing place. `dataset`: where the rows go. KEPServerEX files and blobs of
    Azure IoT Hub's routing need no columns; a `table` (CSV, Parquet) names its own: field of ours to column of theirs
    (name, or number from 0 when there is no header). Long tables name `metric` and `value`; wide ones list `metrics`.
    `constants` fill what no column says.
    """

    name: str
    match: str
    dataset: Literal["machine_telemetry", "work_orders", "part_costs", "ideal_cycles", "operator_entries"] = (
        "machine_telemetry"
    )
    layout: Literal["kepserverex", "iot_hub", "long", "wide"] = "kepserverex"
    delimiter: str = ","
    header: bool = True
    columns: dict[str, str | int] = Field(default_factory=dict)
    metrics: dict[str, str] = Field(default_factory=dict)
    "Wide layout: our metric name to their column."
    constants: dict[str, str] = Field(default_factory=dict)
    time_format: str | None = None
    "strptime form where the times are not ISO 8601."
    timezone: Zone | None = None
    "Zone of times that carry none; without it such rows are quarantined."


class Feed(Strict):
    """Messages of an MQTT broker, and how they are read.

    `topic` is what is subscribed to. `kepserverex`: JSON of the IoT Gateway; `fields` says our name (id, value,
    quality, time, values, published_at) to theirs where a template renames them. `plain`: one value per topic, whose
    parts in braces name the tag (`kepware/{channel}/{device}/{tag}` is `channel.device.tag`); the payload is a number,
    a flag, a text, or an object with `value` and `timestamp_ms`. `sparkplug`: Sparkplug B below its group.
    """

    name: str
    topic: str
    format: Literal["kepserverex", "plain", "sparkplug"] = "kepserverex"
    fields: dict[str, str] = Field(default_factory=dict)


class Agent(Strict):
    """An MTConnect agent, which is asked over HTTP.

    `devices`: the agent's name or uuid of a device to a machine id, where the machine's aliases do not say it.
    """

    name: str
    url: str
    interval_s: Annotated[float, Field(ge=0.1, le=3600)] = 1.0
    "How often it is asked for what is new."
    devices: dict[str, str] = Field(default_factory=dict)


class Simulation(Strict):
    """Which story the simulator tells about this plant; absent for a real one."""

    seed: int = 20261123


class Plant(Strict):
    """One plant: one code location."""

    plant: str
    "The id: prefix of asset keys, jobs and pools."
    name: str
    site: str
    timezone: Zone
    day_boundary: WallTime
    "Wall time at which a production day starts; set at installation and never moved with the timetable."
    first_day: dt.date
    "The first production day; partitions start here."
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    machines: tuple[Machine, ...]
    lines: tuple[Line, ...] = ()
    "Lines whose OEE is not the bottleneck's; a line of the machines that is not listed here follows the default."
    parts: tuple[Part, ...] = ()
    shift_plans: tuple[ShiftPlan, ...]
    holidays: tuple[Holiday, ...] = ()
    exceptions: tuple[PlanException, ...] = ()
    reasons: tuple[ReasonCategory, ...]
    fault_reasons: Annotated[dict[str, str], NativeValues] = Field(default_factory=dict)
    "Fault code of a controller to a reason code."
    scrap_categories: tuple[ScrapCategory, ...] = ()
    convention: Convention = Convention()
    thresholds: Thresholds = Thresholds()
    anomalies: Anomalies = Anomalies()
    alerts: Alerts = Alerts()
    supervisors: tuple[Supervisor, ...] = ()
    contacts: tuple[Contact, ...] = ()
    landing: tuple[LandingFormat, ...] = ()
    feeds: tuple[Feed, ...] = ()
    agents: tuple[Agent, ...] = ()
    cloud: Cloud = Cloud()
    connections: tuple[Connection, ...] = ()
    simulation: Simulation | None = None
    report_after_boundary_min: int = Field(default=30, ge=0, le=720)
    "Minutes after the day boundary at which yesterday's report is made; 05:00 would cut the night shift."

    @field_validator("plant")
    @classmethod
    def _slug(cls, value: str) -> str:
        if not SLUG.match(value):
            raise ValueError("write lower-case letters, digits and underscores, starting with a letter, e.g. acme_main")
        return value

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Plant:
        problems = contradictions(self)
        if problems:
            raise ContradictionError(problems)
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The plant's zone."""
        return ZoneInfo(self.timezone)

    def machine(self, machine_id: str) -> Machine:
        """The machine with this id; KeyError for one nobody configured."""
        for machine in self.machines:
            if machine.id == machine_id:
                return machine
        raise KeyError(machine_id)

    def line(self, line_id: str) -> Line:
        """How this line's OEE is made; a line that is not written down has the default."""
        return next((line for line in self.lines if line.id == line_id), Line(id=line_id))

    def reason_category(self, code: str) -> ReasonCategory | None:
        """The category a reason (or category) code belongs to."""
        for category in self.reasons:
            if code == category.code or any(code == reason.code for reason in category.reasons):
                return category
        return None

    @property
    def other_reasons(self) -> frozenset[str]:
        """Codes that people choose when nothing else fits."""
        return frozenset(reason.code for category in self.reasons for reason in category.reasons if reason.other)
