"""Why a number is what it is, in sentences.

Belongs here: which rule put time into a bucket, where an ideal cycle comes from, what a convention means, why a ratio
is empty. Does not belong here: collecting what belongs to an hour (`explain`).

The rules are told again here, not asked of `machine_time`: an interval for which they give another bucket is one whose
plan, state or stop has changed since.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from prodlytics.kpi.entries import PERSONS
from prodlytics.kpi.explain_figures import OFF_PLAN, Figures
from prodlytics.plant.model import Convention, History, Machine, Plant
from prodlytics.plant.values import ALWAYS

#: Loss of a stop of which only the state is known.
_LOSS_OF_STATE = {"fault": "failure", "setup": "changeover"}
_PLACE = {"break": "in a break", "not_scheduled": "outside the plan", "planned_stop": "in a planned stop"}


@dataclass(frozen=True)
class Circumstances:
    """What was the case in one interval.

    Attributes:
        said: The controller's own words, in order.
        calendar: Which line of the plan.
        stop_bucket: Bucket of the stop's part, None where there is none.
        reason: Name of its reason.
        reason_source: A person's role, a system, fault_code, calendar or None.
        said_by: Who gave the reason.
        day: Production date; thresholds are those of that day.
    """

    plan: str
    state: str
    said: tuple[str, ...]
    fault_codes: tuple[str, ...]
    calendar: str | None
    stop_bucket: str | None
    reason: str | None
    reason_source: str | None
    said_by: str | None
    day: dt.date


def decide(case: Circumstances) -> tuple[str, str]:
    """The rule that wins and the bucket it gives: running, a plan without work, unknown, then the stop."""
    if case.state == "running":
        return "running", "running"
    if case.plan in ("not_scheduled", "break", "planned_stop"):
        return case.plan, case.plan
    if case.state == "unknown":
        return "unknown", "unknown"
    return "stop", case.stop_bucket or _LOSS_OF_STATE.get(case.state, "other_stop")


def why(machine: Machine, case: Circumstances, rule: str, bucket: str) -> str:
    """The rule as a sentence with the facts of this interval."""
    state = state_words(machine, case)
    if rule == "running":
        place = _PLACE.get(case.plan)
        return f"{state}." if place is None else f"{state}, {place}: running outranks the plan and is planned time."
    if rule == "unknown":
        return f"{state}: nobody knows what it did."
    if rule != "stop":
        return f"By the calendar ({case.calendar}); {state}."
    return f"{state}; {_loss_words(machine, case, bucket)}."


def _loss_words(machine: Machine, case: Circumstances, bucket: str) -> str:
    if case.stop_bucket is None:
        return f"no stop was derived for it yet, so the state alone says {_spoken(bucket)}"
    if case.reason_source in PERSONS:
        return f"{case.reason_source} {case.said_by or 'unnamed'} said {case.reason}"
    if bucket == "micro_stop":
        return f"under {_threshold(machine, case.day)} of planned time in all, and no person gave a reason"
    if case.reason_source == "fault_code":
        return f"fault code {', '.join(case.fault_codes)} stands for {case.reason}"
    if case.reason_source == "calendar":
        return f"by the calendar ({case.reason})"
    if case.reason_source is not None:
        return f"{case.reason_source} said {case.reason}"
    return f"nobody gave a reason, so the state says {_spoken(bucket)}"


def _spoken(bucket: str) -> str:
    return bucket.replace("_", " ")


def _threshold(machine: Machine, day: dt.date) -> str:
    seconds = machine.micro_stop_s.on(day)
    return "the micro-stop threshold" if seconds is None else f"{seconds:g} s"


def state_words(machine: Machine, case: Circumstances) -> str:
    """What the state is and who says so."""
    if machine.state.source == "counts":
        return {"running": "Counts kept coming", "idle": "Counts stayed away"}.get(
            case.state, "Nothing was heard of it"
        )
    if machine.state.source == "operator":
        return {"running": "Booked as running", "idle": "Booked as stopped"}.get(case.state, "Nobody booked anything")
    if not case.said:
        silence = machine.silence_after_s
        if case.state == "unknown" and silence is not None:
            return f"No usable state was heard (silent for over {silence:g} s, or never)"
        return case.state.capitalize()
    fault = f" with fault {', '.join(case.fault_codes)}" if case.fault_codes else ""
    return f"{machine.state.metric} {', '.join(case.said)} ({case.state}){fault}"


def ideal_cycle(plant: Plant, machine: Machine, part_number: str | None, day: dt.date) -> tuple[float | None, str]:
    """Ideal cycle in milliseconds on a production day, and which setting of the plant file it is."""
    part = next((part for part in plant.parts if part.number == part_number), None)
    own = part.ideal_cycle_time_ms.get(machine.id) if part is not None else None
    if own is not None and (cycle := own.on(day)) is not None:
        return cycle, f"{part_number} on {machine.id}{_since(own, day)}"
    whose = "nobody said which part" if part_number is None else f"{part_number} has none of its own here"
    default = machine.ideal_cycle_time_ms
    if default is None or (cycle := default.on(day)) is None:
        return None, f"{whose}, and {machine.id} has no default"
    return cycle, f"default of {machine.id}{_since(default, day)}; {whose}"


def _since(history: History[float], day: dt.date) -> str:
    holds = [step for step in history.steps if step.since <= day][-1]
    since = "" if holds.since == ALWAYS else f" since {holds.since}"
    return since if holds.source is None else f"{since} as {holds.source} says"


def kept_out(state: str | None, flag: str | None, in_gap: bool, off_plan: bool = False) -> str | None:
    """Why parts are outside OEE; None where they are in it."""
    if off_plan:
        return OFF_PLAN
    if not in_gap:
        return None
    if flag == "estimated":
        return "counted across a silence of the feed, so nobody knows in which hour they were made"
    if state == "unknown":
        return "nobody knows the state then, so there is no run time to compare them with"
    return "nobody knows the state just before, so there is no run time to compare them with"


def why_empty(figures: Figures, still_runs: bool) -> tuple[str, ...]:
    """A sentence for each ratio that cannot be computed, and one for an OEE of 0 that could look like a missing one."""
    if not figures.planned_time_us:
        if figures.null_reason == "no_data":
            return (
                "All ratios are empty (no_data): nobody knows what the machine did, so there is nothing to divide.",
            )
        return (
            "All ratios are empty (no_planned_time): nothing was planned for the machine and it did not run, so there "
            "is nothing to divide by.",
        )
    words = []
    if figures.performance is None:
        no_cycle = figures.ideal_time_us is None
        words.append(f"Performance is empty ({'no_ideal_cycle' if no_cycle else 'no_run_time'}): " + (
            "a part has no ideal cycle; write ideal_cycle_time_ms for it in the plant file." if no_cycle
            else "the machine did not run, so there is no run time to divide by."
        ))  # fmt: skip
    if figures.quality is None:
        words.append("Quality is empty (no_parts): no part was made, so there is nothing to divide by.")
    if figures.oee is None:
        words.append("OEE is empty (no_ideal_cycle): the good parts have no ideal cycle to be valued with.")
    if figures.oee == 0:
        soon = " so far" if still_runs else ""
        words.append(f"OEE is 0 and not empty: there was planned time, and no good part came out of it{soon}.")
    return tuple(words)


def convention_words(convention: Convention) -> tuple[str, ...]:
    """What the convention in force means, one sentence for each choice."""
    outside, loss = "is outside planned time", "is planned time and an availability loss"
    return (
        f"A planned stop {outside if convention.planned_stops == 'excluded' else loss}.",
        f"Changeover {outside if convention.changeover == 'excluded' else loss}.",
        f"Time in which nobody knows the state {outside if convention.unknown == 'excluded' else loss}.",
        "Running in a break or outside the plan is planned time."
        if convention.break_running == "planned"
        else "Running in a break or outside the plan, and what is made then, is outside OEE.",
        "Reworked parts are good." if convention.rework_is_good else "Reworked parts are not good: good is first time.",
    )


def convention_of(code: str, otherwise: Convention) -> Convention:
    """The convention a row was computed under, from its `convention` column; the plant's own if that says nothing."""
    choices = dict(pair.split("=", 1) for pair in code.split(";") if "=" in pair)
    try:
        return Convention.model_validate(choices)
    except ValueError:
        return otherwise
