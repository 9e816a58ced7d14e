"""Lists that are given in pages as OData does.

Belongs here: following the pages to their end. Does not belong here: what is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

from prodlytics.sources.ask import SourceUnavailableError

#: Of the two spellings version 3 has the second one.
_NEXT = ("@odata.nextLink", "odata.nextLink")


def everything(ask: Callable[..., Any], url: str, **params: str | int) -> list[dict[str, Any]]:
    """All records of a list.

    Args:
        ask: As `ask.ask`, with session or token filled in: method, address, `params`.
        url: The list.
        params: `$select`, `$filter`, `$orderby`, without the dollar.

    Raises:
        SourceUnavailableError: A page does not come, is no list, or the pages lead elsewhere or in a circle.
    """
    found: list[dict[str, Any]] = []
    at, said, seen = url, {f"${name}": value for name, value in params.items()}, set[str]()
    while True:
        page = ask("GET", at, params=said)
        found += _records(page, url)
        link = next((page[name] for name in _NEXT if page.get(name)), None)
        if link is None:
            return found
        # Version 3 may leave out what is the same.
        following = urljoin(url, str(link))
        # The token goes with the request: never to another system than the one it is for.
        if urlsplit(following)[:2] != urlsplit(url)[:2] or following in seen:
            raise SourceUnavailableError(f"{url} leads on to a page of another system or one already read")
        seen.add(following)
        at, said = following, {}


def by_skip(ask: Callable[..., Any], url: str, size: int, **params: str | int) -> Iterator[list[dict[str, Any]]]:
    """The records of a list that says nothing of a next page: by `$skip` until there are none.

    Args:
        ask: As for `everything`.
        url: The list.
        size: Records a page.
        params: As for `everything`; `orderby` makes the order of the pages stable.

    Raises:
        SourceUnavailableError: A page does not come, is no list, or is the one before once more.
    """
    before: list[dict[str, Any]] = []
    skip = 0
    while True:
        said = {f"${name}": value for name, value in {**params, "top": size, "skip": skip}.items()}
        records = _records(ask("GET", url, params=said), url)
        if not records:
            return
        if records == before:
            raise SourceUnavailableError(f"{url} gives the same page again, whatever is skipped")
        yield records
        skip, before = skip + len(records), records


def _records(page: Any, url: str) -> list[dict[str, Any]]:
    records = page.get("value") if isinstance(page, dict) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise SourceUnavailableError(f"{url} answers without a list of records under 'value'")
    return records
