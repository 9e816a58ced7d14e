"""The landing place: a folder or an Azure container behind one URL.

Belongs here: which files lie there and getting one of them, whole, with its hash. Does not belong here: what is in
them. Names come only from listing, and what a link leads to outside the folder does not count as being in it.
Credentials of a container come from the environment as adlfs reads it (`AZURE_STORAGE_CONNECTION_STRING`, ...).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO

_CHUNK = 1 << 20
#: Names of files that somebody is still writing.
_UNFINISHED = (".tmp", ".part", ".swp", ".crdownload", ".filepart")


class LandingUnavailable(Exception):  # noqa: N818 the name people and callers read
    """The landing place cannot be reached; the text is one sentence for people."""


class FileGoneError(Exception):
    """The file was there when the place was listed and is not any more, or is being written right now."""


@dataclass(frozen=True)
class PlacedFile:
    """A file that lies in the landing place."""

    name: str
    "Path below the landing place, with slashes."
    version: str
    "Changes when the content may have changed; asked without reading the file."
    size: int


class LandingPlace:
    """A folder (`/srv/landing`, `file:///srv/landing`) or a container (`abfs://container@account.dfs.core.windows.net`).

    Raises:
        LandingUnavailable: The URL cannot be used.
    """

    def __init__(self, url: str | Path) -> None:
        import fsspec

        self.url = str(url).rstrip("/")
        with _said(self.url):
            # Listings are never cached: what landed a second ago has to be seen.
            self._fs, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True)
        self._root = root.rstrip("/")
        self._folder = Path(self._root).resolve() if "file" in _protocols(self._fs) else None

    def check(self) -> None:
        """Look whether the place is there and lets us in, without listing it.

        Raises:
            LandingUnavailable: It is not there or does not answer.
        """
        with _said(self.url):
            self._require()
            if self._folder is None:
                self._ask_for_container()

    def _require(self) -> None:
        if not self.is_there():
            raise LandingUnavailable(
                f"The landing place {self.url} does not exist: create it, or change PRODLYTICS_LANDING_URL."
            )

    def _ask_for_container(self) -> None:
        """`exists` of a container says yes to every failure."""
        from azure.core.exceptions import HttpResponseError

        try:
            self._fs.info(self._root.partition("/")[0])
        except HttpResponseError as error:
            # A token for the blobs alone may not look at the container.
            if error.status_code != HTTPStatus.FORBIDDEN:
                raise
        except RuntimeError as error:  # adlfs hides Azure's errors in it
            raise OSError(str(error)) from error

    def files(self) -> list[PlacedFile]:
        """Every finished file, by name.

        Raises:
            LandingUnavailable: The place is not there or does not answer.
        """
        with _said(self.url):
            self._require()
            found = self._fs.find(self._root, detail=True)
        files = [self._placed(path, info) for path, info in found.items() if self._counts(path, info)]
        return sorted(files, key=lambda file: file.name)

    def fetch(self, file: PlacedFile, into: BinaryIO) -> str:
        """Copy a file and return the SHA-256 of its bytes; the copy cannot change while it is read.

        Raises:
            FileGoneError: The file has been taken away, or changed while it was copied.
            LandingUnavailable: The place does not answer.
        """
        path = f"{self._root}/{file.name}"
        digest = hashlib.sha256()
        try:
            with _said(self.url), self._fs.open(path, "rb", block_size=8 * _CHUNK) as source:
                while chunk := source.read(_CHUNK):
                    digest.update(chunk)
                    into.write(chunk)
            now = self._placed(path, self._fs.info(path))
        except FileNotFoundError as error:
            raise FileGoneError(file.name) from error
        if now.version != file.version:
            raise FileGoneError(file.name)
        into.seek(0)
        return digest.hexdigest()

    def is_there(self) -> bool:
        """Whether the folder or container exists."""
        if self._folder is not None:
            return self._folder.is_dir()
        # Folders of a container exist only while something is in them: it is the container that has to be there.
        return bool(self._fs.exists(self._root.partition("/")[0]))

    def _placed(self, path: str, info: dict[str, Any]) -> PlacedFile:
        size = int(info.get("size") or 0)
        # A container's etag changes with every write; a folder has time, length and the file's own number.
        parts = [info["etag"]] if info.get("etag") else [info.get("mtime"), info.get("ino"), info.get("last_modified")]
        version = "-".join(str(part).strip('"') for part in [size, *parts] if part is not None)
        return PlacedFile(path[len(self._root) :].lstrip("/"), version, size)

    def _counts(self, path: str, info: dict[str, Any]) -> bool:
        if info.get("type") != "file":
            return False
        name = path[len(self._root) :].lstrip("/")
        if any(part.startswith(".") for part in name.split("/")) or name.lower().endswith(_UNFINISHED):
            return False
        return self._folder is None or Path(path).resolve().is_relative_to(self._folder)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


@contextmanager
def _said(url: str) -> Iterator[None]:
    """What storage raises, as one sentence."""
    expected: tuple[type[Exception], ...] = (OSError, ValueError, ImportError)
    if "://" in url and not url.startswith("file://"):
        from azure.core.exceptions import AzureError

        expected = (*expected, AzureError)
    try:
        yield
    except FileNotFoundError:
        raise
    except expected as error:
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise LandingUnavailable(f"The landing place {url} cannot be used: {why}") from error
