"""Writing telemetry: samples into the narrow store, once each.

Belongs here: tags, and what happens when a sample is there already. Does not belong here: parsing, the bytes of a COPY
(`sample_block.py`). Measured: binary COPY built with numpy 789 k rows/s, always through ON CONFLICT 137 k; so COPY runs
in a savepoint and only a batch that meets a duplicate takes the slow way.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import psycopg

from prodlytics.db.queries import sql
from prodlytics.db.sample_block import SampleBlock, copy_block

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

#: Position of a loser that was not in the batch.
FROM_STORE = -1
Moment = tuple[str, dt.datetime]
_TAG = ["machine_id", "metric_name", "native_code"]
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_QUARTER_US = 900_000_000
_QUARTER = dt.timedelta(microseconds=_QUARTER_US)


@dataclass(frozen=True)
class WriteResult:
    """What became of a batch: every row is stored, a duplicate, or a loser of a conflict.

    Attributes:
        stored: Rows that are in the store now and were not before, or replaced another.
        duplicates: Rows that were there already with the same value, or twice in the batch.
        conflicts: Rows that lost against another value of the same tag and time, with columns `reason` and `detail`;
            a row of the store that lost has position FROM_STORE. Latest published wins; without a time of publication
            the one further down in the same file (the same `ingested_at`), but nothing of another file.
        touched: Machine and quarter hour (UTC) of the rows stored, for dirty marks.
    """

    stored: int
    duplicates: int
    conflicts: pd.DataFrame
    touched: set[Moment]


class TagIds:
    """Ids of tags by machine, metric and native code; a long-lived writer keeps one and asks only for new tags.

    A tag once made is never deleted or renumbered, so what is known stays true; what was made in a transaction that
    was rolled back must be forgotten.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], int] = {}

    def forget(self) -> None:
        """After a transaction that was rolled back, or on another database."""
        self._known.clear()

    def of(self, conn: psycopg.Connection[Any], rows: pd.DataFrame) -> npt.NDArray[np.int32]:
        """The tag id of each row, making tags that are new."""
        import numpy as np

        nth, first_rows = _distinct_tags(rows)
        names = [tuple(map(str, name)) for name in zip(*(rows[c].array[first_rows] for c in _TAG), strict=True)]
        if any(name not in self._known for name in names):
            seen = rows.iloc[first_rows][[*_TAG, "unit", "source"]].astype(object)
            self._make(conn, seen.where(seen.notna(), None).sort_values(_TAG))
        return np.array([self._known[name] for name in names], dtype=np.int32)[nth]  # type: ignore[index]

    def _make(self, conn: psycopg.Connection[Any], seen: pd.DataFrame) -> None:
        # As text, not as categories, which sort in an order of their own. Sorted, so that two writers of the same new
        # tags do not wait for each other in a circle.
        values = {name: seen[name].tolist() for name in seen.columns}
        conn.execute(
            "INSERT INTO tag (machine_id, metric_name, native_code, unit, source)"
            " SELECT * FROM unnest(%(machine_id)s::text[], %(metric_name)s::text[], %(native_code)s::text[],"
            " %(unit)s::text[], %(source)s::text[]) AS new (machine_id, metric_name, native_code, unit, source)"
            " WHERE NOT EXISTS (SELECT FROM tag t WHERE t.machine_id = new.machine_id"
            " AND t.metric_name = new.metric_name AND t.native_code = new.native_code)"
            " ON CONFLICT DO NOTHING",
            values,
        )
        found = conn.execute(
            "SELECT machine_id, metric_name, native_code, tag_id FROM tag WHERE machine_id = ANY(%s)",
            (list(dict.fromkeys(values["machine_id"])),),
        ).fetchall()
        self._known.update({(machine, metric, code): tag for machine, metric, code, tag in found})


def write_samples(
    conn: psycopg.Connection[Any],
    batch: pd.DataFrame,
    *,
    ingested_at: dt.datetime,
    tags: TagIds | None = None,
    all_new: bool = False,
) -> WriteResult:
    """Store a batch of samples in the caller's transaction.

    Args:
        conn: Open connection inside a transaction.
        batch: Columns of `prodlytics.formats.sample`.
        ingested_at: Our own clock, the same for all batches of a file.
        tags: Tag ids known from earlier batches.
        all_new: No row is in the store yet, as far as the caller knows; saves a savepoint.

    Raises:
        UniqueViolation: With `all_new`, when a row was there all the same: the transaction has failed, do it again
            without.
    """
    if batch.empty:
        return WriteResult(0, 0, _no_conflicts(), set())
    block = _block(conn, batch, ingested_at, tags or TagIds())
    if not block.says_a_time_twice():
        try:
            with nullcontext() if all_new else conn.transaction():
                copy_block(conn, "telemetry_sample", block)
        except psycopg.errors.UniqueViolation:
            if all_new:
                raise
        else:
            return WriteResult(len(batch), 0, _no_conflicts(), _quarters(batch, block))
    return _write_compared(conn, batch, block)


