"""Results of checks, as assets make them.

Belongs here: one small type every asset uses to say what it found, and its translation into Dagster's. A check's
description says what is wrong and what to do; its metadata carries the numbers. Does not belong here: the rules
themselves, which stand beside the asset they are about.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prodlytics.datasets.models import Validation


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: As declared on the asset.
        passed: Whether all is well.
        says: For people: what was found, and if it failed what to do about it.
        numbers: The figures behind it.
        warns: True where a failure needs eyes but no one at night.
    """

    name: str
    passed: bool
    says: str
    numbers: Mapping[str, Any] = field(default_factory=dict)
    warns: bool = False

    def result(self) -> dg.AssetCheckResult:
        """The same for Dagster."""
        return dg.AssetCheckResult(
            check_name=self.name,
            # Comparisons of frames give numpy's own booleans and numbers, which Dagster refuses.
            passed=bool(self.passed),
            severity=dg.AssetCheckSeverity.WARN if self.warns else dg.AssetCheckSeverity.ERROR,
            description=self.says,
            metadata={name: plain_number(value) for name, value in self.numbers.items()},
        )


def plain_number(value: Any) -> Any:
    """A numpy number as Python's own; anything else as it is."""
    return value.item() if hasattr(value, "item") else value


def schema_check(validation: Validation) -> Check:
    """The schema check from a pandera validation; rows that failed have been quarantined."""
    if not validation.problems:
        return Check("schema", True, f"All {len(validation.good)} rows have the declared shape.")
    worst = "; ".join(f"{p['column']} {p['rule']}: {p['rows']} rows, e.g. {p['example']}" for p in validation.problems)
    return Check(
        "schema",
        False,
        f"{len(validation.bad)} rows were not written but quarantined: {worst}. See table quarantine.",
        {
            "rows_good": len(validation.good),
            "rows_bad": len(validation.bad),
            "problems": dg.MetadataValue.table(
                [dg.TableRecord({k: str(v) for k, v in p.items()}) for p in validation.problems]
            ),
        },
    )
