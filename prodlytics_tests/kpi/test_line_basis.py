"""The machine a line is measured by: never a mean, the same whatever the order of rows."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from prodlytics.kpi.kpi_rollup import derive_kpi_rollup
from prodlytics_tests.kpi import floor, rolled

#: A serial line by hand: cut 20 s, bend 45 s, pack 10 s for bracket B; cutting and packing alone make plate P.
PARTS = [
    {"number": "B", "name": "Bracket", "ideal_cycle_time_ms": {"Cut": 20_000, "Bend": 45_000, "Pack": 10_000}},
    {"number": "P", "name": "Plate", "ideal_cycle_time_ms": {"Cut": 30_000, "Pack": 12_000}},
]
MACHINES = [{"id": name, "name": name} for name in ("Cut", "Bend", "Pack")]


def line(rows: list[dict[str, Any]], **plant: Any) -> pd.Series[Any]:
    """The line's day."""
    settings = {"parts": PARTS, **plant}
    where = rolled.several_machines(*settings.pop("machines", MACHINES), **settings)
    frame = rolled.shift_rows(*rows).assign(convention=where.convention.code)
    told = derive_kpi_rollup(where, frame, rolled.no_stops(), rolled.no_plan(), floor.NOW)
    again = derive_kpi_rollup(where, frame[::-1], rolled.no_stops(), rolled.no_plan(), floor.NOW)
    pd.testing.assert_frame_equal(told, again)
    return rolled.one(told, "line", "day")


def made(machine: str, part: str, good: float, cycle_s: float, planned: float = 480, **more: Any) -> dict[str, Any]:
    ideal = good * cycle_s / 60
    return {
        "machine_id": machine, "part_number": part, "good_count": good, "planned_time_us": planned,
        "run_time_us": planned, "running_us": planned, "ideal_time_us": ideal, "ideal_good_time_us": ideal, **more,
    }  # fmt: skip


def test_the_longest_ideal_cycle_of_the_part_required_decides() -> None:
    row = line([made("Cut", "B", 500, 20), made("Bend", "B", 480, 45), made("Pack", "B", 470, 10)])
    assert (row["basis"], row["basis_reason"]) == ("Bend", "longest ideal time per part required: 45.0 s")
    assert row["oee"] == pytest.approx(480 * 45 / (480 * 60))
    assert row["planned_time_us"] == 480 * rolled.MINUTE


def test_a_bottleneck_that_made_nothing_is_still_the_bottleneck() -> None:
    """Bend is down all day: the line's OEE is 0 and not that of a machine that filled the buffer."""
    down = made("Bend", "B", 0, 45, run_time_us=0, running_us=0, failure_us=480)
    row = line([made("Cut", "B", 500, 20), down, made("Pack", "B", 0, 10)])
    assert (row["basis"], row["oee"]) == ("Bend", 0)


def test_a_machine_that_does_not_make_what_was_required_is_no_bottleneck() -> None:
    """Only plates: 30 s on Cut, 12 s on Pack; Bend has no cycle for plates."""
    row = line([made("Cut", "P", 400, 30), made("Bend", "", 0, 0), made("Pack", "P", 400, 12)])
    assert row["basis"] == "Cut"


def test_with_several_parts_the_time_of_all_that_was_required_decides() -> None:
    """300 plates and 100 brackets: Cut 300 x 30 + 100 x 20 = 11,000 s, Bend 100 x 45 = 4,500 s: 27.5 s per part."""
    row = line([made("Cut", "P", 300, 30), made("Cut", "B", 100, 20), made("Bend", "B", 100, 45),
                made("Pack", "P", 290, 12), made("Pack", "B", 90, 10)])  # fmt: skip
    assert (row["basis"], row["basis_reason"]) == ("Cut", "longest ideal time per part required: 27.5 s")


def test_only_machines_with_planned_time_count() -> None:
    row = line([made("Cut", "B", 500, 20), made("Bend", "B", 0, 45, planned=0), made("Pack", "B", 400, 10)])
    assert row["basis"] == "Cut"


def test_nothing_made_is_judged_by_the_part_in_work_and_then_by_the_machines() -> None:
    idle = {"run_time_us": 0, "running_us": 0, "other_stop_us": 480}
    in_work = [made(name, "P", 0, 0, **idle) for name in ("Cut", "Bend", "Pack")]
    assert line(in_work)["basis"] == "Cut"
    machines = [{**one, "ideal_cycle_time_ms": ms} for one, ms in zip(MACHINES, (1000, 2000, 3000), strict=True)]
    nobody_knows = [made(name, "", 0, 0, **idle) for name in ("Cut", "Bend", "Pack")]
    assert line(nobody_knows, machines=machines)["basis"] == "Pack"
    assert line(nobody_knows)["basis_reason"].startswith("no ideal cycle is known: last machine")


@pytest.mark.parametrize(
    ("rule", "basis", "planned"),
    [
        ({"oee": "last"}, "Pack", 480),
        ({"oee": "last", "machine": "Bend"}, "Bend", 480),
        ({"oee": "bottleneck", "machine": "Cut"}, "Cut", 480),
        ({"oee": "sum"}, "sum", 3 * 480),
    ],
)
def test_a_line_follows_the_plant_file(rule: dict[str, str], basis: str, planned: float) -> None:
    rows = [made("Cut", "B", 500, 20), made("Bend", "B", 480, 45), made("Pack", "B", 470, 10)]
    row = line(rows, lines=[{"id": "L1", **rule}])
    assert (row["basis"], row["planned_time_us"]) == (basis, planned * rolled.MINUTE)


def test_a_line_is_never_the_mean_of_its_machines() -> None:
    rows = [made("Cut", "B", 480, 20), made("Bend", "B", 480, 45), made("Pack", "B", 480, 10)]
    oees = [480 * cycle / (480 * 60) for cycle in (20, 45, 10)]
    assert line(rows)["oee"] == pytest.approx(oees[1])
    assert abs(line(rows)["oee"] - sum(oees) / 3) > 0.3