@dataclass(frozen=True)
class Few:
    """A small batch of samples none of which is in the store, as far as the caller knows.

    Attributes:
        rows: What `insert_few_samples` takes.
        touched: As in `WriteResult`.
    """

    rows: list[tuple[object, ...]]
    touched: set[Moment]


def few_samples(
    conn: psycopg.Connection[Any], batch: pd.DataFrame, *, ingested_at: dt.datetime, tags: TagIds
) -> Few | None:
    """A batch for one statement that stores it; None where that cannot: it says a time twice, or infinity.

    Args:
        conn: Open connection; asked only for tags that are new, which are made at once.
        batch: Columns of `prodlytics.formats.sample`.
        ingested_at: Our own clock.
        tags: Tag ids known from earlier batches.
    """
    import numpy as np

    block = _block(conn, batch, ingested_at, tags)
    if block.says_a_time_twice() or np.isinf(block.value).any():
        return None
    lags = [None if lag != lag else int(lag) for lag in block.published_lag_us.tolist()]
    numbers = [None if value != value else value for value in block.value.tolist()]
    texts = [text if isinstance(text, str) else None for text in block.text.tolist()]
    rows = list(
        zip(
            block.tag_id.tolist(), block.time_us.tolist(), numbers, texts, block.quality.tolist(), lags,
            block.ingested_lag_us.tolist(), strict=True,
        )
    )  # fmt: skip
    return Few(rows, _quarters(batch, block))


