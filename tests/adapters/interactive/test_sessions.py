"""Masks in the making: found again, bounded in number and bytes, and gone when left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Any

import numpy as np
import pytest

from tests.interactive.balls import Balls, two_balls
from tumorseg.adapters.grids import ImagePlace
from tumorseg.adapters.interactive import sessions
from tumorseg.adapters.interactive.looks import Look
from tumorseg.adapters.interactive.sessions import EndedError, Entries, Entry
from tumorseg.errors import NotFoundError, UnavailableError
from tumorseg.interactive.session import PromptSession
from tumorseg.io.memory_cache import MemoryCache

IMAGE, MODEL = two_balls(), Balls()


class Room:
    """Entries, the looks beside them, and a clock that a test turns."""

    def __init__(self, max_bytes: int = 1 << 30) -> None:
        self.now = 0.0
        self.kept: MemoryCache[Look] = MemoryCache(max_bytes, lambda look: look.nbytes)
        self.entries = Entries(self.kept, max_bytes, 60.0, lambda: self.now)

    def look(self, key: Hashable) -> Look:
        made = lambda: Look(key, "x", MODEL.encode(IMAGE), ImagePlace(IMAGE.grid, True), ())  # noqa: E731
        return self.kept.get(key, made)

    def entry(self, owner: str = "ann", image: str = "case", key: Any = None, look: Look | None = None) -> Entry:
        look = look or self.look(image)
        start = np.zeros(look.encoded.shape, bool)
        session = PromptSession(MODEL, look.encoded, start, "nothing", image=image, label="tumor")
        entry = Entry(owner, image, "tumor", look, session, key=key)
        self.entries.add(entry)
        return entry


def test_it_is_found_by_what_a_viewer_says_and_by_its_id() -> None:
    room = Room()
    entry = room.entry(key="k")
    assert room.entries.find("k") is entry
    assert room.entries.find("other") is None
    assert room.entries.get(entry.id, "ann") is entry
    with pytest.raises(NotFoundError):
        room.entries.get(entry.id, "bob")


def test_what_is_used_stays_and_what_is_left_alone_ends() -> None:
    room = Room()
    used, alone = room.entry(key="used"), room.entry(key="alone")
    room.now = 50
    room.entries.get(used.id, "ann")
    room.now = 70
    assert room.entries.find("alone") is None
    assert room.entries.find("used") is used
    with pytest.raises(EndedError, match="left alone"):
        room.entries.get(alone.id, "ann")
    with pytest.raises(NotFoundError):
        room.entries.get(alone.id, "bob")


def test_what_is_worked_on_does_not_end() -> None:
    async def scene() -> None:
        room = Room()
        entry = room.entry(key="k")
        async with entry.lock:
            room.now = 1000
            room.entries.sweep()
            assert len(room.entries) == 1
        room.entries.sweep()
        assert len(room.entries) == 0

    asyncio.run(scene())


def test_one_person_does_not_push_out_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_OF_ONE", 3)
    room = Room()
    other = room.entry("bob")
    own = [room.entry("ann") for _ in range(5)]
    assert room.entries.get(other.id, "bob") is other
    assert [one for one in own if one.id in room.entries._entries] == own[2:]


def test_looks_that_masks_alone_still_hold_count_and_make_room() -> None:
    one = Room().look("a").nbytes
    room = Room(3 * one)
    kept = [room.entry(image=f"study{n}", key=n) for n in range(8)]
    assert room.kept.size() == 3 * one
    assert room.entries.nbytes() <= 3 * one
    assert room.entries.find(7) is kept[7]
    assert room.entries.find(0) is None
    assert len(room.entries) > 3, "a full memory of looks ends no mask on them"


def test_a_shared_look_counts_once() -> None:
    room = Room()
    look = room.look("case")
    masks = [room.entry(look=look) for _ in range(4)]
    assert room.entries.nbytes() == sum(entry.session.nbytes for entry in masks), "it is kept anyway"
    room.kept.drop("case")
    assert room.entries.nbytes() == look.nbytes + sum(entry.session.nbytes for entry in masks)


def test_where_everything_is_worked_on_the_newest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST_OF_ONE", 1)

    async def scene() -> None:
        room = Room()
        first = room.entry()
        async with first.lock:
            with pytest.raises(UnavailableError, match="at once"):
                room.entry()
            assert room.entries.get(first.id, "ann") is first
            assert len(room.entries) == 1

    asyncio.run(scene())


def test_the_masks_of_an_image_by_owner_and_of_anybody() -> None:
    room = Room()
    ann, bob, _ = room.entry("ann"), room.entry("bob"), room.entry("ann", image="other")
    assert room.entries.of("case", "ann") == [ann]
    assert room.entries.of("case", None) == [ann, bob]
