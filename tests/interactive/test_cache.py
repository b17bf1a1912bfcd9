"""Encodings are weighed by what they say they hold; the rest is tests/io/test_memory_cache.py."""

from __future__ import annotations

from tests.interactive.balls import Balls, two_balls
from tumorseg.interactive.cache import EncodingCache


def test_encodings_are_kept_up_to_their_bytes_and_made_once() -> None:
    model, image = Balls(), two_balls()
    one = model.encode(image).nbytes
    cache = EncodingCache(max_bytes=2 * one)
    for name in ("a", "b", "a", "c", "a", "b"):
        assert cache.get((name, model.version), lambda: model.encode(image)).nbytes == one
    assert model.encodings - 1 == 4  # a, b, c, and b again: a was used more lately when c came
    assert cache.size() == 2 * one
