"""What must agree between the parts of a plant file.

Belongs here: rules that look at several settings at once (names used twice, references into nothing, shifts on top of
each other), each with the place in the file and what to write. Does not belong here: what a single value may be
(`model.py`), line numbers (`load.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from prodlytics.plant.alert_rules import alert_problems
from prodlytics.plant.problem import Path, Problem
from prodlytics.plant.values import WEEKDAYS

if TYPE_CHECKING:
    from prodlytics.plant.model import Break, LandingFormat, Machine, Plant, Shift, ShiftPlan

DAY_MIN = 24 * 60
WEEK_MIN = 7 * DAY_MIN
#: An overtime belongs to the day on which it starts, like a shift, so it cannot be longer than one.
LONGEST_OVERTIME = dt.timedelta(hours=24)


class ContradictionError(ValueError):
    """The parts of a plant file do not agree; `problems` says where."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def contradictions(plant: Plant) -> list[Problem]:
    """Everything in `plant` that does not agree with the rest of it, in the order of the rules."""
    rules = (
        _names, _machines, _lines, _parts, _reasons, _thresholds, _shift_plans, _holidays, _exceptions, _supervisors,
        _landing, _feeds, _agents, _cloud, _connections, alert_problems,
    )  # fmt: skip
    return [problem for rule in rules for problem in rule(plant)]


def minute_of_day(wall: dt.time) -> int:
    """Minutes from local midnight, as the wall clock shows them."""
    return wall.hour * 60 + wall.minute


def shift_length_min(shift: Shift) -> int:
    """Length by the wall clock (not on a day when the clocks change), 1 to 1,440 minutes."""
    return (minute_of_day(shift.end) - minute_of_day(shift.start)) % DAY_MIN or DAY_MIN


def break_in_shift_min(shift_start: dt.time, pause: Break) -> tuple[int, int]:
    """Start and end of a break in minutes after the shift's start, by the wall clock; both may lie past midnight."""
    begin = (minute_of_day(pause.start) - minute_of_day(shift_start)) % DAY_MIN
    return begin, begin + ((minute_of_day(pause.end) - minute_of_day(pause.start)) % DAY_MIN or DAY_MIN)


def _used_twice(what: str, named: Iterable[tuple[Path, str]]) -> Iterator[Problem]:
    seen: set[str] = set()
    for path, name in named:
        if name in seen:
            yield Problem(path, f"{what} {name!r} is used twice; write each once")
        seen.add(name)


def _names(plant: Plant) -> Iterator[Problem]:
    yield from _used_twice("machine id", ((("machines", i, "id"), m.id) for i, m in enumerate(plant.machines)))
    aliases = [
        (("machines", i, "aliases", j), alias)
        for i, machine in enumerate(plant.machines)
        for j, alias in enumerate(machine.aliases)
        if alias != machine.id
    ]
    ids: list[tuple[Path, str]] = [((), machine_id) for machine_id in {m.id for m in plant.machines}]
    yield from _used_twice("machine alias", [*ids, *aliases])
    yield from _used_twice("part number", ((("parts", i, "number"), p.number) for i, p in enumerate(plant.parts)))
    categories = ((("scrap_categories", i, "code"), c.code) for i, c in enumerate(plant.scrap_categories))
    yield from _used_twice("scrap category", categories)
    yield from _used_twice("landing format", ((("landing", i, "name"), f.name) for i, f in enumerate(plant.landing)))
    yield from _used_twice("feed", ((("feeds", i, "name"), f.name) for i, f in enumerate(plant.feeds)))
    yield from _used_twice("agent", ((("agents", i, "name"), a.name) for i, a in enumerate(plant.agents)))


def _machines(plant: Plant) -> Iterator[Problem]:
    if not plant.machines:
        yield Problem(("machines",), "there is no machine; write at least one")
    for i, machine in enumerate(plant.machines):
        for problem in _machine(machine):
            yield Problem(("machines", i, *problem.path), problem.message)
        if machine.micro_stop_s.on(plant.first_day) is None:
            message = f"has no value on the first day; write a step with `since: {plant.first_day}` or earlier"
            yield Problem(("machines", i, "micro_stop_s"), message)


