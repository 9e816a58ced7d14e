"""Training the process models: one for each machine, champion and challenger on the same later window.

Belongs here: reading the training time, splitting it, registering the result. Does not belong here: when it happens,
the model (`prodlytics.insights.anomalies.process`), the figures (`.judged`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING, Any

from prodlytics.assets.anomaly_inputs import minutes_of_machine, model_name

if TYPE_CHECKING:
    import psycopg

    from prodlytics.insights.anomalies.judged import Judgement
    from prodlytics.insights.anomalies.minutes import Minutes
    from prodlytics.insights.anomalies.process import Parameters, ProcessModel
    from prodlytics.insights.promotion import Verdict
    from prodlytics.plant.anomalies import Anomalies
    from prodlytics.plant.model import Machine, Plant

#: The latest days of operation that are looked at, and the normal running minutes among them that are needed.
TRAINING_DAYS, NEEDED_MIN = 90, 2_400
#: Shares of the normal minutes in time: the first learn, the next set the levels, the last judge.
LEARN, LEVELS = 0.6, 0.2


@dataclass(frozen=True)
class Outcome:
    """What training one machine came to; `version` is None where nothing was registered."""

    model_name: str
    version: int | None
    promoted: bool
    why: str


def parameters_for(settings: Anomalies) -> Parameters:
    """The process detector's parameters for the false alarms a plant accepts.

    An alarm lasts longer than the distance stays above its level, so the level is set at a third of the share.
    """
    from prodlytics.insights.anomalies.process import Parameters

    return Parameters(on=1.0 - settings.false_alarm_share / 3, min_rows=1_200)


def train_anomalies(
    conn: psycopg.Connection, plant: Plant, until: dt.datetime, trigger: str, machines: tuple[str, ...] | None = None
) -> list[Outcome]:
    """Train, judge and register the process model of each machine on what is known before `until`.

    In the caller's transaction. The same data again registers nothing new.
    """
    chosen = [machine for machine in plant.machines if machines is None or machine.id in machines]
    return [_train(conn, machine, plant.anomalies, until, trigger) for machine in chosen]


def _train(
    conn: psycopg.Connection, machine: Machine, settings: Anomalies, until: dt.datetime, trigger: str
) -> Outcome:
    from prodlytics.db import model_registry
    from prodlytics.insights.anomalies import judged
    from prodlytics.insights.anomalies.process import FEATURE_VERSION, NotEnough
    from prodlytics.insights.store import to_bytes

    name = model_name(machine.id)
    whole = minutes_of_machine(conn, machine, settings, until - dt.timedelta(days=TRAINING_DAYS), until)
    normal = whole.picked(whole.normal)
    if len(normal.time) < NEEDED_MIN:
        missing = NEEDED_MIN - len(normal.time)
        return Outcome(name, None, False, f"not enough data: {missing} more minutes of normal operation needed")
    learn, levels, last = split(normal)
    model = trained(learn, levels, parameters_for(settings))
    if isinstance(model, NotEnough):
        return Outcome(name, None, False, model.sentence)
    challenger = judged_on(model, last)
    simplest = judged.limits_of_each(learn.values, last.values)
    stored = model_registry.in_use(conn, name)
    champion = _champion(stored, last)
    verdict = decided(challenger, simplest, champion, settings, pinned=bool(stored and stored.is_pinned))
    content, content_hash = to_bytes(model.as_plain())
    version = model_registry.register(
        conn,
        model_registry.Trained(
            model_name=name,
            algorithm="Ledoit-Wolf Mahalanobis distance of window means and deviations",
            trained_from=_at(learn.time[0]),
            trained_until=_at(levels.time[-1] + 60_000_000),
            judged_from=_at(last.time[0]),
            judged_until=_at(last.time[-1] + 60_000_000),
            row_count=len(learn.time) + len(levels.time),
            features=model.channels,
            feature_version=FEATURE_VERSION,
            score_name=judged.SCORE_NAME,
            score=challenger.score if challenger else None,
            baseline_score=simplest.score,
            champion_score=champion.score if champion else None,
            metrics={
                "false_alarm_share": challenger.false_alarms if challenger else None,
                "found_share": challenger.found if challenger else None,
                "baseline_false_alarm_share": simplest.false_alarms,
                "baseline_found_share": simplest.found,
                "judged_minutes": challenger.rows if challenger else 0,
                "left_out": model.left_out,
            },
            data_fingerprint=fingerprint(normal),
            training_trigger=trigger,
            content=content,
            content_hash=content_hash,
        ),
        verdict.promoted,
        verdict.why,
        version_of("prodlytics"),
    )
    return Outcome(name, version, verdict.promoted, verdict.why)


def split(normal: Minutes) -> tuple[Minutes, Minutes, Minutes]:
    """Normal minutes in time: to learn from, to set levels on, to judge on."""
    import numpy as np

    count = len(normal.time)
    place = np.arange(count)
    first, second = round(count * LEARN), round(count * (LEARN + LEVELS))
    return normal.picked(place < first), normal.picked((place >= first) & (place < second)), normal.picked(
        place >= second
    )  # fmt: skip


def trained(learn: Minutes, levels: Minutes, parameters: Parameters) -> Any:
    """A model of the first minutes with levels that hold on the later ones; NotEnough where there is none."""
    from prodlytics.insights.anomalies.process import NotEnough, fit, score, with_later_levels

    model = fit(learn.values, learn.channels, parameters, learn.segments, [str(part) for part in learn.parts])
    if isinstance(model, NotEnough):
        return model
    later = score(model, levels.of(model.channels), levels.segments, [str(part) for part in levels.parts])
    return with_later_levels(model, later.distance, parameters)


def judged_on(model: ProcessModel, minutes: Minutes) -> Judgement | None:
    """A model on later normal operation."""
    from prodlytics.insights.anomalies.judged import judge

    return judge(model, minutes.values, list(minutes.channels), minutes.segments, [str(part) for part in minutes.parts])


def decided(
    challenger: Judgement | None,
    simplest: Judgement,
    champion: Judgement | None,
    settings: Anomalies,
    *,
    pinned: bool = False,
) -> Verdict:
    """Whether a model is put in use: never with more false alarms than the plant accepts."""
    from prodlytics.insights.anomalies.judged import SCORE_NAME
    from prodlytics.insights.promotion import Verdict, decide

    if challenger is not None and challenger.false_alarms > settings.false_alarm_share:
        return Verdict(
            False,
            f"not promoted: {challenger.false_alarms:.1%} false alarms on later normal operation, more than the "
            f"{settings.false_alarm_share:.1%} the plant accepts",
        )
    return decide(
        SCORE_NAME,
        challenger.score if challenger else None,
        simplest.score,
        # A champion that alarms too often by now is no measure.
        champion.score if champion and champion.false_alarms <= settings.false_alarm_share else None,
        pinned=pinned,
    )


def _champion(stored: Any, last: Minutes) -> Judgement | None:
    from prodlytics.insights.anomalies.process import FEATURE_VERSION, ProcessModel
    from prodlytics.insights.store import from_bytes

    if stored is None or stored.feature_version != FEATURE_VERSION:
        return None
    return judged_on(ProcessModel.from_plain(from_bytes(stored.content, stored.content_hash)), last)


def fingerprint(minutes: Minutes) -> str:
    """Hash of the training rows."""
    import numpy as np

    digest = hashlib.sha256()
    for part in (minutes.time, np.ascontiguousarray(minutes.values), minutes.segments):
        digest.update(part.tobytes())
    digest.update("\x1f".join([*minutes.channels, *(str(part) for part in minutes.parts)]).encode())
    return digest.hexdigest()


def _at(us: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=int(us))