def write_few(
    conn: psycopg.Connection[Any],
    few: Few,
    concerned: Iterable[tuple[Sequence[str], Iterable[Moment]]],
    cause: str,
) -> None:
    """Store a small batch and say what it concerns (`dirty.note_arrivals`), in one statement.

    Raises:
        UniqueViolation: A row was there all the same: nothing is stored.
    """
    arrivals = [
        {"datasets": list(datasets), "machine_id": machine, "quarter_us": (at - _EPOCH) // _MICROSECOND}
        for datasets, moments in concerned
        for machine, at in sorted(moments)
    ]
    conn.execute(
        sql("insert_few_samples"), {"samples": json.dumps(few.rows), "arrivals": json.dumps(arrivals), "cause": cause}
    )


def _write_compared(conn: psycopg.Connection[Any], batch: pd.DataFrame, block: SampleBlock) -> WriteResult:
    """The way for batches in which something is said twice, or that meet what is in the store."""
    import pandas as pd

    rows = batch.iloc[block.order].reset_index(drop=True)
    rows["tag_id"], rows["time_us"] = block.tag_id, block.time_us
    rows["row"] = range(len(rows))
    rows, losers = _one_per_instant(rows)
    block = block.picked(rows["row"].to_numpy())
    try:
        with conn.transaction():
            copy_block(conn, "telemetry_sample", block)
    except psycopg.errors.UniqueViolation:
        stored, touched, met_losers = _merge(conn, rows, block)
        losers = pd.concat([part for part in (losers, *met_losers) if len(part)] or [losers], ignore_index=True)
    else:
        stored, touched = len(rows), _touched(rows["machine_id"], rows["time"])
    lost = int((losers["position"] != FROM_STORE).sum())
    conflicts = losers[[*batch.columns, "reason", "detail"]]
    return WriteResult(stored, len(batch) - stored - lost, conflicts, touched)


def _block(conn: psycopg.Connection[Any], batch: pd.DataFrame, ingested_at: dt.datetime, tags: TagIds) -> SampleBlock:
    import numpy as np

    from prodlytics.db.frames import microseconds

    tag_id = tags.of(conn, batch)
    time_us = microseconds(batch["time"])
    order = np.lexsort((time_us, tag_id))
    published = batch["published_at"]
    lag = np.where(published.isna().to_numpy(), np.nan, microseconds(published) - time_us)
    return SampleBlock(
        order=order,
        tag_id=tag_id[order],
        time_us=time_us[order],
        value=batch["value"].to_numpy(dtype=np.float64)[order],
        text=batch["value_text"].to_numpy(dtype=object)[order],
        quality=batch["quality"].to_numpy(dtype=np.int16)[order],
        published_lag_us=lag[order],
        ingested_lag_us=(ingested_at - _EPOCH) // dt.timedelta(microseconds=1) - time_us[order],
    )


def _distinct_tags(rows: pd.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which distinct tag each row has, and a row of each."""
    import numpy as np

    key: npt.NDArray[np.int64] = np.zeros(len(rows), dtype=np.int64)
    for name in _TAG:
        code, count = _codes(rows[name])
        key = key * (count + 1) + code
    _, first_rows, nth = np.unique(key, return_index=True, return_inverse=True)
    return nth, first_rows


def _codes(column: pd.Series[Any]) -> tuple[npt.NDArray[np.int64], int]:
    """A number for each distinct text, and how many there are at most."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.array.codes.astype(np.int64), len(column.dtype.categories)
    code, names = pd.factorize(column.to_numpy(dtype=object))
    return code.astype(np.int64), len(names)


def _quarters(batch: pd.DataFrame, block: SampleBlock) -> set[Moment]:
    """`_touched` for a whole batch, from its arrays."""
    import numpy as np

    machine, count = _codes(batch["machine_id"])
    quarter = block.time_us // _QUARTER_US
    _, rows = np.unique(quarter * (count + 1) + machine[block.order], return_index=True)
    names = batch["machine_id"].array[block.order[rows]]
    return {(str(name), _EPOCH + nth * _QUARTER) for name, nth in zip(names, quarter[rows].tolist(), strict=True)}


@cache
def _no_conflicts() -> pd.DataFrame:
    """Made once: it took a twentieth of the time of a small batch."""
    import pandas as pd

    return pd.DataFrame({"position": pd.Series(dtype="int64"), "reason": pd.Series(dtype=object)})


def _one_per_instant(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Settle what a batch says twice: equal values are duplicates, of different ones the latest published stays.

    Published at the same time, or nobody knows when, the one further down in the file stays: a controller that writes
    two states with one time is in the second.
    """
    import pandas as pd

    empty = rows.iloc[0:0].assign(reason=pd.Series(dtype=object), detail=pd.Series(dtype=object))
    if not rows.duplicated(["tag_id", "time_us"]).any():
        return rows, empty
    ordered = rows.sort_values(
        ["tag_id", "time_us", "published_at", "position"], na_position="first", kind="stable"
    ).reset_index(drop=True)
    is_last = ~ordered.duplicated(["tag_id", "time_us"], keep="last")
    kept = ordered[is_last]
    others = ordered[~is_last].merge(
        kept[["tag_id", "time_us", "value", "value_text", "quality"]], on=["tag_id", "time_us"], suffixes=("", "_kept")
    )
    same = (others["quality"] == others["quality_kept"]).to_numpy(dtype=bool)
    for name in ("value", "value_text"):
        one, other = others[name], others[f"{name}_kept"]
        same &= ((one == other) | (one.isna() & other.isna())).to_numpy(dtype=bool)
    losers = others[~same]
    losers = losers.assign(reason="conflict", detail=_explain(losers)).drop(
        columns=["value_kept", "value_text_kept", "quality_kept"]
    )
    return kept.reset_index(drop=True), losers if len(losers) else empty


def _explain(losers: pd.DataFrame) -> list[str]:
    return [
        f"Another value of the same tag and time is newer (published later, or further down in the file): "
        f"{kept if kept == kept else kept_text}."
        for kept, kept_text in zip(losers["value_kept"], losers["value_text_kept"], strict=True)
    ]


def _merge(
    conn: psycopg.Connection[Any], rows: pd.DataFrame, block: SampleBlock
) -> tuple[int, set[Moment], list[pd.DataFrame]]:
    """The slow way: through a temporary table, because some rows are there already.

    What is new goes in first, then what is left is compared. Another writer's sample that appeared meanwhile is
    compared as well: each statement sees what is committed when it starts.

    Returns how many rows were stored, what they touch, and losers.
    """
    import numpy as np
    import pandas as pd

    from prodlytics.db.frames import microseconds, read

    conn.execute("DROP TABLE IF EXISTS pg_temp.incoming")
    conn.execute("CREATE TEMP TABLE incoming (LIKE telemetry_sample) ON COMMIT DROP")
    copy_block(conn, "incoming", block)
    conn.execute("ANALYZE pg_temp.incoming")
    bounds = {"first": rows["time"].min().to_pydatetime(), "last": rows["time"].max().to_pydatetime()}
    inserted = read(conn, sql("insert_new_samples"), bounds)
    met = read(conn, sql("select_met_samples"), bounds)
    if met["later"].any():
        conn.execute(sql("update_later_published_samples"), bounds)
    other = met[~met["same"].astype(bool)]
    later = other["later"].to_numpy(dtype=bool)
    places = pd.MultiIndex.from_arrays([rows["tag_id"], rows["time_us"]])
    position = places.get_indexer(pd.MultiIndex.from_arrays([other["tag_id"], microseconds(other["time"])]))
    lost = rows.iloc[position[~later]].assign(
        reason="conflict",
        detail="The store holds another value of the same tag and time, and this one was not published later.",
    )
    winners, old = rows.iloc[position[later]], other[later]
    replaced = winners.assign(
        value=old["old_value"].to_numpy(),
        value_text=old["old_text"].to_numpy(),
        quality=old["old_quality"].to_numpy("int16"),
        published_at=old["old_published_at"].array,
        position=FROM_STORE,
        origin="store",
        reason="conflict",
        detail="A value published later, or further down in the same file, has replaced this one in the store.",
    )
    machines = rows.drop_duplicates("tag_id").set_index("tag_id")["machine_id"].astype(object)
    touched = _touched(inserted["tag_id"].map(machines), inserted["quarter"])
    touched |= _touched(winners["machine_id"], winners["time"])
    return int(inserted["samples"].sum()) + int(np.count_nonzero(later)), touched, [lost, replaced]


def _touched(machines: pd.Series[Any], times: pd.Series[Any]) -> set[Moment]:
    import pandas as pd

    quarters = pd.DatetimeIndex(times.dt.floor("15min")).to_pydatetime()
    return {(str(machine), quarter) for machine, quarter in zip(machines, quarters, strict=True)}
