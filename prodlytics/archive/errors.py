"""What went wrong with the archive, in one sentence.

Belongs here: turning the many exceptions of disks, fsspec and Azure into one that a person can act on. Does not belong
here: deciding what to do about it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa


class ArchiveError(Exception):
    """The archive could not do what was asked; the text is one sentence that says what to look at."""


_DISK = {
    errno.ENOSPC: "the disk is full; free some space and run it again",
    errno.EDQUOT: "the disk quota is used up; free some space and run it again",
    errno.EFBIG: "the file would be larger than this machine allows; raise the limit and run it again",
    errno.EACCES: "this user may not write there; change the rights of the folder or PRODLYTICS_ARCHIVE_URL",
    errno.EPERM: "this user may not write there; change the rights of the folder or PRODLYTICS_ARCHIVE_URL",
    errno.EROFS: "the disk is read-only; mount it writable or change PRODLYTICS_ARCHIVE_URL",
    errno.ENOTDIR: "a file stands where a folder is needed; change PRODLYTICS_ARCHIVE_URL",
    errno.EEXIST: "a file stands where a folder is needed; change PRODLYTICS_ARCHIVE_URL",
    errno.ENOENT: "it is not there, and cannot be made",
    errno.EIO: "the disk reports a read or write error; check the disk",
}


@contextmanager
def archive_errors(where: str, doing: str) -> Iterator[None]:
    """Every failure inside becomes an ArchiveError "Cannot DOING WHERE: reason"; `where` must hold no credentials."""
    from azure.core.exceptions import AzureError

    try:
        yield
    except ArchiveError:
        raise
    # adlfs hides Azure's exceptions in RuntimeError and ValueError.
    except (OSError, pa.ArrowException, AzureError, RuntimeError, ValueError) as error:
        raise ArchiveError(f"Cannot {doing} {where}: {_reason(error)}.") from error


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _reason(error: BaseException) -> str:
    for link in _chain(error):
        reason = _azure_reason(link)
        if reason is not None:
            return reason
    if isinstance(error, FileNotFoundError) and "container" in str(error).lower():
        return "there is no such container; create it or change PRODLYTICS_ARCHIVE_URL"
    if isinstance(error, OSError) and error.errno in _DISK:
        return _DISK[error.errno]
    if isinstance(error, ValueError) and "unable to connect to account" in str(error):
        return (
            "the environment does not say which storage account to use and how; set AZURE_STORAGE_CONNECTION_STRING, "
            "or AZURE_STORAGE_ACCOUNT_NAME and a key, a token or an identity"
        )
    return _first_line(error)


def _azure_reason(error: BaseException) -> str | None:
    from azure.core.exceptions import (
        ClientAuthenticationError,
        HttpResponseError,
        ResourceNotFoundError,
        ServiceRequestError,
        ServiceResponseError,
    )

    refused = "the storage account refused the credentials; check the AZURE_STORAGE_* variables"
    if isinstance(error, ClientAuthenticationError):
        return refused
    if isinstance(error, ResourceNotFoundError):
        if getattr(error, "error_code", None) == "ContainerNotFound":
            return "there is no such container; create it or change PRODLYTICS_ARCHIVE_URL"
        return "it is not there"
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return "the storage account cannot be reached; check the network and the account's name, then run it again"
    if isinstance(error, HttpResponseError):
        if error.status_code in (401, 403):
            return refused
        return f"the storage account answered {error.status_code} {error.reason or ''}".rstrip()
    return None


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
