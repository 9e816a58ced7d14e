"""Which settings the derivation of a dataset reads for a machine and a production day, and what they were set to.

Belongs here: for each derived dataset exactly what its calculation takes from the plant file, as names and values in
words. Two plant files that say the same here give the same rows for that day, from the same data. Does not belong here:
finding the days a change reaches (`changed.py`), remembering what was in force (`prodlytics.db.plant_settings`).

A derivation that begins to read another setting says so here. What it reads through a table (the plan through
`plan_calendar`, prices through `part_costs`) is not its setting: rows of that table that change leave marks themselves.
What reaches over the edge of a day is the business of the derivation too: a stop is computed whole with the day on
which it begins, and counters and states ask for the neighbour when rows near the edge come out differently.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from prodlytics.plant.calendar import Piece, Timetable, exception_span, plan_pieces, production_day
from prodlytics.plant.model import Counter, History, Machine, Part, PlanException, Plant
from prodlytics.plant.people import supervisor_of


@dataclass(frozen=True)
class Told:
    """A value that is said where values are compared in words, but makes no difference by itself."""

    value: Any


Said = Iterator[tuple[str, Any]]
#: (plant, machine, production dates that occur in the day)
Reader = Callable[[Plant, Machine, Sequence[dt.date]], Said]

#: What stands for a setting that nobody wrote.
NOTHING = "nothing"
#: A setting that another system says begins with its name.
SAID_ELSEWHERE = re.compile(r"^[^ ]+: ideal_cycle_time_ms of ")


@dataclass(frozen=True)
class InForce:
    """Settings in force for one dataset, machine and production day; names and values in words.

    Attributes:
        values: Equal for two plant files exactly when the derivation cannot tell them apart by their settings.
        words: The same for people; may say more.
    """

    values: Mapping[str, str]
    words: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the values."""
        text = "\n".join(f"{name}\t{self.values[name]}" for name in sorted(self.values))
        return hashlib.sha256(text.encode()).hexdigest()


def settings_in_force(plant: Plant, dataset: str, machine: Machine | None, day: dt.date) -> InForce:
    """What the derivation of a dataset reads for one machine on one production day.

    Args:
        plant: The plant file.
        dataset: A derived dataset, `plan_calendar` or `daily_report`. One that is not known here reads everything.
        machine: The machine; None for `daily_report`, which is made for the plant.
        day: The production day (partition).

    Raises:
        ValueError: No machine for a dataset that has rows for each.
    """
    if machine is None:
        return read(plant, dataset, None, [day])
    pieces = plan_pieces(plant, machine, *production_day(plant, day))
    if dataset == "plan_calendar":
        return plan_in_force(plant, machine, pieces)
    return read(plant, dataset, machine, dates_read(dataset, day, pieces))


def differences(old: InForce, new: InForce) -> list[str]:
    """What differs, one sentence each: "micro_stop_s of Press01: 120 -> 60"."""
    if old.values == new.values:
        return []
    names = [*old.words, *(name for name in new.words if name not in old.words)]
    told = [(name, old.words.get(name, NOTHING), new.words.get(name, NOTHING)) for name in names]
    return [f"{name}: {before} -> {after}" for name, before, after in told if before != after]


def plan_in_force(plant: Plant, machine: Machine, pieces: Sequence[Piece]) -> InForce:
    """The plan of a production day: its rows, and for people the shifts, holidays and exceptions they come from."""
    rows = "\n".join(
        f"{piece.begin} {piece.end} {piece.plan} {piece.shift} {piece.date} {piece.source}" for piece in pieces
    )
    return InForce({"plan": rows}, dict(_plan_in_words(plant, machine, pieces)))


def _plan_in_words(plant: Plant, machine: Machine, pieces: Sequence[Piece]) -> Iterator[tuple[str, str]]:
    timetable = Timetable(plant, machine)
    said: dict[str, list[tuple[dt.date, str]]] = {}
    for date in sorted({piece.date for piece in pieces}):
        for shift in timetable.shifts(date):
            said.setdefault(shift.name, []).append((date, f"{shift.start:%H:%M}-{shift.end:%H:%M}"))
            for pause in shift.breaks:
                length = f"{pause.start:%H:%M}-{pause.end:%H:%M}"
                said.setdefault(f"{pause.name} of {shift.name}", []).append((date, length))
        said["plan"] = [*said.get("plan", []), (date, timetable.source(date))]
    for name, values in said.items():
        yield name, _dated([value for _, value in values], [date for date, _ in values])
    dates = {piece.date for piece in pieces}
    for holiday in plant.holidays:
        if holiday.date in dates:
            yield f"holiday {holiday.date}", holiday.name
    for exception in plant.exceptions:
        begin, end = exception_span(plant, exception)
        concerns = exception.machines is None or machine.id in exception.machines
        if concerns and begin < pieces[-1].end and end > pieces[0].begin:
            yield f"{exception.kind.replace('_', ' ')} {exception.start:%Y-%m-%d %H:%M}", _exception(exception)


