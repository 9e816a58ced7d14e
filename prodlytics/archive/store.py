"""Where archived files lie: a folder or an Azure container behind one URL.

Belongs here: putting a finished file in its place in one step, keeping the one it replaces, reading, listing. Does not
belong here: what is in the files (`parquet.py`) and which one counts (`manifest.py`).

Layout below the URL: `plant=<id>/dataset=<name>/date=YYYY-MM-DD/part-0.parquet`, exactly one file per folder, so that a
glob reads each row once. What a file replaces goes to `superseded/`, which no glob over `plant=*` matches.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, cast

from prodlytics.archive.errors import ArchiveError, archive_errors

_CHUNK = 1 << 20
_CONTAINER_SCHEMES = ("abfs", "abfss", "az")
#: Half-written files, on the same disk as the layout because a rename must not cross disks.
_INCOMING = ".incoming"
#: Nobody writes one file for so long: its writer was killed.
_ABANDONED_AFTER_S = 24 * 3600
SUPERSEDED = "superseded"


def day_path(plant_id: str, dataset: str, production_date: dt.date) -> str:
    """Where the one current file of a day lies, relative to the store."""
    return f"plant={plant_id}/dataset={dataset}/date={production_date:%Y-%m-%d}/part-0.parquet"


def superseded_path(path: str, label: str) -> str:
    """Where the file that stood at `path` is kept once another takes its place."""
    return f"{SUPERSEDED}/{path.removesuffix('/part-0.parquet')}/{label}.parquet"


class ArchiveStore:
    """A folder (`/srv/archive`, `file:///srv/archive`) or a container (`abfs://container@account.dfs.core.windows.net/x`).

    Credentials of a container come from the environment as adlfs reads it (`AZURE_STORAGE_CONNECTION_STRING`,
    `AZURE_STORAGE_ACCOUNT_NAME` with `_KEY`, `_SAS_TOKEN` or `_CLIENT_ID` ..., else the machine's own Azure identity);
    a URL never holds them. All paths in the methods are relative to the URL. Everything raises ArchiveError.
    """

    def __init__(self, url: str | Path) -> None:
        text = str(url)
        scheme, colon, _rest = text.partition("://")
        self.is_folder = not colon or scheme == "file"
        if not self.is_folder and scheme not in _CONTAINER_SCHEMES:
            raise ArchiveError(
                f"Cannot use {scheme}:// as an archive: write a folder or abfs://container@account.dfs.core.windows.net."
            )
        if "?" in text:
            raise ArchiveError(
                "Cannot use an archive URL with a query: put keys and tokens into AZURE_STORAGE_* variables."
            )
        self.url = text.rstrip("/")
        if self.is_folder:
            self._folder = Path(text.removeprefix("file://")).absolute()
        else:
            with archive_errors(self.url, "open the archive"):
                self._fs, self._prefix = _container(self.url)

    def __repr__(self) -> str:
        return f"ArchiveStore({self.url!r})"

    def check(self) -> None:
        """Look whether files could be put here, without putting one; a container was looked for when it was opened."""
        if not self.is_folder:
            return
        with archive_errors(self.url, "write to the archive"):
            there = next(folder for folder in (self._folder, *self._folder.parents) if folder.exists())
            if not there.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "not a folder")
            if not os.access(there, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "not ours")

    def uri(self, path: str) -> str:
        """The whole address of a file, for people and for other tools; holds no credentials."""
        return f"{self.url}/{path}"

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A local path to write a file to before it is published; gone afterwards, whatever happens."""
        with archive_errors(self.url, "write to the archive"):
            if self.is_folder:
                folder = self._folder / _INCOMING
                folder.mkdir(parents=True, exist_ok=True)
                _sweep(folder)
            else:
                folder = Path(tempfile.gettempdir())
            staged = folder / f"prodlytics-{uuid.uuid4().hex}.parquet"
        try:
            yield staged
        finally:
            staged.unlink(missing_ok=True)

    def publish(self, staged: Path, path: str, keep_as: str | None = None) -> None:
        """Make `staged` the file at `path` in one step; readers see the old file or the new one, never a piece.

        Args:
            staged: A finished file from `staging()`.
            path: Its place in the layout.
            keep_as: Where the file that stands at `path` now goes first; None to let it go.
        """
        with archive_errors(self.uri(path), "write"):
            if self.is_folder:
                self._publish_in_folder(staged, path, keep_as)
            else:
                self._publish_in_container(staged, path, keep_as)

    def _publish_in_folder(self, staged: Path, path: str, keep_as: str | None) -> None:
        target = self._folder / path
        _sync(staged)
        _make_folders(target.parent)
        if keep_as is not None and target.exists():
            self._keep_in_folder(target, self._folder / keep_as)
        staged.replace(target)
        _sync(target.parent)

    @staticmethod
    def _keep_in_folder(target: Path, kept: Path) -> None:
        _make_folders(kept.parent)
        spare = kept.with_name(f"{kept.name}.{uuid.uuid4().hex}.tmp")
        try:
            # A second name for the same bytes: the layout is at no moment without its file.
            spare.hardlink_to(target)
        except OSError:
            shutil.copyfile(target, spare)
            _sync(spare)
        spare.replace(kept)
        _sync(kept.parent)

    def _publish_in_container(self, staged: Path, path: str, keep_as: str | None) -> None:
        blob = f"{self._prefix}/{path}"
        if keep_as is not None and self.exists(path):
            self._copy_blob(blob, f"{self._prefix}/{keep_as}")
        # The service commits the list of blocks at the end: until then the old blob stands.
        self._fs.put_file(str(staged), blob, overwrite=True)

    def _copy_blob(self, source: str, target: str) -> None:
        # Through this machine: a server-side copy may still be pending when the source is replaced.
        with tempfile.NamedTemporaryFile(suffix=".parquet") as spare:
            self._fs.get_file(source, spare.name)
            self._fs.put_file(spare.name, target, overwrite=True)

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """The bytes of a file, seekable."""
        with archive_errors(self.uri(path), "read"):
            if self.is_folder:
                file: Any = (self._folder / path).open("rb")
            else:
                file = self._fs.open(f"{self._prefix}/{path}", "rb", block_size=8 * _CHUNK)
            with file:
                yield cast(BinaryIO, file)

    def fetch(self, path: str, target: Path) -> str:
        """Copy a stored file to a local one; returns the hash of what arrived."""
        digest = hashlib.sha256()
        with self.open(path) as file, target.open("wb") as local:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                local.write(chunk)
        return digest.hexdigest()

    def is_readable(self, path: str) -> bool:
        """Whether a file can be read now; one in the archive tier is asked back, which takes Azure up to 15 hours.

        Raises:
            ArchiveError: There is no such file, or the store cannot be reached.
        """
        if self.is_folder:
            return True
        # Where the bridge runs alone, `doctor` loads this module without fsspec.
        from fsspec import asyn

        with archive_errors(self.uri(path), "read"):
            return bool(asyn.sync(self._fs.loop, self._ask_back, f"{self._prefix}/{path}"))

    async def _ask_back(self, blob: str) -> bool:
        container, _, name = blob.partition("/")
        async with self._fs.service_client.get_blob_client(container, name) as client:
            found = await client.get_blob_properties()
            if found.blob_tier != "Archive":
                return True
            if not found.archive_status:
                await client.set_standard_blob_tier("Hot")
            return False

    def sha256(self, path: str) -> str | None:
        """Hash of the stored bytes, read from the store; None if there is no such file."""
        if not self.exists(path):
            return None
        with self.open(path) as file:
            return _sha256(file)

    def exists(self, path: str) -> bool:
        """Whether there is a file at `path`."""
        with archive_errors(self.uri(path), "look for"):
            if self.is_folder:
                return (self._folder / path).is_file()
            try:
                return bool(self._fs.info(f"{self._prefix}/{path}")["type"] == "file")
            except FileNotFoundError:
                # Not `isfile`, which says no to every failure: the file would be replaced without being kept.
                return False

    def list(self, folder: str = "", suffix: str = ".parquet") -> list[str]:
        """Paths of all published and superseded files below `folder`, sorted; none that is still being written."""
        with archive_errors(self.url, "list the archive"):
            if self.is_folder:
                found = [
                    file.relative_to(self._folder).as_posix()
                    for file in (self._folder / folder).rglob(f"*{suffix}")
                    if file.is_file()
                ]
            else:
                found = [name.removeprefix(f"{self._prefix}/") for name in self._fs.find(f"{self._prefix}/{folder}")]
        return sorted(name for name in found if name.endswith(suffix) and not name.startswith(f"{_INCOMING}/"))

    def delete(self, path: str) -> None:
        """Remove one file; no error if it is not there."""
        with archive_errors(self.uri(path), "delete"):
            if self.is_folder:
                (self._folder / path).unlink(missing_ok=True)
            elif self.exists(path):
                self._fs.rm_file(f"{self._prefix}/{path}")


def file_sha256(path: Path) -> str:
    """Hash of a local file's bytes."""
    with path.open("rb") as file:
        return _sha256(file)


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _container(url: str) -> tuple[Any, str]:
    import fsspec
    from azure.core.exceptions import HttpResponseError

    # Listings are never cached: another run may have published meanwhile. Nor is the instance: credentials may change.
    filesystem, path = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    container = path.partition("/")[0]
    try:
        filesystem.info(container)
    except FileNotFoundError as error:
        raise ArchiveError(
            f"Cannot open the archive {url}: there is no container {container!r}; "
            "create it or change PRODLYTICS_ARCHIVE_URL."
        ) from error
    except HttpResponseError as error:
        # A token for the blobs alone may not look at the container; whether it is good for the blobs shows later.
        if error.status_code != HTTPStatus.FORBIDDEN:
            raise
    return filesystem, path.rstrip("/")


def _sweep(incoming: Path) -> None:
    """Remove what killed writers left behind."""
    limit = time.time() - _ABANDONED_AFTER_S
    for file in incoming.glob("prodlytics-*.parquet"):
        # Another run may sweep at the same moment.
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < limit:
                file.unlink()


def _make_folders(folder: Path) -> None:
    """Like mkdir -p, and the names survive a power cut."""
    missing = [folder, *folder.parents]
    missing = missing[: next(i for i, parent in enumerate(missing) if parent.exists())]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        _sync(made.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
