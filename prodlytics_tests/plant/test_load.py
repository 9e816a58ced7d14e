"""A wrong plant file is answered with the line, the setting and what to write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from prodlytics.plant.load import PlantFileError, load_plant
from prodlytics.plant.model import Plant

DEMO = Path(__file__).parents[2] / "deploy" / "plants" / "demo.yaml"

SMALL = """\
plant: small
name: Small plant
site: Here
timezone: Europe/Berlin
day_boundary: "06:00"
first_day: 2026-01-01
currency: EUR
machines:
  - id: M1
    name: One
    line: L1
    aliases: [Line.M1]
    state: {map: {1: running, 0: "off"}}
    counters:
      - {metric: Good, counts: good, width_bits: 16}
  - id: M2
    name: Two
    line: L1
    state:
      map: {1: running}
parts:
  - number: "1001"
    name: Cover
    ideal_cycle_time_ms: {M1: 8000, M2: [{since: 2026-01-01, value: 9000}, {since: 2026-02-01, value: 8500}]}
shift_plans:
  - shifts:
      - name: Early
        start: "06:00"
        end: "14:00"
        breaks:
          - {name: Tea, start: "09:00", end: "09:15"}
      - {name: Night, start: "22:00", end: "06:00"}
holidays:
  - {date: 2026-05-01, name: May Day}
exceptions:
  - {kind: closure, start: 2026-06-10T06:00, end: 2026-06-10T12:00, reason: Flood}
reasons:
  - code: MECH
    name: Mechanical
    loss: failure
    reasons:
      - {code: BEARING, name: Bearing}
fault_reasons:
  101: BEARING
thresholds: {oee_warning: 0.6}
contacts:
  - {role: manager, name: Manager, email: manager@example.com}
