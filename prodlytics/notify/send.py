"""Sending a message through a channel.

Belongs here: one function per kind of channel, each returning when the other side has accepted and raising when it has
not. Does not belong here: what is said (`message.py`), trying again (`prodlytics.alerts.deliver`).
Chat and text messages go through apprise. E-mail and webhooks do not: apprise lets nobody set the Message-ID by which a
repetition is told, nor sign a body, and says only "failed" where the other side said why.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from prodlytics.notify.message import Notice
    from prodlytics.plant.alerting import Channel

#: A server that does not answer must not hold up the others: a tick has 30 seconds.
PATIENCE_S = 10.0


class DeliveryError(Exception):
    """The message was not accepted; the text says why and holds no secret."""


class NotSetUpError(Exception):
    """The channel's environment variables are missing or cannot be read; the text says which and what to write."""


def send(channel: Channel, address: str, message: Notice, environment: Mapping[str, str]) -> None:
    """Hand a message over.

    Args:
        channel: Which one.
        address: E-mail address or telephone number; of no meaning for channels without persons.
        message: What to send.
        environment: Where the secrets are.

    Raises:
        DeliveryError: It was not accepted.
        NotSetUpError: The channel cannot be used at all.
    """
    secrets = []
    for variable in channel.variables():
        if not environment.get(variable):
            raise NotSetUpError(f"Channel {channel.name!r} needs the environment variable {variable}.")
        secrets.append(environment[variable])
    try:
        if channel.kind == "email":
            _email(secrets[0], address, message, environment)
        elif channel.kind == "webhook":
            _webhook(secrets[0], secrets[1], message)
        else:
            _apprise(channel, secrets[0], address, message)
    except DeliveryError as error:
        raise DeliveryError(scrubbed(str(error), secrets)) from None


def scrubbed(text: str, secrets: list[str]) -> str:
    """The text without any secret in it, whole or its user, password and path."""
    for secret in secrets:
        parts = urlsplit(secret)
        pieces = [secret, parts.password, parts.query, parts.path.strip("/"), *parts.path.strip("/").split("/")]
        for piece in pieces:
            if piece and len(piece) >= 4:
                text = text.replace(piece, "***").replace(unquote(piece), "***")
    return text


def _email(url: str, address: str, message: Notice, environment: Mapping[str, str]) -> None:
    parts = urlsplit(url)
    asked = parse_qs(parts.query)
    sender = asked.get("from", [unquote(parts.username or "")])[0]
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or "@" not in sender:
        raise NotSetUpError(
            "PRODLYTICS_SMTP_URL cannot be used: write smtp://user:password@host:587?from=alerts@example.com "
            "(smtps:// for port 465, &tls=no for a relay on this machine)."
        )
    mail = email_of(sender, address, message)
    implicit = parts.scheme == "smtps"
    port = parts.port or (465 if implicit else 587)
    context = ssl.create_default_context()
    try:
        server: smtplib.SMTP = (
            smtplib.SMTP_SSL(parts.hostname, port, timeout=PATIENCE_S, context=context)
            if implicit
            else smtplib.SMTP(parts.hostname, port, timeout=PATIENCE_S)
        )
        with server:
            if not implicit and asked.get("tls", ["yes"])[0] != "no":
                server.starttls(context=context)
            if asked.get("auth", ["password"])[0] == "oauth":
                _log_in_with_token(server, unquote(parts.username or ""), environment)
            elif parts.password:
                server.login(unquote(parts.username or ""), unquote(parts.password))
            server.send_message(mail)
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(f"{parts.hostname}:{port} did not take the e-mail: {_why(error)}") from None


