"""What a system says twice in one pass, and differently.

Belongs here: refusing it. Which page comes last is chance, so that neither version may count; the next pass, in which
the system has made up its mind, is taken. Does not belong here: files, in which the row further down is the later one.
"""

from __future__ import annotations

from typing import Any

from prodlytics.formats.records import Record

#: What a record is known by.
_KEYS = {
    "work_orders": ("work_order", "operation"),
    "part_costs": ("part_number", "since"),
    "ideal_cycles": ("part_number", "machine_id", "since"),
    "operator_entries": ("source_key",),
}
_MODIFIED = "source_modified_at"


def refuse_contradictions(dataset: str, records: list[Record]) -> None:
    """Refuse sound records of one key that differ and do not say which of them is newer.

    Args:
        dataset: What the records are.
        records: Of one pass, checked; those that contradict each other are told so.
    """
    names = _KEYS[dataset]
    groups: dict[tuple[Any, ...], list[Record]] = {}
    for record in records:
        key = tuple(record.values.get(name) for name in names)
        if record.problem is None and None not in key:
            groups.setdefault(key, []).append(record)
    for key, group in groups.items():
        versions = {_content(record): record.values.get(_MODIFIED) for record in group}
        times = list(versions.values())
        if len(times) > 1 and (None in times or len(set(times)) < len(times)):
            for record in group:
                record.refuse(
                    "conflict",
                    f"{' '.join(filter(None, map(str, key)))} is said in {len(times)} ways at once, none of them newer",
                )


def _content(record: Record) -> tuple[tuple[str, Any], ...]:
    # By name; what is compared are values: 1.10 and 1.1 are one cost.
    return tuple(sorted(record.values.items()))
