"""Alerts about stops over a month of the demo plant, against what the simulator knows to have happened.

Run by `python -m benchmarks.alerts_month --home .prodlytics` after `prodlytics demo --days 31`; writes benchmarks/
results/alerts_month.{json,md}. Every minute of the month is judged by the engine that judges live, with readings from
the derived states instead of the live views, which know only now. A stop of the truth is a time in which the machine
was neither running nor being set up, of at least `downtime_alert_min` planned minutes.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psycopg

from benchmarks.machine import machine
from prodlytics.alerts.life import Alert, Reading, advance
from prodlytics.alerts.readings import DOWN
from prodlytics.db.embedded import ensure_running
from prodlytics.plant.calendar import plan_pieces
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import Plant
from prodlytics.settings import DEMO_PLANT
from prodlytics.simulator.truth import load_truth

RESULTS = Path(__file__).with_name("results")
MINUTE_US = 60_000_000
QUERY = "SELECT starts_at, ends_at, state FROM machine_states WHERE machine_id = %s ORDER BY starts_at"


@dataclass(frozen=True)
class Span:
    """Microseconds since 1970; half open."""

    begin: int
    end: int


def main() -> None:
    """Judge and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--home", type=Path, default=Path(".prodlytics"))
    home = parser.parse_args().home
    plant, truth = load_plant(DEMO_PLANT), load_truth(home / "truth")
    start, end = (int(pd.Timestamp(text).timestamp() * 1e6) for text in (truth.start, truth.end))
    told = matched = happened = noticed = again = 0
    wrong: list[str] = []
    with psycopg.connect(ensure_running(home)) as conn:
        for one in plant.machines:
            heard = conn.execute(QUERY, (one.id,)).fetchall()
            states = [(_us(begin), _us(stop), state) for begin, stop, state in heard]
            planned = _planned(plant, one.id, start, end)
            alerts = _judged(plant, one.id, states, planned, start, end)
            real = truth.states[truth.states["machine_id"] == one.id].sort_values("starts_at")
            really = [(_us(row.starts_at), _us(row.ends_at), row.state) for row in real.itertuples()]
            stops = [
                span
                for span in _down(really)
                if _overlap(span, planned) >= plant.thresholds.downtime_alert_min * MINUTE_US
            ]
            told, happened = told + len(alerts), happened + len(stops)
            hits = [[span for span in stops if span.begin <= at <= span.end + MINUTE_US] for at in alerts]
            matched += sum(bool(hit) for hit in hits)
            found = [hit[0] for hit in hits if hit]
            noticed += len(set(found))
            again += len(found) - len(set(found))
            wrong += [f"{one.id} {_text(at)}" for at, hit in zip(alerts, hits, strict=True) if not hit]
    results = {
        "machine": machine(), "days": round((end - start) / 86_400e6, 1), "alerts": told, "stops": happened,
        "precision": matched / told if told else None, "recall": noticed / happened if happened else None,
        "told_again": again, "without_a_stop": wrong[:20],
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "alerts_month.json").write_text(json.dumps(results, indent=2) + "\n")
    (RESULTS / "alerts_month.md").write_text(_table(results))
    sys.stdout.write(_table(results))


def _judged(
    plant: Plant, name: str, states: Sequence[tuple[int, int, str]], planned: Sequence[Span], start: int, end: int
) -> list[int]:
    """When `machine_down` opened."""
    downs, starts = _down(states), [begin for begin, _, _ in states]
    begins = [span.begin for span in downs]
    known: dict[str, Alert] = {}
    opened = []
    for now in range(start, end, MINUTE_US):
        i = bisect_right(starts, now) - 1
        state = states[i][2] if i >= 0 and now < states[i][1] else "unknown"
        k = bisect_right(begins, now) - 1
        down = downs[k] if k >= 0 and now < downs[k].end else None
        value = (
            None
            if state == "unknown"
            else 0.0
            if down is None
            else _overlap(Span(down.begin, now), planned) / MINUTE_US
        )
        works = any(span.begin <= now < span.end for span in _near(planned, now))
        reading = Reading("machine_down", name, value, "", machine_id=name, not_now=None if works else "not planned")
        at = dt.datetime.fromtimestamp(now / 1e6, dt.UTC)
        outcome = advance(plant, ["machine_down"], [reading], known, {}, at)
        known = {alert.key: alert for alert in outcome.kept}
        for change in outcome.changes:
            if change.kind != "resolved":
                known[change.alert.key] = change.alert
            if change.kind == "opened":
                opened.append(now)
    return opened


def _down(states: Sequence[tuple[int, int, str]]) -> list[Span]:
    """Spans of states that are down, those that touch as one."""
    found: list[Span] = []
    for begin, end, state in states:
        if state not in DOWN:
            continue
        if found and found[-1].end == begin:
            found[-1] = Span(found[-1].begin, end)
        else:
            found.append(Span(begin, end))
    return found


def _planned(plant: Plant, name: str, start: int, end: int) -> list[Span]:
    instants = (dt.datetime.fromtimestamp(us / 1e6, dt.UTC) for us in (start, end))
    return [
        Span(one.begin, one.end) for one in plan_pieces(plant, plant.machine(name), *instants) if one.plan == "planned"
    ]


def _near(spans: Sequence[Span], now: int) -> Sequence[Span]:
    i = bisect_right([span.begin for span in spans], now)
    return spans[max(i - 1, 0) : i]


def _overlap(span: Span, planned: Sequence[Span]) -> int:
    i = max(bisect_right([one.begin for one in planned], span.begin) - 1, 0)
    total = 0
    for one in planned[i:]:
        if one.begin >= span.end:
            break
        total += max(0, min(one.end, span.end) - max(one.begin, span.begin))
    return total


def _us(at: Any) -> int:
    return round(pd.Timestamp(at).value / 1000)


def _text(us: int) -> str:
    return f"{dt.datetime.fromtimestamp(us / 1e6, dt.UTC):%Y-%m-%d %H:%M}"


def _table(results: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"# machine_down over {results['days']} days of the demo plant",
            "",
            f"{results['machine']}",
            "",
            "| Alerts | Stops of 15 planned minutes and more | Precision | Recall | Told again for the same stop |",
            "|---|---|---|---|---|",
            f"| {results['alerts']} | {results['stops']} | {results['precision']:.3f} | {results['recall']:.3f} "
            f"| {results['told_again']} |",
            "",
            f"Without a stop: {', '.join(results['without_a_stop']) or 'none'}.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
