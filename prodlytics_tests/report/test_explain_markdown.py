"""Tables for Dagster: they add up, stay small, and what people named cannot change their shape."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodlytics.report.explain_markdown import TABLE_SIZE, cell, hour_as_markdown, hours_table, table, time_table
from prodlytics_tests.kpi import floor
from prodlytics_tests.kpi.explained_floor import explained
from prodlytics_tests.kpi.floor import at, calendar, entries, entry, events, hours_of, ledger_of, states

PLANNED = calendar((1440, "planned"))


def cells(markdown: str) -> list[list[str]]:
    """Cells of the rows of a table, without head."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    return [line[1:-1].split("|") for line in lines[2:]]


def test_the_hours_of_a_day_by_hand() -> None:
    said = states((60, "running"), (30, "running"), (30, "fault"), (60, "unknown"))
    hours = hours_of(floor.plant(), said, PLANNED, events((10, 45), (20, 0, 15), (70, 15), (130, 3)), at(0), at(180))
    first, second, third = cells(hours_table(floor.plant(), hours))
    assert first == ["M1", "03-02 06:00-0600", "100.0%", "100.0%", "75.0%", "75.0%", "", "60.0", "60.0", "45", "15",
                     "0", ""]  # fmt: skip
    assert second[2:6] == ["50.0%", "50.0%", "100.0%", "25.0%"]
    assert third[2:7] == ["", "", "", "", "no_data"]
    assert third[-1] == "3"


def test_several_days_are_rolled_up_from_elements() -> None:
    # Reference case E15 over two days: 54 of 60 min good, 4.5 of 15 min: 78 %, not the mean of 90 % and 30 %.
    plan = calendar((60, "planned"), (1380, "not_scheduled"), (15, "planned"), (1425, "not_scheduled"))
    plan["production_date"] = [floor.DAY, floor.DAY, floor.DAY + dt.timedelta(days=1), floor.DAY + dt.timedelta(days=1)]
    said = states((60, "running"), (1380, "off"), (15, "running"), (1425, "off"))
    made = events((30, 54), (1445, 4.5))
    hours = hours_of(floor.plant(), said, plan, made, at(0), at(2880))
    rows = cells(hours_table(floor.plant(), hours))
    assert [(row[1], row[5]) for row in rows] == [("2026-03-02", "90.0%"), ("2026-03-03", "30.0%")]
    one_day = cells(hours_table(floor.plant(), hours.assign(production_date=floor.DAY)))
    assert [row[5] for row in one_day] == ["78.0%"]


def test_time_per_bucket_by_hand() -> None:
    said = states((30, "running"), (20, "fault"), (10, "setup"))
    shown = time_table(ledger_of(floor.plant(), said, PLANNED, at(0), at(60)))
    assert shown.splitlines()[0] == "|machine|running %|failure %|changeover %|sum %|hours|"
    assert cells(shown)[0] == ["M1", "50.0", "33.3", "16.7", "100.0", "1.00"]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=9))
def test_shares_always_add_up_to_a_hundred(lengths: list[int]) -> None:
    buckets = ["running", "failure", "changeover", "other_stop", "micro_stop", "planned_stop", "break", "unknown",
               "not_scheduled"]  # fmt: skip
    ends = pd.Series(lengths).cumsum()
    ledger = pd.DataFrame(
        {
            "machine_id": "M1",
            "bucket": buckets[: len(lengths)],
            "starts_at": pd.to_datetime(ends - pd.Series(lengths), unit="us", utc=True),
            "ends_at": pd.to_datetime(ends, unit="us", utc=True),
        }
    )
    for row in cells(time_table(ledger)):
        shares = [round(float(text) * 10) for text in row[1:-2]]
        assert sum(shares) == 1000
        assert row[-2] == "100.0"


def test_a_table_stays_in_its_size_and_says_what_is_missing() -> None:
    shown = table(("a", "b"), [["x" * 50, str(n)] for n in range(2000)])
    assert len(shown) <= TABLE_SIZE + 100
    rows = len(cells(shown))
    assert f"{2000 - rows} more rows are in the table only" in shown


@pytest.mark.parametrize("name", ["a|b", "<b>x</b>", "[x](http://y)", "`x`", "a\nb", "*x*"])
def test_names_do_not_change_the_table(name: str) -> None:
    written = cell(name)
    assert "\n" not in written
    for sign in "|<>[]`*":
        assert written.count(sign) == written.count(f"\\{sign}")


def test_an_explained_hour_is_one_block_of_plain_text() -> None:
    reasons = entries(entry(30, 40, reason_code="MATL_A", note="``` # not a heading"))
    said = states((30, "running"), (10, "idle"), (20, "running"))
    shown = hour_as_markdown(explained(floor.plant(), said, PLANNED, events(), reasons=reasons)[0])
    assert shown.count("```") == 2
    assert shown.endswith("\n```")


def test_a_flickering_hour_is_cut_short_and_says_so() -> None:
    said = states(*[(0.1, name) for _ in range(300) for name in ("running", "idle")])
    shown = hour_as_markdown(explained(floor.plant(), said, PLANNED, events())[0])
    assert len(shown) < 13_000
    assert "the rest is in what the command shows" in shown
