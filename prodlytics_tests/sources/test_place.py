"""The landing place as a container: the same guarantees as a folder."""

from __future__ import annotations

import hashlib
import io

import pytest
from azure.storage.blob import ContainerClient

from prodlytics.sources.landing import LandingReport, load_pending
from prodlytics.sources.place import FileGoneError, LandingPlace, LandingUnavailable
from prodlytics_tests.sources.landing_place import kep, landing_plant, samples

RUN = "AB.Press01.MachineState"


def test_files_of_a_container_are_loaded_once(container: ContainerClient, plain_database: str) -> None:
    url, plant = "abfs://incoming/plant1", landing_plant()
    assert LandingPlace(url).files() == []
    container.upload_blob("plant1/telemetry/a.ndjson", kep((RUN, 0, 1)))
    container.upload_blob("plant1/telemetry/b.ndjson.tmp", kep((RUN, 1, 1)))
    container.upload_blob("plant2/telemetry/c.ndjson", kep((RUN, 2, 1)))
    assert load_pending(plain_database, plant, url) == LandingReport(1, 0, 1, 1, 0, 0)
    container.upload_blob("plant1/telemetry/a.ndjson", kep((RUN, 0, 1)), overwrite=True)
    assert load_pending(plain_database, plant, url).files == 0
    container.upload_blob("plant1/telemetry/a.ndjson", kep((RUN, 0, 1), (RUN, 3, 2)), overwrite=True)
    assert load_pending(plain_database, plant, url) == LandingReport(1, 0, 2, 1, 0, 1)
    assert [row[3] for row in samples(plain_database)] == [1.0, 2.0]


def test_a_blob_that_changes_while_it_is_fetched_waits(container: ContainerClient) -> None:
    container.upload_blob("a.bin", b"one")
    place = LandingPlace("abfs://incoming")
    [file] = place.files()
    into = io.BytesIO()
    assert place.fetch(file, into) == hashlib.sha256(b"one").hexdigest()
    assert into.read() == b"one"
    container.upload_blob("a.bin", b"two", overwrite=True)
    with pytest.raises(FileGoneError):
        place.fetch(file, io.BytesIO())
    container.delete_blob("a.bin")
    with pytest.raises(FileGoneError):
        place.fetch(file, io.BytesIO())


def test_no_container_is_one_sentence(container: ContainerClient) -> None:
    with pytest.raises(LandingUnavailable, match="abfs://nothing does not exist"):
        LandingPlace("abfs://nothing").files()
