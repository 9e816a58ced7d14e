"""What a closed day's losses cost is written down when it changes, once, with the reason."""

from __future__ import annotations

import datetime as dt

from prodlytics.plant.model import Machine, Plant
from prodlytics_tests.ledger.chain import Chain
from prodlytics_tests.ledger.days_of_data import DAYS, load, small_plant
from prodlytics_tests.ledger.test_edges import FAULT, RUNNING, beats, opens, rows, states

FRIDAY, SATURDAY = DAYS[1], DAYS[2]
TOLD = (
    "SELECT level, machine_id, period, production_date, old_value, new_value, old_revision, new_revision"
    " FROM restatements WHERE dataset = 'losses' AND column_name = 'cost' ORDER BY restatement_id"
)


def priced() -> Plant:
    """An hour of the machine costs 60 and one of the people at it 30; a part takes a minute."""
    plant = small_plant(0, machines=1)
    told = {**plant.machines[0].model_dump(), "machine_rate_per_h": 60, "labor_rate_per_h": 30}
    return plant.model_copy(update={"machines": (Machine.model_validate(told),)})


def test_late_parts_make_a_day_cheaper(plain_database: str) -> None:
    plant = priced()
    chain = Chain(plant, plain_database)
    begins, ends = opens(plant, FRIDAY), opens(plant, SATURDAY)
    load(plain_database, plant, [*states((begins, FAULT)), *beats(begins, ends)], "down all day")
    chain.derive(FRIDAY)
    ((planned_h,),) = rows(plain_database, "SELECT sum(planned_time_min) / 60 FROM oee_shift")
    assert rows(plain_database, "SELECT sum(cost)::float FROM losses") == [(90 * planned_h,)]
    assert rows(plain_database, TOLD) == [], "what is told for the first time is no restatement"

    # It had run for half an hour, and made a good part each minute.
    ran = begins + dt.timedelta(minutes=30)
    minutes = [ran + dt.timedelta(minutes=n) for n in range(31)]
    late = [("M1", "Good", at, 100.0 + n) for n, at in enumerate(minutes)]
    load(plain_database, plant, [*states((ran, RUNNING), (minutes[-1], FAULT)), *late], "late parts")
    chain.heal()
    cheaper = ("machine", "M1", "day", FRIDAY, 90 * planned_h, 90 * planned_h - 45, 1, 2)
    assert rows(plain_database, TOLD) == [cheaper]
    ((cause,),) = rows(plain_database, "SELECT DISTINCT cause FROM restatements WHERE dataset = 'losses'")
    assert "late parts" in cause

    chain.derive(FRIDAY)
    assert rows(plain_database, TOLD) == [cheaper], "computed again, nothing has changed"

    dearer = plant.machines[0].model_dump() | {"machine_rate_per_h": 80}
    Chain(plant.model_copy(update={"machines": (Machine.model_validate(dearer),)}), plain_database).derive(FRIDAY)
    assert rows(plain_database, TOLD)[1:] == [
        ("machine", "M1", "day", FRIDAY, 90 * planned_h - 45, 110 * planned_h - 55, 2, 3)
    ]
