"""What arrives goes to the hub, on a thread of its own.

Belongs here: the sender's loop, its patience, what it says about itself. Does not belong here: the connection (`hub`),
the disk (`outbox`), what is sent (`choice`, `packing`). The hub's troubles never reach the thread that stores: that
one only puts samples on the disk, between the commit and the acknowledgement to the broker, so that a kill at any
moment loses none.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from prodlytics.edge.cloud import packing
from prodlytics.edge.cloud.at_risk import AtRisk
from prodlytics.edge.cloud.choice import Choice, Chosen, Kind
from prodlytics.edge.cloud.hub import Device, Hub, HubError
from prodlytics.edge.cloud.outbox import Outbox
from prodlytics.edge.probe import Metrics
from prodlytics.edge.spool import SpoolError
from prodlytics.plant.model import Plant

if TYPE_CHECKING:
    import pandas as pd

log = structlog.get_logger("prodlytics.cloud")

#: More samples than fit into a message.
WINDOW = 4_000
#: How often we look whether something has waited long enough.
TICK_S = 0.5
#: Longest pause between attempts: a change of state must leave soon after the link is back.
LONGEST_PAUSE_S = 15.0
REFUSED_PAUSE_S = 30.0
#: So many samples that must not be dropped are held in memory while the disk takes none.
HELD = 100_000
#: Being hung up on twice in so many seconds is no accident of the line.
FIGHT_S = 180.0


@dataclass(frozen=True)
class Route:
    """Where samples are forwarded, and by way of what.

    Attributes:
        device: Who we are at the hub.
        folder: For the outbox.
        token_s: For how long a token is good.
        ca_file: Authority of the hub's certificate.
        limit_bytes: How much may wait on the disk.
    """

    device: Device
    folder: Path
    token_s: int = 3600
    ca_file: Path | None = None
    limit_bytes: int = 2_000_000_000


class Forwarder:
    """The way to the hub of one bridge."""

    def __init__(self, plant: Plant, route: Route, metrics: Metrics) -> None:
        """Open the outbox; nothing is connected yet.

        Raises:
            AlreadyRunningError: Another bridge uses it.
            SpoolError: The folder cannot be used.
        """
        self._plant = plant
        self._route = route
        self._metrics = metrics
        self._choice = Choice(plant)
        self._outbox = Outbox(route.folder, route.limit_bytes)
        self._beginning = packing.frame(plant.plant, self._outbox.stream)
        self._taking = threading.Lock()
        self._closed = False
        self._held: list[Chosen] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cloud", daemon=True)
        self._away_since: float | None = None
        self._why = ""
        self._disk_problem: str | None = None
        self._dropped = 0
        self.at_risk: AtRisk | None = None
        "Of the latest time the disk refused; None where all of it got onto the disk."
        self._hung_up: deque[float] = deque(maxlen=10)

    def start(self) -> None:
        """Send from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Send no more; what waits, waits on the disk."""
        self._stop.set()
        if self._thread.is_alive():
            # Not for as long as a hub that does not answer would take.
            self._thread.join(5.0)
        with self._taking:
            self._closed = True
            self._outbox.close()

    def take(self, batches: Sequence[pd.DataFrame], since_us: int | None = None) -> None:
        """Keep what is to be forwarded of stored samples; while the disk refuses, in memory (`at_risk`).

        Args:
            batches: Samples in the shape of `formats.sample`, in the order of their arrival.
            since_us: When they got to us, microseconds since 1970; None for now.

        Raises:
            SpoolError: After `stop`, and only then.
        """
        with self._taking:
            self._refuse_when_closed()
            chosen = [one for batch in batches for one in self._choice.of(batch, since_us)]
            try:
                self._append(chosen, None)
            except SpoolError:
                self._hold(chosen)
            self._choice.keep()

    def offer(
        self, batches: Sequence[pd.DataFrame], since_us: int | None = None, reached: tuple[str, str] | None = None
    ) -> None:
        """Keep what is to be forwarded of samples that can be had again, together with the place they reach.

        Args:
            batches: As for `take`.
            since_us: As for `take`.
            reached: A source and the place in it up to which they go; where nothing is chosen, known until a restart.

        Raises:
            SpoolError: The disk takes none: all of them have to be offered again.
        """
        with self._taking:
            self._refuse_when_closed()
            chosen = [one for batch in batches for one in self._choice.of(batch, since_us)]
            try:
                self._append(chosen, reached)
            except SpoolError:
                self._choice.take_back()
                raise
            self._choice.keep()

    def reached(self, source: str) -> str | None:
        """The place up to which a source was offered."""
        return self._outbox.reached.get(source)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise SpoolError("The way to the cloud is closed.")

    def _append(self, chosen: Sequence[Chosen], reached: tuple[str, str] | None) -> None:
        if not chosen and not self._held:
            if reached is not None:
                self._outbox.reached[reached[0]] = reached[1]
            return
        try:
            self._count_dropped(self._outbox.append([*self._held, *chosen], reached), "thinned")
        except SpoolError as error:
            if self._disk_problem is None:
                log.error("outbox_refuses", problem=str(error))
            self._disk_problem = str(error)
            raise
        self._held, self._disk_problem = [], None
        if self.at_risk is not None:
            self.at_risk = replace(self.at_risk, waiting=0) if self.at_risk.lost else None
        self._metrics.cloud_waiting.set(len(self._outbox))

    def problems(self) -> list[str]:
        """What is wrong right now, for people."""
        found = []
        if self._away_since is not None:
            away = time.monotonic() - self._away_since
            found.append(f"No cloud for {away:.0f} s, {len(self._outbox)} samples wait: {self._why}")
        if self._is_fought():
            found.append(
                f"The hub hangs up on us again and again: another connection as device {self._route.device.device_id} "
                "is the usual cause. Give each gateway a device of its own."
            )
        if self._disk_problem:
            found.append(
                f"{self._disk_problem} {len(self._held)} samples for the cloud wait in memory: a kill would lose them, "
                "and the quarantine (not_forwarded) says so."
            )
        if self._dropped:
            found.append(
                f"{self._dropped} samples that must not be dropped never reached the cloud: the disk was full."
            )
        return found

    def _hold(self, chosen: Sequence[Chosen]) -> None:
        kept = [one for one in chosen if one.kind is not Kind.REST]
        self._count_dropped(len(chosen) - len(kept), "thinned")
        if not kept:
            return
        self._held += kept
        risk = self.at_risk
        if risk is None or not risk.waiting:
            risk = AtRisk(time.time_ns() // 1000, 0, 0)
        over = max(0, len(self._held) - HELD)
        del self._held[:over]
        self._dropped += over
        self._count_dropped(over, "lost")
        self.at_risk = AtRisk(risk.since_us, len(self._held), risk.lost + over)

    def _count_dropped(self, count: int, why: str) -> None:
        if count:
            self._metrics.cloud_dropped.labels(why).inc(count)

    def _is_fought(self) -> bool:
        recent = [at for at in self._hung_up if time.monotonic() - at < FIGHT_S]
        return len(recent) >= 2

    # ---- the sender's thread ---------------------------------------------------------------------------------------
    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._session()
                failures = 0
            except (HubError, SpoolError) as error:
                failures = 0 if time.monotonic() - began > LONGEST_PAUSE_S else failures
                self._failed(error)
                pause = min(LONGEST_PAUSE_S, 2.0**failures)
                if isinstance(error, HubError) and error.refused:
                    pause = REFUSED_PAUSE_S
                failures += 1
                # Jitter: many gateways must not knock together when a hub comes back.
                self._stop.wait(pause * random.uniform(0.5, 1.0))

    def _session(self) -> None:
        """One connection: until its token has to be renewed, or something goes wrong."""
        hub = Hub(self._route.device, token_s=self._route.token_s, ca_file=self._route.ca_file)
        try:
            hub.connect()
            if self._away_since is not None:
                log.info("hub_back", away_s=round(time.monotonic() - self._away_since, 1), waiting=len(self._outbox))
            self._away_since = None
            self._metrics.cloud_connected.set(1)
            self._metrics.cloud_connections.inc()
            while not self._stop.is_set() and time.monotonic() < hub.renew_at:
                hub.check()
                if not self._send(hub):
                    self._stop.wait(TICK_S)
        finally:
            self._metrics.cloud_connected.set(0)
            hub.close()

    def _send(self, hub: Hub) -> bool:
        """Send a message if one is due; whether there was one."""
        if not len(self._outbox):
            return False
        waiting = self._outbox.oldest(WINDOW)
        now_us = time.time_ns() // 1000
        count = packing.next_count(waiting, now_us, self._plant.cloud, len(self._beginning) + 2)
        if not count:
            return False
        body = packing.message(self._beginning, waiting[:count])
        hub.publish(body)
        self._outbox.drop(waiting[:count])
        self._metrics.cloud_messages.inc()
        self._metrics.cloud_units.inc(packing.units(len(body)))
        self._metrics.cloud_samples.inc(count)
        self._metrics.cloud_waiting.set(len(self._outbox))
        return True

    def _failed(self, error: HubError | SpoolError) -> None:
        self._why = f"{str(error).rstrip('.')}."
        if isinstance(error, HubError) and error.hung_up:
            self._hung_up.append(time.monotonic())
        if self._away_since is None:
            self._away_since = time.monotonic()
            log.warning("hub_away", why=self._why)
