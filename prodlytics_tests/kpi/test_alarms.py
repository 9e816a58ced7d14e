"""Which condition and fault samples become alarms."""

from __future__ import annotations

from prodlytics_tests.kpi.feed import events, heard, plant_of, seconds, together


def test_a_condition_is_one_alarm_until_it_clears() -> None:
    plant = plant_of(alarm_metrics=["system"])
    samples = together(
        heard("system", [(0, "Normal"), (50, "Normal")]),
        heard("system", [(10, "Warning"), (20, "Warning"), (30, "Fault"), (60, "Warning")], code="433"),
        heard("system", [(10, "Warning")], code="406"),
    )
    rows = events(plant, samples).rows
    assert list(zip(seconds(rows["time"]), rows["event_key"], rows["fault_code"], strict=True)) == [
        (10, "system/406", "406"),
        (10, "system/433", "433"),
        (30, "system/433", "433"),
        (60, "system/433", "433"),
    ]
    assert (rows["event_type"] == "alarm").all()
    assert rows["good_count"].sum() == 0


def test_a_flag_that_goes_up() -> None:
    plant = plant_of(alarm_metrics=["Vibration_Alarm"])
    rows = events(plant, heard("Vibration_Alarm", [(0, 0), (1, 1), (2, 1), (3, 0), (4, 1)])).rows
    assert seconds(rows["time"]) == [1, 4]


def test_a_fault_code_that_appears() -> None:
    plant = plant_of(fault_metric="Fault")
    rows = events(plant, heard("Fault", [(0, 0), (1, 17), (2, 17), (3, 21), (4, 0), (5, 17)])).rows
    assert seconds(rows["time"]) == [1, 3, 5]
    assert rows["fault_code"].tolist() == ["17", "21", "17"]


def test_bad_quality_raises_no_alarm() -> None:
    plant = plant_of(fault_metric="Fault")
    assert events(plant, heard("Fault", [(0, 0), (1, 17)], quality=0)).rows.empty
