"""Tokens of systems that log programs in with OAuth 2.0 client credentials (RFC 6749, section 4.4).

Belongs here: fetching a token, and one new one where the old one is refused. Does not belong here: what is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prodlytics.sources.ask import CredentialsRefusedError, SourceUnavailableError, ask

if TYPE_CHECKING:
    import requests


class ClientCredentials:
    """A session whose requests carry a token."""

    def __init__(self, over: requests.Session, url: str, client_id: str, client_secret: str, **form: str) -> None:
        """Fetch nothing yet.

        Args:
            over: From `ask.session`.
            url: Where tokens are given out.
            client_id: Who we are.
            client_secret: What only we know.
            form: What the form says besides, e.g. `scope`.
        """
        self._over, self._url = over, url
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            **form,
        }

    def ask(self, method: str, url: str, **said: Any) -> Any:
        """As `ask.ask`; a token that is no longer good is renewed once.

        Raises:
            SourceUnavailableError: As `ask.ask`; also where no token is given.
        """
        if "Authorization" not in self._over.headers:
            self._renew()
        try:
            return ask(self._over, method, url, **said)
        except CredentialsRefusedError as error:
            if error.status != 401:
                raise
            self._renew()
        return ask(self._over, method, url, **said)

    def _renew(self) -> None:
        self._over.headers.pop("Authorization", None)
        answer = ask(self._over, "POST", self._url, data=self._form)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise SourceUnavailableError(f"{self._url} gives no access_token")
        self._over.headers["Authorization"] = f"Bearer {token}"
