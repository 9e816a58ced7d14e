"""Running a vendor's mock on loopback, and what befalls its answers.

Belongs here: starting an ASGI application in a thread, with or without TLS, and faults any HTTP server has. Does not
belong here: what one vendor answers.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from prodlytics_tests.servers.certificates import make_certificate
from prodlytics_tests.servers.ports import free_port


@dataclass(frozen=True)
class Mishap:
    """What happens instead of an answer: `body` None lets the answer through after `delay_s`."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = ""
    delay_s: float = 0.0


def throttled(seconds: int = 0) -> Mishap:
    """Too many requests; come back in so many seconds."""
    return Mishap(429, {"Retry-After": str(seconds)})


def broken(status: int = 503) -> Mishap:
    """A server error."""
    return Mishap(status)


def a_login_page() -> Mishap:
    """HTML where JSON was asked for, as proxies answer."""
    return Mishap(200, {"Content-Type": "text/html"}, "<html>Please sign in</html>")


@dataclass
class Mishaps:
    """Mishaps to come, in turn, for paths that contain a word."""

    queues: dict[str, deque[Mishap]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    "Method and path with parameters of everything asked."

    def next(self, path: str, *mishaps: Mishap) -> None:
        """Let these befall the next requests whose path contains `path`."""
        self.queues.setdefault(path, deque()).extend(mishaps)

    async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        self.asked.append(f"{request.method} {request.url.path}?{request.url.query}")
        for path, waiting in self.queues.items():
            if path in request.url.path and waiting:
                mishap = waiting.popleft()
                await asyncio.sleep(mishap.delay_s)
                if mishap.body is not None:
                    return PlainTextResponse(mishap.body, mishap.status, mishap.headers)
        return await call_next(request)


@contextmanager
def secured(app: Starlette, mishaps: Mishaps, folder: Path) -> Iterator[tuple[str, str]]:
    """Serve over TLS with a certificate of its own; gives the address and the file of the certificate."""
    certificate, key = folder / "vendor.crt", folder / "vendor.key"
    make_certificate(certificate, key)
    with serving(app, mishaps, certificate=certificate, key=key) as url:
        yield url, str(certificate)


@contextmanager
def serving(
    app: Starlette, mishaps: Mishaps, *, certificate: Path | None = None, key: Path | None = None
) -> Iterator[str]:
    """Serve on a free port of loopback; gives the address, which is https with a certificate."""
    app.add_middleware(BaseHTTPMiddleware, dispatch=mishaps.dispatch)
    port = free_port()
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, log_level="error", lifespan="off",
        ssl_certfile=certificate and str(certificate), ssl_keyfile=key and str(key),
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
