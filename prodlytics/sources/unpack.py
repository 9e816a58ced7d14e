"""Compressed files, read without trusting them.

Belongs here: gzip, with a limit on what comes out. A few kilobytes can unpack to more than the disk holds.
"""

from __future__ import annotations

import gzip
import io
import shutil
import tempfile
import zlib
from typing import BinaryIO, cast

from prodlytics.formats.sample import UnreadableFileError

#: Most bytes one landed file may unpack to.
UNPACKED_LIMIT = 2 * 2**30
_MAGIC = b"\x1f\x8b"


class _Unpacking(io.RawIOBase):
    """The unpacked bytes of a gzip file; damage and excess end it with a reason."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._gzip = gzip.GzipFile(fileobj=file, mode="rb")
        self._limit = limit
        self._left = limit

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with unpacked bytes."""
        try:
            read = self._gzip.read(len(buffer))
        except (OSError, EOFError, zlib.error) as error:
            raise UnreadableFileError(f"the gzip file is damaged: {error}") from error
        self._left -= len(read)
        if self._left < 0:
            raise UnreadableFileError(f"the gzip file unpacks to more than {self._limit / 2**30:g} GiB; split it")
        buffer[: len(read)] = read
        return len(read)


def unpacked(file: BinaryIO, name: str, *, seekable: bool = False) -> BinaryIO:
    """The content of a file, unpacked if it is gzip (by its bytes; a name may lie).

    Args:
        file: Seekable, at its start.
        name: A name that ends in .gz promises gzip.
        seekable: Whether the result has to be; unpacked data then goes to a temporary file.

    Raises:
        UnreadableFileError: Empty, not gzip though it says so, damaged (also later, while reading), or too much.
    """
    start = file.read(2)
    file.seek(0)
    if not start:
        raise UnreadableFileError("the file is empty")
    if start != _MAGIC:
        if name.lower().endswith(".gz"):
            raise UnreadableFileError("the name ends in .gz, but the content is not gzip")
        return file
    stream = cast(BinaryIO, io.BufferedReader(_Unpacking(file, UNPACKED_LIMIT), 1 << 20))
    if not seekable:
        return stream
    copy = tempfile.TemporaryFile()  # noqa: SIM115 the caller reads it; it goes with its last reference
    shutil.copyfileobj(stream, copy, 1 << 20)
    copy.seek(0)
    return cast(BinaryIO, copy)
