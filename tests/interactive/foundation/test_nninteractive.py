from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tumorseg.errors import InputError, UnavailableError
from tumorseg.geometry import Grid
from tumorseg.interactive.evidence import evidence_of
from tumorseg.interactive.foundation import nninteractive
from tumorseg.interactive.foundation.nninteractive import NnInteractive, Seen, build
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Propagate, Scribble
from tumorseg.types import StudyImage

SHAPE = (4, 8, 9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in nninteractive.FILES:
        (tmp_path / name).write_text(json.dumps({}))
    (tmp_path / "fold_0").mkdir()
    (tmp_path / "fold_0" / "checkpoint_final.pth").write_bytes(b"weights")
    return tmp_path


def test_weights_are_the_user_s_and_their_licence_is_told() -> None:
    with pytest.raises(
        UnavailableError, match=r"forbids commercial use.* --nninteractive-weights \(tumorseg serve\) or"
    ):
        build()


@pytest.mark.parametrize("missing", ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"])
def test_a_folder_that_lacks_a_file(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    with pytest.raises(InputError, match=r"expected a folder of weights .* it has no \S+$"):
        build(folder)


def test_a_checkpoint_that_cannot_be_read(folder: Path) -> None:
    (folder / "fold_0" / "checkpoint_final.pth").unlink()
    (folder / "fold_0" / "checkpoint_final.pth").mkdir()
    with pytest.raises(InputError, match=r"cannot read the weights of nninteractive, .* \(Is a directory\)"):
        build(folder)


def test_weights_that_are_gone_when_they_are_wanted(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):  # which the model says in one line, as above
        nninteractive._version(tmp_path)


@pytest.mark.skipif(find_spec("nnInteractive") is not None, reason="nnInteractive is installed")
def test_without_the_package_one_line_says_what_to_install(folder: Path) -> None:
    with pytest.raises(UnavailableError, match=r"nninteractive needs .* pip install nninteractive$"):
        build(folder)


class Session:
    """What the package's session promises in public: an image is set in the background, a first mask forgets all else.

    It marks what it is told to belong, with a number drawn at random, and takes away what it is told not to.
    """

    def __init__(self) -> None:
        self.images, self.told, self.fails = 0, [], False

    def set_image(self, image: Any) -> None:
        self.images += 1
        self.set_well = not self.fails

    def set_target_buffer(self, buffer: Any) -> None:
        self.buffer = buffer

    def add_initial_seg_interaction(self, mask: Any, run_prediction: bool) -> None:
        if not self.set_well:
            raise MemoryError
        self.buffer[:] = mask
        self.told = [("mask", int(mask.sum()), run_prediction)]

    def add_point_interaction(self, at: Any, include_interaction: bool, run_prediction: bool) -> None:
        self.told.append((at, include_interaction, run_prediction))
        if run_prediction:
            self.buffer[:] = np.random.random(self.buffer.shape) > 0.5  # noqa: NPY002

    def add_scribble_interaction(self, drawn: Any, include_interaction: bool, run_prediction: bool) -> None:
        self.told.append((int(drawn.sum()), include_interaction, run_prediction))
        if run_prediction:
            self.buffer[:] = 1


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Session:
    made = Session()
    monkeypatch.setattr(nninteractive, "_version", lambda weights: "v")
    monkeypatch.setattr(nninteractive, "_session", lambda weights, device: made)
    return made


def study() -> StudyImage:
    voxels = np.random.default_rng(0).random((1, *SHAPE), np.float32)
    return StudyImage(voxels, Grid(SHAPE, np.eye(4)), ("",))


def test_a_prompt_is_put_to_the_mask_as_it_is_after_the_earlier_ones(session: Session) -> None:
    model, mask = NnInteractive(Path(), "cpu"), np.zeros(SHAPE, bool)
    mask[2, 3:6, 3:6] = True
    encoded, drawn = model.encode(study()), np.zeros(SHAPE, np.int8)
    drawn[1, 1, :4], drawn[1, 4, :2] = 1, -1
    before = [Click((1, 2, 3), False), Propagate(1), Click((5, 5, 0))]
    edit = model.answer(encoded, mask, before, Scribble(drawn))
    earlier = [((3, 2, 1), False, False), ((0, 5, 5), True, False)]
    assert session.told == [("mask", 9, False), *earlier, (2, False, False), (4, True, True)]
    assert not edit.applied(mask)[3, 2, 1], "an earlier click stays what it said"
    assert edit.applied(mask).sum() == mask.size - 1


def test_the_same_click_gives_the_same_mask_and_leaves_everybody_s_draws_alone(session: Session) -> None:
    model, mask = NnInteractive(Path(), "cpu"), np.zeros(SHAPE, bool)
    encoded = model.encode(study())
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    found = [model.answer(encoded, mask, [], Click((4, 4, 2))).applied(mask) for _ in range(2)]
    assert (found[0] == found[1]).all()
    assert found[0][2, 4, 4]
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    assert session.images == 1, "the image stays set"
    model.answer(model.encode(study()), mask, [], Click((4, 4, 2)))
    assert session.images == 2


def test_an_image_that_could_not_be_set_is_set_again(session: Session) -> None:
    model, mask = NnInteractive(Path(), "cpu"), np.zeros(SHAPE, bool)
    encoded, session.fails = model.encode(study()), True
    with pytest.raises(MemoryError):
        model.answer(encoded, mask, [], Click((4, 4, 2)))
    session.fails = False
    assert model.answer(encoded, mask, [], Click((4, 4, 2))).applied(mask)[2, 4, 4]


def test_what_is_asked_without_saying_anything_is_refused(session: Session) -> None:
    model, mask = NnInteractive(Path(), "cpu"), np.zeros(SHAPE, bool)
    for nothing in (study(), StudyImage(np.zeros((1, *SHAPE), np.float32), Grid(SHAPE, np.eye(4)), ("",))):
        prompt = Scribble(np.zeros(SHAPE, np.int8)) if nothing.voxels.any() else Click((1, 1, 1))
        with pytest.raises(InputError, match="empty"):
            model.answer(model.encode(nothing), mask, [Click((4, 4, 2))], prompt)


def test_weights_that_were_exchanged_are_not_taken_for_those_that_are_offered(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = NnInteractive(Path(), "cpu")
    monkeypatch.setattr(nninteractive, "_version", lambda weights: "another")
    with pytest.raises(UnavailableError, match="were exchanged"):
        model.answer(model.encode(study()), np.zeros(SHAPE, bool), [], Click((4, 4, 2)))


def test_slices_can_follow_by_what_it_keeps_of_an_image(session: Session) -> None:
    encoded = NnInteractive(Path(), "cpu").encode(study())
    assert evidence_of(encoded).shape == (1, *SHAPE)
    assert encoded.nbytes == encoded.voxels.nbytes + encoded.evidence.nbytes


def test_prompts_in_the_package_s_words() -> None:
    seen = Seen(np.zeros((1, 6, 20, 30), np.float32), axis=0)
    assert nninteractive._told(seen, Click((3, 4, 5), False)) == [("add_point_interaction", (5, 4, 3), False)]
    box = [("add_bbox_interaction", [[2, 3], [4, 11], [3, 10]], True)]
    assert nninteractive._told(seen, Box((3, 4, 1), (9, 10, 4))) == box
    assert nninteractive._told(seen, ExtremePoints(((3, 10, 1), (9, 4, 4)))) == box
    assert nninteractive._told(seen, Propagate(1)) == []
    marks = np.zeros(seen.shape, np.int8)
    marks[2, 3, 4], marks[2, 5, 6] = 1, -1
    told = nninteractive._told(seen, Scribble(marks))
    assert [(verb, positive) for verb, _, positive in told] == [
        ("add_scribble_interaction", False),
        ("add_scribble_interaction", True),
    ]
    assert told[0][1][2, 5, 6] == told[1][1][2, 3, 4] == 1
    assert told[0][1].sum() == told[1][1].sum() == 1
