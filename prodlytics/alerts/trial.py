"""Trying channels out: a message that says it is a test.

Belongs here: `prodlytics alerts test`.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prodlytics.notify.message import Item, notice
from prodlytics.notify.send import DeliveryError, NotSetUpError, send

if TYPE_CHECKING:
    from prodlytics.plant.model import Plant


@dataclass(frozen=True)
class Tried:
    """One message; `problem` None: it was accepted."""

    channel: str
    address: str
    problem: str | None


def try_channels(
    plant: Plant, environment: Mapping[str, str], now: dt.datetime, only: str | None = None
) -> Iterator[Tried]:
    """A test message through each channel, or one of them, to everybody it reaches."""
    item = Item(
        kind="opened", alert_id=0, rule="test", many="tests", severity="warning", subject="test",
        title="This is a test", message="This is a test: nothing is wrong.", since=now, opened_at=now,
    )  # fmt: skip
    for channel in plant.alerts.channels:
        if only not in (None, channel.name):
            continue
        addresses = [channel.name]
        if channel.has_persons:
            people = (contact.phone if channel.kind == "sms" else contact.email for contact in plant.contacts)
            addresses = sorted({address for address in people if address is not None})
        for address in addresses:
            message = notice(plant.plant, plant.name, plant.zone, str(uuid.uuid4()), [item])
            try:
                send(channel, address, message, environment)
            except (DeliveryError, NotSetUpError) as error:
                yield Tried(channel.name, address, str(error))
            else:
                yield Tried(channel.name, address, None)
