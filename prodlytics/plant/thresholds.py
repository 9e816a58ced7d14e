"""Limits that findings are compared with.

Belongs here: one name and default per limit. Does not belong here: the checks that use them (`prodlytics.assets`).
"""

from __future__ import annotations

from prodlytics.plant.values import Positive, Share, Strict


class Thresholds(Strict):
    """Limits that checks and the report compare with; shares between 0 and 1."""

    oee_warning: Share = 0.60
    oee_manager: Share = 0.50
    "Below this in the running shift the plant manager is told."
    oee_critical: Share = 0.40
    availability: Share = 0.70
    performance: Share = 0.75
    quality: Share = 0.95
    performance_suspect: Positive = 1.05
    scrap_rate: Share = 0.05
    feed_silent_min: Positive = 15
    coverage: Share = 0.99
    downtime_alert_min: Positive = 15
    scrap_alert_pieces: Positive = 20
    "Fewer pieces in the rolling hour say nothing about its scrap rate."
    live_planned_min: Positive = 60
    "Less planned time of the running shift says nothing about its OEE."
    vibration_mean_min: Positive = 10
    "Minutes over which vibration is averaged before it is judged."
    state_changes_per_h: Positive = 120
    reason_needed_s: Positive = 120
    "A stop longer than this needs a reason from a person ..."
    reason_within_s: Positive = 300
    "... within this time of its start."
    reason_compliance: Share = 0.50
    uncoded_share: Share = 0.30
    other_share: Share = 0.20
    short_stop_run_h: Positive = 40
    "Run time in a week in which a machine without one short stop looks as if they were not captured."
    scrap_difference: Share = 0.01
    count_difference: Share = 0.01
    oee_points: Share = 0.02
    delivery: Share = 0.99
