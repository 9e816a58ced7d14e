"""docs/alerts.md names every rule with the limits of the demo plant, and says what to do."""

from __future__ import annotations

from pathlib import Path

from prodlytics.alerts.catalogue import RULES, levels_of, roles_of
from prodlytics.plant.load import load_plant
from prodlytics.settings import DEMO_PLANT

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")


def test_the_table_is_what_the_code_does() -> None:
    plant = load_plant(DEMO_PLANT)
    for rule in RULES.values():
        levels = levels_of(plant, rule, "Press01" if rule.name == "vibration" else None)
        sign = "<" if not rule.above else "≥" if rule.unit in ("min", "days") else ">"
        limits = "; ".join(
            f"{sign} {level.limit:g} {rule.unit} ({level.severity})" if rule.unit else level.severity
            for level in levels
        )
        held = f", for {rule.hold_min:g} min" if rule.hold_min else ""
        roles = ", ".join(dict.fromkeys(role for level in levels for role in roles_of(plant, rule, level)))
        assert f"| `{rule.name}` {rule.says} | {limits}{held} | {roles} |" in PAGE


def test_links_of_messages_have_their_section() -> None:
    for name in RULES:
        assert f"\n### {name}\n" in PAGE
