"""A bridge that forwards to the hub, and what the hub got."""

from __future__ import annotations

from prodlytics_tests.servers.iot_hub import Hub


def settings(hub: Hub, **more: str) -> dict[str, str]:
    """What the bridge needs to reach the hub, and more settings."""
    return {"IOTHUB_CONNECTION_STRING": hub.connection_string(), "IOTHUB_CA_FILE": str(hub.ca), **more}


def counts(hub: Hub) -> dict[int, float]:
    """Part counts that the hub got: time in milliseconds to value."""
    return {s["time_us"] // 1000: s["value"] for s in hub.samples if s["metric"] == "PartCountGood"}
