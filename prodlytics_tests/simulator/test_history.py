"""The files say what the truth says, but for the troubles that the truth names."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prodlytics.plant.load import load_plant
from prodlytics.plant.model import StateSource
from prodlytics.simulator.history import simulate
from prodlytics.simulator.truth import load_truth
from prodlytics_tests.simulator.conftest import DEMO, END, Told

HOUR = pd.Timedelta(hours=1)


def net_increments(times: pd.Series, shown: np.ndarray, modulus: int, reset: pd.Timestamp | None) -> np.ndarray:
    """Pieces between samples, one sample after the other, as a person with the machine's manual would count."""
    counts = [0]
    readings = [int(value) for value in shown]
    for at, before, after in zip(times[1:], readings[:-1], readings[1:], strict=True):
        if reset is not None and at == reset:
            counts.append(after)
        elif after >= before:
            counts.append(after - before)
        else:
            counts.append(after - before + modulus)
    return np.array(counts)


def counted(told: Told, machine_id: str, metric: str) -> pd.DataFrame:
    """Counter samples of a machine with the pieces since the sample before; the stale reading left out."""
    mine = told.tag(machine_id, metric)
    stale, reset = told.trouble("stale_reading"), told.trouble("counter_reset")
    if stale["machine"] == machine_id and stale["detail"].startswith(metric):
        mine = mine[mine["time"] != pd.Timestamp(stale["starts_at"])]
    width = next(c.width_bits for c in told.plant.machine(machine_id).counters if c.metric == metric)
    assert width is not None
    at = pd.Timestamp(reset["starts_at"]) if reset["machine"] == machine_id else None
    pieces = net_increments(mine["time"], mine["value"].to_numpy(), 1 << width, at)
    return mine.assign(pieces=pieces)


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    plant = load_plant(DEMO)
    for name in ("one", "two"):
        simulate(plant, tmp_path / name / "landing", tmp_path / name / "truth", end=END, days=5)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_another_seed_gives_another_story(tmp_path: Path) -> None:
    plant = load_plant(DEMO)
    reports = [
        simulate(plant, tmp_path / str(seed) / "landing", tmp_path / str(seed) / "truth", end=END, days=3, seed=seed)
        for seed in (1, 2)
    ]
    assert reports[0].good != reports[1].good


def test_forty_five_days_are_about_five_million_rows(told: Told) -> None:
    assert 4_500_000 <= len(told.rows) <= 5_500_000
    assert told.report.telemetry_rows == told.truth.telemetry_rows == len(told.rows)


def test_rows_a_day_do_not_depend_on_the_number_of_days(tmp_path: Path) -> None:
    plant = load_plant(DEMO)
    report = simulate(plant, tmp_path / "landing", tmp_path / "truth", end=END, days=14)
    assert 90_000 < report.telemetry_rows / 14 < 125_000


def test_every_machine_speaks_and_every_file_is_whole(told: Told) -> None:
    assert set(told.samples["machine_id"]) == {m.id for m in told.plant.machines}
    assert not [path for path in told.folder.rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]
    assert {path for path in (told.folder / "landing").rglob("*.*")} == set(told.report.files)


def test_tables_are_sorted_by_machine_metric_and_time(told: Told) -> None:
    odd = sum(told.report.odd_rows.values())
    for _, rows in told.rows[told.rows["file"].str.startswith("telemetry-")].groupby("file", observed=True):
        keys = pd.MultiIndex.from_frame(rows[["machine", "metric", "time"]])
        # Wrong rows stand at the end of the file.
        assert keys[:-odd].is_monotonic_increasing


def test_the_last_days_are_gateway_messages_of_a_hundred_samples(told: Told) -> None:
    files = sorted((told.folder / "landing" / "telemetry").glob("*.ndjson"))
    assert files
    assert files[-1].name == "kepserverex-2026-11-23.ndjson"
    assert not list((told.folder / "landing" / "telemetry").glob("telemetry-2026-11-23*"))
    lines = files[-1].read_text().splitlines()
    sizes = [line.count('"id"') for line in lines]
    assert set(sizes[:-1]) == {100}
    assert 0 < sizes[-1] <= 100


