"""What the detectors found on one production day of a machine, as rows of `anomaly_scores`.

Belongs here: episodes, the line that sums a day up, wording. Does not belong here: scoring, reading.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from prodlytics.insights.anomalies import episodes, vibration
from prodlytics.insights.anomalies.episodes import Contributor
from prodlytics.insights.anomalies.hypotheses import hypotheses
from prodlytics.insights.anomalies.minutes import MINUTE_US, Minutes
from prodlytics.insights.anomalies.process import ProcessModel, Scored
from prodlytics.insights.anomalies.scrap import scrap_score
from prodlytics.plant.anomalies import Anomalies, Hypothesis

#: Alarms closer than this are one episode: a machine that is ill is not ill twice in an hour.
SAME_EPISODE_MIN = 30
#: Sensors named with an episode.
NAMED = 5

#: Columns in the order of the table.
COLUMNS = (
    "machine_id", "production_date", "detector", "episode", "starts_at", "ends_at", "is_open", "part_number", "shift",
    "severity", "tail_probability", "anomaly_score", "duration_min", "judged_min", "alarm_min", "piece_count",
    "reject_count", "expected_reject_count", "vibration_zone", "vibration_level_mms", "vibration_baseline_mms",
    "contributors", "hypotheses", "model_version", "null_reason", "as_of",
)  # fmt: skip
_TIMES = ("starts_at", "ends_at", "as_of")
_NUMBERS = (
    "tail_probability", "anomaly_score", "duration_min", "judged_min", "alarm_min", "piece_count", "reject_count",
    "expected_reject_count", "vibration_level_mms", "vibration_baseline_mms", "model_version",
)  # fmt: skip


@dataclass(frozen=True)
class Day:
    """One production day of one machine: [start, end) as far as it is known until `cover_until`."""

    machine_id: str
    date: dt.date
    start: dt.datetime
    end: dt.datetime
    cover_until: dt.datetime
    as_of: dt.datetime

    def rows_of(self, time: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which minutes lie in the day."""
        return (time >= _us(self.start)) & (time < _us(min(self.end, self.cover_until)))

    def is_open(self, ends_at: dt.datetime) -> bool:
        """Whether what ends then lasted to the end of what is known of a day that is not over."""
        return self.cover_until < self.end and ends_at >= self.cover_until - dt.timedelta(minutes=2)


def _us(time: dt.datetime) -> int:
    return round(time.timestamp() * 1_000_000)


def _time(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=int(us))


def as_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows with the columns and types of the table."""
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS))
    for name in _TIMES:
        frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
    for name in _NUMBERS:
        frame[name] = frame[name].astype("float64")
    frame["is_open"] = frame["is_open"].astype(bool)
    frame["episode"] = frame["episode"].astype("int64")
    return frame


def _row(day: Day, detector: str, episode: int, **values: Any) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(COLUMNS)
    whole = {
        "machine_id": day.machine_id,
        "production_date": day.date,
        "detector": detector,
        "episode": episode,
        "starts_at": day.start,
        "ends_at": day.end,
        "is_open": False,
        "contributors": "[]",
        "hypotheses": "[]",
        "as_of": day.as_of,
    }
    return {**empty, **whole, **values}


def _listed(found: Sequence[Contributor]) -> str:
    return json.dumps(
        [
            {name: float(f"{value:.4g}") if isinstance(value, float) else value for name, value in asdict(one).items()}
            for one in found[:NAMED]
        ]
    )


def silent(day: Day, detector: str, why: str) -> dict[str, Any]:
    """A detector that cannot judge says so."""
    return _row(day, detector, 0, null_reason=why)


def alarm_spans(time: npt.NDArray[np.int64], alarm: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Alarms that belong together: first row and row behind the last."""
    found: list[tuple[int, int]] = []
    for first, last in episodes.spans(alarm):
        if found and time[first] - time[found[-1][1] - 1] <= SAME_EPISODE_MIN * MINUTE_US:
            found[-1] = (found[-1][0], last)
        else:
            found.append((first, last))
    return found


def standing_out(model: ProcessModel, scored: Scored, rows: Any) -> list[Contributor]:
    """The sensors that are off in some rows."""
    return episodes.contributors(
        model.channels, scored.shares[rows], scored.deviations[rows], scored.means[rows], scored.usual[rows]
    )


