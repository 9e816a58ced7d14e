"""What may befall a vendor's answers, for the tests of all adapters."""

from __future__ import annotations

import pytest

from prodlytics_tests.vendors.serving import Mishaps


@pytest.fixture
def mishaps() -> Mishaps:
    return Mishaps()
