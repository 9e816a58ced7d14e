"""An MTConnect agent over HTTP that tells what a real shop's agent told, bit by bit.

Belongs here: the ring, its numbers and the faults of an agent. Does not belong here: what becomes of the answers.
"""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

NAMESPACE = "urn:mtconnect.org:MTConnectStreams:1.3"
Observation = tuple[int, str, ET.Element]


def recorded(folder: Path) -> list[Observation]:
    """Sequence, group (Samples, Events, Condition) and element of everything in the shop's answer, in its order."""
    with gzip.open(folder / "streams.xml.gz") as file:
        root = ET.parse(file).getroot()
    found = [
        (int(one.get("sequence", "")), group.tag.rpartition("}")[2], one)
        for component in root.iter(f"{{{NAMESPACE}}}ComponentStream")
        for group in component
        for one in group
    ]
    return sorted(found, key=lambda observation: observation[0])


class Agent:
    """Serves /probe, /current and /sample on loopback; the test says up to where the ring goes."""

    def __init__(self, observations: list[Observation], devices: bytes, *, instance: int = 7, ring: int = 131_072):
        self.observations, self.devices = observations, devices
        self.instance, self.ring = instance, ring
        self.seen = 0
        "How many observations the agent has made."
        self.asked: list[str] = []
        self.down = False
        self.cut_answers = 0
        "So many answers to come break off in the middle."
        self.poison: int | None = None
        "Sequence of an observation that makes every answer with it unreadable."
        self.port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Agent:
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                agent.asked.append(self.path)
                status, body = agent.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Tests say themselves what went wrong."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def restarts(self, observations: list[Observation]) -> None:
        """Another instance, which counts from 1 again."""
        self.instance += 1
        self.observations, self.seen = observations, 0

    @property
    def first(self) -> int:
        return max(1, self.seen - self.ring + 1)

    def answer(self, path: str) -> tuple[int, bytes]:
        if self.down:
            return 503, b"busy"
        parts = urlsplit(path)
        if parts.path == "/probe":
            return 200, self.devices.replace(b"bufferSize='524288'", f"bufferSize='{self.ring}'".encode())
        kept = self.observations[self.first - 1 : self.seen]
        if parts.path == "/current":
            latest: dict[str | None, Observation] = {one.get("dataItemId"): (n, g, one) for n, g, one in kept}
            return 200, self._streams(list(latest.values()), self.seen + 1)
        query = {name: int(values[0]) for name, values in parse_qs(parts.query).items()}
        start, count = query["from"], query["count"]
        if not self.first <= start <= self.seen + 1 or count > self.ring:
            error = f'<Error errorCode="OUT_OF_RANGE">from must be between {self.first} and {self.seen + 1}</Error>'
            return 404, self._document("MTConnectError", "MTConnectErrors", f"<Errors>{error}</Errors>", "")
        taken = self.observations[start - 1 : min(start - 1 + count, self.seen)]
        body = self._streams(taken, start + len(taken))
        if self.poison is not None and any(sequence == self.poison for sequence, _, _ in taken):
            return 200, body.replace(b"</Streams>", b"&</Streams>")
        if self.cut_answers:
            self.cut_answers -= 1
            return 200, body[: len(body) // 2]
        return 200, body

    def _streams(self, observations: list[Observation], following: int) -> bytes:
        groups: dict[str, list[str]] = {}
        for _, group, one in observations:
            groups.setdefault(group, []).append(ET.tostring(one, encoding="unicode"))
        inside = "".join(f"<{name}>{''.join(content)}</{name}>" for name, content in groups.items())
        streams = (
            f'<Streams><DeviceStream name="GFAgie01" uuid="mtc_adapter001"><ComponentStream component="Device" '
            f'name="GFAgie01" componentId="GFAgie01">{inside}</ComponentStream></DeviceStream></Streams>'
        )
        where = f'firstSequence="{self.first}" lastSequence="{self.seen}" nextSequence="{following}"'
        return self._document("MTConnectStreams", "MTConnectStreams", streams, where)

    def _document(self, root: str, schema: str, inside: str, where: str) -> bytes:
        header = (
            f'<Header creationTime="2016-09-28T17:26:15Z" sender="shop" instanceId="{self.instance}" '
            f'version="1.3.0.17" bufferSize="{self.ring}" {where}/>'
        )
        space = f"urn:mtconnect.org:{schema}:1.3"
        return f'<?xml version="1.0" encoding="UTF-8"?><{root} xmlns="{space}">{header}{inside}</{root}>'.encode()