@pytest.mark.parametrize("counts", ["good", "reject", "cycles"])
def test_counters_add_up_to_the_truth(told: Told, counts: str) -> None:
    truth = told.truth.production.groupby("machine_id")[["good", "reject"]].sum()
    truth["cycles"] = truth["good"] + truth["reject"]
    for machine in told.plant.machines:
        metric = next(c.metric for c in machine.counters if c.counts == counts)
        assert counted(told, machine.id, metric)["pieces"].sum() == truth.loc[machine.id, counts], machine.id


def test_counters_add_up_to_the_truth_hour_by_hour(told: Told) -> None:
    gap = told.trouble("feed_gap")
    for machine in told.plant.machines:
        samples = counted(told, machine.id, "PartCountGood")
        by_hour = samples.groupby(samples["time"].dt.floor("h"))["pieces"].sum()
        mine = told.truth.production[told.truth.production["machine_id"] == machine.id]
        truth = mine.groupby("hour")["good"].sum()
        both = pd.concat([by_hour, truth], axis=1, keys=["seen", "true"]).fillna(0)
        if machine.id == gap["machine"]:
            begin, end = pd.Timestamp(gap["starts_at"]).floor("h"), pd.Timestamp(gap["ends_at"]).floor("h")
            both = both[(both.index < begin) | (both.index > end)]
        assert (both["seen"] == both["true"]).all(), machine.id


def test_a_sixteen_bit_counter_rolls_over(told: Told) -> None:
    trouble = told.trouble("counter_rollover")
    mine = told.tag(trouble["machine"], trouble["detail"].split(",")[0]).set_index("time")
    before = mine.loc[pd.Timestamp(trouble["starts_at"]), "value"]
    after = mine.loc[pd.Timestamp(trouble["ends_at"]), "value"]
    assert before > 65_500
    assert after < 36
    assert mine["value"].max() < 65_536


def test_one_counter_starts_again_at_zero(told: Told) -> None:
    trouble = told.trouble("counter_reset")
    at = pd.Timestamp(trouble["starts_at"])
    for metric in ("PartCountGood", "PartCountReject", "CycleCount"):
        values = told.tag(trouble["machine"], metric).set_index("time")["value"]
        assert values[at] == 0
        assert values[:at].iloc[-2] > 0


def test_states_sent_are_the_true_states(told: Told) -> None:
    gap = told.trouble("feed_gap")
    words = {"0": "off", "1": "running", "2": "idle", "3": "fault", "4": "setup"}
    for machine in told.plant.machines:
        sent = told.tag(machine.id, "MachineState")
        truth = told.truth.states[told.truth.states["machine_id"] == machine.id]
        place = np.searchsorted(truth["starts_at"], sent["time"], side="right") - 1
        said = sent["value"].astype(int).astype(str).map(words).to_numpy()
        assert (said == truth["state"].to_numpy()[place]).all()
        changes = truth[truth["state"] != truth["state"].shift()]["starts_at"]
        if machine.id == gap["machine"]:
            changes = changes[(changes < pd.Timestamp(gap["starts_at"])) | (changes >= pd.Timestamp(gap["ends_at"]))]
        assert set(changes) <= set(sent["time"])


def test_a_machine_is_silent_only_in_its_gap(told: Told) -> None:
    gap = told.trouble("feed_gap")
    for machine in told.plant.machines:
        times = told.samples.loc[told.samples["machine_id"] == machine.id, "time"].sort_values()
        silent = times[times.diff() > pd.Timedelta(seconds=machine.silence_after_s or 0)]
        expected = [pd.Timestamp(gap["ends_at"])] if machine.id == gap["machine"] else []
        assert silent.tolist() == expected, machine.id
    length = pd.Timestamp(gap["ends_at"]) - pd.Timestamp(gap["starts_at"])
    assert pd.Timedelta(hours=2.5) < length < pd.Timedelta(hours=3.5)


