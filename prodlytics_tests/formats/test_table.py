"""Tables of samples, long and wide, CSV and Parquet."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodlytics.formats import rows, table
from prodlytics.formats.judge import Rules
from prodlytics.formats.sample import SAMPLE_COLUMNS, Parsed, UnreadableFileError
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import LandingFormat
from prodlytics_tests.formats.floor import rules

LONG: dict[str, Any] = {
    "name": "long",
    "match": "*",
    "layout": "long",
    "columns": {"time": "time", "machine": "machine", "metric": "metric", "value": "value"},
}


def form(**changes: Any) -> LandingFormat:
    return LandingFormat.model_validate(LONG | changes)


def read(data: bytes, form_: LandingFormat | None = None, kind: table.Kind = "csv") -> Parsed:
    return joined(list(table.parse(io.BytesIO(data), kind, form_ or form(), rules(), "a.csv")))


def joined(parts: list[Parsed]) -> Parsed:
    return Parsed(
        # A column without any text has another type; joined as text it stays text.
        pd.concat([p.good.astype({"value_text": object, "unit": object}) for p in parts], ignore_index=True),
        pd.concat([p.bad for p in parts], ignore_index=True),
        sum(p.seen for p in parts),
    )


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


HEAD = "time,machine,metric,value\n"
FIRST = "2026-11-23T10:00:00Z,Press01,Temperature_C,21.5\n"


def test_a_long_table() -> None:
    parsed = read((HEAD + FIRST + "2026-11-23 04:00:01.5-06:00,AB.Press01,ToolID,T12\n").encode())
    assert parsed.bad.empty
    good = parsed.good
    assert list(good.columns) == list(SAMPLE_COLUMNS)
    assert good["machine_id"].tolist() == ["Press01", "Press01"]
    assert good["time"].tolist() == [pd.Timestamp("2026-11-23T10:00:00Z"), pd.Timestamp("2026-11-23T10:00:01.5Z")]
    assert good["value"].iloc[0] == 21.5
    assert math.isnan(good["value"].iloc[1])
    assert good["value_text"].tolist() == [None, "T12"]
    assert good["unit"].iloc[0] == "°C"
    assert good["quality"].tolist() == [192, 192]
    assert good["position"].tolist() == [2, 3]
    assert good["source"].tolist() == ["long", "long"]


def test_a_row_is_judged_and_its_neighbours_stay() -> None:
    lines = {
        "2026-11-23T10:00:00Z,Press01,M,": "missing_value",
        "2026-11-23T10:00:00Z,Press01,M": "missing_value",
        "2026-11-23T10:00:00Z,Press01,M,nan": "not_a_number",
        "2026-11-23T10:00:00Z,Press01,M,1e999": "not_a_number",
        "2026-11-23T10:00:00Z,Press77,M,1": "unknown_machine",
        "2026-11-23T10:00:00Z,,M,1": "unknown_machine",
        "2026-11-23T10:00:00Z,Press01,,1": "missing_metric",
        ",Press01,M,1": "missing_time",
        "2026-11-23T10:00:00,Press01,M,1": "naive_time",
        "2026-11-25T10:00:00Z,Press01,M,1": "future_time",
        "2025-12-31T10:00:00Z,Press01,M,1": "before_first_day",
        "soon,Press01,M,1": "bad_time",
        "2026-11-23T10:00:00Z,Press01,M,1,2": "too_many_columns",
        '2026-11-23T10:00:00Z,Press01,"M,1': "open_quote",
        "2026-11-23T10:00:00Z,Press01,M\x00,1": "unstorable_text",
    }
    last = "2026-11-23T10:00:09Z,Press01,Temperature_C,3\n"
    parsed = read((HEAD + FIRST + "\n".join(lines) + "\n\n" + last).encode())
    assert parsed.good["value"].tolist() == [21.5, 3.0]
    assert parsed.good["position"].tolist() == [2, 4 + len(lines)]
    said = dict(zip(parsed.bad["position"], parsed.bad["reason"], strict=True))
    assert [said[3 + i] for i in range(len(lines))] == list(lines.values())
    assert parsed.seen == 2 + len(lines)
    payloads = dict(zip(parsed.bad["position"], parsed.bad["payload"], strict=True))
    assert payloads[5] == "2026-11-23T10:00:00Z,Press01,M,nan"


def test_bytes_that_are_no_text_cost_their_line() -> None:
    broken = b"2026-11-23T10:00:00Z,Press01,M\xff,1\n\xfe,x\n"
    data = (HEAD + FIRST).encode() + broken + FIRST.replace("00Z", "01Z").encode()
    parsed = read(data)
    assert parsed.good["position"].tolist() == [2, 5]
    assert parsed.bad["reason"].tolist() == ["bad_utf8", "bad_utf8"]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_quotes_line_ends_and_byte_order_mark(ending: str, mark: str) -> None:
    lines = [mark + "time,machine,metric,value", '2026-11-23T10:00:00Z,"Press01","A,B","T ""x"""']
    parsed = read(ending.join(lines).encode())
    assert parsed.bad.empty
    assert parsed.good["metric_name"].tolist() == ["A,B"]
    assert parsed.good["value_text"].tolist() == ['T "x"']


