"""What if, as it is asked: which loss is meant, which weeks are whole, what people and programs read."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import psycopg
import pytest

from prodlytics.cli import ASKED_WRONGLY, FAILED
from prodlytics.kpi.what_if import Answer, NotEnough
from prodlytics.ops.what_if import NoSuchQuestionError, Question, ask, find_question
from prodlytics.plant.load import load_plant
from prodlytics.plant.model import Plant
from prodlytics.report.what_if_text import as_dict, as_text
from prodlytics.settings import DEMO_PLANT
from prodlytics_tests.kpi import floor
from prodlytics_tests.test_cli import databases, one_sentence, prodlytics

KNOWN = [("defects", "Burr on edge"), ("unplanned_stop", "MECH_A"), ("unplanned_stop", "")]
MONDAY = dt.date(2026, 10, 5)


def asked(text: str, plant: Plant | None = None, **where: str) -> Question:
    return find_question(plant or floor.plant(), KNOWN, text, 0.33, **where)


def test_losses_reasons_categories_and_names_are_understood() -> None:
    whole = asked("Micro_Stop")
    assert (whole.loss, whole.reasons, whole.machines, whole.scope) == ("micro_stop", (), ("M1",), "floor")
    assert asked("mech_a").reasons == ("MECH_A",)
    assert asked("Bearing").asked == "MECH_A"
    assert asked("MECH").reasons == ("MECH", "MECH_A")
    assert asked("Mechanical").reasons == ("MECH", "MECH_A")
    assert asked("burr ON edge").reasons == ("Burr on edge",)
    assert asked("changeover").loss == "changeover"
    assert asked("MECH_A", machine="m1").scope == "M1"
    assert asked("MECH_A", line="l1").line == "L1"


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ("MECH_B", {}, r"no loss or reason 'MECH_B': did you mean MECH_A\?"),
        ("'; DROP TABLE losses", {}, r"no loss or reason .* there are Burr on edge, MECH_A"),
        ("MECH_A", {"machine": "M9"}, r"no machine 'M9': there are M1."),
        ("MECH_A", {"line": "xyz"}, "no line 'xyz': there are L1"),
        ("MECH_A", {"line": "L1", "machine": "M1"}, "at once"),
        ("no_ideal_cycle", {}, "cannot be judged"),
        ("", {}, "no loss or reason ''"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(text: str, where: dict[str, str], says: str) -> None:
    with pytest.raises(NoSuchQuestionError, match=says):
        asked(text, **where)


def fill(url: str, weeks: int, days_of_last: int = 7) -> None:
    """Weeks of Press01 and Mill01, a row of oee_shift and one loss a day.

    Press01: 1,000 min planned, 800 run, 600 good minutes at the ideal cycle; 100 min of MECH_BEARING a day, but 120 in
    every second week; an hour costs 60. Mill01 the same without the loss.
    """
    with psycopg.connect(url) as conn:
        conn.execute(
            """
            INSERT INTO oee_shift (machine_id, production_date, shift, part_number, starts_at, ends_at, good_count,
                reject_count, rework_count, gap_good_count, gap_reject_count, planned_time_us, run_time_us,
                ideal_time_us, ideal_good_time_us, running_us, failure_us, changeover_us, planned_stop_us,
                other_stop_us, micro_stop_us, break_us, not_scheduled_us, unknown_us, convention, as_of, fingerprint)
            SELECT machine, day, 'Shift 1', '', day + time '12:00', day + time '20:00', 600, 0, 0, 0, 0, 1000 * m,
                800 * m, 600 * m, 600 * m, 800 * m, 100 * m, 0, 0, 100 * m, 0, 0, 0, 0, 'one',
                timestamptz '2026-12-31', ''
            FROM unnest(ARRAY['Press01', 'Mill01']) AS machine,
                generate_series(0, %(days)s - 1) AS n, LATERAL (SELECT %(monday)s::date + n AS day) AS d,
                (SELECT 60000000::bigint AS m) AS minute
            """,
            {"days": 7 * (weeks - 1) + days_of_last, "monday": MONDAY},
        )
        conn.execute(
            """
            INSERT INTO losses (machine_id, production_date, shift, part_number, loss, reason_code, starts_at, ends_at,
                loss_us, occurrences, cost, currency, as_of, fingerprint)
            SELECT machine_id, production_date, shift, part_number, 'unplanned_stop', 'MECH_BEARING', starts_at,
                ends_at, lost * 60000000.0, 2, lost, 'USD', as_of, ''
            FROM oee_shift,
                LATERAL (SELECT 100 + 20 * ((production_date - %(monday)s) / 7 %% 2) AS lost) AS of_week
            WHERE machine_id = 'Press01'
            """,
            {"monday": MONDAY},
        )


def test_an_answer_from_the_tables(plain_database: str) -> None:
    """By hand, 5 whole weeks: 700, 840, 700, 840, 700 min of 7,000 a week; half less frees 378 a week.

    Good minutes per run minute 600 / 800: 283.5 more a week on 7,000 planned, 4.05 points; USD 378 a week.
    """
    plant = load_plant(DEMO_PLANT)
    fill(plain_database, 6, days_of_last=6)
    with psycopg.connect(plain_database) as conn:
        question, answer = ask(conn, plant, "mech_bearing", 0.5, machine="Press01")
        assert isinstance(answer, Answer)
        assert [week.monday for week in answer.weeks] == [MONDAY + dt.timedelta(days=7 * n) for n in range(5)]
        assert answer.gain is not None
        assert answer.money is not None
        assert answer.gain.estimate == pytest.approx(0.0405)
        assert answer.money.estimate == pytest.approx(378)
        assert (answer.oee, answer.freed_min) == (pytest.approx(0.6), pytest.approx(378))
        assert answer.gain.low < 0.0405 < answer.gain.high
        # The plant has twice the planned time, the line three presses more that were not there.
        _, whole = ask(conn, plant, "MECH_BEARING", 0.5)
        assert isinstance(whole, Answer)
        assert whole.gain is not None
        assert whole.gain.estimate == pytest.approx(0.0405 / 2)
        _, short = ask(conn, plant, "MECH_BEARING", 0.5, weeks=3)
        assert isinstance(short, NotEnough)
        assert (short.reason, short.missing) == ("too_few_weeks", 1)
        _, never = ask(conn, plant, "micro_stop", 0.5)
        assert isinstance(never, NotEnough)
        assert never.reason == "never_happened"
    text = as_text(plant, question.asked, question.scope, 0.5, answer)
    assert "50 % less of it in 5 whole weeks from 5 Oct to Sunday, 8 November 2026 (Press01" in text
    assert "would have brought 4.05 points of OEE (95 % interval " in text
    assert "60.0 % would have been 64." in text
    # Weeks of 350 and 420: standard deviation 38.34, over the root of 5, times t(4) 2.776: 47.6.
    assert "USD 378 a week (USD 330 to USD 426) would not have been lost." in text
    assert "freed time makes good parts at the rate each machine has shown" in text
    rows = [line.split() for line in text.splitlines()[-5:]]
    assert [(row[0], row[1], row[5], row[-1]) for row in rows[1:3]] == [
        ("2026-10-12", "14", "60.0", "840"),
        ("2026-10-19", "11", "60.0", "700"),
    ]
    assert rows[1][7] == "64.5"
    told = as_dict(plant, question.asked, question.scope, 0.5, answer)
    assert json.loads(json.dumps(told, allow_nan=False))["oee_gain"]["estimate"] == pytest.approx(0.0405)


def test_a_line_measured_by_one_machine_in_a_week_has_that_machines_oee(plain_database: str) -> None:
    """kpi_rollup says which machine a line was measured by: the loss of another one changes money, not its OEE."""
    plant = floor_of_two()
    fill(plain_database, 4)
    with psycopg.connect(plain_database) as conn:
        conn.execute(
            """
            INSERT INTO kpi_rollup (level, member, period, period_start, shift, starts_at, ends_at, basis, good_count,
                reject_count, rework_count, gap_good_count, gap_reject_count, planned_time_us, run_time_us, running_us,
                failure_us, changeover_us, planned_stop_us, other_stop_us, micro_stop_us, break_us, not_scheduled_us,
                unknown_us, order_run_time_us, order_time_us, order_part_count, mttr_is_lower_bound, convention, as_of,
                fingerprint)
            SELECT 'line', 'L1', 'week', day, '', day, day + 7, 'Mill01', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                0, 0, 0, 0, false, 'one', now(), ''
            FROM (SELECT %s::date + 7 * generate_series(0, 3) AS day) AS week
            """,
            (MONDAY,),
        )
        question, answer = ask(conn, plant, "MECH_BEARING", 0.5, line="L1")
    assert isinstance(answer, Answer)
    assert answer.gain is not None
    assert (answer.gain.estimate, answer.not_measured) == (0, ("Press01",))
    assert answer.money is not None
    assert answer.money.estimate > 0
    said = as_text(plant, question.asked, question.scope, 0.5, answer)
    assert "The OEE of the line does not depend on Press01." in said


def floor_of_two() -> Plant:
    settings = floor.SETTINGS["machines"][0]
    machines = [settings | {"id": "Press01"}, settings | {"id": "Mill01"}]
    return floor.plant(machine={}, **{"parts": [], "machines": machines})


def test_the_command(plain_database: str, tmp_path: Path) -> None:
    fill(plain_database, 5)
    where = databases(plain_database)
    done = prodlytics("what-if", "MECH_BEARING", "--less", "50", "--machine", "Press01", home=tmp_path, **where)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 8
    assert "points of OEE" in done.stdout
    told = prodlytics("what-if", "MECH_BEARING", "--weeks", "2", "--json", home=tmp_path, **where)
    assert (json.loads(told.stdout)["reason"], json.loads(told.stdout)["weeks_missing"]) == ("too_few_weeks", 2)
    wrong = prodlytics("what-if", "nonsense", home=tmp_path, **where)
    assert wrong.returncode == ASKED_WRONGLY
    assert "no loss or reason" in one_sentence(wrong)


def test_nothing_computed_yet_says_what_to_do(plain_database: str, tmp_path: Path) -> None:
    done = prodlytics("what-if", "micro_stop", home=tmp_path, **databases(plain_database))
    assert done.returncode == FAILED
    assert "prodlytics backfill" in one_sentence(done)
