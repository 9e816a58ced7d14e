"""A mail server and a web server on loopback that keep what they are sent, and can be told to refuse it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from prodlytics_tests.servers.ports import free_port


@dataclass
class Mails:
    """What a mail server caught; `refuse`: what it answers instead of taking it."""

    port: int
    caught: list[EmailMessage] = field(default_factory=list)
    refuse: str | None = None

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?from=alerts@plant.example&tls=no"

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.caught if mail["To"] == address]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 aiosmtpd's name
        if self.refuse is not None:
            return self.refuse
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.caught.append(mail)
        return "250 accepted"


@contextmanager
def mail_server() -> Iterator[Mails]:
    """A mail server that catches everything."""
    mails = Mails(free_port())
    controller = Controller(mails, hostname="127.0.0.1", port=mails.port)  # type: ignore[no-untyped-call]
    controller.start()  # type: ignore[no-untyped-call]
    try:
        yield mails
    finally:
        controller.stop()  # type: ignore[no-untyped-call]


@dataclass
class Calls:
    """What a web server was posted: headers and body; `status`: what it answers."""

    port: int
    caught: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200
    secret_path: str = "/hook/9f8e7d6c5b4a"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.secret_path}"

    def said(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.caught]


@contextmanager
def web_server() -> Iterator[Calls]:
    """A web server that catches everything posted to it."""
    calls = Calls(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if 200 <= calls.status < 300:
                calls.caught.append((dict(self.headers), body))
            self.send_response(calls.status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    calls.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield calls
    finally:
        server.shutdown()
        server.server_close()
