"""How good the causes of stops are on a real machine, beside the guide's protocol; and how fast their features come.

Run by `make bench-ml`. A machine's events and samples go through the product (landed files, derivation, features); a
stop is what left ACTIVE for 60 s to 8 h, its cause ALARM where any condition was raised from 5 s before to 30 s after
it, else the state the controller entered. Days at the end judge. All parameters stand in `insights.causes.train`.
Options: `--events` and `--samples` for another machine or other months in the same form. Writes
benchmarks/results/ml_causes.*.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import psycopg
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

from benchmarks.machine import machine, verdict
from prodlytics.assets.resources import Database, Places
from prodlytics.assets.stop_features import features_of
from prodlytics.backfill import Runner
from prodlytics.db import embedded
from prodlytics.db.frames import read
from prodlytics.db.migrate import migrate
from prodlytics.insights.causes.train import CALIBRATED, JUDGED, train_causes
from prodlytics.partitions import production_days
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import Plant

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results")
DATA = ROOT.parent / "shared" / "data" / "nist_mazak01"
PLANT = ROOT / "prodlytics_tests" / "plants" / "mazak01.yaml"
#: What the rule makes the labels from: no model may read it.
WITHOUT = ("state", "fault_code")
SEED = 20261124


def main() -> None:
    """Measure and write."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--events", type=Path, default=DATA / "events.txt.gz")
    asked.add_argument("--samples", type=Path, default=DATA / "samples.txt.gz")
    options = asked.parse_args()
    plant = load_plant(PLANT)
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        url = embedded.ensure_running(home)
        try:
            migrate(url)
            _load(plant, url, home, options.events, options.samples)
            with psycopg.connect(url) as conn:
                stops = _stops(conn)
                features, speed = _features(conn, plant, stops)
        finally:
            embedded.stop(home)
    results = {"machine": machine(), "split": f"first {1 - JUDGED:.0%} of the days train (their last {CALIBRATED:.0%} "
               f"calibrate), last {JUDGED:.0%} judge", "speed": speed, **_quality(plant, features, stops)}  # fmt: skip
    (RESULTS / "ml_causes.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "ml_causes.md").write_text(_table(results))
    print(_table(results))


def _load(plant: Plant, url: str, home: Path, events: Path, samples: Path) -> None:
    landing = home / "landing" / "telemetry"
    landing.mkdir(parents=True)
    shutil.copyfile(events, landing / "events.txt.gz")
    shutil.copyfile(samples, landing / "samples.txt.gz")
    places = Places(landing_url=str(home / "landing"), archive_url=str(home / "archive"))
    with dg.DagsterInstance.ephemeral() as instance:
        runner = Runner(plant, instance, database=Database(url=url), places=places)
        keys = production_days(plant).get_partition_keys()
        runner.run("ingest", first=keys[-1])
        with psycopg.connect(url) as conn:
            row = conn.execute("SELECT min(time)::date, max(time)::date FROM telemetry_sample").fetchone()
        assert row is not None
        runner.run("chain", first=max(keys[0], row[0].isoformat()), last=row[1].isoformat())
        if runner.outcome.errors:
            raise RuntimeError(runner.outcome.errors)


def _stops(conn: psycopg.Connection) -> pd.DataFrame:
    """Stops of 60 s to 8 h with the cause the rule gives them."""
    stops = read(
        conn,
        "SELECT DISTINCT ON (d.machine_id, d.stop_started_at) d.machine_id, d.stop_started_at, d.stop_id, d.state,"
        " d.fault_code, d.shift, d.production_date, m.native_state,"
        " EXISTS (SELECT FROM production_events a WHERE a.machine_id = d.machine_id AND a.event_type = 'alarm'"
        "   AND a.time >= d.stop_started_at - interval '5 seconds'"
        "   AND a.time <= d.stop_started_at + interval '30 seconds') AS alarm,"
        " extract(epoch FROM d.stop_ended_at - d.stop_started_at)::float8 / 60 AS duration_min"
        " FROM downtime_events d JOIN machine_states m ON m.machine_id = d.machine_id"
        " AND m.starts_at = d.stop_started_at"
        " WHERE d.stop_ended_at - d.stop_started_at BETWEEN interval '60 seconds' AND interval '8 hours'"
        " ORDER BY d.machine_id, d.stop_started_at, d.time_start",
    )
    return stops.assign(cause=np.where(stops["alarm"], "ALARM", stops["native_state"]).astype(object))


def _features(conn: psycopg.Connection, plant: Plant, stops: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """All features at once, and for 200 stops one query after the other for each stop, as the guide asks."""
    now = dt.datetime.now(dt.UTC)
    began = time.perf_counter()
    features = features_of(conn, plant, stops, now)
    together = (time.perf_counter() - began) / len(stops)
    some = stops.iloc[:: max(len(stops) // 200, 1)]
    began = time.perf_counter()
    for stop in some.itertuples():
        _one_by_one(conn, str(stop.machine_id), stop.stop_started_at.to_pydatetime())
    alone = (time.perf_counter() - began) / len(some)
    return features, {"ms_a_stop": 1e3 * together, "guide_ms_a_stop": 1e3 * alone, "ratio": alone / together}


def _one_by_one(conn: psycopg.Connection, machine_id: str, at: dt.datetime) -> None:
    """The guide's way: for each stop the raw rows of its five minutes, averaged in Python, sensor by sensor."""
    tags = conn.execute("SELECT tag_id FROM tag WHERE machine_id = %s AND native_code = ''", (machine_id,)).fetchall()
    for (tag,) in tags:
        rows = conn.execute(
            "SELECT time, value, value_text FROM telemetry_sample WHERE tag_id = %s AND time >= %s AND time < %s",
            (tag, at - dt.timedelta(minutes=5), at),
        ).fetchall()
        values = [value for _, value, _ in rows if value is not None]
        if values:
            np.mean(values), np.std(values), np.min(values), np.max(values)


def _quality(plant: Plant, features: pd.DataFrame, stops: pd.DataFrame) -> dict[str, Any]:
    causes = stops["cause"].to_numpy(dtype=object)
    days = features["production_date"].to_numpy(dtype=object)
    began = time.perf_counter()
    done = train_causes(features, causes, days, plant.timezone, WITHOUT)
    seconds = time.perf_counter() - began
    rng = np.random.default_rng(SEED)
    shuffled = train_causes(features, rng.permutation(causes), days, plant.timezone, WITHOUT)
    rare = np.where(rng.random(len(causes)) < 0.08, "RARE", "USUAL").astype(object)
    random = train_causes(features, rare, days, plant.timezone, WITHOUT)
    return {
        "stops": len(stops),
        "causes": {str(name): int(count) for name, count in stops["cause"].value_counts().items()},
        "training_s": seconds,
        "missing": done.missing,
        "ours": done.metrics,
        "shuffled": {**shuffled.metrics, "margin": shuffled.margin},
        "rare": {**random.metrics, "margin": random.margin},
        "guide": _guide(features, stops, causes),
    }


def _guide(features: pd.DataFrame, stops: pd.DataFrame, causes: np.ndarray) -> dict[str, float]:
    """The guide's protocol: means of five minutes, zero where missing, over-sampled, then split at random."""
    rows = [
        {tag: figures["mean"] for tag, figures in json.loads(text).items()} for text in features["sensors_5min"]
    ]  # fmt: skip
    table = pd.DataFrame(rows).fillna(0.0).assign(duration_min=stops["duration_min"].to_numpy()).to_numpy()
    x, y = _oversampled(table, causes.astype(str))
    fit_x, judge_x, fit_y, judge_y = train_test_split(x, y, test_size=0.2, random_state=SEED, stratify=y)
    told = RandomForestClassifier(100, random_state=SEED, n_jobs=2).fit(fit_x, fit_y).predict(judge_x)
    cut = int((1 - JUDGED) * len(table))
    x, y = _oversampled(table[:cut], causes[:cut].astype(str))
    true = RandomForestClassifier(100, random_state=SEED, n_jobs=2).fit(x, y).predict(table[cut:])
    return {
        "reported_accuracy": float(accuracy_score(judge_y, told)),
        "reported_macro_f1": float(f1_score(judge_y, told, average="macro")),
        "accuracy": float(accuracy_score(causes[cut:].astype(str), true)),
        "macro_f1": float(f1_score(causes[cut:].astype(str), true, average="macro")),
    }


def _oversampled(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rare classes filled up between neighbours, which is what SMOTE does."""
    rng = np.random.default_rng(SEED)
    most = max(np.unique(y, return_counts=True)[1])
    xs, ys = [x], [y]
    for name in np.unique(y):
        own = x[y == name]
        wanted = most - len(own)
        if wanted and len(own) > 1:
            near = NearestNeighbors(n_neighbors=min(6, len(own))).fit(own).kneighbors(own, return_distance=False)
            chosen = rng.integers(0, len(own), wanted)
            other = near[chosen, rng.integers(1, near.shape[1], wanted)]
            xs.append(own[chosen] + rng.random((wanted, 1)) * (own[other] - own[chosen]))
            ys.append(np.full(wanted, name))
    return np.vstack(xs), np.concatenate(ys)


def _table(results: dict[str, Any]) -> str:
    taken, ours, guide, speed = results["machine"], results["ours"], results["guide"], results["speed"]
    if not ours:
        return f"# Causes of stops\n\nNo model: {results['missing']}\n"
    half, eighty = ours["accuracy_at_half"], ours["accuracy_at_80"]
    lines = [
        "# Causes of stops on a real machine", "",
        f"Commit {taken['commit']}, {taken['cpus']} CPUs. {results['stops']:,} stops ({results['causes']}); "
        f"{results['split']}: {ours['stops_judged']} judged. Intervals: 95 %, whole days resampled.", "",
        "| | accuracy | macro-F1 | |", "|---|---|---|---|",
        f"| the most frequent cause | {ours['accuracy_of_majority']:.3f} | {ours['macro_f1_of_majority']:.3f} | |",
        f"| the guide's protocol, as it would report | {guide['reported_accuracy']:.3f} | "
        f"{guide['reported_macro_f1']:.3f} | over-sampled, then split at random |",
        f"| the same on later days | {guide['accuracy']:.3f} | {guide['macro_f1']:.3f} | duration still a feature |",
        f"| ours | {ours['accuracy']:.3f} | {ours['macro_f1']:.3f} ({ours['macro_f1_low']:.3f}-"
        f"{ours['macro_f1_high']:.3f}) | good 0.45: {verdict(ours['macro_f1'] >= 0.45)}; aim 0.60: "
        f"{verdict(ours['macro_f1'] >= 0.6)} |", "",
        f"- Log-loss {ours['log_loss']:.3f}, of the prior {ours['log_loss_of_prior']:.3f}: "
        f"{verdict(ours['log_loss'] < ours['log_loss_of_prior'])}.",
        f"- Right where it is surest: {half:.3f} of half the stops (good 0.95: {verdict(half >= 0.95)}), {eighty:.3f} "
        f"of 80 % (aim 0.95: {verdict(eighty >= 0.95)}).",
        f"- It answers {ours['answers']:.0%} of the stops and is right in {ours['accuracy_where_it_answers'] or 0:.3f} "
        "of those; for the others it says unknown.",
        f"- Shuffled causes: log-loss saved {results['shuffled']['log_loss_saved']:.3f}, a random rare cause: "
        f"{results['rare']['log_loss_saved']:.3f}. Neither is promoted: "
        f"{verdict(max(results[n]['log_loss_saved'] - results[n]['margin'] for n in ('shuffled', 'rare')) <= 0)}.",
        f"- Features: {speed['ms_a_stop']:.2f} ms a stop, one query a sensor and stop "
        f"{speed['guide_ms_a_stop']:.2f} ms: "
        f"{speed['ratio']:.1f} times (aim 10 on loopback: {verdict(speed['ratio'] >= 10)}). Training "
        f"{results['training_s']:.0f} s.", "",
    ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
