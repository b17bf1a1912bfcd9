"""Fixtures of the learning loop's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.learning.round_room import Room


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """Eight small studies that nobody labelled yet."""
    place = Room(tmp_path)
    yield place
    place.close()
