"""The product's own readers find in the files what the truth says is wrong with them, and nothing else."""

from __future__ import annotations

from collections import Counter

from prodlytics.formats import kepserverex, table
from prodlytics.formats.judge import Rules
from prodlytics_tests.simulator.conftest import Told


def test_readers_set_aside_what_the_truth_names(told: Told) -> None:
    rules = Rules.of(told.plant, told.report.end)
    form = next(f for f in told.plant.landing if f.match.endswith(".parquet"))
    seen, kept, bad_quality = 0, 0, 0
    reasons: Counter[str] = Counter()
    for path in sorted((told.folder / "landing" / "telemetry").iterdir()):
        if path.suffix == ".parquet":
            with path.open("rb") as file:
                parts = list(table.parse(file, "parquet", form, rules, path.name))
        else:
            parts = [kepserverex.parse(path.read_bytes(), rules, path.name)]
        for part in parts:
            seen, kept = seen + part.seen, kept + len(part.good)
            bad_quality += int((part.good["quality"] < 192).sum())
            reasons.update(part.bad["reason"])
    expected = told.truth.odd_rows
    assert reasons == {why: expected[why] for why in ("unknown_machine", "not_a_number", "future_time")}
    assert bad_quality == expected["bad_quality"]
    assert seen == told.truth.telemetry_rows == kept + reasons.total()