def _machine(machine: Machine) -> Iterator[Problem]:
    counters = ((("counters", i, "metric"), c.metric) for i, c in enumerate(machine.counters))
    yield from _used_twice("counter", counters)
    state = machine.state
    if state.source == "telemetry" and not state.map:
        example = '`map: {0: "off", 1: running, 2: idle, 3: fault}`'
        yield Problem(("state",), f"the map says nothing about the controller's values; write e.g. {example}")
    if state.source != "telemetry" and state.map:
        yield Problem(("state",), f"the map is for telemetry, not for `source: {state.source}`; leave it out")
    if state.source == "counts" and not machine.counters:
        yield Problem(("counters",), "`state.source: counts` needs a counter; write at least one")
    limits = machine.vibration_limits
    if limits and not limits.ab_mms < limits.bc_mms < limits.cd_mms:
        yield Problem(("vibration_limits",), "write limits that rise: ab_mms below bc_mms below cd_mms")


def _lines(plant: Plant) -> Iterator[Problem]:
    yield from _used_twice("line", ((("lines", i, "id"), line.id) for i, line in enumerate(plant.lines)))
    machines = {machine.id: machine.line for machine in plant.machines}
    for i, line in enumerate(plant.lines):
        path: Path = ("lines", i)
        if line.id not in machines.values():
            message = f"no machine has `line: {line.id}`; write a line of the machines, or leave it out"
            yield Problem((*path, "id"), message)
        elif line.machine is not None and line.oee == "sum":
            yield Problem((*path, "machine"), "`oee: sum` adds up all machines of the line; leave the machine out")
        elif line.machine is not None and line.machine not in machines:
            message = f"machine {line.machine!r} is not in the list of machines; write one of their ids"
            yield Problem((*path, "machine"), message)
        elif line.machine is not None and machines[line.machine] != line.id:
            message = f"machine {line.machine!r} is in line {machines[line.machine]!r}; write a machine of {line.id!r}"
            yield Problem((*path, "machine"), message)


def _parts(plant: Plant) -> Iterator[Problem]:
    machines = {machine.id for machine in plant.machines}
    for i, part in enumerate(plant.parts):
        for machine in part.ideal_cycle_time_ms:
            if machine not in machines:
                path = ("parts", i, "ideal_cycle_time_ms", machine)
                yield Problem(path, f"machine {machine!r} is not in the list of machines; write one of their ids")


def _reasons(plant: Plant) -> Iterator[Problem]:
    codes: list[tuple[Path, str]] = []
    for i, category in enumerate(plant.reasons):
        codes.append((("reasons", i, "code"), category.code))
        if category.equipment and category.loss in ("planned_stop", "changeover"):
            message = f"a {category.loss} is no failure of the equipment; write `loss: failure`, or leave it out"
            yield Problem(("reasons", i, "equipment"), message)
        codes += [(("reasons", i, "reasons", j, "code"), reason.code) for j, reason in enumerate(category.reasons)]
    yield from _used_twice("reason code", codes)
    known = {code for _, code in codes}
    for fault, code in plant.fault_reasons.items():
        if code not in known:
            message = f"{code!r} is not a reason code; write one of the codes under `reasons`"
            yield Problem(("fault_reasons", fault), message)


def _thresholds(plant: Plant) -> Iterator[Problem]:
    if plant.thresholds.oee_critical > plant.thresholds.oee_warning:
        yield Problem(("thresholds", "oee_critical"), "write a value not above `oee_warning`")


def _shift_plans(plant: Plant) -> Iterator[Problem]:
    if not plant.shift_plans:
        yield Problem(("shift_plans",), "there is no timetable; write at least one plan with its shifts")
    starts: set[tuple[str | None, dt.date]] = set()
    for i, plan in enumerate(plant.shift_plans):
        path: Path = ("shift_plans", i)
        yield from _known_machines(plant, path, plan.machines)
        for machine in plan.machines if plan.machines is not None else (None,):
            if (machine, plan.since) in starts:
                whom = f"machine {machine!r}" if machine else "all machines"
                message = f"{whom} already have a plan since {plan.since}; write one plan per date"
                yield Problem((*path, "since"), message)
            starts.add((machine, plan.since))
        yield from _overlapping_shifts(path, plan)
        for j, shift in enumerate(plan.shifts):
            where: Path = (*path, "shifts", j)
            yield from _breaks(where, shift.name, shift.start, shift_length_min(shift), shift.breaks)


