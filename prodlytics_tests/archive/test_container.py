"""The same archive in an Azure container, spoken to as Azure is (Azurite)."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from azure.storage.blob import BlobServiceClient

from prodlytics.archive.errors import ArchiveError
from prodlytics.archive.store import ArchiveStore
from prodlytics_tests.archive.floor import add_scrap, archive, duck, manifest
from prodlytics_tests.servers.azurite import BlobStorage

URL = "abfs://archive@devstoreaccount1.dfs.core.windows.net/plants"
PATH = "plant=small/dataset=scrap_events/date=2026-11-20/part-0.parquet"


@pytest.fixture
def service(azurite: BlobStorage, monkeypatch: pytest.MonkeyPatch) -> BlobServiceClient:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    service = BlobServiceClient.from_connection_string(azurite.connection_string)
    service.create_container("archive")
    return service


def _download(service: BlobServiceClient, folder: Path) -> None:
    """The container as a folder, by Azure's own client."""
    container = service.get_container_client("archive")
    for name in container.list_blob_names():
        file = folder / name.removeprefix("plants/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(container.download_blob(name).readall())


@pytest.mark.parametrize("url", [URL, "abfs://archive/plants"])
def test_a_day_and_its_restatement(
    service: BlobServiceClient, conn: psycopg.Connection, tmp_path: Path, url: str
) -> None:
    store = ArchiveStore(url)
    add_scrap(conn, 0, 1440)
    first = archive(conn, store)
    assert archive(conn, store).action == "unchanged"
    add_scrap(conn, 0, 60, machine="M2")
    second = archive(conn, store)

    _download(service, tmp_path)
    sums = "count(*), sum(quantity), sum(material_cost)"
    expected = conn.execute(f"SELECT {sums} FROM scrap_events").fetchall()
    assert duck(tmp_path, f"SELECT {sums} FROM {{files}}") == expected
    versions = manifest(conn)
    assert [(version, current) for _, version, current, _ in versions] == [(1, False), (2, True)]
    assert store.list() == sorted(path for *_, path in versions)
    assert [store.sha256(path) for *_, path in versions] == [first.content_hash, second.content_hash]


def test_the_same_bytes_as_in_a_folder(service: BlobServiceClient, conn: psycopg.Connection, tmp_path: Path) -> None:
    add_scrap(conn, 0, 100)
    in_folder = archive(conn, ArchiveStore(tmp_path))
    conn.execute("DELETE FROM archive_manifest")
    conn.commit()
    in_container = archive(conn, ArchiveStore(URL))
    assert (in_container.content_hash, in_container.data_hash) == (in_folder.content_hash, in_folder.data_hash)


def test_a_lost_blob_is_written_again(service: BlobServiceClient, conn: psycopg.Connection) -> None:
    store = ArchiveStore(URL)
    add_scrap(conn, 0, 100)
    content = archive(conn, store).content_hash
    store.delete(PATH)
    store.delete(PATH)
    assert store.sha256(PATH) is None
    assert archive(conn, store).action == "repaired"
    assert store.sha256(PATH) == content


def test_no_such_container(service: BlobServiceClient) -> None:
    with pytest.raises(ArchiveError, match=r"^Cannot open the archive abfs://other/x: there is no container 'other'; "):
        ArchiveStore("abfs://other/x")


def test_the_container_goes_away(service: BlobServiceClient, conn: psycopg.Connection) -> None:
    store = ArchiveStore(URL)
    service.delete_container("archive")
    with pytest.raises(ArchiveError, match="there is no such container"):
        archive(conn, store)
    conn.rollback()
    assert manifest(conn) == []


def test_wrong_key(
    service: BlobServiceClient, azurite: BlobStorage, conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = azurite.key[:-6] + "AAAA=="
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string.replace(azurite.key, wrong))
    with pytest.raises(ArchiveError, match="the storage account refused the credentials; check") as error:
        archive(conn, ArchiveStore(URL))
    conn.rollback()
    assert manifest(conn) == []
    assert wrong not in str(error.value)


@pytest.mark.parametrize("said", [None, "nonsense"])
def test_no_usable_credentials(said: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING", raising=False)
    if said:
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", said)
    with pytest.raises(ArchiveError, match="the environment does not say which storage account to use and how; set"):
        ArchiveStore("abfs://archive/plants")
