"""Messages: never too large, never out of order, never late, and as full as the quota counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodlytics.edge.cloud.choice import Chosen, Kind, written
from prodlytics.edge.cloud.hub import Device, HubAddressError, sas_token
from prodlytics.edge.cloud.outbox import Outbox
from prodlytics.edge.cloud.packing import Waiting, frame, message, next_count, sample_bytes
from prodlytics.edge.cloud.quota import TagRate, quota_plan
from prodlytics.edge.spool import SpoolError
from prodlytics.plant.cloud import Cloud
from prodlytics.plant.load import load_plant
from prodlytics.settings import DEMO_PLANT

S = 1_000_000
PLANT = load_plant(DEMO_PLANT)
BEGINNING = frame("demo", "0badcafe")


def waiting(seq: int, kind: Kind, since_us: int, length: int = 0) -> Waiting:
    return Waiting(
        seq, kind, since_us, f'"machine":"Press01","metric":"M{"x" * length}","time_us":{since_us},"value":1}}'
    )


@given(
    st.lists(st.tuples(st.sampled_from(Kind), st.integers(0, 100), st.integers(0, 8_000)), max_size=300),
    st.floats(1, 20),
    st.floats(1, 90),
)
def test_a_message_is_whole_small_enough_and_in_time(
    sent: list[tuple[Kind, int, int]], urgent_s: float, batch_s: float
) -> None:
    cloud, now = Cloud(urgent_s=urgent_s, batch_s=batch_s), 100 * S
    samples = [waiting(n, kind, at * S, length) for n, (kind, at, length) in enumerate(sent, start=1)]
    count = next_count(samples, now, cloud, len(BEGINNING) + 2)
    body = message(BEGINNING, samples[:count])
    assert [s["seq"] for s in json.loads(body)["samples"]] == [one.seq for one in samples[:count]]
    assert len(body) <= 62 * 4096
    late = [one.seq for one in samples if now - one.since_us >= (urgent_s if one.kind is Kind.URGENT else batch_s) * S]
    everything = len(message(BEGINNING, samples))
    if not late and everything < 15 * 4096:
        assert count == 0
    if late and everything <= 15 * 4096:
        assert count >= late[-1]
    if count and count < len(samples):
        # The next one would have begun another unit, or a message of 64 KB and more is full as it is.
        more = len(message(BEGINNING, samples[: count + 1]))
        assert -(-(more + 128) // 4096) > -(-(len(body) + 128) // 4096)


def test_a_token_is_signed_as_the_documentation_says() -> None:
    """The signature was made with OpenSSL: printf '<resource>\\n<expiry>' | openssl dgst -sha256 -mac HMAC | base64."""
    token = sas_token("acme.azure-devices.net/devices/gateway-1", b"the key of gateway-1, 32 bytes..", 1767225600)
    assert token == (
        "SharedAccessSignature sr=acme.azure-devices.net%2Fdevices%2Fgateway-1"
        "&sig=6syLUO%2BusrBJXLqhY0XNvQr87wXUbxnf0Bjfhpwewgo%3D&se=1767225600"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HostName=acme.azure-devices.net;DeviceId=g",
        "HostName=acme.azure-devices.net;SharedAccessKey=c2VjcmV0",
        "HostName=acme.azure-devices.net;DeviceId=g;SharedAccessKey=c2Vjc!V0",
        "HostName=acme.azure-devices.net;DeviceId=a/b;SharedAccessKey=c2VjcmV0",
        "HostName=acme.azure-devices.net;DeviceId=g;x509=true",
        "HostName=acme.azure-devices.net:x;DeviceId=g;SharedAccessKey=c2VjcmV0",
        "mqtt://c2VjcmV0",
    ],
)
def test_a_connection_string_that_cannot_be_used_is_explained_without_the_key(text: str) -> None:
    with pytest.raises(HubAddressError, match="PRODLYTICS_IOTHUB") as raised:
        Device.of(text)
    assert "c2V" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_device_does_not_show_its_key() -> None:
    device = Device.of("HostName=acme.azure-devices.net;DeviceId=g-1;SharedAccessKey=c2VjcmV0;")
    assert (device.host, device.port, device.device_id, device.key) == (
        "acme.azure-devices.net",
        8883,
        "g-1",
        b"secret",
    )
    assert "secret" not in repr(device)
    assert device.user == "acme.azure-devices.net/g-1/?api-version=2021-04-12"


def sample(n: int, kind: Kind) -> Chosen:
    return Chosen(kind, written("Press01", "X", "", n, float(n), None, 192))


def test_what_comes_again_is_kept_once_also_after_a_restart(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, 10_000_000)
    outbox.append([sample(n, Kind.KEPT) for n in range(10)])
    outbox.drop(outbox.oldest(4))
    stream = outbox.stream
    outbox.close()
    again = Outbox(tmp_path, 10_000_000)
    again.append([sample(n, Kind.KEPT) for n in range(12)])
    assert again.stream == stream
    assert [json.loads("{" + one.body)["time_us"] for one in again.oldest(100)] == list(range(4, 12))
    seqs = [one.seq for one in again.oldest(100)]
    assert seqs == sorted(set(seqs))
    again.close()


def test_a_full_outbox_gives_up_what_may_be_dropped_and_nothing_else(tmp_path: Path) -> None:
    one = len(sample(1, Kind.KEPT).body) + 100
    outbox = Outbox(tmp_path, 100 * one)
    outbox.append([sample(n, Kind.REST) for n in range(50)])
    outbox.append([sample(n, Kind.KEPT) for n in range(100, 140)])
    assert outbox.append([sample(n, Kind.URGENT) for n in range(200, 240)]) == 50
    assert outbox.append([sample(n, Kind.REST) for n in range(300, 400)]) == 100
    with pytest.raises(SpoolError, match="must not be dropped"):
        outbox.append([sample(n, Kind.URGENT) for n in range(500, 550)])
    assert [json.loads("{" + w.body)["time_us"] for w in outbox.oldest(999)] == [*range(100, 140), *range(200, 240)]
    assert len(outbox) == 80
    outbox.close()


@pytest.mark.parametrize(("every_s", "hours"), [(1.0, 2), (30.0, 6), (600.0, 24)])
def test_the_quota_plan_is_what_a_day_costs_at_most(every_s: float, hours: int) -> None:
    """Against the packing itself, run through hours of samples second by second."""
    tags = [("Press01", "MachineState", Kind.URGENT), ("Press01", "PartCountGood", Kind.KEPT)]
    tags += [("Press01", f"Sensor{n:02d}_mms", Kind.REST) for n in range(28)]
    plan = quota_plan(PLANT, [TagRate(machine, metric, 86_400 / every_s) for machine, metric, _ in tags])
    queue: list[Waiting] = []
    spoken = [0.0] * len(tags)
    units = messages = seq = 0
    for second in range(hours * 3600):
        for n, (machine, metric, kind) in enumerate(tags):
            if spoken[n] <= second:
                spoken[n] += every_s if spoken[n] else every_s * (n + 1) / len(tags)
                seq += 1
                body = written(machine, metric, "", 1_767_225_600_000_000 + second * S, -12345.678, None, 192)
                queue.append(Waiting(100_000_000 + seq, kind, second * S, body))
        count = next_count(queue, second * S, PLANT.cloud, len(BEGINNING) + 2)
        if count:
            size = len(BEGINNING) + 2 + sum(sample_bytes(one) for one in queue[:count])
            units, messages, queue = units + -(-(size + 128) // 4096), messages + 1, queue[count:]
    assert units * 24 / hours <= plan.quota_units * 1.01
    assert messages * 24 / hours <= plan.messages * 1.01
    assert plan.quota_units <= 2.5 * units * 24 / hours
