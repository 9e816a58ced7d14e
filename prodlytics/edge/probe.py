"""What others can see of the bridge: `/metrics` for Prometheus and `/healthz` for whoever restarts it.

Belongs here: names of metrics, the little web server. Does not belong here: what is measured (`bridge`).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app

from prodlytics.edge.store import Written

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

#: What is wrong right now, one sentence each; nothing is well.
Problems = Callable[[], list[str]]


class Metrics:
    """Everything the bridge counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry, "namespace": "prodlytics", "subsystem": "bridge"}
        self.messages = Counter("messages", "MQTT messages stored or explained.", **made)
        self.samples = Counter("samples", "Samples stored.", **made)
        self.duplicates = Counter("duplicate_samples", "Samples that were there already.", **made)
        self.quarantined = Counter("quarantined", "Records put into quarantine.", ["reason"], **made)
        self.rebirths = Counter("rebirth_requests", "Births asked for from Sparkplug nodes.", **made)
        self.failures = Counter("database_failures", "Batches the database did not take.", **made)
        self.batch = Histogram(
            "batch_messages", "Messages per transaction.", buckets=(1, 10, 100, 1_000, 10_000), **made
        )
        self.lag = Histogram(
            "lag_seconds", "From arrival of the oldest message of a batch to its commit.",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60, 3600), **made,
        )  # fmt: skip
        self.waiting = Gauge("waiting_messages", "Messages that arrived and are not acknowledged.", **made)
        self.spooled = Gauge("spooled_messages", "Messages on the gateway's disk.", **made)
        self.spooled_bytes = Gauge("spooled_bytes", "What the spool takes on the disk.", **made)
        self.connected = Gauge("connected", "Whether the broker is there.", **made)
        self.agents = Gauge("agent_up", "Whether an MTConnect agent answers.", ["agent"], **made)
        self.cloud_connected = Gauge("cloud_connected", "Whether the hub is there.", **made)
        self.cloud_connections = Counter("cloud_connections", "Times the hub accepted us.", **made)
        self.cloud_waiting = Gauge("cloud_waiting_samples", "Samples on the disk that the hub has not got yet.", **made)
        self.cloud_samples = Counter("cloud_samples", "Samples the hub has.", **made)
        self.cloud_messages = Counter("cloud_messages", "Messages the hub has.", **made)
        self.cloud_units = Counter("cloud_units", "The same in units of 4 KB, as the hub's quota counts.", **made)
        self.cloud_dropped = Counter("cloud_dropped", "Samples that gave way to a full disk.", ["why"], **made)
        self.newest = Gauge("newest_sample_timestamp_seconds", "Newest sample of a machine.", ["machine_id"], **made)

    def count(self, written: Written) -> None:
        """What a transaction stored."""
        self.samples.inc(written.samples)
        self.duplicates.inc(written.duplicates)
        for reason, count in written.quarantined.items():
            self.quarantined.labels(reason).inc(count)
        for machine, newest in written.newest.items():
            self.newest.labels(machine).set(newest)


class Probe:
    """The web server; listens on loopback unless told otherwise."""

    def __init__(self, metrics: Metrics, problems: Problems, host: str, port: int, notices: Problems = list) -> None:
        """Listen. Problems make the answer 503, notices are only told.

        Raises:
            OSError: The port is in use.
        """
        self._metrics_app = make_wsgi_app(metrics.registry)
        self._problems, self._notices = problems, notices
        self._server = make_server(host, port, self._answer, server_class=_Server, handler_class=_Quiet)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, name="probe", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        path = environment.get("PATH_INFO")
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics_app(environment, start)
            return answer
        if path == "/healthz":
            problems = self._problems()
            start("503 Service Unavailable" if problems else "200 OK", [("Content-Type", "application/json")])
            return [json.dumps({"healthy": not problems, "problems": problems, "notices": self._notices()}).encode()]
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Ask for /healthz or /metrics.\n"]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """A probe every few seconds is no news."""