def process_rows(
    day: Day, minutes: Minutes, model: ProcessModel, version: int, scored: Scored, settings: Anomalies
) -> list[dict[str, Any]]:
    """The process detector's day: its episodes, and the line that sums it up."""
    inside = np.flatnonzero(day.rows_of(minutes.time))
    known = inside[~np.isnan(scored.distance[inside])]
    found: list[dict[str, Any]] = []
    for first, last in alarm_spans(minutes.time[inside], scored.alarm[inside]):
        rows = inside[first:last]
        rows = rows[scored.alarm[rows]]
        if len(rows) < settings.min_episode_min:
            continue
        starts, ends = _time(minutes.time[rows[0]]), _time(minutes.time[rows[-1]] + MINUTE_US)
        tail = float(np.median(scored.tail[rows]))
        lasted = (ends - starts).total_seconds() / 60
        out = standing_out(model, scored, rows)
        found.append(
            _row(
                day,
                "process",
                len(found) + 1,
                starts_at=starts,
                ends_at=ends,
                is_open=day.is_open(ends),
                part_number=Counter(str(part) for part in minutes.parts[rows]).most_common(1)[0][0] or None,
                severity=episodes.severity(tail, lasted),
                tail_probability=float(f"{tail:.3g}"),
                anomaly_score=round(float(np.median(scored.distance[rows])) / model.on, 3),
                duration_min=lasted,
                alarm_min=float(len(rows)),
                contributors=_listed(out),
                hypotheses=json.dumps(hypotheses("process", settings.hypotheses, out)),
                model_version=version,
            )
        )
    why = None if len(known) else "no running time with full windows"
    total = _row(
        day,
        "process",
        0,
        judged_min=float(len(known)),
        alarm_min=float(scored.alarm[inside].sum()),
        model_version=version,
        null_reason=why,
    )
    return [total, *found]


def scrap_rows(
    day: Day, counts: pd.DataFrame, settings: Anomalies, seen: tuple[Minutes, ProcessModel, Scored] | None
) -> list[dict[str, Any]]:
    """The scrap detector's day: shifts and parts with more rejects than their own history explains.

    Args:
        day: Which day.
        counts: Shifts of this machine up to the day: part_number, production_date, shift, starts_at, ends_at,
            good_count, reject_count, rework_count.
        settings: Of the plant.
        seen: What the process detector saw, to name sensors that were off meanwhile.
    """
    pieces = counts[["good_count", "reject_count", "rework_count"]].sum(axis=1).to_numpy(dtype=float)
    rejects = counts["reject_count"].to_numpy(dtype=float)
    today = np.flatnonzero((counts["production_date"] == day.date).to_numpy(dtype=bool))
    found: list[dict[str, Any]] = []
    reasons: list[str] = []
    judged = np.zeros(2)
    for place in today[pieces[today] > 0]:
        one = counts.iloc[place]
        before = ((counts["part_number"] == one["part_number"]) & (counts["ends_at"] <= one["starts_at"])).to_numpy()
        scored = scrap_score(rejects[place], pieces[place], rejects[before], pieces[before], settings.scrap_min_pieces)
        if scored.tail is None or scored.expected is None or scored.usual_rate is None:
            reasons.append(f"{one['part_number'] or 'unknown part'}: {scored.null_reason}")
            continue
        judged += pieces[place], rejects[place]
        if scored.tail > settings.scrap_tail:
            continue
        said = (
            f"{rejects[place]:.0f} of {pieces[place]:.0f} pieces were rejected; {int(before.sum())} earlier shifts of "
            f"this part ({scored.usual_rate:.2%}) let expect {scored.expected:.1f} (probability {scored.tail:.1e})"
        )
        out = _meanwhile(one, seen)
        lasted = (one["ends_at"] - one["starts_at"]).total_seconds() / 60
        found.append(
            _row(
                day,
                "scrap",
                len(found) + 1,
                starts_at=one["starts_at"],
                ends_at=one["ends_at"],
                is_open=day.is_open(one["ends_at"].to_pydatetime()),
                part_number=one["part_number"] or None,
                shift=one["shift"] or None,
                severity=episodes.severity(scored.tail, lasted),
                tail_probability=float(f"{scored.tail:.3g}"),
                anomaly_score=round(-math.log10(max(scored.tail, 1e-300)), 3),
                duration_min=lasted,
                piece_count=pieces[place],
                reject_count=rejects[place],
                expected_reject_count=round(scored.expected, 3),
                contributors=_listed(out),
                hypotheses=json.dumps(hypotheses("scrap", settings.hypotheses, out, said)),
            )
        )
    why = None if judged[0] else "; ".join(sorted(set(reasons))) or "nothing was made"
    total = _row(day, "scrap", 0, piece_count=judged[0], reject_count=judged[1], null_reason=why)
    return [total, *found]


