"""HTTP to systems that are not ours: patience with them, and one clear sentence when it ends.

Belongs here: sessions, repeating what was throttled or failed for a moment, JSON without floats. Does not belong here:
what an answer means (`connectors.py` and its adapters).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

#: Seconds to connect, and between two bytes of an answer.
TIMEOUT_S = (5.0, 30.0)
_AGAIN = (429, 500, 502, 503, 504)


class SourceUnavailableError(Exception):
    """Another system did not give what was asked; the message names neither credentials nor parameters."""


class CredentialsRefusedError(SourceUnavailableError):
    """The other system does not accept who we are, or not any more.

    Attributes:
        status: 401, 403, or 400 where a token is asked for.
    """

    def __init__(self, url: str, status: int) -> None:
        super().__init__(f"{url} refuses our credentials ({status}): renew the key")
        self.status = status


def session(
    headers: dict[str, str], *, ca_file: str | None = None, attempts: int = 5, backoff_s: float = 0.5
) -> requests.Session:
    """A session that waits as long as Retry-After says (a minute at most) and repeats what may pass.

    POST is repeated too: everything asked here only reads. `ca_file` takes the place of the authorities the system
    knows; there is no way to turn checking off.
    """
    retry = Retry(
        total=attempts,
        # A certificate nobody vouches for is not better a moment later.
        other=0,
        status_forcelist=_AGAIN,
        allowed_methods=None,
        backoff_factor=backoff_s,
        respect_retry_after_header=True,
        retry_after_max=60,
        raise_on_status=False,
    )
    made = requests.Session()
    # A .netrc of the account would silently take the place of the key.
    made.trust_env = False
    made.headers.update(headers)
    if ca_file is not None:
        made.verify = ca_file
    for scheme in ("https://", "http://"):
        made.mount(scheme, HTTPAdapter(max_retries=retry))
    return made


def ask(
    over: requests.Session, method: str, url: str, *, timeout_s: tuple[float, float] = TIMEOUT_S,
    why: Callable[[bytes], str] | None = None, **said: Any,
) -> Any:  # fmt: skip
    """The JSON of an answer, with every fractional number a Decimal; None where the answer is that there is none.

    Args:
        over: From `session`.
        method: GET or POST.
        url: Without parameters; they are given as `params`.
        timeout_s: Seconds to connect, and between two bytes of an answer.
        why: What a 400 says is wrong with the question, of systems that put nothing secret there.
        said: `params` or `json`, as requests takes them.

    Raises:
        SourceUnavailableError: No answer, a refusal, or an answer that is not JSON.
    """
    try:
        answer = over.request(method, url, timeout=timeout_s, allow_redirects=False, **said)
    except requests.RequestException as error:
        # The text of the error may hold the whole address.
        raise SourceUnavailableError(f"{url} does not answer ({type(error).__name__})") from None
    if answer.status_code in (401, 403):
        raise CredentialsRefusedError(url, answer.status_code)
    # RFC 6749, 5.2: who asks for a token as somebody unknown may be told so with 400.
    if answer.status_code == 400 and b'"invalid_client"' in answer.content:
        raise CredentialsRefusedError(url, answer.status_code)
    if answer.status_code == 204:
        return None
    if answer.status_code == 400 and why is not None:
        raise SourceUnavailableError(f"{url} refuses the question: {why(answer.content)[:200]}")
    if answer.status_code != 200:
        raise SourceUnavailableError(f"{url} answers {answer.status_code}")
    try:
        return json.loads(answer.content, parse_float=Decimal)
    except ValueError:
        kind = answer.headers.get("Content-Type", "no type")
        raise SourceUnavailableError(f"{url} answers with {kind[:60]} that is not JSON") from None