def test_a_file_in_many_blocks_is_the_same_file() -> None:
    data = (HEAD + "".join(f"2026-11-23T10:00:{i:02}Z,Press01,M,{i}\n" for i in range(60))).encode()
    whole = read(data)
    small = list(rows.read_csv(io.BytesIO(data), ["value"], delimiter=",", header=True, block_size=100))
    assert len(small) > 10
    assert [v for part in small for v in part.columns["value"].to_pylist()] == [str(i) for i in range(60)]
    assert [p for part in small for p in part.position.tolist()] == whole.good["position"].tolist()


def test_without_a_header_columns_have_numbers() -> None:
    said = form(header=False, delimiter="|", columns={"time": 0, "metric": 1, "value": 2, "native_code": 3},
                constants={"machine": "Press01"})  # fmt: skip
    at = "2026-11-23T10:00:0"
    data = f"{at}0Z|mode|AUTO\n{at}1Z|cond|Warning|433|||SAME NAME\n{at}2Z|x|1\n".encode()
    good = read(data, said).good.sort_values("position")
    assert good["value_text"].tolist() == ["AUTO", "Warning", None]
    assert good["native_code"].tolist() == ["", "433", ""]


def test_a_wide_table_has_a_sample_per_cell_that_says_something() -> None:
    said = LandingFormat(name="w", match="*", layout="wide", columns={"time": "ts", "machine": "asset"},
                         metrics={"Items": "items", "Alarm": "alarm"})  # fmt: skip
    lines = ["2026-11-23T10:00:00Z,Press01,5,0", "2026-11-23T10:05:00Z,Press01,,E7", "never,Press01,1,2"]
    data = "\n".join(["ts,asset,items,alarm", *lines]).encode()
    parsed = read(data, said)
    found = {(m, p): (v, t) for m, p, v, t in parsed.good[["metric_name", "position", "value", "value_text"]].values}
    assert set(found) == {("Items", 2), ("Alarm", 2), ("Alarm", 3)}
    assert found["Items", 2] == (5.0, None)
    assert found["Alarm", 3][1] == "E7"
    assert parsed.bad["reason"].tolist() == ["bad_time", "bad_time"]
    assert parsed.seen == 5


def test_parquet_keeps_its_types() -> None:
    instant = dt.datetime(2026, 11, 23, 10, 0, 0, 5, dt.UTC)
    said = form(columns={"time": "time", "machine": "machine", "metric": "metric", "value": "value",
                         "value_text": "text", "quality": "q", "published_at": "sent"})  # fmt: skip
    data = parquet(
        time=pa.array([instant] * 5, pa.timestamp("ns", "America/Chicago")),
        machine=pa.array(["Press01", "AB.Press01", "Nobody", "Press01", "Press01"]).dictionary_encode(),
        metric=["Speed_RPM"] * 5,
        value=[1.5, None, 3.0, float("nan"), None],
        text=[None, "T1", None, None, None],
        q=pa.array([192, 192, 192, 192, 0], pa.int16()),
        sent=pa.array([instant, None, instant, instant, instant], pa.timestamp("us", "UTC")),
    )
    parsed = read(data, said, "parquet")
    assert parsed.good["position"].tolist() == [1, 2, 5]
    assert parsed.good["time"].tolist() == [pd.Timestamp(instant)] * 3
    assert parsed.good["value_text"].tolist() == [None, "T1", None]
    assert parsed.good["published_at"].isna().tolist() == [False, True, False]
    assert parsed.bad["reason"].tolist() == ["unknown_machine", "not_a_number"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([1, 0], pa.int64()), [1.0, 0.0]),
        (pa.array([True, False]), [1.0, 0.0]),
        (pa.array(["51.25", "7"]), [51.25, 7.0]),
        (pa.array([1, 2], pa.uint64()), [1.0, 2.0]),
    ],
)
def test_numbers_of_any_type(values: pa.Array, expected: list[float]) -> None:
    data = parquet(time=["2026-11-23T10:00:00Z"] * 2, machine=["Press01"] * 2, metric=["a", "b"], value=values)
    assert read(data, kind="parquet").good["value"].tolist() == expected


