"""The measurement of the next case asks for real answers, of the server and of the peer on the same data."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import next_sample


def test_every_strategy_answers(tmp_path: Path) -> None:
    next_sample._write_images(tmp_path / "studies", 40)
    ours = next_sample._ours(tmp_path, images=40, labelled=3, times=2)
    assert set(ours) == set(next_sample.STRATEGIES)
    assert all(set(said) == {"first", "warm", "written", "post"} for said in ours.values())
    assert all(value > 0 for said in ours.values() for value in said.values())


@pytest.mark.slow
def test_the_peer_answers_from_as_many_scores(tmp_path: Path) -> None:
    next_sample._write_images(tmp_path / "studies", 40)
    assert set(next_sample._peer(tmp_path / "studies", 2)) == {"choice", "with_note"}
