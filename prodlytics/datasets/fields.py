"""The field dictionary: a name means the same thing, in the same unit, in every table.

Belongs here: one entry per column name. Does not belong here: which table has which column (`registry.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldType = Literal["text", "timestamp", "date", "float", "integer", "numeric", "boolean"]


@dataclass(frozen=True)
class Field:
    """A column: its type, its unit (if it measures something) and what it says."""

    type: FieldType
    description: str
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None


STATES = ("running", "idle", "starved", "blocked", "fault", "setup", "off", "unknown")
STOP_BUCKETS = ("failure", "changeover", "planned_stop", "other_stop", "micro_stop")
BUCKETS = ("running", *STOP_BUCKETS, "break", "not_scheduled", "unknown")
#: The six big losses, what the convention may count beside them, and running time that cannot be judged.
LOSSES = (
    "unplanned_stop", "changeover", "micro_stop", "reduced_speed", "defects", "startup", "planned_stop", "unknown",
    "no_ideal_cycle",
)  # fmt: skip
PLANS = ("planned", "break", "planned_stop", "not_scheduled")
#: What is compared with what others say of it.
MEASURES = ("good_count", "reject_count", "parts", "oee", "availability", "performance", "quality")
#: Kinds of entry that are about stops.
STOP_KINDS = ("reason", "split", "merge")
ENTRY_KINDS = (*STOP_KINDS, "scrap", "production", "figure", "note", "undo")
EVENT_TYPES = ("cycle_complete", "reject", "rework", "state_change", "alarm")


def _duration(bucket: str, meaning: str) -> Field:
    return Field("integer", f"{meaning} ({bucket}).", "us", minimum=0)


FIELDS: dict[str, Field] = {
    # who and what
    "machine_id": Field("text", "The machine (ISO 22400 work unit)."),
    "machine_name": Field("text", "Name people use for the machine."),
    "line": Field("text", "Line the machine belongs to."),
    "metric_name": Field("text", "Tag of the machine, e.g. SpindleSpeed_RPM."),
    "unit": Field("text", "Unit of the value, from the tag's name or the plant file."),
    "part_number": Field("text", "Part being made."),
    "part_description": Field("text", "What the part is."),
    "work_order": Field("text", "Order being worked on."),
    "operation": Field("text", "Operation of the order; empty where the order is not divided."),
    "operator_id": Field("text", "Badge of the person, as the source gives it."),
    "event_key": Field("text", "Tells apart events of one machine and instant: the tag or the entry it came from."),
    "source": Field("text", "Where the row came from."),
    # when
    "time": Field("timestamp", "Event time: when it happened at the machine."),
    "time_start": Field("timestamp", "Start of the part of the stop."),
    "time_end": Field("timestamp", "End of the part of the stop; empty while it lasts."),
    "time_bucket": Field("timestamp", "Start of the hour; hours count from the boundary of the production day."),
    "starts_at": Field("timestamp", "Start, included."),
    "ends_at": Field("timestamp", "End, excluded."),
    "since": Field("date", "First production day on which the row holds."),
    "production_date": Field("date", "Production day, from the calendar: a night shift belongs to the day it starts."),
    "as_of": Field("timestamp", "What was known when the row was computed: the earlier of now and the newest data."),
    "published_at": Field("timestamp", "When the source sent it."),
    "ingested_at": Field("timestamp", "When we stored it."),
    "state_started_at": Field("timestamp", "True start of the state, also when the row begins at a day's edge."),
    "stop_started_at": Field("timestamp", "Start of the whole stop."),
    "stop_ended_at": Field("timestamp", "End of the whole stop; empty while it lasts."),
    "shift_started_at": Field("timestamp", "Start of the running shift; empty outside any."),
    "shift_ends_at": Field("timestamp", "Planned end of the running shift; empty outside any."),
    "state_since": Field("timestamp", "Since when the machine is in this state; empty for one never heard."),
    "last_heard_at": Field("timestamp", "Newest sample of any tag of the machine; empty for one never heard."),
    # telemetry
    "value": Field("float", "The number that was read."),
    "value_text": Field("text", "The text that was read, for tags that are not numbers."),
    "quality": Field("integer", "OPC quality: 192 and above good, 64 uncertain, 0 bad.", minimum=0, maximum=255),
    "native_code": Field("text", "Code of a condition, as the controller gives it; empty otherwise."),
    # production
    "event_type": Field("text", "What happened.", allowed=EVENT_TYPES),
    "cycle_time_ms": Field("float", "Actual cycle time.", "ms", minimum=0),
    "good_count": Field("numeric", "Parts right first time.", "parts", minimum=0),
    "reject_count": Field("numeric", "Parts rejected.", "parts", minimum=0),
    "rework_count": Field("numeric", "Parts sent to rework: not good at first pass.", "parts", minimum=0),
    "gap_good_count": Field("numeric", "Good parts made while nobody knew the state; outside OEE.", "parts", minimum=0),
    "gap_reject_count": Field("numeric", "Rejects made while nobody knew the state; outside OEE.", "parts", minimum=0),
    "off_plan_good_count": Field("numeric", "Good parts made off the plan, where that is outside OEE.", "parts", 0),
    "off_plan_reject_count": Field("numeric", "Rejects made off the plan, where that is outside OEE.", "parts", 0),
    "hour_good_count": Field("numeric", "Good parts of the last hour, of the running shift.", "parts", minimum=0),
    "hour_reject_count": Field("numeric", "Rejects of the last hour, of the running shift.", "parts", minimum=0),
    "reject_reason": Field("text", "Why the part was rejected, if the machine says."),
    "machine_state": Field("text", "State at that moment."),
    "fault_code": Field("text", "Code the controller shows."),
    "flag": Field("text", "How sure the count is: estimated, reset, rollover; empty when plain."),
    # states and stops
    "state": Field("text", "What the machine does.", allowed=STATES),
    "native_state": Field("text", "The controller's own word for the state."),
    "is_open": Field("boolean", "Still so at the end of what is known."),
    "stop_id": Field("text", "The stop: machine and start; the same for all its parts."),
    "bucket": Field("text", "The one bucket of the loss ledger the time is in.", allowed=BUCKETS),
    "plan": Field("text", "What the calendar wanted.", allowed=PLANS),
    "reason_code": Field("text", "Why: code of the second level, or of the category."),
    "reason_category": Field("text", "Why: first level."),
    "category_name": Field("text", "Name of the category."),
    "reason_name": Field("text", "Name of the reason."),
    "reason_detail": Field("text", "Name of the reason, or the free text that came with it."),
    "reason_source": Field(
        "text", "Who said so: operator, supervisor, machinemetrics, erp ..., fault_code, calendar; empty: nobody."
    ),
    "reason_entry": Field("text", "Key of the operator entry that gave the reason; empty where none did."),
    "loss": Field("text", "Bucket of the ledger that stops with this reason fall into."),
    "is_equipment": Field("boolean", "Counts as an equipment failure for MTBF and MTTR."),
    "is_other": Field("boolean", "Chosen when nothing else fits."),
    "shift": Field("text", "Shift, empty outside shifts."),
    "notes": Field("text", "What people wrote."),
    # scrap and money
    "quantity": Field("numeric", "How many.", "parts", minimum=0),
    "scrap_reason": Field("text", "Why it was scrapped; empty when nobody said."),
    "scrap_category": Field("text", "Category of the scrap reason."),
    "material_cost": Field("numeric", "Material lost, in the row's currency.", "currency", minimum=0),
    "labor_cost": Field("numeric", "Labour lost up to here, in the row's currency.", "currency", minimum=0),
    "machine_cost": Field("numeric", "Machine time lost, in the row's currency.", "currency", minimum=0),
    "loss_us": Field("float", "Planned time lost; below zero where parts were faster than their ideal cycle.", "us"),
    "occurrences": Field(
        "numeric", "Stops that began here, or bad parts; empty where there is nothing to count.", "times", minimum=0
    ),
    "cost": Field("numeric", "What the loss cost, of what is known; empty where nothing is.", "currency"),
    "cost_reason": Field(
        "text", "What is not in the cost: no_material_cost, no_ideal_cycle, no_labor_rate, no_machine_rate."
    ),
    "currency": Field("text", "ISO 4217 code of the amounts in the row."),
    "material_cost_per_unit": Field("numeric", "Material cost of one part.", "currency", minimum=0),
    "labor_rate_per_hour": Field("numeric", "Labour rate of the order.", "currency/h", minimum=0),
    "labor_rate_per_h": Field("numeric", "Labour rate at the machine.", "currency/h", minimum=0),
    "machine_rate_per_h": Field("numeric", "Cost of an hour of the machine.", "currency/h", minimum=0),
    # orders
    "order_qty": Field("numeric", "Ordered.", "parts", minimum=0),
    "order_unit": Field("text", "What the quantities of the order are counted in, as the ERP says it: EA, KG."),
    "completed_qty": Field("numeric", "Reported complete by the ERP.", "parts", minimum=0),
    "scrap_qty": Field("numeric", "Reported scrapped by the ERP.", "parts", minimum=0),
    "customer_name": Field("text", "Customer."),
    "due_date": Field("date", "Promised to the customer."),
    "status": Field("text", "Open, closed or cancelled.", allowed=("open", "closed", "cancelled")),
    "started_at": Field("timestamp", "Work on it began."),
    "ended_at": Field("timestamp", "Work on it ended."),
    "source_modified_at": Field("timestamp", "Last change in the source."),
    # machine settings
    "ideal_cycle_time_ms": Field("float", "Ideal cycle where the part has none of its own.", "ms", minimum=0),
    "micro_stop_s": Field("float", "Stops shorter than this are micro-stops.", "s", minimum=0),
    "silence_after_s": Field("float", "Silence after which the state is unknown.", "s", minimum=0),
    "vibration_class": Field("text", "Class of ISO 10816 / 20816."),
    # elements and ratios
    "availability": Field("float", "Run time / planned time.", "ratio", minimum=0, maximum=1),
    "performance": Field("float", "Ideal time of all parts / run time; uncapped.", "ratio", minimum=0),
    "quality_ratio": Field("float", "Ideal time of good parts / ideal time of all parts.", "ratio", minimum=0),
    "oee": Field("float", "Ideal time of good parts / planned time.", "ratio", minimum=0),
    "null_reason": Field(
        "text",
        "Why a ratio is empty: no_planned_time, no_data, no_ideal_cycle, no_run_time, no_parts, mixed_conventions.",
    ),
    "planned_time_us": _duration("planned time", "Time the machine should have run"),
    "run_time_us": _duration("run time", "Running and micro-stops"),
    "ideal_time_us": Field("float", "Time all parts would have taken at the ideal cycle.", "us", minimum=0),
    "ideal_good_time_us": Field("float", "Time the good parts would have taken.", "us", minimum=0),
    "running_us": _duration("running", "Producing"),
    "failure_us": _duration("failure", "Broken down"),
    "changeover_us": _duration("changeover", "Being set up"),
    "planned_stop_us": _duration("planned_stop", "Stopped as planned"),
    "other_stop_us": _duration("other_stop", "Stopped for other causes"),
    "micro_stop_us": _duration("micro_stop", "Stops too short to need a reason"),
    "break_us": _duration("break", "In a break"),
    "not_scheduled_us": _duration("not_scheduled", "Outside the plan"),
    "unknown_us": _duration("unknown", "Nobody knows"),
    # roll-ups
    "made_at": Field("timestamp", "When it was made, by the data: the end of a production day."),
    "forecast_date": Field("date", "The production day that is forecast."),
    "expected_yield": Field("float", "Share of good parts that is expected.", "ratio", 0, 1),
    "low_yield": Field(
        "float",
        "The yield lies between this and high_yield with 80 % probability; empty: too few errors are known.",
        "ratio",
        0,
        1,
    ),
    "high_yield": Field("float", "See low_yield.", "ratio", 0, 1),
    "baseline_yield": Field("float", "The simplest forecast: the mean of the last 28 days.", "ratio", 0, 1),
    "expected_part_count": Field("float", "Parts expected that day, as usual on that weekday.", "parts", 0),
    "method": Field("text", "Which forecast is used for this series."),
    "method_reason": Field("text", "Why: its errors of the weeks before, beside the simplest that is best."),
    "mase": Field("float", "Mean absolute error of the weeks before, in units of last week's same day as forecast."),
    "baseline_mase": Field("float", "The same of the best simple forecast."),
    "level": Field("text", "What the row is about.", allowed=("machine", "line", "plant", "part", "family")),
    "member": Field("text", "Which machine, line, plant, part number or family; '' where nobody said."),
    "period": Field("text", "How long.", allowed=("shift", "day", "week")),
    "period_start": Field("date", "Production date; of a week its Monday (ISO 8601)."),
    "basis": Field("text", "Machine a line is measured by, or sum: all machines of the row added up."),
    "basis_reason": Field("text", "Why that machine stands for the line."),
    "allocation_efficiency": Field("float", "Busy time / planned time with set-up (ISO AUBT/PBT).", "ratio", 0, 1),
    "utilization_efficiency": Field("float", "Run time / busy time (ISO APT/AUBT).", "ratio", 0, 1),
    "technical_efficiency": Field("float", "Run time / (run time + delay) (ISO APT/(APT+ADET)).", "ratio", 0, 1),
    "setup_ratio": Field("float", "Set-up / (run time + set-up) (ISO AUST/AUPT).", "ratio", 0, 1),
    "nee_index": Field("float", "OEE with set-up as no loss (ISO NEE).", "ratio", 0),
    "scrap_ratio": Field("float", "Rejects / parts (ISO SQ/PQ).", "ratio", 0, 1),
    "rework_ratio": Field("float", "Rework / parts (ISO RQ/PQ).", "ratio", 0, 1),
    "first_pass_yield": Field("float", "Good at first pass / parts (ISO GP/IP).", "ratio", 0, 1),
    "throughput_per_h": Field("float", "Parts per hour of planned time.", "parts/h", 0),
    "production_process_ratio": Field("float", "Run time / time of orders in work (ISO APT/AOET).", "ratio", 0),
    "throughput_rate_per_h": Field("float", "Parts per hour of orders in work (ISO PQ/AOET).", "parts/h", 0),
    "order_run_time_us": Field("integer", "Run time while the part of an order was in work.", "us", 0),
    "order_time_us": Field("integer", "All time while the part of an order was in work (ISO AOET).", "us", 0),
    "order_part_count": Field("numeric", "Parts of known part number, good and bad.", "parts", 0),
    "failures": Field("integer", "Equipment failures that began in the period (ISO FE); empty for parts.", minimum=0),
    "repair_time_us": Field("integer", "Repair of these failures, whole, in scheduled time.", "us", 0),
    "open_failures": Field("integer", "Failures of these not repaired yet: their repair is so far.", minimum=0),
    "mtbf_h": Field("float", "Run time / failures; empty without a failure.", "h", 0),
    "mtbf_lower_bound_h": Field("float", "Run time without a failure: MTBF is longer.", "h", 0),
    "mtbf_iso_h": Field("float", "Run time / (failures + 1) (ISO 22400-2).", "h", 0),
    "mttr_h": Field("float", "Repair time / failures; empty without a failure.", "h", 0),
    "mttr_iso_h": Field("float", "Repair time / (failures + 1) (ISO 22400-2).", "h", 0),
    "mttr_is_lower_bound": Field("boolean", "A repair still goes on: the true MTTR is longer."),
    "reliability_null_reason": Field("text", "Why MTBF and MTTR are empty: no_failures, not_equipment."),
    "off_plan_run_us": _duration("running", "Part of it off the plan, where the convention keeps that out of OEE"),
    "coverage": Field(
        "float", "Share of the time so far, breaks apart, in which the state is known.", "ratio", minimum=0, maximum=1
    ),
    "convention": Field("text", "The OEE convention in force."),
    "fingerprint": Field("text", "Hash of everything the row was computed from."),
    "revision": Field("integer", "How often the row was restated, from 1.", minimum=1),
    # quality of the data
    "supervisor": Field("text", "Who was responsible for the shift; empty where the plant file names nobody."),
    "stop_time_us": _duration("stop time", "Planned time stopped, short stops aside: it needs a reason"),
    "uncoded_time_us": _duration("uncoded", "Stop time without a reason"),
    "other_time_us": _duration("other", "Stop time whose reason says that nothing else fits"),
    "uncoded_share": Field("float", "Uncoded time / stop time.", "ratio", minimum=0, maximum=1),
    "other_share": Field("float", "Time of reason `other` / stop time.", "ratio", minimum=0, maximum=1),
    "stop_count": Field("integer", "Stops long enough to need a reason from a person.", "stops", minimum=0),
    "coded_count": Field("integer", "Those for which a person gave a reason that holds.", "stops", minimum=0),
    "coded_in_time_count": Field("integer", "Those for which one was given in time.", "stops", minimum=0),
    "compliance": Field("float", "Stops coded in time / stops that need it.", "ratio", minimum=0, maximum=1),
    "delay_median_s": Field("float", "Median time from the start of a stop to its reason.", "s", minimum=0),
    "delay_p90_s": Field("float", "Time within which nine in ten reasons came.", "s", minimum=0),
    "short_stop_count": Field("integer", "Short stops that begin here.", "stops", minimum=0),
    "ideal_cycle_suspect": Field("boolean", "Performance beyond belief: an ideal cycle is too long."),
    "plan_time_us": _duration("plan time", "Time the calendar planned to produce"),
    "known_time_us": _duration("known", "Plan time in which the state was known"),
    "state_coverage": Field("float", "Known time / plan time.", "ratio", minimum=0, maximum=1),
    "heard_time_us": _duration("heard", "Plan time in which the machine's feed was heard"),
    "feed_coverage": Field("float", "Heard time / plan time.", "ratio", minimum=0, maximum=1),
    "longest_silence_s": Field("float", "Longest silence of the feed, as far as it lies in the row's time.", "s", 0),
    "sample_count": Field("integer", "Good samples delivered.", "samples", minimum=0),
    "missing_count": Field("integer", "Samples that usually would have come besides.", "samples", minimum=0),
    "delivery": Field("float", "Delivered / (delivered + missing) where sent steadily.", "ratio", minimum=0, maximum=1),
    "running_interval_s": Field("float", "Median time between samples while the machine runs.", "s", minimum=0),
    "standing_interval_s": Field("float", "Median time between samples while it stands.", "s", minimum=0),
    "running_regular": Field("float", "Share of the intervals near that median, running.", "ratio", 0, 1),
    "standing_regular": Field("float", "Share of the intervals near that median, standing.", "ratio", 0, 1),
    "longest_gap_s": Field("float", "Longest time without a sample of the tag in the day.", "s", minimum=0),
    # the same from several mouths
    "measure": Field("text", "What is compared, or what a figure measures.", allowed=MEASURES),
    "machine_value": Field("float", "What the machine's counters say; ratios from their elements."),
    "erp_value": Field("float", "What the ERP says."),
    "operator_value": Field("float", "What people entered."),
    "vendor_value": Field("float", "What MachineMetrics says."),
    "paper_value": Field("float", "What the paper record says."),
    "cycle_value": Field("float", "What the cycle counter shows."),
    "erp_difference": Field("float", "Machine less the ERP."),
    "operator_difference": Field("float", "Machine less what people entered."),
    "vendor_difference": Field("float", "Machine less MachineMetrics."),
    "paper_difference": Field("float", "Machine less the paper record."),
    "cycle_difference": Field("float", "Machine less the cycle counter."),
    "erp_share": Field("float", "Difference to the ERP / the larger of the two.", "ratio", minimum=0),
    "operator_share": Field("float", "Difference to what people entered / the larger of the two.", "ratio", minimum=0),
    "vendor_share": Field("float", "Difference to MachineMetrics / the larger of the two.", "ratio", minimum=0),
    "paper_share": Field("float", "Difference to the paper record / the larger of the two.", "ratio", minimum=0),
    "cycle_share": Field("float", "Difference to the cycle counter / the larger of the two.", "ratio", minimum=0),
    "gap_value": Field("float", "Part of the machine's count that was made over a silence of its feed.", minimum=0),
    "remark": Field("text", "What limits the comparison: order_open, counted_over_silence, entry_crosses_shift."),
    # entries of people
    "figure": Field("numeric", "Value of the measure, for entries of kind figure."),
    "kind": Field("text", "What was entered.", allowed=ENTRY_KINDS),
    "old_reason_code": Field("text", "What the stop said when the entry was stored; for people, never derived from."),
    "reject_quantity": Field("numeric", "Rejected pieces booked.", "parts", minimum=0),
    "rework_quantity": Field("numeric", "Pieces booked for rework.", "parts", minimum=0),
    "note": Field("text", "Free text."),
    "why": Field("text", "Why an entry was corrected."),
    "undoes": Field("text", "Source key of the entry this one takes back."),
    "entered_by": Field("text", "Badge of the person."),
    "entered_at": Field("timestamp", "When it was entered."),
    "source_key": Field("text", "Identity of the entry in its source."),
    # insights
    "feature_version": Field("text", "Which definition of the features; models are used with their own only."),
    "material": Field("text", "Material of the part, from the plant file."),
    "run_length_s": Field("float", "How long the machine had run without a stop.", "s", minimum=0),
    "previous_stop_s": Field("float", "Length of the stop before, within a day.", "s", minimum=0),
    "previous_cause": Field("text", "Reason category of the stop before, if it was known at that moment."),
    "stops_1h": Field("integer", "Stops in the hour before, short ones too.", "stops", minimum=0),
    "stops_24h": Field("integer", "Stops in the day before, short ones too.", "stops", minimum=0),
    "alarms_5min": Field("integer", "Alarms in the five minutes before.", "alarms", minimum=0),
    "alarms_24h": Field("integer", "Alarms in the day before.", "alarms", minimum=0),
    "minutes_since_alarm": Field("float", "Since the newest alarm within a day.", "min", minimum=0),
    "hours_since_maintenance": Field("float", "Since planned maintenance within 90 days.", "h", minimum=0),
    "parts_5min": Field("numeric", "Parts of the five minutes before, good and bad.", "parts", minimum=0),
    "rejects_1h": Field("numeric", "Rejected parts of the hour before.", "parts", minimum=0),
    "sensors_60s": Field("text", "JSON: n, mean, std, min, max, last of each tag in the minute before."),
    "sensors_5min": Field("text", "JSON: the same of the five minutes before."),
    "last_values": Field("text", "JSON: value, text and age_s of each tag's newest sample, at most a day old."),
    "answered_by": Field("text", "Who answered.", allowed=("model", "rule", "none")),
    "model_version": Field("integer", "Version of the model that answered.", minimum=1),
    "cause": Field("text", "Most likely reason category; `unknown` where nothing is likely enough."),
    "confidence": Field("float", "Calibrated probability of that cause.", "ratio", minimum=0, maximum=1),
    "probabilities": Field("text", "JSON: reason category to its probability."),
    "evidence": Field("text", "What speaks for it, in sentences, with the numbers; evidence, not proof."),
    "coded_category": Field("text", "What people or systems named as the reason, when this was computed."),
    "disagrees": Field("boolean", "The evidence points elsewhere than what was named."),
    "in_training": Field("boolean", "The model had seen this stop: its answer proves nothing."),
    "model_name": Field("text", "What the model answers, e.g. downtime_causes."),
    "version": Field("integer", "Counts the trainings of a model.", minimum=1),
    "status_reason": Field("text", "Why it is in use or not, with the scores."),
    "is_pinned": Field("boolean", "Somebody fixed this version: training replaces it no more."),
    "algorithm": Field("text", "How it answers."),
    "trained_from": Field("timestamp", "Start of the training data."),
    "trained_until": Field("timestamp", "End of the training data, excluded."),
    "judged_from": Field("timestamp", "Start of the later window it was judged on."),
    "judged_until": Field("timestamp", "End of that window, excluded."),
    "row_count": Field("integer", "Rows it was trained on.", "rows", minimum=0),
    "features": Field("text", "JSON: the columns it reads."),
    "score_name": Field("text", "Which figure decides; more is better."),
    "score": Field("float", "That figure on the later window."),
    "baseline_score": Field("float", "The same of the simplest answer there is."),
    "champion_score": Field("float", "The same of the version that was in use."),
    "metrics": Field("text", "JSON: all figures."),
    "data_fingerprint": Field("text", "Hash of the training rows."),
    "code_version": Field("text", "Version of this product."),
    "training_trigger": Field("text", "Why it was trained."),
    "content_hash": Field("text", "SHA-256 of the model's bytes; empty where there was not enough data."),
    "trained_at": Field("timestamp", "When it was trained."),
    # anomalies
    "detector": Field("text", "Which detector speaks.", allowed=("process", "scrap", "vibration")),
    "episode": Field("integer", "Counts the episodes of machine, detector and day; 0 sums the day up.", minimum=0),
    "severity": Field("text", "From tail probability and duration, or zone.", allowed=("low", "medium", "high")),
    "tail_probability": Field("float", "Probability of this or worse in normal operation.", "ratio", 0, 1),
    "anomaly_score": Field("float", "Distance / distance at which an alarm begins; of scrap -log10 of the tail."),
    "duration_min": Field("float", "How long the episode lasted, within the day.", "min", minimum=0),
    "judged_min": Field("float", "Running time that could be judged.", "min", minimum=0),
    "alarm_min": Field("float", "Part of it in an alarm.", "min", minimum=0),
    "piece_count": Field("numeric", "Pieces judged.", "parts", minimum=0),
    "expected_reject_count": Field("float", "Rejects the part's own history lets expect.", "parts", minimum=0),
    "vibration_zone": Field("text", "Zone of ISO 20816 / 10816 by the machine's limits.", allowed=("A", "B", "C", "D")),
    "vibration_level_mms": Field("float", "Typical level in the row's time, r.m.s. velocity.", "mm/s", minimum=0),
    "vibration_baseline_mms": Field("float", "Level after the installation.", "mm/s", minimum=0),
    "contributors": Field("text", "JSON: sensors, the one that is off most first, with value and usual."),
    "hypotheses": Field("text", "JSON: what may be behind it by the plant's rules, each with its evidence."),
    # report
    "plant_oee": Field("float", "OEE of the plant over the day, from elements.", "ratio", minimum=0),
    "html": Field("text", "The report as HTML."),
    "plain_text": Field("text", "The report as plain text."),
}
