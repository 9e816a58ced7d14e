"""Writers at once, on the same days and on neighbours, while rows arrive: the ledger is exact and nobody fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

from prodlytics_tests.end_to_end.plant_run import assert_same
from prodlytics_tests.ledger.chain import CHAIN, Chain
from prodlytics_tests.ledger.days_of_data import DAYS, entries_of, load, samples_of, small_plant
from prodlytics_tests.ledger.test_arrival import batches, heal
from prodlytics_tests.servers.databases import migrated_database


@pytest.fixture(scope="module")
def url(plain_server: str) -> Iterator[str]:
    with migrated_database(plain_server) as found:
        yield found


@pytest.mark.parametrize("seed", [11, 12])
def test_writers_at_once_leave_the_ledger_exact(url: str, seed: int) -> None:
    plant, rng = small_plant(seed % 3), Random(seed)
    chain = Chain(plant, url)
    rows = [*samples_of(plant, seed), *entries_of(plant, seed)]
    chain.empty()
    load(url, plant, rows, "all")
    chain.derive(DAYS[0], DAYS[-1])
    expected = chain.tables()

    chain.empty()
    parts = batches(rng, rows)
    load(url, plant, parts.pop(), "first")
    chain.derive(DAYS[0], DAYS[-1])

    def arrive() -> None:
        for number, batch in enumerate(parts):
            load(url, plant, batch, f"batch{number}")

    def derive(of: int) -> Callable[[], None]:
        """The chain over days and pairs of days, again and again, in an order of its own."""

        def work() -> None:
            own, mine = Random(seed * 10 + of), Chain(plant, url)
            for _ in range(3):
                first = own.randrange(len(DAYS))
                names = list(CHAIN)
                if own.random() < 0.3:
                    own.shuffle(names)
                mine.derive(DAYS[first], DAYS[min(first + own.randrange(2), len(DAYS) - 1)], names)

        return work

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(arrive), *(pool.submit(derive(of)) for of in range(3))]:
            future.result()
    heal(chain)
    assert_same(chain.tables(), expected)