def test_wall_times_need_a_zone_and_the_clock_change_is_not_guessed() -> None:
    data = HEAD.encode() + b"".join(
        f"2026-{day},Press01,M,1\n".encode() for day in ("07-01 12:00", "03-08 02:30", "11-01 01:30", "01-05 12:00")
    )
    assert set(read(data).bad["reason"]) == {"naive_time"}
    parsed = read(data, form(timezone="America/Chicago"))
    assert parsed.good["time"].tolist() == [pd.Timestamp("2026-07-01T17:00Z"), pd.Timestamp("2026-01-05T18:00Z")]
    assert parsed.bad["reason"].tolist() == ["ambiguous_time", "ambiguous_time"]


@pytest.mark.parametrize(
    ("data", "kind", "why"),
    [
        (b"", "csv", "no header"),
        (b"\n\n", "csv", "no header"),
        (b"time,machine,metric\n", "csv", "'value'"),
        (b"\xff\xfet\x00", "csv", "UTF-16"),
        (b"PAR1 not really PAR1", "parquet", "not Parquet"),
        (b"", "parquet", "not Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(data: bytes, kind: table.Kind, why: str) -> None:
    with pytest.raises(UnreadableFileError, match=why):
        read(data, kind=kind)


def test_damage_behind_the_first_rows_of_parquet_is_found() -> None:
    data = bytearray(parquet(time=["2026-11-23T10:00:00Z"] * 999, machine=["Press01"] * 999,
                             metric=[f"m{i}" for i in range(999)], value=[float(i) for i in range(999)]))  # fmt: skip
    data[200:1200] = bytes(1000)
    with pytest.raises(UnreadableFileError, match="not Parquet"):
        read(bytes(data), kind="parquet")


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=6) | st.sampled_from(
    ["2026-11-23T10:00:00Z", "Press01", "M", "1", "", '"', 'a"b', "x,y"]
)


@given(st.lists(st.lists(CELLS, max_size=6), max_size=12), st.integers(8, 200))
@settings(max_examples=100, deadline=None)
def test_every_line_is_kept_or_explained_wherever_blocks_end(table_: list[list[str]], block: int) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table_)
    data = (HEAD + text.getvalue()).encode()
    lines = [n for n, line in enumerate(data.split(b"\n"), start=1) if line.strip() and n > 1]
    parts = list(rows.read_csv(io.BytesIO(data), ["value", "time"], delimiter=",", header=True, block_size=block))
    kept = [p for part in parts for p in part.position.tolist()]
    refused = [int(str(bad["position"])) for part in parts for bad in part.misfits]
    assert sorted(kept + refused) == lines
    texts = data.decode().split("\n")
    expected = {n: next(csv.reader([texts[n - 1]])) for n in lines}
    for part in parts:
        for position, value in zip(part.position.tolist(), part.columns["value"].to_pylist(), strict=True):
            row = expected[position]
            assert (value or "") == (row[3] if len(row) > 3 else "")


def rules_of(plant_file: str) -> tuple[Rules, dict[str, LandingFormat]]:
    plant = load_plant(Path(__file__).parents[1] / "plants" / plant_file)
    return Rules.of(plant, dt.datetime(2026, 11, 23, tzinfo=dt.UTC)), {form.name: form for form in plant.landing}


@pytest.mark.parametrize("name", ["events", "samples"])
def test_every_line_of_mazak01(shared_data: Path, name: str) -> None:
    mazak, forms = rules_of("mazak01.yaml")
    with gzip.open(shared_data / "nist_mazak01" / f"{name}.txt.gz") as file:
        parsed = joined(list(table.parse(file, "csv", forms[name], mazak, name)))  # type: ignore[arg-type]
    count: Counter[str] = Counter()
    total = 0.0
    with gzip.open(shared_data / "nist_mazak01" / f"{name}.txt.gz", "rt", encoding="utf-8") as file:
        for line in file:
            _, key, value, *_ = line.rstrip("\n").split("|")
            count[key] += 1
            try:
                total += float(value)
            except ValueError:
                count["text"] += 1
    assert parsed.bad.empty
    assert parsed.seen == sum(count.values()) - count["text"]
    assert int(parsed.good["value_text"].notna().sum()) == count["text"]
    assert parsed.good["value"].sum() == pytest.approx(total, rel=1e-9)
    metrics = parsed.good["metric_name"].value_counts()
    assert metrics.to_dict() == {key: n for key, n in count.items() if key != "text"}


def test_every_cell_of_sme(shared_data: Path) -> None:
    sme, forms = rules_of("sme.yaml")
    path = shared_data / "sme" / "asset_1.csv"
    parsed = joined(list(table.parse(io.BytesIO(path.read_bytes()), "csv", forms["rows"], sme, "sme")))
    with path.open(newline="") as file:
        raw = list(csv.DictReader(file))
    assert parsed.bad.empty
    for ours, theirs in forms["rows"].metrics.items():
        mine = parsed.good[parsed.good["metric_name"] == ours]
        cells = [row[theirs] for row in raw if row[theirs] != ""]
        assert mine["value"].sum() == sum(float(cell) for cell in cells)
        assert len(mine) == len(cells)
