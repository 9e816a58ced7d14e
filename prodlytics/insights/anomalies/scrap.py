"""Are there more rejects than the part's own history explains? An exact upper tail of a count.

Belongs here: the tail and what it needs. Does not belong here: which pieces belong together (the caller).

Rates of shifts scatter more than a binomial allows, so the tail is that of a beta-binomial whose scatter is estimated
from the history (method of moments); without any it is the binomial. One-sided: a good shift is no anomaly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: A history needs so many spans (shifts) and pieces before it says what is usual.
MIN_SPANS, MIN_HISTORY = 8, 500


@dataclass(frozen=True)
class ScrapScore:
    """What a count says against its history.

    Attributes:
        tail: Probability of so many rejects or more; None: nothing can be said.
        usual_rate: Rejects per piece in the history, 0 to 1.
        expected: Rejects the history lets expect among these pieces.
        null_reason: Why there is no tail, with how many are missing.
    """

    tail: float | None
    usual_rate: float | None
    expected: float | None
    null_reason: str | None


def scrap_score(
    rejects: float, pieces: float, past_rejects: npt.ArrayLike, past_pieces: npt.ArrayLike, min_pieces: int = 50
) -> ScrapScore:
    """The tail of `rejects` among `pieces` against earlier spans of the same machine and part."""
    from scipy.stats import betabinom, binom

    bad, made = np.asarray(past_rejects, dtype=float), np.asarray(past_pieces, dtype=float)
    bad, made = bad[made > 0], made[made > 0]
    why = _missing(pieces, made, min_pieces)
    if why:
        return ScrapScore(None, None, None, why)
    # Half a reject more than seen: a history without one does not make the first one impossible.
    rate = (float(bad.sum()) + 0.5) / (float(made.sum()) + 1.0)
    count, total = math.ceil(rejects - 1e-9), math.floor(pieces + 1e-9)
    scatter = overdispersion(bad, made, rate)
    if scatter > 0:
        strength = 1.0 / scatter - 1.0
        tail = float(betabinom.sf(count - 1, total, rate * strength, (1 - rate) * strength))
    else:
        tail = float(binom.sf(count - 1, total, rate))
    return ScrapScore(min(max(tail, 0.0), 1.0), rate, rate * total, None)


def overdispersion(bad: npt.NDArray[np.float64], made: npt.NDArray[np.float64], rate: float) -> float:
    """Intra-span correlation by moments (Kleinman 1973), 0 where spans scatter no more than a binomial."""
    weight = made / made.sum()
    spread = float((weight * (bad / made - rate) ** 2).sum())
    binomial = rate * (1 - rate) * float((weight / made).sum())
    extra = rate * (1 - rate) * float((weight * (made - 1) / made).sum())
    return float(np.clip((spread - binomial) / extra, 0.0, 0.5)) if extra > 0 else 0.0


def _missing(pieces: float, made: npt.NDArray[np.float64], min_pieces: int) -> str | None:
    if pieces < min_pieces:
        return f"too few pieces: {min_pieces - math.floor(pieces)} more needed"
    if len(made) < MIN_SPANS:
        return f"not enough data: {MIN_SPANS - len(made)} more shifts of this part needed"
    if made.sum() < MIN_HISTORY:
        return f"not enough data: {math.ceil(MIN_HISTORY - made.sum())} more pieces of this part needed"
    return None