def _overlapping_shifts(path: Path, plan: ShiftPlan) -> Iterator[Problem]:
    spans = sorted(
        (begin, begin + shift_length_min(shift), j)
        for j, shift in enumerate(plan.shifts)
        for begin in (WEEKDAYS.index(day) * DAY_MIN + minute_of_day(shift.start) for day in set(shift.weekdays))
    )
    if not spans:
        return
    first_again = (spans[0][0] + WEEK_MIN, spans[0][1] + WEEK_MIN, spans[0][2])
    told: set[tuple[int, int]] = set()
    for (_, end, j), (begin, _, k) in pairwise([*spans, first_again]):
        if begin < end and (j, k) not in told:
            told.add((j, k))
            one, other = plan.shifts[j].name, plan.shifts[k].name
            day = WEEKDAYS[begin // DAY_MIN % 7]
            message = f"shift {other!r} starts on {day} before {one!r} has ended; write times that do not overlap"
            yield Problem((*path, "shifts", k, "start"), message)


def _breaks(path: Path, name: str, start: dt.time, length: int, breaks: Sequence[Break]) -> Iterator[Problem]:
    spans = []
    for i, pause in enumerate(breaks):
        where: Path = (*path, "breaks", i)
        begin, end = break_in_shift_min(start, pause)
        if pause.start == pause.end:
            yield Problem(where, f"break {pause.name!r} has no length; write an end after its start")
        elif end > length:
            message = f"break {pause.name!r} lies outside {name!r}; write times between its start and end"
            yield Problem(where, message)
        else:
            spans.append((begin, end, i))
    for (_, end, _), (begin, _, i) in pairwise(sorted(spans)):
        if begin < end:
            message = f"break {breaks[i].name!r} starts before the one before it ends; write times that do not overlap"
            yield Problem((*path, "breaks", i), message)


def _known_machines(plant: Plant, path: Path, machines: tuple[str, ...] | None) -> Iterator[Problem]:
    if machines == ():
        yield Problem((*path, "machines"), "names no machine; leave it out for all machines")
    known = {machine.id for machine in plant.machines}
    for i, machine in enumerate(machines or ()):
        if machine not in known:
            message = f"machine {machine!r} is not in the list of machines; write one of their ids"
            yield Problem((*path, "machines", i), message)


def _holidays(plant: Plant) -> Iterator[Problem]:
    dates = ((("holidays", i, "date"), str(holiday.date)) for i, holiday in enumerate(plant.holidays))
    yield from _used_twice("holiday", dates)


def _exceptions(plant: Plant) -> Iterator[Problem]:
    for i, exception in enumerate(plant.exceptions):
        path: Path = ("exceptions", i)
        yield from _known_machines(plant, path, exception.machines)
        if exception.kind != "overtime":
            for key in ("shift", "breaks"):
                if getattr(exception, key):
                    yield Problem((*path, key), f"only overtime has `{key}`; leave it out")
            continue
        length = exception.end - exception.start
        if length > LONGEST_OVERTIME:
            yield Problem((*path, "end"), "overtime is at most 24 hours long; write one entry per day")
        else:
            minutes = int(length.total_seconds() // 60)
            yield from _breaks(path, exception.reason, exception.start.time(), minutes, exception.breaks)


def _supervisors(plant: Plant) -> Iterator[Problem]:
    shifts = {shift.name for plan in plant.shift_plans for shift in plan.shifts}
    shifts |= {exception.shift for exception in plant.exceptions if exception.shift}
    lines = {machine.line for machine in plant.machines}
    seen: set[tuple[dt.date, str, str | None]] = set()
    for i, one in enumerate(plant.supervisors):
        if one.shift not in shifts:
            yield Problem(("supervisors", i, "shift"), f"there is no shift {one.shift!r}; write one of the timetable")
        for line in one.lines if one.lines is not None else (None,):
            if line is not None and line not in lines:
                yield Problem(("supervisors", i, "lines"), f"no machine is on line {line!r}; write one of their lines")
            if (one.since, one.shift, line) in seen:
                message = f"{one.shift!r} has a supervisor since {one.since}; write one per shift, line and date"
                yield Problem(("supervisors", i, "since"), message)
            seen.add((one.since, one.shift, line))


def _landing(plant: Plant) -> Iterator[Problem]:
    for i, form in enumerate(plant.landing):
        for problem in _landing_format(form):
            yield Problem(("landing", i, *problem.path), problem.message)


def _landing_format(form: LandingFormat) -> Iterator[Problem]:
    if form.layout == "wide" and not form.metrics:
        yield Problem((), "a wide table lists its metrics; write `metrics: {ours: theirs}`")
    if form.layout in ("kepserverex", "iot_hub") and form.dataset != "machine_telemetry":
        who = "KEPServerEX" if form.layout == "kepserverex" else "IoT Hub"
        yield Problem(("layout",), f"{who} writes no {form.dataset}; write `layout: long`")
    if not form.header and any(isinstance(column, str) for column in form.columns.values()):
        yield Problem(("columns",), "without a header columns have no names; write their numbers, from 0")


def _feeds(plant: Plant) -> Iterator[Problem]:
    for i, feed in enumerate(plant.feeds):
        path = ("feeds", i, "topic")
        if not feed.topic or "\x00" in feed.topic or "#" in feed.topic.rstrip("#") or feed.topic.count("#") > 1:
            yield Problem(path, "write an MQTT topic; `#` may only stand at its end")
        if feed.format == "plain" and "{" not in feed.topic:
            yield Problem(path, "a plain value has its name in the topic: write e.g. kepware/{channel}/{device}/{tag}")
        if feed.format != "plain" and "{" in feed.topic:
            yield Problem(path, f"braces are for `format: plain`; a {feed.format} message names its tags itself")


def _agents(plant: Plant) -> Iterator[Problem]:
    known = {machine.id for machine in plant.machines}
    for i, agent in enumerate(plant.agents):
        scheme, _, host = agent.url.partition("://")
        if scheme not in ("http", "https") or not host.strip("/") or "?" in agent.url or "#" in agent.url:
            yield Problem(("agents", i, "url"), "write the agent's address, e.g. http://10.0.0.5:5000")
        for device, machine in agent.devices.items():
            if machine not in known:
                message = f"machine {machine!r} is not in the list of machines; write one of their ids"
                yield Problem(("agents", i, "devices", device), message)


def _connections(plant: Plant) -> Iterator[Problem]:
    names = ((("connections", i, "name"), one.name) for i, one in enumerate(plant.connections))
    yield from _used_twice("connection", names)
    known = {machine.id for machine in plant.machines}
    for i, one in enumerate(plant.connections):
        host = one.url.partition("://")[2]
        if not host.strip("/") or "@" in host.partition("/")[0]:
            message = "write the system's address without user and password, e.g. https://erp.example.com"
            yield Problem(("connections", i, "url"), message)
        for theirs, machine in one.machines.items():
            if machine not in known:
                message = f"machine {machine!r} is not in the list of machines; write one of their ids"
                yield Problem(("connections", i, "machines", theirs), message)


def _cloud(plant: Plant) -> Iterator[Problem]:
    for metric in plant.cloud.dead_bands:
        for machine in plant.machines:
            told = (machine.state.metric, machine.state.duration_metric, machine.fault_metric, *machine.alarm_metrics)
            if metric in told or any(counter.metric == metric for counter in machine.counters):
                yield Problem(
                    ("cloud", "dead_bands", metric),
                    f"{metric} is a state, fault, alarm or counter of {machine.id}, of which every change is sent: "
                    "leave it out",
                )
                break
