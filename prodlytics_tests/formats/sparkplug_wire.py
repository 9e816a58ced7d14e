"""Sparkplug B payloads put together byte by byte, by the protobuf encoding and the field numbers of the specification.

Belongs here: an encoder that shares nothing with the product. Does not belong here: what is expected of a payload.
A field is its number times 8 plus the kind of its content (0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes).
"""

from __future__ import annotations

import struct

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64 = range(1, 9)
FLOAT, DOUBLE, BOOLEAN, STRING, DATETIME, TEXT = range(9, 15)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def number(field: int, content: int) -> bytes:
    return varint(field * 8) + varint(content)


def block(field: int, content: bytes) -> bytes:
    return varint(field * 8 + 2) + varint(len(content)) + content


def int_value(content: int) -> bytes:
    return number(10, content)


def long_value(content: int) -> bytes:
    return number(11, content)


def float_value(content: float) -> bytes:
    return varint(12 * 8 + 5) + struct.pack("<f", content)


def double_value(content: float) -> bytes:
    return varint(13 * 8 + 1) + struct.pack("<d", content)


def boolean_value(content: bool) -> bytes:
    return number(14, int(content))


def string_value(content: str | bytes) -> bytes:
    return block(15, content if isinstance(content, bytes) else content.encode())


def metric(
    value: bytes = b"",
    *,
    name: str | bytes | None = None,
    alias: int | None = None,
    at: int | None = None,
    datatype: int | None = None,
    historical: bool = False,
    null: bool = False,
    quality: int | None = None,
) -> bytes:
    out = b""
    if name is not None:
        out += block(1, name if isinstance(name, bytes) else name.encode())
    for field, content in ((2, alias), (3, at), (4, datatype), (5, historical or None), (7, null or None)):
        if content is not None:
            out += number(field, int(content))
    if quality is not None:
        out += block(9, block(1, b"Quality") + block(2, number(1, INT32) + number(3, quality)))
    return out + value


def payload(*metrics: bytes, sent: int | None = None, seq: int | None = None) -> bytes:
    out = b"" if sent is None else number(1, sent)
    out += b"".join(block(2, one) for one in metrics)
    return out if seq is None else out + number(3, seq)


def bd_seq(session: int) -> bytes:
    return metric(long_value(session), name="bdSeq", datatype=INT64)
