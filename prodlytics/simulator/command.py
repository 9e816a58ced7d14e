"""What surrounds a live simulation: settings and words in, signals, a sentence at the end.

Belongs here: reading what was asked. Does not belong here: doing it (`publish.py`).
"""

from __future__ import annotations

import datetime as dt
import signal
import threading
from collections.abc import Sequence

from prodlytics.edge.broker import Address, BrokerAddressError
from prodlytics.plant.load import load_plant
from prodlytics.settings import Settings
from prodlytics.simulator.messages import FORMATS, NoFeedError
from prodlytics.simulator.publish import FAULTS, BrokerGoneError, Fault, Order, publish

#: How often a fault strikes a message or a reading where nobody says; every counter of 16 bits rolls over.
USUAL_SHARE = 0.01
USUAL_SHARES: dict[Fault, float] = {"counter-rollover": 1.0}


class AskedWronglyError(Exception):
    """What was asked cannot be done; one sentence for people."""


def run_simulation(
    settings: Settings, *, form: str, speed: float, rate: float | None, seconds: float | None, faults: Sequence[str],
    seed: int | None, story: dt.datetime | None = None,
) -> str:  # fmt: skip
    """Publish the plant of the settings until the time is over, SIGINT or SIGTERM; returns what was done.

    `story` is local wall time of the plant: where in its plan the story begins.

    Raises:
        AskedWronglyError: There is no such format or fault, or no broker is set.
        BrokerAddressError: The broker's address cannot be used.
        BrokerGoneError: The broker is not there.
        NoFeedError: The plant reads nothing in this format.
        PlantFileError: The plant file is wrong.
    """
    chosen = next((known for known in FORMATS if known == form), None)
    if chosen is None:
        raise AskedWronglyError(f"There is no format {form!r}: write {', '.join(FORMATS)}.")
    if settings.mqtt_url is None:
        raise AskedWronglyError("PRODLYTICS_MQTT_URL is not set: write mqtt://host:1883 of the broker.")
    plant = load_plant(settings.plant)
    usual = plant.simulation.seed if plant.simulation else 0
    begin = None if story is None else story.replace(tzinfo=plant.zone)
    order = Order(chosen, speed, rate, seconds, dict(map(_fault, faults)), usual if seed is None else seed, begin)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    address = Address.of(settings.mqtt_url.get_secret_value())
    try:
        done = publish(plant, address, settings.truth_place, order, ca_file=settings.mqtt_ca_file, stopped=stop.is_set)
    except ValueError as error:
        raise AskedWronglyError(f"{error}.") from error
    struck = ", ".join(f"{count} times {fault}" for fault, count in sorted((done.faults or {}).items()))
    return f"{done.samples} samples in {done.messages} messages; {struck or 'no faults'}. What is true: {done.truth}"


def exit_code(error: Exception) -> int | None:
    """1 for what went wrong, 2 for what was asked wrongly; None for a defect."""
    if isinstance(error, AskedWronglyError | BrokerAddressError | NoFeedError):
        return 2
    return 1 if isinstance(error, BrokerGoneError) else None


def _fault(text: str) -> tuple[Fault, float]:
    name, equals, share = text.partition("=")
    known = next((fault for fault in FAULTS if fault == name), None)
    if known is None:
        raise AskedWronglyError(f"There is no fault {name!r}: write {', '.join(FAULTS)}.")
    try:
        probability = float(share) if equals else USUAL_SHARES.get(known, USUAL_SHARE)
    except ValueError:
        probability = -1.0
    if not 0.0 <= probability <= 1.0:
        raise AskedWronglyError(f"{text!r} has no probability: write e.g. {name}=0.05 for one message in twenty.")
    return known, probability
