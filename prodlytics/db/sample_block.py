"""Samples as plain arrays, and those arrays as the bytes of a binary COPY.

Belongs here: PostgreSQL's binary format, built with numpy. Does not belong here: which samples are stored
(`telemetry.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, LiteralString

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import psycopg

_PG_EPOCH_US = 946_684_800_000_000
_HEADER = b"PGCOPY\n\xff\r\n\x00" + b"\x00" * 8
_TRAILER = b"\xff\xff"
_COLUMNS = "(tag_id, time, value, value_text, quality, published_lag_us, ingested_lag_us)"


@dataclass(frozen=True)
class SampleBlock:
    """A batch as plain arrays in the order of the key: the index then grows at one place per tag, not everywhere.

    Frames cost milliseconds a batch however small it is (9.5 ms against 1.5), which counts where samples arrive live.
    """

    order: npt.NDArray[np.int64]
    tag_id: npt.NDArray[np.int32]
    time_us: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    text: npt.NDArray[np.object_]
    quality: npt.NDArray[np.int16]
    published_lag_us: npt.NDArray[np.float64]
    "NaN where nobody says when it was published."
    ingested_lag_us: npt.NDArray[np.int64]

    def says_a_time_twice(self) -> bool:
        """Whether two rows have the same tag and time."""
        same = (self.tag_id[1:] == self.tag_id[:-1]) & (self.time_us[1:] == self.time_us[:-1])
        return bool(same.any())

    def picked(self, which: npt.NDArray[Any]) -> SampleBlock:
        """Some of the rows, by mask or position."""
        return SampleBlock(*(getattr(self, field.name)[which] for field in fields(self)))


def copy_block(conn: psycopg.Connection[Any], table: LiteralString, block: SampleBlock) -> None:
    """COPY rows in PostgreSQL's binary format: those without text in one numpy array, the few others one by one."""
    import numpy as np
    import pandas as pd

    text = pd.notna(block.text)
    has_value, has_lag = ~np.isnan(block.value), ~np.isnan(block.published_lag_us)
    statement: LiteralString = "COPY " + table + " " + _COLUMNS + " FROM STDIN (FORMAT binary)"
    parts = [_HEADER]
    for value_there in (True, False):
        for lag_there in (True, False):
            chosen = ~text & (has_value == value_there) & (has_lag == lag_there)
            if chosen.any():
                part = block if chosen.all() else block.picked(chosen)
                parts.append(_numeric_block(part, has_value=value_there, has_lag=lag_there))
    if text.any():
        parts += _text_blocks(block.picked(text))
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        # One write: 200,000 small ones took as long as all else.
        copy.write(b"".join([*parts, _TRAILER]))


def _numeric_block(rows: SampleBlock, *, has_value: bool, has_lag: bool) -> bytes:
    import numpy as np

    layout: list[tuple[str, str]] = [("n", ">i2"), ("l1", ">i4"), ("tag", ">i4"), ("l2", ">i4"), ("time", ">i8")]
    layout += [("l3", ">i4"), *([("value", ">f8")] if has_value else []), ("l4", ">i4")]
    layout += [("l5", ">i4"), ("quality", ">i2"), ("l6", ">i4"), *([("lag", ">i8")] if has_lag else [])]
    layout += [("l7", ">i4"), ("ingested", ">i8")]
    block = np.empty(len(rows.tag_id), dtype=np.dtype(layout))
    block["n"] = 7
    block["l1"], block["tag"] = 4, rows.tag_id
    block["l2"], block["time"] = 8, rows.time_us - _PG_EPOCH_US
    block["l3"] = 8 if has_value else -1
    if has_value:
        block["value"] = rows.value
    block["l4"] = -1
    block["l5"], block["quality"] = 2, rows.quality
    block["l6"] = 8 if has_lag else -1
    if has_lag:
        block["lag"] = rows.published_lag_us
    block["l7"], block["ingested"] = 8, rows.ingested_lag_us
    return block.tobytes()


def _text_blocks(rows: SampleBlock) -> list[bytes]:
    import struct

    blocks = []
    for tag, time_us, value, text, quality, lag, ingested in zip(
        rows.tag_id.tolist(), rows.time_us.tolist(), rows.value.tolist(), rows.text.tolist(), rows.quality.tolist(),
        rows.published_lag_us.tolist(), rows.ingested_lag_us.tolist(), strict=True,
    ):  # fmt: skip
        encoded = str(text).replace("\x00", "\ufffd").encode("utf-8", "replace")
        number = struct.pack(">i", -1) if value != value else struct.pack(">id", 8, value)
        published = struct.pack(">i", -1) if lag != lag else struct.pack(">iq", 8, int(lag))
        blocks.append(
            struct.pack(">hiiiq", 7, 4, tag, 8, time_us - _PG_EPOCH_US)
            + number
            + struct.pack(">i", len(encoded))
            + encoded
            + struct.pack(">ih", 2, quality)
            + published
            + struct.pack(">iq", 8, ingested)
        )
    return blocks
