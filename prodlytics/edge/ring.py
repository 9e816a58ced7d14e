"""The ring of an MTConnect agent, read from where somebody stopped.

Belongs here: what to ask an agent, what its answers mean for where we are, what was missed. Does not belong here: what
answers say (`formats.mtconnect`), who keeps them, when to ask (`mtconnect`).

An agent keeps its last observations in a ring and numbers them; `sample?from=N` gives what came since.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import requests
import structlog

from prodlytics.formats.judge import Rules
from prodlytics.formats.mtconnect import ANSWER_LIMIT, Answer, Header, Item, parse_answer, parse_devices
from prodlytics.formats.sample import Parsed, explained
from prodlytics.plant.model import Agent, Plant

log = structlog.get_logger("prodlytics.bridge")

CONNECT_S, READ_S = 5.0, 30.0
#: Observations asked for at once, 2 MB of XML; less where the agent's ring is smaller.
COUNT = 10_000
#: An answer that cannot be read is asked for again, as it may have been cut off on the way, before its cause is looked
#: for in ever smaller parts.
TRIES = 3
SMALLER = 8


class AgentError(Exception):
    """The agent does not answer, or not usefully; one sentence for people."""


class RefusedError(Exception):
    """What an answer says can never be kept."""


@dataclass(frozen=True)
class Cursor:
    """Where we stopped: the next observation, and the instance of the agent that numbers it."""

    instance_id: int
    next_sequence: int


class Keeper(Protocol):
    """Keeps what an agent says, together with where that ends."""

    origin: str
    "For people who look into the quarantine."

    def stopped_at(self) -> Cursor | None:
        """Where to go on; None for the first time."""

    def begins_at(self, header: Header) -> int:
        """With which observation to begin, beside the agent's /current, the first time."""

    def keep(self, batches: Sequence[Parsed], after: Cursor) -> None:
        """Keep what was read, and that it was read up to there: both or nothing.

        Raises:
            RefusedError: It can never be kept.
        """


