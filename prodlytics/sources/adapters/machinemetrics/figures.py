"""What MachineMetrics measured for a machine in a shift or on a production day.

Belongs here: asking `/reports/production` and taking its answer apart. Does not belong here: HTTP (`asked.py`).
The form of its answer is not published; `_ITEM` declares the one this was written for (the `flatten`ed one), and an
answer of another form is refused as a whole.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from prodlytics.plant.calendar import EPOCH, MICROSECOND, plan_pieces, production_date_of, production_day
from prodlytics.sources.adapters.machinemetrics.asked import REACH, Asked, Resource
from prodlytics.sources.ask import SourceUnavailableError
from prodlytics.sources.changed_there import entry_key

#: Their metric to our measure.
MEASURES = {
    "goodParts": "good_count",
    "nonconformParts": "reject_count",
    "oee": "oee",
    "availability": "availability",
    "performance": "performance",
    "quality": "quality",
}
#: What a report calls the time outside of all shifts.
_NO_SHIFT = "no shift"
#: A plain date; midnight may be written with it. Any other time of day would be an instant, whose day is not certain.
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)(T00:00(:00(\.0+)?)?)?")


class Figures(Resource):
    """Rollups by machine, production day and shift, once the shift (or day) is over: until then they only grow.

    Time outside all shifts is left out: nothing of ours is compared with it.
    """

    resource = "production"

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self._per_shift = asked.options["per"] == "shift"
        self._metrics = asked.options["metrics"].split()
        self._shifts = asked.names("shifts")
        self._groups = ("machine", "day", "shift") if self._per_shift else ("machine", "day")

    def pages(self, since: dt.datetime | None) -> Iterable[Mapping[str, Any]]:
        """One answer for all days of `REACH`.

        Raises:
            SourceUnavailableError: No answer, or one of another form than declared.
        """
        now = self.clock()
        body = {
            # Both are production days of their plant, the last one included.
            "startDay": production_date_of(self._plant, now - REACH).isoformat(),
            "endDay": production_date_of(self._plant, now).isoformat(),
            "data": [{"metric": metric} for metric in self._metrics],
            "groupBy": [{"group": group} for group in self._groups],
            "csv": False,
            "flatten": True,
        }
        answer = self._asked.post("/reports/production", body)
        yield {
            "asked_at": now,
            "items": _items(answer, (*self._groups, *self._metrics), f"{self._asked.base}/reports/production"),
        }

    def parse(self, page: Mapping[str, Any]) -> list[Mapping[str, object]]:
        """One row for each figure of a shift that is over."""
        told: list[Mapping[str, object]] = []
        spans: dict[str, tuple[dt.datetime, dt.datetime] | None] = {}
        for item in page["items"]:
            if not isinstance(item, dict):
                told.append({"kind": "figure", "said": item})
                continue
            shift = item.get("shift") if self._per_shift else None
            if self._per_shift and _is_no_shift(item):
                continue
            place = (self._machine(item.get("machine")), _day(item.get("day")), shift)
            if repr(place) not in spans:
                spans[repr(place)] = self._span(*place)
            span = spans[repr(place)]
            if span is None or span[1] <= page["asked_at"]:
                told += _figures(item, place, span)
        return told

    def _span(self, machine: object, day: object, shift: object) -> tuple[dt.datetime, dt.datetime] | None:
        """From when to when a shift (or day) is in our plan; None where it is not in it."""
        if not isinstance(day, dt.date):
            return None
        starts, ends = production_day(self._plant, day)
        if not self._per_shift:
            return starts, ends
        known = next((one for one in self._plant.machines if one.id == machine), None)
        if known is None or not isinstance(shift, str):
            return None
        name = self._shifts.get(shift.strip().casefold(), shift.strip()).casefold()
        # A shift belongs to the day on which it starts, which may be before the boundary and end after it.
        around = plan_pieces(self._plant, known, starts - dt.timedelta(days=1), ends + dt.timedelta(days=1))
        own = [piece for piece in around if piece.date == day and (piece.shift or "").casefold() == name]
        return (EPOCH + own[0].begin * MICROSECOND, EPOCH + own[-1].end * MICROSECOND) if own else None


def _figures(
    item: Mapping[str, Any], place: tuple[object, object, object], span: tuple[dt.datetime, dt.datetime] | None
) -> Iterator[Mapping[str, object]]:
    machine, day, shift = place
    # What is about no shift we know is set aside for want of a start; the day and the shift say which it was.
    starts, ends = span or (None, None)
    for metric, measure in MEASURES.items():
        if item.get(metric) is not None:
            yield {
                "source_key": entry_key(item.get("machine"), day, shift, measure),
                "machine_id": machine,
                "kind": "figure",
                "starts_at": starts,
                "ends_at": ends,
                "measure": measure,
                "figure": item[metric],
                "entered_by": "machinemetrics",
                # Rollups do not say when they were computed; the moment must not differ from pass to pass.
                "entered_at": ends,
                "day": item.get("day"),
                "shift": shift,
            }


def _is_no_shift(item: Mapping[str, Any]) -> bool:
    """Whether an item says that it is about no shift; one that does not say is not meant."""
    if "shift" not in item:
        return False
    said = item["shift"]
    return said is None or (isinstance(said, str) and said.strip().casefold() in ("", _NO_SHIFT))


def _day(said: object) -> dt.date | None:
    found = _DAY.match(said) if isinstance(said, str) else None
    try:
        return dt.date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def _is_text(said: object) -> bool:
    return isinstance(said, str) and bool(said.strip())


def _is_number(said: object) -> bool:
    return said is None or (isinstance(said, int | Decimal) and not isinstance(said, bool))


#: The declared form of an item: its fields, and what is in them.
_ITEM: Mapping[str, Callable[[object], bool]] = {
    "machine": _is_text,
    "day": lambda said: _day(said) is not None,
    "shift": lambda said: said is None or _is_text(said),
    **dict.fromkeys(MEASURES, _is_number),
}


def _items(answer: object, names: Sequence[str], url: str) -> list[Any]:
    """The items of a report of the declared form.

    A field that no item has as declared means another form; one item that has it otherwise is a bad record.
    """
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise SourceUnavailableError(f"{url} answers without the list items: its form is not the one we know")
    objects = [item for item in items if isinstance(item, dict)]
    for name in names:
        if items and not any(name in item and _ITEM[name](item[name]) for item in objects):
            raise SourceUnavailableError(
                f"{url} answers {len(items)} items of which none has {name} as we know it: its form has changed"
            )
    return items