def _exception(exception: PlanException) -> str:
    shift = f", {exception.shift}" if exception.shift else ""
    breaks = "".join(f", {pause.name} {pause.start:%H:%M}-{pause.end:%H:%M}" for pause in exception.breaks)
    return f"until {exception.end:%Y-%m-%d %H:%M}, {exception.reason}{shift}{breaks}"


def dates_read(dataset: str, day: dt.date, pieces: Sequence[Piece]) -> list[dt.date]:
    """The dates at which effective-dated settings are looked up when a production day is computed.

    States and counters go by the production day itself; everything that follows the plan goes by the production dates
    of its shifts, and a night shift that ends after the day's boundary has the date of the day before.
    """
    if dataset in ("production_events", "machine_states", "daily_report"):
        return [day]
    return sorted({piece.date for piece in pieces})


def read(plant: Plant, dataset: str, machine: Machine | None, dates: Sequence[dt.date]) -> InForce:
    """What a derivation other than `plan_calendar` reads, with what holds on these dates."""
    if dataset == "daily_report":
        said = _of_report(plant)
    elif machine is None:
        raise ValueError(f"{dataset} is computed for each machine")
    else:
        said = READERS.get(dataset, _everything)(plant, machine, dates)
    values, words = {}, {}
    for name, value in said:
        counts = not isinstance(value, Told)
        words[name] = text = _text(value if counts else value.value)
        # What nobody set is the same as what is not there: a first step in November says nothing about October.
        if counts and text != NOTHING:
            values[name] = text
    return InForce(values, words)


def _text(value: Any) -> str:
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return f"{value:.15g}" if isinstance(value, int | float) else str(value)


def _on(history: History[Any] | None, dates: Sequence[dt.date]) -> str:
    """What holds on the dates, each named where they differ."""
    return _dated([None if history is None else history.on(date) for date in dates], dates)


def _dated(values: Sequence[Any], dates: Sequence[dt.date]) -> str:
    texts = [_text(value) for value in values]
    if len(set(texts)) <= 1:
        return texts[0] if texts else NOTHING
    return ", ".join(f"{text} ({date})" for text, date in zip(texts, dates, strict=True))


# ---- what several derivations read ----------------------------------------------------------------------------------
def _counters(machine: Machine, counters: Sequence[Counter]) -> Said:
    for counter in counters:
        width = "" if counter.width_bits is None else f", {counter.width_bits} bits"
        sign = ", signed" if counter.signed else ""
        yield f"counter {counter.metric} of {machine.id}", f"{counter.kind} {counter.counts}{width}{sign}"
    kinds = [counter.counts for counter in counters]
    if len(set(kinds)) < len(kinds):  # of two tags that count the same the order decides
        yield f"order of the counters of {machine.id}", ", ".join(counter.metric for counter in counters)


