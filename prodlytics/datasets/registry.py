"""Every dataset, declared once.

Belongs here: table, group, key, time column, columns, what it is for. DDL agreement, schema checks, archive assets,
column metadata in the UI and the data dictionary come from it. Does not belong here: how a dataset is computed
(`prodlytics.assets`), or anything that imports pandas (`models.py` builds the pandera models when asked).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from prodlytics.datasets.fields import FIELDS, LOSSES, Field

#: Days in the hot tables: raw samples, what was derived from them as events, figures of five years (ISO 9001).
SAMPLES_HOT, EVENTS_HOT, FIGURES_HOT = 90, 365, 1826

Group = Literal["plant", "edge", "floor", "sources", "kpi", "models", "insights", "report", "archive", "publish"]


@dataclass(frozen=True)
class Dataset:
    """One dataset: asset name = table name = file name.

    Attributes:
        columns: Names in the order of the table, without generated and bookkeeping columns.
        required: Columns that are never NULL.
        span: First and last column of the time a row covers; one name twice for an instant.
        downstream: Derived datasets that have to be computed anew when rows of this one change.
        archived: Whether closed production days go to Parquet.
        keep_hot_days: After how many days a verified archived day may leave the hot tables; None for never.
    """

    name: str
    group: Group
    description: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    required: tuple[str, ...]
    span: tuple[str, str] | None = None
    overrides: tuple[tuple[str, Field], ...] = ()
    downstream: tuple[str, ...] = ()
    archived: bool = False
    keep_hot_days: int | None = None
    kinds: tuple[str, ...] = ("postgres",)

    @cached_property
    def fields(self) -> dict[str, Field]:
        """Column name to its meaning here."""
        special = dict(self.overrides)
        return {name: special.get(name) or FIELDS[name] for name in self.columns}


def _columns(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_ALL = (
    Dataset(
        name="machine_config",
        group="plant",
        description="Machines with what changes over time: ideal cycle, rates, micro-stop threshold. From plant.yaml.",
        key=("machine_id", "since"),
        columns=_columns(
            "machine_id since machine_name line ideal_cycle_time_ms micro_stop_s silence_after_s machine_rate_per_h "
            "labor_rate_per_h currency vibration_class"
        ),
        required=_columns("machine_id since machine_name line micro_stop_s currency"),
        archived=False,
        kinds=("yaml", "postgres"),
    ),
    Dataset(
        name="plan_calendar",
        group="plant",
        description="What the plant planned for each machine, to the minute: shifts, breaks, planned stops, closures.",
        key=("machine_id", "starts_at"),
        columns=_columns("machine_id starts_at ends_at plan shift production_date source"),
        required=_columns("machine_id starts_at ends_at plan production_date source"),
        span=("starts_at", "ends_at"),
        downstream=("downtime_events", "scrap_events", "machine_time", "kpi_rollup"),
        archived=True,
        kinds=("yaml", "postgres"),
    ),
    Dataset(
        name="reason_codes",
        group="plant",
        description="The reason tree in two levels, with the ledger bucket each category falls into.",
        key=("reason_code",),
        columns=_columns("reason_code reason_name reason_category category_name loss is_equipment is_other"),
        required=_columns("reason_code reason_name reason_category category_name loss is_equipment is_other"),
        kinds=("yaml", "postgres"),
    ),
    Dataset(
        name="machine_telemetry",
        group="edge",
        description="What the machines said: raw samples with event time and quality, nothing derived.",
        key=("machine_id", "metric_name", "native_code", "time"),
        columns=_columns(
            "time machine_id metric_name native_code value value_text unit quality source published_at ingested_at"
        ),
        required=_columns("time machine_id metric_name native_code quality source"),
        span=("time", "time"),
        downstream=_columns(
            "production_events machine_states data_quality reconciliation sensor_delivery stop_features anomaly_scores"
        ),
        archived=True,
        keep_hot_days=SAMPLES_HOT,
    ),
    Dataset(
        name="operator_entries",
        group="floor",
        description="What people said: reasons, scrap, bookings; append-only, attached to machine and time span.",
        key=("source_key",),
        columns=_columns(
            "source_key machine_id kind starts_at ends_at reason_code quantity reject_quantity rework_quantity "
            "part_number work_order scrap_category scrap_reason note why undoes entered_by entered_at source "
            "old_reason_code measure figure"
        ),
        required=_columns("source_key machine_id kind starts_at entered_by entered_at source"),
        span=("starts_at", "starts_at"),
        downstream=_columns(
            "production_events machine_states downtime_events scrap_events data_quality reconciliation stop_features"
        ),
        archived=True,
    ),
    Dataset(
        name="work_orders",
        group="sources",
        description="Orders as the ERP knows them.",
        key=("work_order", "operation"),
        columns=_columns(
            "work_order operation part_number part_description machine_id order_qty completed_qty scrap_qty "
            "material_cost_per_unit labor_rate_per_hour currency customer_name due_date status started_at ended_at "
            "source source_modified_at order_unit"
        ),
        required=_columns("work_order operation status source"),
        downstream=("production_events", "oee_shift", "reconciliation", "stop_features"),
    ),
    Dataset(
        name="part_costs",
        group="sources",
        description="Material cost of parts, with the day from which it holds: history keeps its cost.",
        key=("part_number", "since"),
        columns=_columns("part_number since material_cost_per_unit currency source"),
        required=_columns("part_number since material_cost_per_unit currency source"),
        downstream=("scrap_events",),
    ),
    Dataset(
        name="ideal_cycles",
        group="sources",
        description="How long a part takes on a machine at best, as other systems say; the plant file outranks them.",
        key=("part_number", "machine_id", "since"),
        columns=_columns("part_number machine_id since ideal_cycle_time_ms source"),
        required=_columns("part_number machine_id since ideal_cycle_time_ms source"),
        overrides=(("ideal_cycle_time_ms", Field("float", "Ideal cycle of the part on it.", "ms", minimum=0)),),
    ),
    Dataset(
        name="production_events",
        group="floor",
        description="Counters to parts, faults to alarms: what was made, derived from the raw samples.",
        key=("machine_id", "time", "event_type", "event_key"),
        columns=_columns(
            "time machine_id event_type event_key part_number work_order cycle_time_ms good_count reject_count "
            "rework_count reject_reason machine_state fault_code operator_id since flag as_of"
        ),
        required=_columns("time machine_id event_type event_key good_count reject_count rework_count as_of"),
        span=("time", "time"),
        overrides=(
            ("since", Field("timestamp", "Time of the counter sample before: the parts were made since then.")),
        ),
        downstream=("scrap_events", "oee_hourly", "oee_shift", "reconciliation", "stop_features"),
        archived=True,
        keep_hot_days=EVENTS_HOT,
    ),
    Dataset(
        name="machine_states",
        group="floor",
        description="What each machine did, without a gap: states as intervals, unknown where it was silent.",
        key=("machine_id", "starts_at"),
        columns=_columns("machine_id starts_at ends_at state native_state fault_code state_started_at is_open as_of"),
        required=_columns("machine_id starts_at ends_at state state_started_at is_open as_of"),
        span=("starts_at", "ends_at"),
        downstream=("downtime_events", "machine_time"),
        archived=True,
        keep_hot_days=EVENTS_HOT,
    ),
    Dataset(
        name="downtime_events",
        group="floor",
        description="Stops with their reasons: each part of a stop that has one cause, and the stop it belongs to.",
        key=("machine_id", "time_start"),
        columns=_columns(
            "time_start time_end machine_id stop_id stop_started_at stop_ended_at as_of state bucket fault_code "
            "reason_code reason_category reason_detail reason_source shift production_date operator_id work_order "
            "notes reason_entry"
        ),
        required=_columns("time_start machine_id stop_id stop_started_at as_of state bucket production_date"),
        span=("time_start", "time_end"),
        downstream=_columns("machine_time kpi_rollup data_quality stop_features downtime_causes daily_report"),
        archived=True,
        keep_hot_days=EVENTS_HOT,
    ),
    Dataset(
        name="scrap_events",
        group="floor",
        description="Rejected parts with reason and money; rejects nobody explained stay without a reason.",
        key=("machine_id", "time", "event_key"),
        columns=_columns(
            "time machine_id event_key part_number work_order quantity scrap_reason scrap_category material_cost "
            "labor_cost machine_cost currency operator_id production_date as_of"
        ),
        required=_columns("time machine_id event_key quantity currency production_date as_of"),
        span=("time", "time"),
        downstream=("losses", "daily_report"),
        archived=True,
        keep_hot_days=EVENTS_HOT,
    ),
    Dataset(
        name="machine_time",
        group="kpi",
        description="The loss ledger: every instant of every machine in exactly one bucket.",
        key=("machine_id", "starts_at"),
        columns=_columns(
            "machine_id starts_at ends_at bucket plan state reason_code stop_id shift production_date time_bucket as_of"
        ),
        required=_columns("machine_id starts_at ends_at bucket plan state production_date time_bucket as_of"),
        span=("starts_at", "ends_at"),
        downstream=_columns("oee_hourly oee_shift losses data_quality sensor_delivery anomaly_scores"),
        archived=True,
        keep_hot_days=FIGURES_HOT,
    ),
    Dataset(
        name="oee_hourly",
        group="kpi",
        description="Elements and ratios per machine and hour. Roll up the elements, never the ratios.",
        key=("machine_id", "time_bucket"),
        columns=_columns(
            "time_bucket machine_id production_date availability performance quality oee null_reason good_count "
            "reject_count rework_count gap_good_count gap_reject_count off_plan_good_count off_plan_reject_count "
            "planned_time_us run_time_us ideal_time_us ideal_good_time_us running_us failure_us changeover_us "
            "planned_stop_us other_stop_us micro_stop_us break_us not_scheduled_us unknown_us off_plan_run_us "
            "convention as_of fingerprint"
        ),
        required=_columns(
            "time_bucket machine_id production_date good_count reject_count rework_count gap_good_count "
            "gap_reject_count off_plan_good_count off_plan_reject_count planned_time_us run_time_us running_us "
            "failure_us changeover_us planned_stop_us other_stop_us micro_stop_us break_us not_scheduled_us "
            "unknown_us off_plan_run_us convention as_of fingerprint"
        ),
        span=("time_bucket", "time_bucket"),
        overrides=(("quality", FIELDS["quality_ratio"]),),
        downstream=("daily_report",),
        archived=True,
        keep_hot_days=FIGURES_HOT,
    ),
    Dataset(
        name="oee_shift",
        group="kpi",
        description="Elements and ratios per machine, shift and part in work: what every roll-up above the hour uses.",
        key=("machine_id", "production_date", "shift", "part_number"),
        columns=_columns(
            "machine_id production_date shift part_number starts_at ends_at availability performance quality oee "
            "null_reason good_count reject_count rework_count gap_good_count gap_reject_count off_plan_good_count "
            "off_plan_reject_count planned_time_us run_time_us ideal_time_us ideal_good_time_us running_us failure_us "
            "changeover_us planned_stop_us other_stop_us micro_stop_us break_us not_scheduled_us unknown_us "
            "off_plan_run_us convention as_of fingerprint"
        ),
        required=_columns(
            "machine_id production_date shift part_number starts_at ends_at good_count reject_count rework_count "
            "gap_good_count gap_reject_count off_plan_good_count off_plan_reject_count planned_time_us run_time_us "
            "running_us failure_us changeover_us planned_stop_us other_stop_us micro_stop_us break_us "
            "not_scheduled_us unknown_us off_plan_run_us convention as_of fingerprint"
        ),
        span=("starts_at", "ends_at"),
        overrides=(
            ("quality", FIELDS["quality_ratio"]),
            ("shift", Field("text", "Shift, from the calendar; '' outside any shift.")),
            ("part_number", Field("text", "Part of the order in work; '' where nobody said what was made.")),
            ("starts_at", Field("timestamp", "First instant of the row's time; it need not be in one piece.")),
            ("ends_at", Field("timestamp", "Last instant of the row's time, excluded.")),
        ),
        downstream=("kpi_rollup", "losses", "data_quality", "reconciliation", "anomaly_scores"),
        archived=True,
        keep_hot_days=FIGURES_HOT,
    ),
    Dataset(
        name="data_quality",
        group="kpi",
        description="How good the data behind the numbers is: reasons, short stops, coverage, per machine and shift.",
        key=("machine_id", "production_date", "shift"),
        columns=_columns(
            "machine_id production_date shift starts_at ends_at supervisor stop_time_us uncoded_time_us other_time_us "
            "uncoded_share other_share stop_count coded_count coded_in_time_count compliance delay_median_s "
            "delay_p90_s short_stop_count running_us performance ideal_cycle_suspect plan_time_us known_time_us "
            "state_coverage heard_time_us feed_coverage longest_silence_s null_reason as_of"
        ),
        required=_columns(
            "machine_id production_date shift starts_at ends_at stop_time_us uncoded_time_us other_time_us stop_count "
            "coded_count coded_in_time_count short_stop_count running_us plan_time_us known_time_us as_of"
        ),
        span=("starts_at", "ends_at"),
        overrides=(
            ("shift", Field("text", "Shift, from the calendar; '' outside any shift.")),
            ("null_reason", Field("text", "Why figures are missing: `figure: reason`, with semicolons between.")),
        ),
        downstream=("daily_report",),
        archived=True,
        keep_hot_days=FIGURES_HOT,
    ),
    Dataset(
        name="kpi_rollup",
        group="kpi",
        description="KPIs of machines, lines, plant, parts and families by shift, day and week, from added elements.",
        key=("level", "member", "period", "period_start", "shift"),
        columns=_columns(
            "level member period period_start shift starts_at ends_at basis basis_reason availability performance "
            "quality oee null_reason allocation_efficiency utilization_efficiency technical_efficiency setup_ratio "
            "nee_index scrap_ratio rework_ratio first_pass_yield throughput_per_h production_process_ratio "
            "throughput_rate_per_h good_count reject_count rework_count gap_good_count gap_reject_count "
            "off_plan_good_count off_plan_reject_count planned_time_us run_time_us ideal_time_us ideal_good_time_us "
            "running_us failure_us changeover_us planned_stop_us other_stop_us micro_stop_us break_us "
            "not_scheduled_us unknown_us off_plan_run_us order_run_time_us order_time_us order_part_count failures "
            "repair_time_us open_failures mtbf_h mtbf_lower_bound_h mtbf_iso_h mttr_h mttr_iso_h mttr_is_lower_bound "
            "reliability_null_reason convention as_of fingerprint"
        ),
        required=_columns(
            "level member period period_start shift starts_at ends_at good_count reject_count rework_count "
            "gap_good_count gap_reject_count off_plan_good_count off_plan_reject_count planned_time_us run_time_us "
            "running_us failure_us changeover_us planned_stop_us other_stop_us micro_stop_us break_us "
            "not_scheduled_us unknown_us off_plan_run_us order_run_time_us order_time_us order_part_count "
            "mttr_is_lower_bound convention as_of fingerprint"
        ),
        # No span: a week belongs to no one production day, and its base, `oee_shift`, is archived.
        overrides=(
            ("quality", FIELDS["quality_ratio"]),
            ("shift", Field("text", "Shift, for the period shift ('' is outside any); '' for days and weeks.")),
            ("starts_at", Field("timestamp", "Start of the period by the calendar, included.")),
            ("ends_at", Field("timestamp", "End of the period by the calendar, excluded.")),
        ),
    ),
    Dataset(
        name="losses",
        group="kpi",
        description="Where planned time went, in minutes and money: losses by machine, shift, part and reason.",
        key=("machine_id", "production_date", "shift", "part_number", "loss", "reason_code"),
        columns=_columns(
            "machine_id production_date shift part_number loss reason_code starts_at ends_at loss_us occurrences cost "
            "cost_reason material_cost labor_cost machine_cost currency flag as_of fingerprint"
        ),
        required=_columns(
            "machine_id production_date shift part_number loss reason_code starts_at ends_at loss_us currency as_of "
            "fingerprint"
        ),
        span=("starts_at", "ends_at"),
        overrides=(
            ("shift", Field("text", "Shift, from the calendar; '' outside any shift.")),
            ("part_number", Field("text", "Part of the order in work; '' where nobody said what was made.")),
            ("loss", Field("text", "Which loss.", allowed=LOSSES)),
            ("reason_code", Field("text", "Why: reason of the stops, or of the scrap; '' where nobody said.")),
            ("starts_at", Field("timestamp", "First instant of the shift and part; it need not be in one piece.")),
            ("ends_at", Field("timestamp", "Last instant of the shift and part, excluded.")),
            ("material_cost", Field("numeric", "Material in it; empty where a loss has none.", "currency", minimum=0)),
            ("labor_cost", Field("numeric", "Labour in it.", "currency")),
            ("machine_cost", Field("numeric", "Machine time in it.", "currency")),
            ("flag", Field("text", "faster_than_ideal, or ideal_cycle_suspect beyond the plant's limit.")),
        ),
        downstream=("daily_report",),
        archived=True,
        keep_hot_days=FIGURES_HOT,
    ),
    Dataset(
        name="live_oee",
        group="kpi",
        description="The running shift of each machine so far: what it does now, elements and ratios. One row each.",
        key=("machine_id",),
        columns=_columns(
            "machine_id shift production_date shift_started_at shift_ends_at state state_since availability "
            "performance quality oee null_reason coverage good_count reject_count rework_count gap_good_count "
            "gap_reject_count off_plan_good_count off_plan_reject_count hour_good_count hour_reject_count "
            "planned_time_us run_time_us ideal_time_us ideal_good_time_us running_us failure_us "
            "changeover_us planned_stop_us other_stop_us micro_stop_us break_us not_scheduled_us unknown_us "
            "off_plan_run_us part_number work_order last_heard_at as_of convention"
        ),
        required=_columns(
            "machine_id production_date state good_count reject_count rework_count gap_good_count gap_reject_count "
            "off_plan_good_count off_plan_reject_count off_plan_run_us hour_good_count hour_reject_count "
            "planned_time_us run_time_us running_us failure_us changeover_us planned_stop_us other_stop_us "
            "micro_stop_us break_us not_scheduled_us unknown_us as_of convention"
        ),
        overrides=(
            ("quality", FIELDS["quality_ratio"]),
            ("shift", Field("text", "The running shift; empty outside any.")),
            ("part_number", Field("text", "Part of the order in work now.")),
            ("work_order", Field("text", "Order in work now.")),
        ),
    ),
    Dataset(
        name="reconciliation",
        group="kpi",
        description="The same quantity from machine, ERP, people, other systems and paper, and how far apart they are.",
        key=("machine_id", "production_date", "shift", "work_order", "measure"),
        columns=_columns(
            "machine_id production_date shift work_order measure starts_at ends_at machine_value erp_value "
            "operator_value vendor_value paper_value cycle_value erp_difference operator_difference vendor_difference "
            "paper_difference cycle_difference erp_share operator_share vendor_share paper_share cycle_share "
            "gap_value null_reason remark as_of"
        ),
        required=_columns("machine_id production_date shift work_order measure starts_at gap_value as_of"),
        # An order is archived, and reported, with the day on which it began.
        span=("starts_at", "starts_at"),
        overrides=(
            ("shift", Field("text", "Shift, from the calendar; '' outside any shift and for the life of an order.")),
            ("work_order", Field("text", "Order, compared over its life; '' for what is compared per shift.")),
            ("ends_at", Field("timestamp", "End of the shift or of the order, excluded; empty for an open order.")),
            ("null_reason", Field("text", "Why sides say nothing: `side: reason`, with semicolons between.")),
        ),
        downstream=("daily_report",),
        archived=True,
        keep_hot_days=FIGURES_HOT,
    ),
    Dataset(
        name="sensor_delivery",
        group="kpi",
        description="What each sensor delivered in a closed production day against what it usually does.",
        key=("machine_id", "production_date", "metric_name", "native_code"),
        columns=_columns(
            "machine_id production_date metric_name native_code starts_at ends_at sample_count missing_count delivery "
            "running_interval_s standing_interval_s running_regular standing_regular longest_gap_s null_reason as_of"
        ),
        required=_columns(
            "machine_id production_date metric_name native_code starts_at ends_at sample_count longest_gap_s as_of"
        ),
        span=("starts_at", "ends_at"),
        overrides=(
            (
                "null_reason",
                Field("text", "Why not judged: sent_on_change, too_few_samples, nothing_expected."),
            ),
        ),
        downstream=("daily_report",),
        archived=True,
        keep_hot_days=FIGURES_HOT,
    ),
    Dataset(
        name="stop_features",
        group="insights",
        description="What was known of a machine at the moment it stopped: the one basis of training and answers.",
        key=("machine_id", "stop_started_at"),
        columns=_columns(
            "machine_id stop_started_at stop_id production_date feature_version state fault_code shift part_number "
            "material work_order operator_id run_length_s previous_stop_s previous_cause stops_1h stops_24h "
            "alarms_5min alarms_24h minutes_since_alarm hours_since_maintenance parts_5min rejects_1h sensors_60s "
            "sensors_5min last_values fingerprint as_of"
        ),
        required=_columns(
            "machine_id stop_started_at stop_id production_date feature_version state stops_1h stops_24h alarms_5min "
            "alarms_24h parts_5min rejects_1h sensors_60s sensors_5min last_values fingerprint as_of"
        ),
        span=("stop_started_at", "stop_started_at"),
        downstream=("downtime_causes",),
        archived=True,
    ),
    Dataset(
        name="downtime_causes",
        group="insights",
        description="The likely cause of each stop with its evidence, or that nobody can say; beside what people said.",
        key=("machine_id", "stop_started_at"),
        columns=_columns(
            "machine_id stop_started_at stop_id production_date answered_by model_version cause confidence "
            "probabilities evidence coded_category disagrees in_training null_reason fingerprint as_of"
        ),
        required=_columns(
            "machine_id stop_started_at stop_id production_date answered_by cause probabilities evidence disagrees "
            "in_training fingerprint as_of"
        ),
        span=("stop_started_at", "stop_started_at"),
        archived=True,
    ),
    Dataset(
        name="model_registry",
        group="models",
        description="Models: trained on what, how good beside their baseline on a later window, which one is in use.",
        key=("model_name", "version"),
        columns=_columns(
            "model_name version status status_reason is_pinned algorithm trained_from trained_until judged_from "
            "judged_until row_count features feature_version score_name score baseline_score champion_score metrics "
            "data_fingerprint code_version training_trigger content_hash trained_at"
        ),
        required=_columns(
            "model_name version status status_reason is_pinned algorithm trained_from trained_until row_count features "
            "feature_version score_name metrics data_fingerprint code_version training_trigger trained_at"
        ),
    ),
    Dataset(
        name="anomaly_scores",
        group="insights",
        description="Episodes in which a machine did not run, scrap or vibrate as usual, with what stands out and why.",
        key=("machine_id", "production_date", "detector", "episode"),
        columns=_columns(
            "machine_id production_date detector episode starts_at ends_at is_open part_number shift severity "
            "tail_probability anomaly_score duration_min judged_min alarm_min piece_count reject_count "
            "expected_reject_count vibration_zone vibration_level_mms vibration_baseline_mms contributors hypotheses "
            "model_version null_reason as_of"
        ),
        required=_columns(
            "machine_id production_date detector episode starts_at ends_at is_open contributors hypotheses as_of"
        ),
        span=("starts_at", "ends_at"),
        overrides=(
            ("null_reason", Field("text", "Why nothing was judged, with how many are missing.")),
            ("is_open", Field("boolean", "It lasted to the end of what was known.")),
        ),
        downstream=("daily_report",),
        archived=True,
    ),
    Dataset(
        name="yield_forecasts",
        group="insights",
        description="Yield of the next seven days per machine, part and for the plant, made at the end of each day.",
        key=("production_date", "level", "member", "forecast_date"),
        columns=_columns(
            "production_date level member forecast_date made_at expected_yield low_yield high_yield baseline_yield "
            "expected_part_count method method_reason mase baseline_mase null_reason as_of"
        ),
        required=_columns("production_date level member forecast_date made_at as_of"),
        overrides=(
            ("production_date", Field("date", "The day at whose end it was made.")),
            ("made_at", Field("timestamp", "End of that day: what was known then is in it.")),
            ("null_reason", Field("text", "Why nothing is forecast, with how many days are missing.")),
        ),
        archived=True,
    ),
    Dataset(
        name="daily_report",
        group="report",
        description="Yesterday on one page: what was lost, why, what to do about it.",
        key=("production_date",),
        columns=_columns("production_date plant_oee html plain_text fingerprint as_of"),
        required=_columns("production_date html plain_text fingerprint as_of"),
        archived=True,
        kinds=("html", "postgres"),
    ),
    Dataset(
        name="audit_trail",
        group="archive",
        description="Who changed what and when: reasons, settings, promotions, what was dropped; append-only.",
        key=("audit_id",),
        columns=_columns("audit_id at actor database_user action subject subject_key old_row new_row"),
        required=_columns("audit_id at actor database_user action subject subject_key"),
        span=("at", "at"),
        overrides=(
            ("audit_id", Field("integer", "Counts up; a gap is a change that was rolled back.")),
            ("at", Field("timestamp", "When the change was made.")),
            ("actor", Field("text", "Who: the person the row names, else what the session says, else the login.")),
            ("database_user", Field("text", "The login that made the change.")),
            ("action", Field("text", "What was done.", allowed=("insert", "update", "delete"))),
            ("subject", Field("text", "The table.")),
            ("subject_key", Field("text", "Key of the row in it.")),
            ("old_row", Field("text", "The row before, as JSON; empty for a new one.")),
            ("new_row", Field("text", "The row after, as JSON; empty for a deleted one.")),
        ),
        archived=True,
    ),
)

#: Every dataset by name, in the order data flows.
DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _ALL}

#: Datasets that are recomputed by production day when something they read has changed, in the order they are.
DERIVED: tuple[str, ...] = (
    "plan_calendar",
    "production_events",
    "machine_states",
    "downtime_events",
    "scrap_events",
    "machine_time",
    "oee_hourly",
    "oee_shift",
    "kpi_rollup",
    "losses",
    "data_quality",
    "reconciliation",
)

#: Datasets computed after those, by production day too, in a job of their own: no model keeps a KPI waiting.
INSIGHTS: tuple[str, ...] = ("stop_features", "downtime_causes", "anomaly_scores")

#: Datasets that are computed once a production day is over, and again when something they read has changed.
ON_CLOSE: tuple[str, ...] = ("sensor_delivery", "yield_forecasts", "daily_report")
