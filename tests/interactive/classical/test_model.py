from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.interactive.classical.scenes import ball, dice, image_of, noisy
from tumorseg.errors import InputError
from tumorseg.interactive.base import Edit, Interactive
from tumorseg.interactive.classical import belief
from tumorseg.interactive.classical.model import build_clicks
from tumorseg.interactive.evidence import evidence_of
from tumorseg.interactive.prompts import Box, Click, Prompt, Propagate, Scribble
from tumorseg.registry import load_interactive
from tumorseg.types import StudyImage

TYPES = {"scribbles": "scribbles", "clicks_any": "deepgrow"}
SHAPE = (5, 48, 56)
TRUTH = ball((2, 24, 28), 10, SHAPE)
CT = (noisy(TRUTH, contrast=40) + 900).astype(np.uint16)


def rgb() -> NDArray[np.uint8]:
    """Return a coloured picture: the object differs in hue and not in brightness."""
    picture = np.full((3, 1, *SHAPE[1:]), 120, np.uint8)
    picture[0, 0][TRUTH[2]] = 180
    picture[2, 0][TRUTH[2]] = 60
    return picture + np.random.default_rng(0).integers(0, 20, picture.shape, np.uint8)


IMAGES = {
    "mr of four sequences": image_of(noisy(TRUTH, channels=4)),
    "uint16 like a CT": image_of(CT, (0.7, 0.7, 5.0)),
    "isotropic": image_of(noisy(ball((2, 24, 28), 10, SHAPE, 1.0)), (1.0, 1.0, 1.0)),
    "one slice of no known size": image_of(noisy(TRUTH)[:, 2:3], known=False),
    "a coloured picture": image_of(rgb(), known=False),
    "pixels that are not square": image_of(noisy(TRUTH), (0.5, 1.0, 3.0)),
}


def prompts(image: StudyImage) -> list[Prompt]:
    k = image.grid.shape[0] // 2
    marks = np.zeros(image.grid.shape, np.int8)
    marks[k, 24, 24:32], marks[k, 6, 20:40] = 1, -1
    return [Click((28, 24, k)), Box((17, 13, k), (39, 35, k)), Scribble(marks)]


@pytest.mark.parametrize("name", sorted(TYPES))
def test_the_registry_knows_it_under_the_type_that_viewers_ask_for(name: str) -> None:
    model = load_interactive(name)
    assert isinstance(model, Interactive)
    assert (model.name, model.viewer_type, model.slow) == (name, TYPES[name], False)
    assert not model.channels
    assert not model.labels


@pytest.mark.parametrize("name", sorted(TYPES))
def test_weights_given_to_a_method_without_any_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="has no weights"):
        load_interactive(name, weights="some.safetensors")


@pytest.mark.parametrize("kind", sorted(IMAGES))
@pytest.mark.parametrize("which", [0, 1, 2])
def test_every_prompt_finds_the_object_in_every_kind_of_image_and_always_the_same(kind: str, which: int) -> None:
    model, image = build_clicks(), IMAGES[kind]
    empty, prompt = np.zeros(image.grid.shape, bool), prompts(image)[which]
    found = [model.answer(model.encode(image), empty, (), prompt).applied(empty) for _ in range(2)]
    assert (found[0] == found[1]).all()
    assert dice(found[0][len(empty) // 2], TRUTH[2]) > 0.85
    assert not empty.any()


def test_more_voxels_than_a_window_change_nothing_outside_of_it() -> None:
    image = image_of(noisy(np.pad(TRUTH, ((0, 0), (0, 100), (0, 120)))))
    mask = np.random.default_rng(0).random(image.grid.shape) > 0.5
    model = build_clicks()
    edit = model.answer(model.encode(image), mask, (), Click((28, 24, 2)))
    assert isinstance(edit, Edit)
    assert (edit.applied(mask) == mask)[:, 24 + 65 :].all()


def test_slices_can_follow_by_what_it_keeps_of_an_image() -> None:
    encoded = build_clicks().encode(IMAGES["isotropic"])
    assert evidence_of(encoded).shape == (1, *SHAPE)
    assert encoded.proposal is None


def test_a_prompt_of_another_kind_is_refused() -> None:
    model = build_clicks()
    with pytest.raises(InputError, match="takes prompts of the kind click, box, extremepoints, scribble"):
        model.answer(model.encode(IMAGES["isotropic"]), TRUTH, (), Propagate(2))


def test_the_version_changes_with_a_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log replays to the same voxels only with the same numbers."""
    before = build_clicks().version
    assert build_clicks().version == before
    monkeypatch.setattr(belief, "KEEP", belief.KEEP + 0.5)
    assert build_clicks().version != before
