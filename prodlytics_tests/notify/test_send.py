"""Channels against real servers on loopback: what arrives, and what is said where it does not."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from prodlytics.notify.message import SMS_LENGTH, Item, Notice, notice
from prodlytics.notify.send import DeliveryError, NotSetUpError, scrubbed, send
from prodlytics.plant.alerting import Channel
from prodlytics_tests.servers.catchers import Calls, Mails
from prodlytics_tests.servers.ports import free_port

AT = dt.datetime(2026, 11, 1, 6, 30, tzinfo=dt.UTC)
BATCH = "7b0c3c1e-1f0a-4a44-9c1d-0d1d8f0d3f11"
EMAIL = Channel(name="email", kind="email")


def item(**more: Any) -> Item:
    told: dict[str, Any] = {
        "kind": "opened", "alert_id": 7, "rule": "machine_down", "many": "machines are down", "severity": "critical",
        "subject": "Press01", "title": "Press01 is down", "message": "Press01 is in fault 204.", "since": AT,
        "opened_at": AT, "line": "Line1", "machine_id": "Press01", **more,
    }  # fmt: skip
    return Item(**told)


def message(*items: Item) -> Notice:
    return notice("demo", "Demo plant", ZoneInfo("America/Chicago"), BATCH, items or (item(),))


def test_times_are_the_plants_and_the_second_one_of_the_repeated_hour_is_no_other_time() -> None:
    # 2026-11-01 06:30 UTC is 01:30 for the first time in Chicago.
    assert "since 2026-11-01 01:30" in message().subject


@pytest.mark.parametrize("kind", ["apprise", "teams", "slack"])
def test_chat_goes_through_the_library(calls: Calls, kind: Any) -> None:
    channel = Channel(name="chat", kind=kind)
    url = calls.url.replace("http://", "json://")
    send(channel, "chat", message(), {"PRODLYTICS_NOTIFY_CHAT_URL": url})
    (told,) = calls.said()
    assert told["title"] == message().subject
    assert "Press01 is in fault 204." in told["message"]


def test_a_text_message_goes_to_the_number_and_is_short(calls: Calls) -> None:
    channel, url = Channel(name="sms", kind="sms"), calls.url.replace("http://", "json://")
    long = item(message="word " * 200)
    send(channel, "+13125550123", message(long), {"PRODLYTICS_NOTIFY_SMS_URL": url})
    (told,) = calls.said()
    assert len(told["message"]) <= SMS_LENGTH
    assert told["message"].startswith("[Demo plant] Critical: Press01 is down on Line1")


def test_the_incoming_webhooks_of_vendors_are_understood() -> None:
    import apprise

    # What their pages hand out; the wire itself ends at the vendors and cannot be tried here.
    workflow = "https://prod-12.westeurope.logic.azure.com:443/workflows/0123456789abcdef/triggers/manual/paths/invoke"
    account = "AC0123456789abcdef0123456789abcdef:0123456789abcdef0123456789abcdef"
    urls = {
        "https://hooks.slack.com/services/T0000000A/B0000000A/abcdefghijklmnopqrstuvwx": "slack",
        f"{workflow}?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=abcdefghijklmnop": "workflow",
        f"twilio://{account}@+15550100123/+13125550123": "twil",
    }
    for url, service in urls.items():
        made = apprise.Apprise.instantiate(url)
        assert made is not None, url
        assert service in type(made).__name__.lower()


def test_a_refusal_says_who_and_why_and_no_secret(mails: Mails, calls: Calls) -> None:
    mails.refuse = "550 mailbox unavailable"
    with pytest.raises(DeliveryError, match="550 mailbox unavailable"):
        send(EMAIL, "a@b.example", message(), {"PRODLYTICS_SMTP_URL": mails.url})
    calls.status = 403
    env = {"PRODLYTICS_NOTIFY_MSP_URL": calls.url, "PRODLYTICS_NOTIFY_MSP_SECRET": "hush-hush"}
    with pytest.raises(DeliveryError) as caught:
        send(Channel(name="msp", kind="webhook"), "msp", message(), env)
    assert "403" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert calls.secret_path not in str(caught.value)
    url = calls.url.replace("http://", "json://user:pass-word@")
    with pytest.raises(DeliveryError) as failed:
        send(Channel(name="chat", kind="apprise"), "chat", message(), {"PRODLYTICS_NOTIFY_CHAT_URL": url})
    assert "pass-word" not in str(failed.value)
    assert calls.secret_path.rsplit("/", 1)[1] not in str(failed.value)


def test_a_server_that_is_not_there_is_said() -> None:
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1:1 did not take the e-mail"):
        send(EMAIL, "a@b.example", message(), {"PRODLYTICS_SMTP_URL": "smtp://127.0.0.1:1?from=a@b.example&tls=no"})


@pytest.mark.parametrize("url", ["http://x", "smtp://host:25", "smtp://", "nonsense"])
def test_an_address_of_a_mail_server_that_cannot_be_one_says_what_to_write(url: str) -> None:
    with pytest.raises(NotSetUpError, match="write smtp://"):
        send(EMAIL, "a@b.example", message(), {"PRODLYTICS_SMTP_URL": url})


def test_a_password_is_never_sent_in_clear_unless_the_relay_is_told_to_be_trusted(mails: Mails) -> None:
    # The catcher offers no STARTTLS: nothing is handed over.
    url = f"smtp://user:secret@127.0.0.1:{mails.port}?from=a@b.example"
    with pytest.raises(DeliveryError, match="STARTTLS"):
        send(EMAIL, "a@b.example", message(), {"PRODLYTICS_SMTP_URL": url})
    assert mails.caught == []


def test_what_is_left_of_a_text_without_its_secrets() -> None:
    url = "https://u:p%40ss@h.example/hook/abcd1234"
    text = scrubbed(f"POST {url} failed for p@ss", [url])
    assert "abcd1234" not in text
    assert "p@ss" not in text


def test_a_relay_that_takes_tokens_gets_one(calls: Calls) -> None:
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    asked: list[bytes] = []

    class Tokens(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"])))
            answer = json.dumps({"access_token": "tok-1", "expires_in": 3600}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Relay(Mails):
        async def auth_XOAUTH2(self, server: Any, args: list[str]) -> AuthResult:  # noqa: N802 aiosmtpd's name
            said = base64.b64decode(args[1]).decode()
            return AuthResult(success=said == "user=alerts@plant.example\x01auth=Bearer tok-1\x01\x01")

    tokens = ThreadingHTTPServer(("127.0.0.1", 0), Tokens)
    Thread(target=tokens.serve_forever, daemon=True).start()
    relay = Relay(free_port())
    controller = Controller(  # type: ignore[no-untyped-call]
        relay, hostname="127.0.0.1", port=relay.port, auth_required=True, auth_require_tls=False
    )
    controller.start()  # type: ignore[no-untyped-call]
    env = {
        "PRODLYTICS_SMTP_URL": f"smtp://alerts%40plant.example@127.0.0.1:{relay.port}?tls=no&auth=oauth",
        "PRODLYTICS_SMTP_TOKEN_URL": f"http://127.0.0.1:{tokens.server_port}/token",
        "PRODLYTICS_SMTP_CLIENT_ID": "id", "PRODLYTICS_SMTP_CLIENT_SECRET": "hush", "PRODLYTICS_SMTP_SCOPE": "mail",
    }  # fmt: skip
    try:
        send(EMAIL, "a@b.example", message(), env)
        assert [mail["To"] for mail in relay.caught] == ["a@b.example"]
        assert b"grant_type=client_credentials" in asked[0]
        missing = {name: value for name, value in env.items() if not name.endswith("SCOPE")}
        with pytest.raises(NotSetUpError, match="PRODLYTICS_SMTP_SCOPE"):
            send(EMAIL, "a@b.example", message(), missing)
    finally:
        controller.stop()  # type: ignore[no-untyped-call]
        tokens.shutdown()
        tokens.server_close()
