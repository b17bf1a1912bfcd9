"""The check of the loop: that it passes, and that it would not if something were wrong."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest

from tests import tiny
from tests.loop.__main__ import check
from tests.loop.annotator import Annotator, Kept, digest, elsewhere, inverted
from tests.loop.rounds import Loop
from tests.loop.site import ANNOTATORS, Site, until


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nothing_is_lost_and_no_poison_is_published(tmp_path: Path) -> None:
    line, problems = check(tmp_path, seed=2, kills=1)
    assert problems == []
    assert line["lost"] == 0
    assert line["refused"] == 2
    assert line["published"] >= 4


def test_a_case_that_two_have_at_once_is_found() -> None:
    kept = Kept()
    kept.given("p0", "ann")
    kept.given("p0", "ann")
    assert kept.twice == []
    kept.given("p0", "bob")
    assert len(kept.twice) == 1
    kept.acknowledge("p0", np.zeros((1, 2, 2), np.uint8))
    kept.given("p0", "ann")
    assert len(kept.twice) == 1


def test_poison_is_what_it_says() -> None:
    study = tiny.study("p0")
    assert inverted(study).mean() > 0.5
    assert elsewhere(study).sum() == study.mask.sum()
    assert not (elsewhere(study) & study.mask).any()


def test_lost_labels_and_a_wrong_answer_are_found(tmp_path: Path) -> None:
    site = Site(tmp_path, ("p0", "p1"))
    site.prepare()
    site.start()
    try:
        loop = Loop(site, Random(0), lambda _: None)
        person = Annotator(site, ANNOTATORS[0], loop.kept)
        assert person.label(2) in (["p0", "p1"], ["p1", "p0"])
        loop.nothing_lost()
        assert loop.problems == []
        loop.kept.newest["p1"] = digest(inverted(site.studies["p1"]))
        loop.nothing_lost()
        assert loop.problems == ["the label of p1 that was acknowledged is not what is there"]
    finally:
        site.stop()


def test_waiting_ends() -> None:
    with pytest.raises(TimeoutError, match="rain did not come"):
        until("rain", lambda: False, patience=0.1)
