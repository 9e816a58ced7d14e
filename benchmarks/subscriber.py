"""The practical limit of receiving: a bare paho subscriber that acknowledges by hand and writes nothing.

Belongs here: the same session and the same library as the bridge, as a process of its own. How many messages it has is
in the first eight bytes of the file it is given.
"""

from __future__ import annotations

import mmap
import struct
import sys
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

TOPIC = "kepware/#"


def main() -> None:
    """Receive until somebody ends us."""
    port, counter = int(sys.argv[1]), Path(sys.argv[2])
    with counter.open("r+b") as file:
        seen = mmap.mmap(file.fileno(), 8)
    count = 0

    def on_connect(client: mqtt.Client, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        client.subscribe([(TOPIC, SubscribeOptions(qos=1))])

    def on_message(client: mqtt.Client, data: Any, message: mqtt.MQTTMessage) -> None:
        nonlocal count
        client.ack(message.mid, 1)
        count += 1
        seen[:] = struct.pack("q", count)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=mqtt.MQTTv5, manual_ack=True)
    client.on_connect, client.on_message = on_connect, on_message
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval, properties.ReceiveMaximum = 3600, 20_000
    client.connect("127.0.0.1", port, clean_start=False, properties=properties)
    client.loop_forever()


if __name__ == "__main__":
    main()