class Ring:
    """Reads one agent for one keeper."""

    def __init__(self, plant: Plant, agent: Agent, keeper: Keeper) -> None:
        """Ask nothing yet."""
        self._plant, self._agent, self._keeper = plant, agent, keeper
        self._http = requests.Session()
        self._http.trust_env = False  # an agent is in the plant, no proxy is between
        self._items: Mapping[str, Item] | None = None
        self._most = self._count = COUNT
        self._tries = 0
        self._begun = False

    def ask(self) -> bool:
        """One request from where we stopped; whether there is more.

        Raises:
            AgentError: The agent does not answer, or not usefully.
        """
        cursor = self._keeper.stopped_at()
        if cursor is None:
            return self._begin(None)
        if self._items is None:
            self._describe()
        body = self._get("sample", {"from": str(cursor.next_sequence), "count": str(self._count)})
        answer = self._parse(body)
        if answer.error is not None:
            if answer.error != "OUT_OF_RANGE":
                raise AgentError(f"It answers {answer.error}: {answer.said}")
            return self._begin(cursor)
        if answer.header is None:
            return self._unreadable(cursor, answer.parsed, None)
        if answer.header.instance_id != cursor.instance_id:
            return self._begin(cursor)
        return self._go_on(cursor, answer, answer.header)

    def _go_on(self, cursor: Cursor, answer: Answer, header: Header) -> bool:
        if header.next_sequence < cursor.next_sequence:
            raise AgentError(f"It was asked from {cursor.next_sequence} and goes on at {header.next_sequence}.")
        missed: list[Parsed] = []
        if header.first_sequence > cursor.next_sequence:
            missed.append(self._missed(cursor, header))
        after = Cursor(header.instance_id, header.next_sequence)
        try:
            if missed or answer.parsed.seen or after != cursor:
                self._keeper.keep([*missed, answer.parsed], after)
        except RefusedError as error:
            return self._unreadable(cursor, answer.parsed, str(error))
        self._begun = False
        self._count = min(self._most, self._count * SMALLER)
        if self._count == self._most:
            self._tries = 0
        return header.last_sequence >= header.next_sequence

    def _begin(self, cursor: Cursor | None) -> bool:
        """Take everything as it is now, and go on from there.

        After a restart of the agent, or when its ring has run over what we had not read, go on from the beginning of
        the ring: what is still in it is not lost.
        """
        if self._begun:
            self._begun = False
            raise AgentError("It does not go on where its own answer to /current said.")
        self._describe()
        answer = self._parse(self._get("current", {}))
        header = answer.header
        if header is None:
            raise AgentError(f"Its answer to /current cannot be used: {_why(answer)}.")
        missed = [] if cursor is None else [self._missed(cursor, header)]
        following = self._keeper.begins_at(header) if cursor is None else header.first_sequence
        after = Cursor(header.instance_id, following)
        try:
            self._keeper.keep([*missed, answer.parsed], after)
        except RefusedError as error:
            refused = explained("refused_by_database", str(error), {"agent": self._agent.name, "request": "current"})
            self._keeper.keep([*missed, refused], after)
        log.info("agent_begins", agent=self._agent.name, instance=header.instance_id, sequence=following)
        self._begun = True
        return True

    def _missed(self, cursor: Cursor, header: Header) -> Parsed:
        """A row that says what was not seen."""
        said = {"agent": self._agent.name, "stopped_at": asdict(cursor), "ring": asdict(header)}
        expected, first = cursor.next_sequence, header.first_sequence
        if header.instance_id != cursor.instance_id:
            reason, detail = "agent_restarted", (
                f"the agent started anew and counts from {first}; what it saw after sequence {expected - 1} and before "
                "that was not read"
            )  # fmt: skip
        elif first > expected:
            reason, detail = "sequence_gap", (
                f"the agent's ring begins at {first}, so {first - expected} observations from {expected} on were not "
                "read: ask it more often, or give it a larger buffer"
            )  # fmt: skip
        else:
            reason, detail = "sequence_gap", (
                f"the agent does not know sequence {expected} and is read anew from {first}: nothing is missing that "
                "is in its ring"
            )  # fmt: skip
        log.warning(reason, agent=self._agent.name, expected=expected, first=first)
        return explained(reason, detail, said)

    def _unreadable(self, cursor: Cursor, parsed: Parsed, refused: str | None) -> bool:
        """Find the observation that nobody can read or store, explain it and leave it behind."""
        self._tries += 1
        if self._tries < TRIES:
            raise AgentError(f"Its answer cannot be used: {refused or parsed.bad['detail'].iloc[0]}.")
        if self._count > 1:
            self._count = max(1, self._count // SMALLER)
            return True
        bad = parsed
        if refused is not None:
            said = {"agent": self._agent.name, "sequence": cursor.next_sequence}
            bad = explained("refused_by_database", refused, said)
        self._keeper.keep([bad], Cursor(cursor.instance_id, cursor.next_sequence + 1))
        return True

    def _describe(self) -> None:
        """Ask what the data items are; without an answer they have their names and no units."""
        devices = parse_devices(self._get("probe", {}))
        self._items = devices.items
        self._most = self._count = min(COUNT, devices.buffer_size or COUNT)

    def _parse(self, body: bytes) -> Answer:
        rules = Rules.of(self._plant, dt.datetime.now(dt.UTC))
        return parse_answer(body, rules, self._keeper.origin, self._items, self._agent.devices)

    def _get(self, request: str, parameters: dict[str, str]) -> bytes:
        """The body of an answer, also of one that says no: agents explain themselves there.

        Raises:
            AgentError: There is none in time, or no end of it.
        """
        until = time.monotonic() + READ_S
        url = f"{self._agent.url.rstrip('/')}/{request}"
        try:
            with self._http.get(url, params=parameters, timeout=(CONNECT_S, READ_S), stream=True) as response:
                body = bytearray()
                for part in response.iter_content(65_536):
                    body += part
                    if len(body) > ANSWER_LIMIT or time.monotonic() > until:
                        raise AgentError(f"Its answer to /{request} does not end.")
                if response.status_code >= 400 and b"MTConnectError" not in body[:2_000]:
                    raise AgentError(f"It answers /{request} with HTTP status {response.status_code}.")
                return bytes(body)
        except (requests.RequestException, UnicodeError) as error:
            raise AgentError(f"It does not answer /{request}: {type(error).__name__}.") from error


def _why(answer: Answer) -> str:
    if answer.error is not None:
        return f"{answer.error}, {answer.said}"
    return str(answer.parsed.bad["detail"].iloc[0]) if len(answer.parsed.bad) else "it has no header"