def _ideal_cycles(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    own = machine.ideal_cycle_time_ms
    otherwise = [None if own is None else own.on(date) for date in dates]
    for part in plant.parts:
        if machine.id in part.ideal_cycle_time_ms:
            history = part.ideal_cycle_time_ms[machine.id]
            held = [value or other for value, other in zip(map(history.on, dates), otherwise, strict=True)]
            said = _dated(held, dates)
            # Measured as any other part on the machine is: then it makes no difference that the part is named.
            yield _of_part(history, part, machine), Told(said) if held == otherwise else said
    yield f"ideal_cycle_time_ms of {machine.id}", _dated(otherwise, dates)


def _of_part(history: History[Any], part: Part, machine: Machine) -> str:
    """The name of the setting; where another system says it, with that system before it."""
    source = history.steps[0].source
    return f"{source}: " * (source is not None) + f"ideal_cycle_time_ms of {part.number} on {machine.id}"


def _extreme_cycle(
    plant: Plant, machine: Machine, dates: Sequence[dt.date], choose: Callable[[list[float]], float]
) -> str:
    """Shortest or longest of all ideal cycles on a machine."""
    histories = [part.ideal_cycle_time_ms[machine.id] for part in plant.parts if machine.id in part.ideal_cycle_time_ms]
    if machine.ideal_cycle_time_ms is not None:
        histories.append(machine.ideal_cycle_time_ms)
    held = [value for date in dates for history in histories if (value := history.on(date)) is not None]
    return _text(choose(held) if held else None)


def _longest_work_s(plant: Plant, machine: Machine) -> float:
    """As `kpi.reach.longest_work`: a bound over all steps, so every day reads all of them."""
    histories = [part.ideal_cycle_time_ms[machine.id] for part in plant.parts if machine.id in part.ideal_cycle_time_ms]
    if machine.ideal_cycle_time_ms is not None:
        histories.append(machine.ideal_cycle_time_ms)
    cycles_s = (3 * step.value / 1000 for history in histories for step in history.steps)
    return max(3600.0, *(step.value for step in machine.micro_stop_s.steps), *cycles_s)


def _plausible_rate(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    if machine.max_parts_per_s is not None:
        yield f"max_parts_per_s of {machine.id}", machine.max_parts_per_s
    else:
        yield f"shortest ideal_cycle_time_ms on {machine.id}", _extreme_cycle(plant, machine, dates, min)


def _convention(plant: Plant) -> Said:
    # The cap changes what is shown, never what is stored.
    for name, value in plant.convention.model_dump(exclude={"performance_cap"}).items():
        yield f"convention {name}", value


# ---- each derivation ------------------------------------------------------------------------------------------------
def _of_production_events(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    yield f"fault_metric of {machine.id}", machine.fault_metric
    for name in machine.alarm_metrics:
        yield f"alarm_metrics of {machine.id}: {name}", "watched"
    if not machine.counters:
        yield f"counters of {machine.id}", "none: parts as booked"
        return
    counters = [counter for counter in machine.counters if counter.counts != "cycles"]
    yield from _counters(machine, counters)
    yield f"cycle_time_metric of {machine.id}", machine.cycle_time_metric
    if any(counter.kind == "cumulative" for counter in counters):
        yield f"silence_after_s of {machine.id}", machine.silence_after_s
    yield from _plausible_rate(plant, machine, dates)


def _of_machine_states(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    state = machine.state
    yield f"state source of {machine.id}", state.source
    if state.source == "operator":
        return
    yield f"fault_metric of {machine.id}", machine.fault_metric
    if state.source == "counts":
        yield from _counters(machine, machine.counters)
        yield from _plausible_rate(plant, machine, dates)
        yield f"longest ideal_cycle_time_ms on {machine.id}", _extreme_cycle(plant, machine, dates, max)
        yield f"micro_stop_s of {machine.id}", _on(machine.micro_stop_s, dates)
        yield f"longest pause of work on {machine.id}", f"{_longest_work_s(plant, machine):g} s"
    else:
        yield f"state metric of {machine.id}", state.metric
        for word, meaning in state.map.items():
            yield f"state map of {machine.id}: {word}", meaning
        yield f"duration_metric of {machine.id}", state.duration_metric
        yield f"settle_s of {machine.id}", state.settle_s
    if state.duration_metric is None:
        yield f"silence_after_s of {machine.id}", machine.silence_after_s


def _of_downtime_events(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    yield f"micro_stop_s of {machine.id}", _on(machine.micro_stop_s, dates)
    for fault, code in plant.fault_reasons.items():
        yield f"fault_reasons: {fault}", code
    for category in plant.reasons:
        yield f"reason {category.code}", f"{category.name}, loss {category.loss}"
        for reason in category.reasons:
            yield f"reason {reason.code}", f"{reason.name}, of {category.code}"


def _of_scrap_events(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    yield "currency", plant.currency
    by_machine = machine.state.source == "operator" or any(one.counts == "reject" for one in machine.counters)
    yield f"scrap of {machine.id} is counted by", "the machine or its bookings" if by_machine else "people"
    yield from _ideal_cycles(plant, machine, dates)
    yield f"labor_rate_per_h of {machine.id}", _on(machine.labor_rate_per_h, dates)
    yield f"machine_rate_per_h of {machine.id}", _on(machine.machine_rate_per_h, dates)


def _of_machine_time(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    """Nothing: plan, states and stops come from their tables, the hours from the day's boundary, which never moves."""
    yield from ()


def _of_elements(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    yield from _convention(plant)
    yield from _ideal_cycles(plant, machine, dates)


def _of_rollup(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    yield from _convention(plant)
    line = plant.line(machine.line)
    yield f"line of {machine.id}", machine.line
    yield f"oee of line {line.id}", line.oee + (f", {line.machine}" if line.machine else "")
    yield f"machines of line {line.id}", ", ".join(one.id for one in plant.machines if one.line == line.id)
    for part in plant.parts:
        yield f"family of {part.number}", part.family
        own = part.ideal_cycle_time_ms.get(machine.id)
        # Which machines make a part is seen from who has an ideal cycle of its own for it.
        if line.oee == "bottleneck" and line.machine is None and own is not None:
            yield _of_part(own, part, machine), _on(own, dates)
    if line.oee == "bottleneck" and line.machine is None:
        yield f"ideal_cycle_time_ms of {machine.id}", _on(machine.ideal_cycle_time_ms, dates)
    for category in plant.reasons:
        yield f"equipment of reason {category.code}", category.equipment


def _of_data_quality(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    yield from _convention(plant)
    for name in ("reason_needed_s", "reason_within_s", "performance_suspect"):
        yield f"thresholds {name}", getattr(plant.thresholds, name)
    for code in sorted(plant.other_reasons):
        yield f"other of reason {code}", True
    for shift in sorted({one.shift for one in plant.supervisors}):
        held = [supervisor_of(plant.supervisors, shift, machine.line, date) for date in dates]
        yield f"supervisor of {shift} on {machine.line}", _dated(held, dates)
    yield f"state source of {machine.id}", "operator" if machine.state.source == "operator" else "a feed"
    yield f"silence_after_s of {machine.id}", machine.silence_after_s


def _of_losses(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    yield "currency", plant.currency
    yield "thresholds performance_suspect", plant.thresholds.performance_suspect
    yield from _of_elements(plant, machine, dates)
    yield f"labor_rate_per_h of {machine.id}", _on(machine.labor_rate_per_h, dates)
    yield f"machine_rate_per_h of {machine.id}", _on(machine.machine_rate_per_h, dates)
    yield f"startup_window_min of {machine.id}", _on(machine.startup_window_min, dates)


def _of_reconciliation(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    yield from _convention(plant)
    yield from _counters(machine, machine.counters)
    yield f"silence_after_s of {machine.id}", machine.silence_after_s
    yield from _plausible_rate(plant, machine, dates)


def _of_report(plant: Plant) -> Said:
    yield "name", plant.name
    yield "site", plant.site
    yield "currency", plant.currency
    yield from _convention(plant)
    yield "convention performance_cap", plant.convention.performance_cap
    yield "thresholds coverage", plant.thresholds.coverage
    yield "thresholds performance_suspect", plant.thresholds.performance_suspect
    for machine in plant.machines:
        yield f"name of {machine.id}", machine.name
    yield "order of the machines", ", ".join(machine.id for machine in plant.machines)
    for category in plant.reasons:
        yield f"name of reason {category.code}", category.name
        for reason in category.reasons:
            yield f"name of reason {reason.code}", reason.name
    for scrap in plant.scrap_categories:
        yield f"name of scrap category {scrap.code}", scrap.name


def _everything(plant: Plant, machine: Machine, dates: Sequence[dt.date]) -> Said:
    """For a derivation that nobody described yet: rather a day too much than one too few."""
    readers = (_of_production_events, _of_machine_states, _of_downtime_events, _of_scrap_events, _of_rollup)
    for reader in (*readers, _of_losses):
        yield from reader(plant, machine, dates)
    yield from _of_report(plant)
    for name, value in plant.thresholds.model_dump().items():
        yield f"thresholds {name}", value
    for part in plant.parts:
        for name in ("name", "material", "supplier"):
            yield f"{name} of part {part.number}", getattr(part, name)


READERS: dict[str, Reader] = {
    "production_events": _of_production_events,
    "machine_states": _of_machine_states,
    "downtime_events": _of_downtime_events,
    "scrap_events": _of_scrap_events,
    "machine_time": _of_machine_time,
    "oee_hourly": _of_elements,
    "oee_shift": _of_elements,
    "kpi_rollup": _of_rollup,
    "data_quality": _of_data_quality,
    "losses": _of_losses,
    "reconciliation": _of_reconciliation,
}