def _meanwhile(one: pd.Series, seen: tuple[Minutes, ProcessModel, Scored] | None) -> list[Contributor]:
    if seen is None:
        return []
    minutes, model, scored = seen
    rows = (minutes.time >= _us(one["starts_at"])) & (minutes.time < _us(one["ends_at"])) & scored.alarm
    return standing_out(model, scored, rows) if rows.any() else []


def vibration_rows(
    day: Day,
    minutes: Minutes,
    limits: vibration.Limits,
    captured: tuple[float, dt.datetime] | None,
    settings: Anomalies,
) -> list[dict[str, Any]]:
    """The vibration detector's day: zone of the typical level, change from the baseline, episodes."""
    metric = settings.vibration_metric
    base = captured[0] if captured and captured[1] <= day.start else None
    level = vibration.levels(minutes.of([metric])[:, 0], minutes.segments)
    inside = np.flatnonzero(day.rows_of(minutes.time))
    known = level[inside][~np.isnan(level[inside])]
    if len(known) == 0:
        return [silent(day, "vibration", f"no samples of {metric} while the machine ran")]
    alarm = vibration.alarms(level, limits, base, settings.vibration_change_share)
    rules = settings.hypotheses
    found: list[dict[str, Any]] = []
    for first, last in alarm_spans(minutes.time[inside], alarm[inside]):
        rows = inside[first:last]
        rows = rows[alarm[rows]]
        if len(rows) >= settings.min_episode_min:
            found.append(_vibrates(day, minutes, rows, float(np.nanmedian(level[rows])), limits, base, rules, metric))
            found[-1]["episode"] = len(found)
    typical = float(np.median(known))
    total = _row(
        day,
        "vibration",
        0,
        judged_min=float(len(known)),
        alarm_min=float(alarm[inside].sum()),
        vibration_zone=vibration.zone(typical, limits),
        vibration_level_mms=round(typical, 4),
        vibration_baseline_mms=base,
        null_reason=None if base is not None else "change not judged: no baseline before this day",
    )
    return [total, *found]


def _vibrates(
    day: Day,
    minutes: Minutes,
    rows: npt.NDArray[np.int64],
    typical: float,
    limits: vibration.Limits,
    base: float | None,
    rules: Sequence[Hypothesis],
    metric: str,
) -> dict[str, Any]:
    starts, ends = _time(minutes.time[rows[0]]), _time(minutes.time[rows[-1]] + MINUTE_US)
    found = vibration.zone(typical, limits)
    since = f", {typical - base:+.2f} against {base:.2f} after the installation" if base is not None else ""
    said = f"{metric} was {typical:.2f} mm/s: zone {found} (B/C {limits.bc:g}, C/D {limits.cd:g}){since}"
    usual = base if base is not None else limits.bc
    out = [Contributor(metric, 1.0, (typical - usual) / max(limits.bc, 1e-9), typical, usual)]
    fitting = [
        {**one, "evidence": said} for one in hypotheses("vibration", [_any_size(rule) for rule in rules], out, said)
    ]
    return _row(
        day,
        "vibration",
        1,
        starts_at=starts,
        ends_at=ends,
        is_open=day.is_open(ends),
        part_number=Counter(str(part) for part in minutes.parts[rows]).most_common(1)[0][0] or None,
        severity=vibration.severity_of(typical, limits),
        anomaly_score=round(typical / limits.bc, 3),
        duration_min=(ends - starts).total_seconds() / 60,
        alarm_min=float(len(rows)),
        vibration_zone=found,
        vibration_level_mms=round(typical, 4),
        vibration_baseline_mms=base,
        contributors=_listed(out),
        hypotheses=json.dumps(fitting),
    )


def _any_size(rule: Hypothesis) -> Hypothesis:
    """Levels are judged in mm/s: how many standard deviations does not matter here."""
    return rule.model_copy(update={"at_least_sd": 0.0})