def test_late_rows_come_in_a_file_of_their_own_a_day_later(told: Told) -> None:
    trouble = told.trouble("late_rows")
    (file,) = told.report.late_files
    late = told.rows[told.rows["file"] == file.name]
    assert len(late) > 100
    assert (late["published_at"] - late["time"] > pd.Timedelta(days=1)).all()
    begin, end = pd.Timestamp(trouble["starts_at"]), pd.Timestamp(trouble["ends_at"])
    assert late["time"].between(begin, end, inclusive="left").all()
    alias = told.plant.machine(trouble["machine"]).aliases[0]
    others = told.rows[(told.rows["machine"] == alias) & (told.rows["file"] != file.name)]
    assert not others["time"].between(begin, end, inclusive="left").any()


def test_wrong_rows_are_as_many_as_the_truth_says(told: Told) -> None:
    rows, aliases = told.rows, {name for m in told.plant.machines for name in m.aliases}
    tag_time = ["machine", "metric", "time"]
    twice = rows[rows.duplicated(tag_time, keep=False)]
    groups = twice.groupby(tag_time, observed=True)["value"].nunique(dropna=False)
    found = {
        "bad_quality": int((rows["quality"] < 192).sum()),
        "conflict": int((groups > 1).sum()),
        "duplicate": int((groups == 1).sum()),
        "future_time": int((rows["time"] > pd.Timestamp(END) + pd.Timedelta(days=2)).sum()),
        "not_a_number": int((rows["value"].isna() & (rows["value_text"].isna() | (rows["value_text"] == "NaN"))).sum()),
        "unknown_machine": int((~rows["machine"].isin(aliases)).sum()),
    }
    assert found == told.report.odd_rows == told.truth.odd_rows
    assert all(found.values())


def test_nothing_was_sent_before_it_happened_or_after_the_end(told: Told) -> None:
    good = told.samples
    assert (good["published_at"] >= good["time"]).all()
    assert good["published_at"].max() <= pd.Timestamp(END)
    assert good["time"].min() == pd.Timestamp(told.truth.start)


def test_an_end_without_a_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zone"):
        simulate(load_plant(DEMO), tmp_path, tmp_path, end=dt.datetime(2026, 11, 24))  # noqa: DTZ001


def test_days_before_the_plants_first_day_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing to simulate"):
        simulate(load_plant(DEMO), tmp_path, tmp_path, end=dt.datetime(2025, 5, 5, tzinfo=dt.UTC))


def test_progress_runs_to_its_end(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    simulate(
        load_plant(DEMO), tmp_path / "l", tmp_path / "t", end=END, days=2, progress=lambda *step: seen.append(step)
    )
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize(
    ("end", "days"),
    [
        ("2026-11-22T18:00+00:00", 3),  # a Sunday: the last work was on Friday
        ("2026-11-23T12:00:00.001+00:00", 2),  # the first millisecond of a production day
        ("2026-11-23T12:00+00:00", 2),  # a production day that has not begun yet
        ("2026-11-01T09:30:00.5+00:00", 4),  # the night the clocks go back
        ("2026-01-03T00:00+00:00", 45),  # a plant three days old
        ("2026-09-07T20:00+00:00", 2),  # a holiday after a weekend: nothing happens at all
    ],
)
def test_any_end_makes_a_whole_story(tmp_path: Path, end: str, days: int) -> None:
    instant = dt.datetime.fromisoformat(end)
    report = simulate(load_plant(DEMO), tmp_path / "landing", tmp_path / "truth", end=instant, days=days)
    truth = load_truth(tmp_path / "truth")
    assert report.end == instant
    assert truth.production[["good", "reject"]].sum().tolist() == [report.good, report.rejects]
    assert all(path.is_file() for path in report.files)
    for _, states in truth.states.groupby("machine_id"):
        assert states["starts_at"].iloc[0] == pd.Timestamp(report.start)
        assert states["ends_at"].iloc[-1] == pd.Timestamp(report.end)


def test_a_machine_without_a_controller_is_refused_by_name(tmp_path: Path) -> None:
    plant = load_plant(DEMO)
    bench = plant.machines[0].model_copy(update={"state": StateSource(source="operator")})
    with pytest.raises(ValueError, match=bench.id):
        simulate(plant.model_copy(update={"machines": (bench,)}), tmp_path, tmp_path, end=END, days=2)
