"""What births said, on the gateway's disk: data after a restart are read by the same aliases.

Belongs here: sessions as rows of the spool's file, which of them changed. Does not belong here: what a session is
(`formats.sparkplug_session`), the file and its transactions (`spool`).

A restored session holds until the node dies or is born anew. Its death is of quality of service 1, so the broker keeps
it while the bridge is away; the node is asked for its birth all the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from prodlytics.formats.sparkplug_session import Born, Known, Node, NodeId, Sessions

#: Feed to its sessions.
Memory = Mapping[str, Sessions]
_TABLE = """CREATE TABLE IF NOT EXISTS edge_node (feed TEXT NOT NULL, node_group TEXT NOT NULL, edge TEXT NOT NULL,
    state TEXT NOT NULL, births TEXT NOT NULL, PRIMARY KEY (feed, node_group, edge))"""


def recall(file: sqlite3.Connection) -> Memory:
    """The sessions as they were remembered last, marked as restored.

    Raises:
        sqlite3.Error: The file cannot be read.
    """
    file.execute(_TABLE)
    memory: dict[str, dict[NodeId, Node]] = {}
    for feed, group, edge, state, births in file.execute("SELECT * FROM edge_node"):
        born = {device: _born(said) for device, said in json.loads(births).items()}
        memory.setdefault(feed, {})[NodeId(group, edge)] = Node(born=born, restored=True, **json.loads(state))
    return memory


def births_differ(before: Memory, after: Memory) -> bool:
    """Whether something was said that nobody can read on without."""
    for feed, sessions in after.items():
        old = before.get(feed, {})
        if old.keys() != sessions.keys() or any(old[name].born is not node.born for name, node in sessions.items()):
            return True
    return False


def write(file: sqlite3.Connection, before: Memory, after: Memory) -> None:
    """Write what changed, in the caller's transaction.

    Raises:
        sqlite3.Error: The file cannot be written.
    """
    for feed, sessions in after.items():
        old = before.get(feed, {})
        for name, node in sessions.items():
            if name not in old or old[name].born is not node.born:
                births = json.dumps({device: _said(born) for device, born in node.born.items()})
                row = (feed, *name, _state(node), births)
                file.execute("INSERT OR REPLACE INTO edge_node VALUES (?, ?, ?, ?, ?)", row)
            elif old[name] is not node:
                file.execute(
                    "UPDATE edge_node SET state = ? WHERE feed = ? AND node_group = ? AND edge = ?",
                    (_state(node), feed, *name),
                )
        for name in old.keys() - sessions.keys():
            file.execute("DELETE FROM edge_node WHERE feed = ? AND node_group = ? AND edge = ?", (feed, *name))


def _state(node: Node) -> str:
    state = {"bd_seq": node.bd_seq, "next_seq": node.next_seq, "sent_us": node.sent_us, "newest_us": node.newest_us}
    return json.dumps(state)


def _said(born: Born) -> dict[str, Any]:
    return {
        "metrics": {name: known.datatype for name, known in born.metrics.items()},
        "aliases": [[alias, known.name, known.datatype] for alias, known in born.aliases.items()],
        "sent_us": born.sent_us,
    }


def _born(said: dict[str, Any]) -> Born:
    return Born(
        {name: Known(name, datatype) for name, datatype in said["metrics"].items()},
        {alias: Known(name, datatype) for alias, name, datatype in said["aliases"]},
        said["sent_us"],
    )