def email_of(sender: str, address: str, message: Notice) -> EmailMessage:
    """The message as an e-mail: text and HTML, told apart from its repetitions, in one conversation per alert."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, address, message.subject
    domain = sender.rsplit("@", 1)[1]
    person = hashlib.sha256(address.encode()).hexdigest()[:8]
    mail["Message-ID"] = f"<{message.batch}.{person}@{domain}>"
    mail["Date"] = format_datetime(dt.datetime.now(dt.UTC))
    if message.reference is not None:
        mail["References"] = f"<{message.reference}@{domain}>"
    if message.severity == "critical":
        mail["Importance"] = "high"
    # Holiday answers to alerts help nobody.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


def _log_in_with_token(server: smtplib.SMTP, user: str, environment: Mapping[str, str]) -> None:
    """Relays that take no password any more (Microsoft 365, Google): a token of the client credentials grant."""
    import requests

    names = ("TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET", "SCOPE")
    asked = {name: environment.get(f"PRODLYTICS_SMTP_{name}") for name in names}
    missing = [name for name, value in asked.items() if not value]
    if missing:
        raise NotSetUpError(f"auth=oauth needs the environment variable PRODLYTICS_SMTP_{missing[0]}.")
    try:
        answer = requests.post(
            str(asked["TOKEN_URL"]),
            data={
                "grant_type": "client_credentials",
                "client_id": asked["CLIENT_ID"],
                "client_secret": asked["CLIENT_SECRET"],
                "scope": asked["SCOPE"],
            },
            timeout=PATIENCE_S,
        )
        answer.raise_for_status()
        token = answer.json()["access_token"]
    except (requests.RequestException, KeyError, ValueError) as error:
        raise DeliveryError(f"no token for the mail relay: {type(error).__name__}") from None
    server.ehlo_or_helo_if_needed()
    server.auth("XOAUTH2", lambda _=None: f"user={user}\x01auth=Bearer {token}\x01\x01")


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What a webhook's receiver compares: HMAC-SHA256 of timestamp, a full stop and the body, in hexadecimal."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _webhook(url: str, secret: str, message: Notice) -> None:
    import requests

    body = json.dumps(message.data).encode()
    at = str(int(dt.datetime.now(dt.UTC).timestamp()))
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": message.batch,
        "X-Prodlytics-Timestamp": at,
        "X-Prodlytics-Signature": f"sha256={signature(secret, at, body)}",
    }
    host = urlsplit(url).netloc.rsplit("@", 1)[-1]
    try:
        answer = requests.post(url, data=body, headers=headers, timeout=PATIENCE_S, allow_redirects=False)
    except requests.RequestException as error:
        raise DeliveryError(f"{host} did not answer: {type(error).__name__}") from None
    if not 200 <= answer.status_code < 300:
        raise DeliveryError(f"{host} answered {answer.status_code}")


def _apprise(channel: Channel, url: str, address: str, message: Notice) -> None:
    import apprise

    sender = apprise.Apprise()
    target = f"{url.rstrip('/')}/{address}" if channel.kind == "sms" else url
    if not sender.add(target):
        raise NotSetUpError(
            f"PRODLYTICS_NOTIFY_{channel.name.upper()}_URL cannot be used: write a URL as the notification library "
            "apprise reads it, or that of an incoming webhook."
        )
    kind = apprise.NotifyType.FAILURE if message.severity == "critical" else apprise.NotifyType.WARNING
    body = message.short if channel.kind == "sms" else message.text
    with apprise.LogCapture(level=apprise.logging.WARNING) as log:  # type: ignore[no-untyped-call]
        accepted = sender.notify(
            body=body, title="" if channel.kind == "sms" else message.subject, notify_type=kind,
            body_format=apprise.NotifyFormat.TEXT,
        )  # fmt: skip
        said = log.getvalue().strip().splitlines()
    if not accepted:
        raise DeliveryError(f"{channel.name} did not take the message: {said[-1] if said else 'no reason given'}")


def _why(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return f"{error.smtp_code} {said}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return "; ".join(f"{code} {said.decode(errors='replace')}" for code, said in error.recipients.values())
    return str(error) or type(error).__name__
