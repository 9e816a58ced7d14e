"""Blobs of IoT Hub's routing in a container, loaded as files are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from prodlytics.sources.landing import LandingReport, load_pending
from prodlytics_tests.formats.test_iot_hub import avro, in_base64, nested
from prodlytics_tests.sources.landing_place import assert_accounted, at, landing_plant, rows, samples

PLANT = landing_plant(landing=[{"name": "hub", "match": "acme-hub/*", "layout": "iot_hub"}])
URL = "abfs://incoming"


def forwarded(*said: tuple[str, float, Any]) -> bytes:
    """A message as our bridge sends it: metric, seconds after the day's beginning, value."""
    told = [
        {"seq": n, "machine": "Press01", "metric": metric, "time_us": round(at(s).timestamp() * 1_000_000),
         "value": value, "quality": 192}
        for n, (metric, s, value) in enumerate(said)
    ]  # fmt: skip
    return json.dumps({"schema": "prodlytics/1", "plant": "small", "stream": "a", "samples": told}).encode()


def test_blobs_are_found_wherever_the_hub_puts_them_and_each_sample_goes_in_once(
    container: ContainerClient, database: str
) -> None:
    first, second = forwarded(("MachineState", 0, 1), ("PartCount", 1, 7)), forwarded(("PartCount", 2, 8))
    container.upload_blob("acme-hub/0/2026/11/23/10/04", nested(first) + in_base64(second))
    container.upload_blob("acme-hub/2026/11/23/10/05/3.avro", avro(second, forwarded(("PartCount", 3, 9))))
    container.upload_blob("other-hub/0/2026/11/23/10/04", nested(first))
    # Two blobs, five samples, one of them delivered twice.
    assert load_pending(database, PLANT, URL) == LandingReport(2, 0, 5, 4, 0, 1)
    assert load_pending(database, PLANT, URL).files == 0
    assert [(row[1], row[2], row[3]) for row in samples(database)] == [
        ("MachineState", at(0), 1.0), ("PartCount", at(1), 7.0), ("PartCount", at(2), 8.0), ("PartCount", at(3), 9.0),
    ]  # fmt: skip
    assert_accounted(database)
    assert rows(database, "SELECT DISTINCT source FROM tag") == [("iot_hub",)]


def test_a_blob_that_grows_is_read_again_and_what_is_broken_in_it_is_explained(
    container: ContainerClient, plain_database: str
) -> None:
    whole = nested(forwarded(("PartCount", 1, 7))) + nested(forwarded(("PartCount", 2, 8)))
    container.upload_blob("acme-hub/a", whole[:-40])
    assert load_pending(plain_database, PLANT, URL) == LandingReport(1, 0, 2, 1, 1, 0)
    assert rows(plain_database, "SELECT reason, position FROM quarantine") == [("bad_json", 2)]
    container.upload_blob("acme-hub/a", whole, overwrite=True)
    assert load_pending(plain_database, PLANT, URL) == LandingReport(1, 0, 2, 1, 0, 1)
    container.upload_blob("acme-hub/b", b"Obj\x01nothing")
    container.upload_blob("acme-hub/c", b"")
    assert load_pending(plain_database, PLANT, URL) == LandingReport(2, 2, 2, 0, 2, 0)
    assert [row[0] for row in rows(plain_database, "SELECT error FROM landed_file WHERE error IS NOT NULL ORDER BY 1")][
        1
    ].startswith("the file is empty")
    assert_accounted(plain_database)


def test_only_samples_come_that_way() -> None:
    with pytest.raises(ValueError, match="IoT Hub writes no work_orders"):
        landing_plant(landing=[{"name": "hub", "match": "*", "layout": "iot_hub", "dataset": "work_orders"}])
