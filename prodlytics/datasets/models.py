"""The registry as pandera models, for the schema check of every asset.

Belongs here: turning a declaration into a model and a model's complaints into something a person can act on.
pandas and pandera are imported when a model is asked for: they cost 1.5 s, which the code location should not pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from prodlytics.datasets.registry import DATASETS, Dataset

if TYPE_CHECKING:
    import pandas as pd
    from pandera.pandas import DataFrameSchema

_DTYPES: dict[str, Any] = {
    "float": "float64",
    "numeric": "float64",
    "timestamp": "datetime64[us, UTC]",
    "boolean": "bool",
}


@dataclass(frozen=True)
class Validation:
    """What a frame's schema check found.

    Attributes:
        good: The rows that may be written.
        bad: The others, with a column `reason`.
        problems: One line per kind of problem: column, rule, how often, an example.
    """

    good: pd.DataFrame
    bad: pd.DataFrame
    problems: list[dict[str, Any]]


@cache
def model(name: str) -> DataFrameSchema:
    """The pandera model of a dataset."""
    import pandera.pandas as pa

    dataset = DATASETS[name]
    columns = {column: _column(dataset, column) for column in dataset.columns}
    return pa.DataFrameSchema(columns, strict=True, unique=list(dataset.key), report_duplicates="exclude_first")


def _column(dataset: Dataset, name: str) -> Any:
    import pandera.pandas as pa

    field = dataset.fields[name]
    checks: list[Any] = []
    if field.minimum is not None:
        checks.append(pa.Check.ge(field.minimum))
    if field.maximum is not None:
        checks.append(pa.Check.le(field.maximum))
    if field.allowed is not None:
        checks.append(pa.Check.isin(field.allowed))
    if field.type == "integer":
        # Integers that may be missing arrive as floats; whole numbers is what matters.
        checks.append(pa.Check(lambda s: s.dropna() % 1 == 0, name="whole_number"))
    nullable = name not in dataset.required
    if field.type == "boolean" and nullable:
        # numpy's own booleans cannot be missing.
        return pa.Column(None, checks=[*checks, pa.Check.isin([True, False])], nullable=True)
    return pa.Column(_DTYPES.get(field.type), checks=checks, nullable=nullable)


def validate(name: str, frame: pd.DataFrame) -> Validation:
    """Check a frame against its dataset; rows that fail are set aside, the others may go in.

    Raises:
        ValueError: A column is missing, unexpected or of the wrong type: no row of such a frame can be trusted.
    """
    import pandas as pd
    from pandera.errors import SchemaErrors

    # Multi-column uniqueness fails in pandera 0.35 when the index itself has duplicates.
    frame = frame.reset_index(drop=True)
    try:
        model(name).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
    else:
        return Validation(frame, frame.iloc[0:0].assign(reason=pd.Series(dtype=object)), [])
    structural = cases[cases["index"].isna()]
    if len(structural):
        text = "; ".join(f"{row.column}: {row.check} ({row.failure_case})" for row in structural.itertuples())
        raise ValueError(f"{name}: the frame does not have the declared columns: {text}")
    problems = [
        {"column": str(column), "rule": str(rule), "rows": len(group), "example": str(group["failure_case"].iloc[0])}
        for (column, rule), group in cases.groupby(["column", "check"], dropna=False, sort=True)
    ]
    reasons = cases.groupby(cases["index"].astype(int))["check"].agg(
        lambda rules: ", ".join(sorted(set(map(str, rules))))
    )
    is_bad = frame.index.isin(reasons.index)
    return Validation(
        frame[~is_bad].reset_index(drop=True),
        frame[is_bad].assign(reason=reasons.reindex(frame.index[is_bad])).reset_index(drop=True),
        problems,
    )
