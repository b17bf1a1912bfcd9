"""Decoded images in memory: read once for all who ask, read again when a file changed, bounded."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tumorseg.adapters.images import ImageCache
from tumorseg.adapters.sources import ImageSource
from tumorseg.geometry import Grid
from tumorseg.types import StudyImage

SHAPE = (2, 512, 512)
MEGABYTES = 2


class Reader:
    """What the cache asks of a source: reads an image of 2 MB, counts, and waits where it is told to."""

    def __init__(self, root: Path) -> None:
        self.root, self.times = root, 0
        self.begun, self.go = threading.Event(), threading.Event()
        self.go.set()

    def files(self, image_id: str) -> tuple[Path, ...]:
        path = self.root / image_id
        if not path.exists():
            path.write_text("first")
        return (path,)

    def read(self, image_id: str, channels: Sequence[str] | None) -> tuple[StudyImage, Grid]:
        self.times += 1
        self.begun.set()
        assert self.go.wait(60)
        grid = Grid(SHAPE, np.eye(4))
        return StudyImage(np.full((1, *SHAPE), self.times, np.float32), grid, ("",)), grid


def cache_of(reader: Any, megabytes: int) -> ImageCache:
    return ImageCache(cast(ImageSource, reader), megabytes)


def test_an_image_is_read_again_when_its_file_changed_and_for_other_channels(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    cache = cache_of(reader, 100)
    first, _ = cache.read("a", ["FLAIR"])
    assert cache.read("a", ["FLAIR"])[0] is first
    assert cache.read("a", ["T1"])[0] is not first
    assert cache.read("a", None)[0] is not first
    (tmp_path / "a").write_text("another content")
    assert cache.read("a", ["FLAIR"])[0] is not first
    with pytest.raises(ValueError, match="read-only"):
        first.voxels[0, 0, 0, 0] = 1


def test_looking_at_the_size_does_not_wait_for_a_reading(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.go.clear()
    cache = cache_of(reader, 100)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(cache.read, "a", None)]
        assert reader.begun.wait(60)
        asked.append(pool.submit(cache.read, "a", None))
        assert cache.size() == 0
        reader.go.set()
        images = {id(one.result(60)[0]) for one in asked}
    assert (len(images), reader.times) == (1, 1)


def test_images_are_kept_up_to_their_limit(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    cache = cache_of(reader, 2 * MEGABYTES)
    for name in ("a", "b", "c", "c", "b"):
        cache.read(name, None)
    assert (reader.times, cache.size()) == (3, 2 * MEGABYTES << 20)
    cache.read("a", None)
    assert reader.times == 4


def test_a_cache_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    cache = cache_of(reader, 0)
    cache.read("a", None)
    cache.read("a", None)
    assert (reader.times, cache.size()) == (2, 0)