landing:
  - {name: tables, match: "*.csv", layout: long, columns: {metric: tag}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "plant.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complaint(path: Path) -> str:
    with pytest.raises(PlantFileError) as caught:
        load_plant(path)
    return str(caught.value)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    return load_plant(write(tmp_path_factory.mktemp("plant"), SMALL))


def test_what_the_file_says_is_in_the_plant(small: Plant) -> None:
    assert small.machine("M1").state.map == {"1": "running", "0": "off"}
    assert small.parts[0].ideal_cycle_time_ms["M1"].on(small.first_day) == 8000
    assert small.fault_reasons == {"101": "BEARING"}
    assert small.shift_plans[0].shifts[1].end.hour == 6
    assert small.exceptions[0].start.isoformat() == "2026-06-10T06:00:00"


@pytest.mark.parametrize(("day", "cycle"), [("2025-12-31", None), ("2026-01-31", 9000), ("2026-02-01", 8500)])
def test_what_changes_over_time_has_the_value_of_its_day(small: Plant, day: str, cycle: float | None) -> None:
    assert small.parts[0].ideal_cycle_time_ms["M2"].on(type(small.first_day).fromisoformat(day)) == cycle


@dataclass
class Wrong:
    """What to change in SMALL and what the answer must contain; `lower` lines below the first changed one."""

    old: str
    new: str
    says: str
    lower: int = 0


WRONG = [
    # Mistyped and missing settings.
    Wrong(
        "    aliases: [", "    alias: [", "machines[0].alias: there is no setting `alias` here; did you mean `aliases`?"
    ),
    Wrong(
        "width_bits: 16",
        "widht_bits: 16",
        "counters[0].widht_bits: there is no setting `widht_bits` here; did you mean",
    ),
    Wrong("{oee_warning", "{zzz", "thresholds.zzz: there is no setting `zzz` here; write one of availability, co"),
    Wrong("  - id: M2\n    name: Two\n", "  - id: M2\n", "machines[1]: `name` is missing; write `name: ...`"),
    # Values of the wrong kind.
    Wrong("Europe/Berlin", "Berlin", "timezone: 'Berlin' is not an IANA time zone; write one such as America/Chicago"),
    Wrong("plant: small", "plant: Small Plant", "plant: write lower-case letters"),
    Wrong('number: "1001"', "number: 1001", "parts[0].number: 1001 does not fit; write text; what looks like a number"),
    Wrong("currency: EUR", "currency: Euro", "currency: 'Euro' does not have the right form; write e.g. USD"),
    Wrong(
        "2026-01-01\ncurr", "01.01.2026\ncurr", "first_day: '01.01.2026' does not fit; write a date, e.g. 2026-01-31"
    ),
    Wrong('start: "06:00"', 'start: "6 am"', "shift_plans[0].shifts[0].start: '6 am' does not fit; write hours and"),
    Wrong('start: "06:00"', "start: 0600", 'shift_plans[0].shifts[0].start: write hours and minutes, e.g. "06:00"'),
    Wrong(
        'start: "06:00"', 'start: "06:00:30"', "shifts[0].start: write local wall time to the minute, without a zone"
    ),
    Wrong('start: "06:00"', 'start: "06:00Z"', "shifts[0].start: write local wall time to the minute, without a zone"),
    Wrong('end: "14:00"', 'end: "24:00"', "shifts[0].end: '24:00' does not fit; write hours and minutes"),
    Wrong(
        "{1: running, 0", "{1: runing, 0", "machines[0].state.map.1: 'runing' is not known here; write one of 'running'"
    ),
    Wrong("loss: failure", "loss: breakdown", "reasons[0].loss: 'breakdown' is not known here; write one of 'failure'"),
    Wrong("{M1: 8000,", "{M1: fast,", "parts[0].ideal_cycle_time_ms.M1: 'fast' does not fit; write a number"),
    Wrong(
        "{M1: 8000,",
        "{M1: -5,",
        "parts[0].ideal_cycle_time_ms.M1: -5 does not fit; write a value that is greater than 0",
    ),
    Wrong("{M1: 8000,", "{M1: .nan,", "parts[0].ideal_cycle_time_ms.M1: nan does not fit; write a"),
    Wrong(
        "value: 8500", "value: slow", "parts[0].ideal_cycle_time_ms.M2[1].value: 'slow' does not fit; write a number"
    ),
    Wrong("since: 2026-02-01", "since: 2025-02-01", "ideal_cycle_time_ms.M2: write the steps in order of `since`"),
    Wrong("aliases: [Line.M1]", "aliases: Line.M1", "machines[0].aliases: 'Line.M1' does not fit; write a list"),
    Wrong('state: {map: {1: running, 0: "off"}}', "state: on", "machines[0].state: 'on' does not fit; write settings"),
    Wrong("oee_warning: 0.6", "oee_warning: 60", "thresholds.oee_warning: 60 does not fit; write a value that is less"),
    Wrong("T06:00, end", "T06:00:00Z, end", "exceptions[0]: write local wall time without a zone"),
    Wrong("end: 2026-06-10T12", "end: 2026-06-09T12", "exceptions[0]: write an end that is after the start"),
    Wrong("email: manager@example.com", "email: manager", "contacts[0].email: 'manager' does not have the right form"),
    # Parts of the file that do not agree.
    Wrong("  - id: M2", "  - id: M1", "machines[1].id: machine id 'M1' is used twice; write each once"),
    Wrong(
        "    name: Two\n",
        "    name: Two\n    aliases: [Line.M1]\n",
        "machines[1].aliases[0]: machine alias 'Line.M1' is used twice; write each once",
        lower=1,
    ),
    Wrong(
        "    name: Two\n",
        "    name: Two\n    aliases: [M1]\n",
        "machines[1].aliases[0]: machine alias 'M1' is used twice; write each once",
        lower=1,
    ),
    Wrong("{code: BEARING", "{code: MECH", "reasons[0].reasons[0].code: reason code 'MECH' is used twice"),
    Wrong("101: BEARING", "101: BERING", "fault_reasons.101: 'BERING' is not a reason code; write one of the codes"),
    Wrong(
        "M2: [{", "M3: [{", "parts[0].ideal_cycle_time_ms.M3: machine 'M3' is not in the list of machines; write one"
    ),
    Wrong("Flood}", "Flood, machines: [M9]}", "exceptions[0].machines[0]: machine 'M9' is not in the list of machines"),
    Wrong("Flood}", "Flood, machines: []}", "exceptions[0].machines: names no machine; leave it out for all machines"),
    Wrong("Flood}", "Flood, shift: Early}", "exceptions[0].shift: only overtime has `shift`; leave it out"),
    Wrong(
        "closure, start: 2026-06-10T06:00",
        "overtime, start: 2026-06-08T06:00",
        "exceptions[0].end: overtime is at most 24 hours long; write one entry per day",
    ),
    Wrong(
        "name: May Day}\n",
        "name: May Day}\n  - {date: 2026-05-01, name: Again}\n",
        "holidays[1].date: holiday '2026-05-01' is used twice",
        lower=1,
    ),
    Wrong('{map: {1: running, 0: "off"}}', "{metric: State}", "machines[0].state: the map says nothing"),
    Wrong(
        "{map: {1: running, 0", "{source: operator, map: {1: running, 0", "machines[0].state: the map is for telemetry"
    ),
    Wrong(
        'match: "*.csv"', 'match: "*.csv", header: false', "landing[0].columns: without a header columns have no names"
    ),
    Wrong(
        "layout: long", "layout: wide", "landing[0]: a wide table lists its metrics; write `metrics: {ours: theirs}`"
    ),
    Wrong("layout: long", "layout: kepserverex, dataset: work_orders", "landing[0].layout: KEPServerEX writes no work"),
    Wrong(
        "layout: long", "layout: long, timezone: Mars/Base", "landing[0].timezone: 'Mars/Base' is not an IANA time zone"
    ),
    Wrong(
        "{oee_warning: 0.6", "{oee_warning: 0.3, oee_critical: 0.4", "thresholds.oee_critical: write a value not above"
    ),
    Wrong(
        "    name: Two\n",
        "    name: Two\n    micro_stop_s: [{since: 2026-01-02, value: 60}]\n",
        "machines[1].micro_stop_s: has no value on the first day; write a step with `since: 2026-01-01` or earlier",
        lower=1,
    ),
    # The timetable.
    Wrong(
        'Night, start: "22:00"', 'Night, start: "13:00"', "shifts[1].start: shift 'Night' starts on mon before 'Early'"
    ),
    Wrong(
        'start: "06:00"\n', 'start: "05:00"\n', "shifts[0].start: shift 'Early' starts on tue before 'Night' has ended"
    ),
    Wrong('end: "09:15"', 'end: "15:00"', "breaks[0]: break 'Tea' lies outside 'Early'; write times between its start"),
    Wrong('end: "09:15"', 'end: "09:00"', "breaks[0]: break 'Tea' has no length; write an end after its start"),
    Wrong(
        'end: "09:15"}\n',
        'end: "09:15"}\n          - {name: More, start: "09:10", end: "09:20"}\n',
        "breaks[1]: break 'More' starts before the one before it ends",
        lower=1,
    ),
    Wrong(
        "holidays:\n",
        "  - shifts: []\nholidays:\n",
        "shift_plans[1].since: all machines already have a plan since 1970-01-01; write one plan per date",
    ),
    # YAML itself.
    Wrong("thresholds: {", "lines:\n  - {id: L9}\nthresholds: {", "no machine has `line: L9`; write a line", lower=1),
    Wrong(
        "thresholds: {",
        "lines:\n  - {id: L1, oee: last, machine: M9}\nthresholds: {",
        "lines[0].machine: machine 'M9' is not in the list of machines; write one of their ids",
        lower=1,
    ),
    Wrong(
        "thresholds: {",
        "lines:\n  - {id: L1, oee: sum, machine: M1}\nthresholds: {",
        "`oee: sum` adds up all machines of the line; leave the machine out",
        lower=1,
    ),
    Wrong(
        "thresholds: {",
        "lines:\n  - {id: L1}\n  - {id: L1}\nthresholds: {",
        "line 'L1' is used twice; write each once",
        lower=2,
    ),
    Wrong(
        "    loss: failure\n",
        "    loss: changeover\n    equipment: true\n",
        "reasons[0].equipment: a changeover is no failure of the equipment; write `loss: failure`",
        lower=1,
    ),
    Wrong("    name: One\n", "\tname: One\n", "a tab; write spaces, YAML does not allow tabs here"),
    Wrong("    name: One\n", "    name: A\n    name: B\n", 'duplicate key "name"; write each setting once', lower=1),
    Wrong("    line: L1\n    aliases", "   line: L1\n    aliases", "compare indentation, quotes and brackets"),
    Wrong("[Line.M1]\n", "[Line.M1\n", "compare indentation, quotes and brackets", lower=1),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.new.strip()[:40])
def test_a_wrong_file_names_the_line_and_says_what_to_write(tmp_path: Path, wrong: Wrong) -> None:
    assert wrong.old in SMALL
    path = write(tmp_path, SMALL.replace(wrong.old, wrong.new, 1))
    line = SMALL[: SMALL.index(wrong.old)].count("\n") + 1 + wrong.lower
    said = complaint(path)
    assert said.startswith(f"{path} line {line}: "), said
    assert wrong.says in said


def test_a_line_is_not_measured_by_a_machine_of_another(tmp_path: Path) -> None:
    text = SMALL.replace("    line: L1\n    state:", "    line: L2\n    state:") + "lines: [{id: L1, machine: M2}]\n"
    assert "machine 'M2' is in line 'L2'; write a machine of 'L1'" in complaint(write(tmp_path, text))


def test_what_is_missing_at_the_top(tmp_path: Path) -> None:
    assert "line 1: `site` is missing; write `site: ...`" in complaint(
        write(tmp_path, SMALL.replace("site: Here\n", ""))
    )


def test_the_same_overtime_that_is_short_enough_is_right(tmp_path: Path) -> None:
    assert (
        load_plant(write(tmp_path, SMALL.replace("kind: closure", "kind: overtime"))).exceptions[0].kind == "overtime"
    )


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = SMALL.replace("loss: failure", "loss: none").replace("Europe/Berlin", "Berlin")
    said = complaint(write(tmp_path, text)).splitlines()
    assert [line.split(": ")[1] for line in said] == ["timezone", "reasons[0].loss"]
    text = SMALL.replace("101: BEARING", "101: NONE").replace('end: "09:15"', 'end: "15:00"')
    said = complaint(write(tmp_path, text)).splitlines()
    assert [line.split(": ")[1] for line in said] == ["shift_plans[0].shifts[0].breaks[0]", "fault_reasons.101"]


def test_a_missing_file(tmp_path: Path) -> None:
    assert "there is no such file; let PRODLYTICS_PLANT name your plant file" in complaint(tmp_path / "nothing.yaml")


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    assert complaint(tmp_path) == f"{tmp_path}: Is a directory; name a file that this user may read"


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n"])
def test_an_empty_file(tmp_path: Path, text: str) -> None:
    assert "the file is empty; copy deploy/plants/demo.yaml" in complaint(write(tmp_path, text))


@pytest.mark.parametrize("text", ["- plant: small\n", "plant\n", "42\n"])
def test_a_file_that_holds_no_settings(tmp_path: Path, text: str) -> None:
    assert "line 1: write settings, one `key: value` per line" in complaint(write(tmp_path, text))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    path.write_bytes(b"plant: caf\xe9\n")
    assert "byte 10 is not UTF-8; save the file as UTF-8" in complaint(path)
    path.write_bytes(b"plant: a\x00b\n")
    assert "a character that YAML does not allow" in complaint(path)


def test_two_plants_in_one_file(tmp_path: Path) -> None:
    said = complaint(write(tmp_path, f"{SMALL}---\n{SMALL}"))
    assert "a second document begins; write one plant per file" in said


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "plant.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert load_plant(path).plant == "small"


def test_a_mistake_in_a_merged_setting_is_found_where_it_is_used(tmp_path: Path) -> None:
    text = SMALL.replace("  - id: M1", "  - &one\n    id: M1").replace(
        "  - id: M2\n    name: Two\n    line: L1\n    state:\n      map: {1: running}",
        "  - {<<: *one, id: M2, aliases: [], line: 7}",
    )
    said = complaint(write(tmp_path, text))
    assert "machines[1].line: 7 does not fit; write text" in said
    assert f"line {text[: text.index('<<')].count(chr(10)) + 1}:" in said


class TestDemo:
    """The plant that ships, against what was promised of it."""

    plant = load_plant(DEMO)

    def test_twelve_machines_on_three_lines(self) -> None:
        assert len(self.plant.machines) == 12
        assert len({machine.line for machine in self.plant.machines}) == 3
        assert self.plant.machine("Press01").aliases == ("AB_Line1.Press01",)

    def test_the_state_codes_of_the_controllers(self) -> None:
        for machine in self.plant.machines:
            assert machine.state.map == {"0": "off", "1": "running", "2": "idle", "3": "fault", "4": "setup"}

    def test_one_machine_has_counters_that_roll_over(self) -> None:
        widths = {machine.id: {c.width_bits for c in machine.counters} for machine in self.plant.machines}
        assert [machine for machine, bits in widths.items() if bits == {16}] == ["Pack01"]

    def test_nine_reason_categories_with_28_reasons(self) -> None:
        assert [len(category.reasons) for category in self.plant.reasons] == [4, 4, 3, 3, 3, 3, 3, 3, 2]

    def test_three_shifts(self) -> None:
        shifts = self.plant.shift_plans[0].shifts
        assert [(f"{s.start:%H:%M}", f"{s.end:%H:%M}") for s in shifts] == [
            ("06:00", "14:30"),
            ("14:30", "23:00"),
            ("23:00", "06:00"),
        ]

    def test_every_part_can_be_made_and_every_machine_has_an_ideal_cycle(self) -> None:
        for part in self.plant.parts:
            assert part.ideal_cycle_time_ms, part.number
        for machine in self.plant.machines:
            assert machine.ideal_cycle_time_ms is not None
            assert 8_000 <= machine.ideal_cycle_time_ms.on(self.plant.first_day) <= 90_000
            assert any(machine.id in part.ideal_cycle_time_ms for part in self.plant.parts)
