"""Callers take turns, whoever asks for more."""

from __future__ import annotations

from tumorseg.adapters.inference.fair import FairLine


def _filled() -> FairLine[str]:
    line: FairLine[str] = FairLine()
    for name in ("a1", "a2", "a3", "b1", "a4", "c1", "b2"):
        line.add(name[0], name)
    return line


def test_one_caller_with_many_does_not_starve_the_others() -> None:
    line = _filled()
    assert [line.take() for _ in range(len(line))] == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    assert not len(line)


def test_looking_shows_the_order_of_taking() -> None:
    assert list(_filled()) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_who_leaves_is_gone_and_nobody_else() -> None:
    line = _filled()
    assert line.remove("c1")
    assert not line.remove("c1")
    assert line.remove("a2")
    assert [line.take() for _ in range(len(line))] == ["a1", "b1", "a3", "b2", "a4"]


def test_a_caller_that_comes_back_waits_behind_the_others() -> None:
    line = _filled()
    assert line.take() == "a1"
    line.add("d", "d1")
    line.add("a", "a5")
    assert [line.take() for _ in range(len(line))] == ["b1", "c1", "a2", "d1", "b2", "a3", "a4", "a5"]
