"""The cache in memory: one maker for many who ask, bounded, and nobody waits for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tumorseg.io.memory_cache import MemoryCache

PATIENCE_S = 60.0


def texts(limit: int) -> MemoryCache[str]:
    return MemoryCache(limit, len)


class Held:
    """A maker that waits until it is let go, and says when it has begun."""

    def __init__(self, end: str | BaseException) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.times = 0
        self._end = end

    def __call__(self) -> str:
        self.times += 1
        self.begun.set()
        assert self.go.wait(PATIENCE_S)
        if isinstance(self._end, BaseException):
            raise self._end
        return self._end


def ask_together(cache: MemoryCache[str], first: Held, others: Callable[[], str]) -> list[Future[str]]:
    """Let one thread begin to make ``key`` and three more ask for it meanwhile, then let it go."""
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(cache.get, "key", first)]
        assert first.begun.wait(PATIENCE_S)
        asked += [pool.submit(cache.get, "key", others) for _ in range(3)]
        first.go.set()
    return asked


def test_who_asks_together_gets_one_value() -> None:
    cache, maker = texts(100), Held("value")
    assert [asked.result() for asked in ask_together(cache, maker, maker)] == ["value"] * 4
    assert maker.times == 1


def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    cache, maker = texts(100), Held(ValueError("broken"))
    asked = ask_together(cache, maker, maker)
    assert all(isinstance(one.exception(), ValueError) for one in asked)
    assert cache.get("key", lambda: "mended") == "mended"


def test_a_maker_whose_thread_ends_leaves_the_making_to_one_who_waits() -> None:
    cache, maker = texts(100), Held(SystemExit())
    second = []
    asked = ask_together(cache, maker, lambda: second.append(1) or "value")
    assert isinstance(asked[0].exception(), SystemExit)
    assert [one.result() for one in asked[1:]] == ["value"] * 3
    assert len(second) == 1


def test_making_one_key_does_not_hold_up_another() -> None:
    cache, maker = texts(100), Held("slow")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(cache.get, "slow", maker)
        assert maker.begun.wait(PATIENCE_S)
        assert cache.get("quick", lambda: "quick") == "quick"
        assert cache.size() == len("quick")
        maker.go.set()
        assert slow.result() == "slow"


def test_a_maker_that_asks_for_its_own_key_is_told_instead_of_waiting_for_ever() -> None:
    cache = texts(100)
    with pytest.raises(RuntimeError, match="wait for itself"):
        cache.get("key", lambda: cache.get("key", lambda: "value"))
    assert cache.get("key", lambda: "value") == "value"


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = texts(6)
    for key in ("aa", "bb", "cc"):
        cache.get(key, lambda key=key: key)
    assert cache.peek("aa") == "aa"
    cache.get("dd", lambda: "dd")
    assert [cache.peek(key) for key in ("aa", "bb", "cc", "dd")] == ["aa", None, "cc", "dd"]
    assert cache.size() == 6


def test_what_is_larger_than_the_limit_is_given_and_not_kept_and_pushes_nothing_out() -> None:
    cache = texts(6)
    cache.get("small", lambda: "aa")
    assert cache.get("large", lambda: "x" * 7) == "x" * 7
    assert cache.peek("large") is None
    assert cache.size() == 2


def test_a_value_that_grows_makes_room_when_the_next_one_comes() -> None:
    cache: MemoryCache[list[int]] = MemoryCache(4, len)
    growing = cache.get("growing", lambda: [1])
    growing.extend([2, 3, 4])
    cache.get("next", lambda: [1])
    assert cache.peek("growing") is None
    assert cache.size() == 1


def test_a_key_dropped_while_it_is_made_is_not_kept() -> None:
    cache, maker = texts(100), Held("old")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(cache.get, "key", maker)
        assert maker.begun.wait(PATIENCE_S)
        cache.drop("key")
        assert cache.get("key", lambda: "new") == "new"
        maker.go.set()
        assert asked.result() == "old"
    assert cache.peek("key") == "new"
    cache.drop("key")
    assert (cache.peek("key"), cache.size()) == (None, 0)
