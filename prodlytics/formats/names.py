"""Which machine a name means.

Belongs here: aliases of `plant.yaml` to machine ids, and the split of `Channel.Device.Group.Tag` into machine and
metric. Does not belong here: deciding what happens to a name nobody configured (`judge.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from prodlytics.formats.sample import categories, recoded, unit_of
from prodlytics.plant.model import Plant


@dataclass(frozen=True)
class MachineNames:
    """Every name other systems use for our machines."""

    ids: dict[str, str]

    @classmethod
    def of(cls, plant: Plant) -> MachineNames:
        """The ids and aliases of a plant's machines."""
        return cls({name: machine.id for machine in plant.machines for name in (machine.id, *machine.aliases)})

    def split(self, tag: str) -> tuple[str, str] | None:
        """Machine id and metric of a full tag name; None when no machine is named.

        The longest name that ends at a dot wins, so that `Line1.Press01.Robot` can be a machine of its own beside
        `Line1.Press01`. What remains is the metric, with its dots: groups distinguish equal tag names.
        """
        end = tag.rfind(".")
        while end > 0:
            machine = self.ids.get(tag[:end])
            if machine is not None and len(tag) > end + 1:
                return machine, tag[end + 1 :]
            end = tag.rfind(".", 0, end)
        return None

    def machines(self, sent: pd.Categorical) -> pd.Categorical:
        """Machine ids of names as sent; missing where nobody configured the name."""
        return recoded(sent, [self.ids.get(name) for name in categories(sent)])

    def tags(self, sent: pd.Categorical) -> tuple[pd.Categorical, pd.Categorical]:
        """Machine ids and metric names of full tag names; both missing where no machine is named."""
        pairs = [self.split(tag) for tag in categories(sent)]
        return (
            recoded(sent, [pair and pair[0] for pair in pairs]),
            recoded(sent, [pair and pair[1] for pair in pairs]),
        )


def units(metric: pd.Categorical) -> pd.Categorical:
    """The unit each metric's name carries; missing without one."""
    return recoded(metric, [_unit(name) for name in categories(metric)])


_unit = lru_cache(maxsize=4096)(unit_of)
