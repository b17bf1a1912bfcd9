"""What the tests of viewers and pages share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.ohif_viewer import chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start one browser for a file of tests."""
    with chromium() as found:
        yield found
