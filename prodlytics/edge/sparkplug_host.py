"""What a Sparkplug host says: that it is there, and that a node shall send its birth again.

Belongs here: the messages a bridge publishes to edge nodes, and how often. Does not belong here: what nodes say
(`formats.sparkplug`), the connection (`broker`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from prodlytics.formats.sparkplug import rebirth_command
from prodlytics.formats.sparkplug_session import NAMESPACE, NodeId

#: A node needs a moment to answer; one that does not answer is asked less and less often.
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0
log = structlog.get_logger("prodlytics.bridge")


@dataclass(frozen=True)
class Presence:
    """Whether the host is there, as edge nodes with a primary host want to know it before they send."""

    host: str

    @property
    def topic(self) -> str:
        """Where it is said, retained."""
        return f"{NAMESPACE}/STATE/{self.host}"

    def payload(self, online: bool, at_ms: int) -> bytes:
        """What is said. The will of a connection carries the time of the greeting it takes back."""
        return json.dumps({"online": online, "timestamp": at_ms}, separators=(",", ":")).encode()


class Rebirths:
    """Asks edge nodes for their births, none of them too often."""

    def __init__(self, publish: Callable[[str, bytes], bool]) -> None:
        """Take the way to publish: topic and payload; says whether that went out."""
        self._publish = publish
        self._asked: dict[NodeId, tuple[float, float]] = {}

    def ask(self, nodes: Iterable[NodeId]) -> int:
        """Ask those that may be asked now; how many were."""
        now = time.monotonic()
        asked = 0
        for node in nodes:
            at, wait_s = self._asked.get(node, (-LONGEST_WAIT_S, FIRST_WAIT_S))
            if now - at < wait_s or any(sign in name for sign in "+#\x00" for name in node):
                continue
            if not self._publish(
                f"{NAMESPACE}/{node.group}/NCMD/{node.edge}", rebirth_command(int(time.time() * 1000))
            ):
                continue
            # Quiet for twice as long as it had to be: it answered, the next need is a new one.
            quiet = now - at >= 2 * wait_s
            self._asked[node] = (now, FIRST_WAIT_S if quiet else min(LONGEST_WAIT_S, 2 * wait_s))
            log.info("rebirth_asked", group=node.group, edge=node.edge)
            asked += 1
        return asked
