"""Neighbours follow a corrected slice: along every axis, up to where the object ends, and around what is held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.interactive.answer import answered
from tumorseg.interactive.classical.features import features
from tumorseg.interactive.evidence import Shows
from tumorseg.interactive.prompts import Box, Click, Propagate, Scribble, check
from tumorseg.interactive.propagate import Propagated, held_slices, propagate
from tumorseg.types import StudyImage

Mask = NDArray[np.bool_]
SHAPE = (17, 56, 64)
MIDDLE = 8


@dataclass(frozen=True, eq=False)
class Encoded:
    """What a model keeps of an image."""

    evidence: NDArray[np.float16]
    proposal: Mask | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        k, j, i = self.evidence.shape[1:]
        return k, j, i

    @property
    def nbytes(self) -> int:
        return self.evidence.nbytes


def ball(centre: tuple[float, float, float] = (8, 30, 24), radii: tuple[float, float, float] = (5, 12, 12)) -> Mask:
    """An ellipsoid in SHAPE."""
    k, j, i = np.indices(SHAPE)
    far = sum(((at - mid) / r) ** 2 for at, mid, r in zip((k, j, i), centre, radii, strict=True))
    return np.asarray(far <= 1)


def image_of(*objects: Mask, contrast: float = 300.0) -> StudyImage:
    """A noisy head with bright objects."""
    rng = np.random.default_rng(0)
    voxels = 400 + 40 * rng.standard_normal(SHAPE)
    for one in objects:
        voxels[one] += contrast
    return StudyImage(voxels[None].astype(np.float32), Grid(SHAPE, np.eye(4)), ("",))


def encoded_of(*objects: Mask, proposal: Mask | None = None, contrast: float = 300.0) -> Encoded:
    return Encoded(features(image_of(*objects, contrast=contrast).voxels), proposal)


def only(mask: Mask, *slices: int) -> Mask:
    """The mask in these slices alone."""
    kept = np.zeros_like(mask)
    kept[list(slices)] = mask[list(slices)]
    return kept


def dice(one: Mask, other: Mask) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def follow(encoded: Encoded, mask: Mask, *before: Any, **how: Any) -> tuple[Mask, Propagated]:
    found = propagate(encoded, mask, before, Propagate(MIDDLE, **how))
    return found.edit.applied(mask), found


def test_one_slice_becomes_the_object_and_ends_where_the_object_ends() -> None:
    truth = ball()
    mask, found = follow(encoded_of(truth), only(truth, MIDDLE))
    assert dice(only(truth, MIDDLE), truth) < 0.3
    assert dice(mask, truth) > 0.95
    first, last = np.flatnonzero(truth.any(axis=(1, 2)))[[0, -1]]
    assert found.before.slice == pytest.approx(first, abs=1)
    assert found.after.slice == pytest.approx(last, abs=1)
    assert {found.before.why, found.after.why} <= {"gone", "unlike", "jump"}
    np.testing.assert_array_equal(mask[MIDDLE], truth[MIDDLE])


@pytest.mark.parametrize(("dark", "bright"), [(0, 1), (-1000, 5)])
def test_an_image_of_two_intensities_is_followed(dark: int, bright: int) -> None:
    truth = ball()
    seen = Encoded(features(np.where(truth, bright, dark)[None].astype(np.int16)))
    assert dice(follow(seen, only(truth, MIDDLE))[0], truth) > 0.99


@pytest.mark.parametrize("axis", [1, 2])
def test_other_axes_are_the_same_with_the_volume_turned(axis: int) -> None:
    truth = ball()
    seen = encoded_of(truth)
    mask = only(truth, MIDDLE)
    expected, _ = follow(seen, mask)
    turned = Encoded(np.ascontiguousarray(np.moveaxis(seen.evidence, 1, axis + 1)))
    given = np.ascontiguousarray(np.moveaxis(mask, 0, axis))
    got = propagate(turned, given, [], Propagate(MIDDLE, axis)).edit.applied(given)
    np.testing.assert_array_equal(np.moveaxis(got, axis, 0), expected)


def test_it_goes_no_further_than_it_was_told() -> None:
    truth = ball()
    mask, found = follow(encoded_of(truth), only(truth, MIDDLE), first=7, last=8)
    assert np.flatnonzero(mask.any(axis=(1, 2))).tolist() == [7, 8]
    assert (found.before.slice, found.before.why) == (7, "told")
    assert (found.after.slice, found.after.why) == (8, "told")


def test_an_object_that_reaches_the_edge_ends_there() -> None:
    truth = np.zeros(SHAPE, bool)
    truth[:, 20:40, 20:40] = True
    mask, found = follow(encoded_of(truth), only(truth, MIDDLE))
    assert (found.before.why, found.after.why) == ("edge", "edge")
    assert dice(mask, truth) > 0.95


def test_what_cannot_be_seen_is_not_followed() -> None:
    truth = ball()
    mask, found = follow(encoded_of(truth, contrast=0.0), only(truth, MIDDLE))
    assert found.before.why in ("unlike", "jump")
    assert np.count_nonzero(mask.any(axis=(1, 2))) <= 3


@pytest.mark.parametrize("distance", [(18, 40), (0, 44)])
def test_another_lesion_in_the_slices_stays_as_it_is(distance: tuple[int, int]) -> None:
    truth, other = ball(), ball((8, 10 + distance[0], 8 + distance[1]), (7, 6, 6))
    assert not (truth & other).any()
    shown = only(truth, MIDDLE) | other
    shown[MIDDLE] = truth[MIDDLE]  # only the one is marked in the corrected slice
    mask, _ = follow(encoded_of(truth, other), shown)
    unchanged = other.copy()
    unchanged[MIDDLE] = False
    np.testing.assert_array_equal(mask & other, unchanged)
    assert dice(mask & ~other, truth & ~other) > 0.95


def test_a_hole_that_the_corrected_slice_has_stays_open_and_one_of_noise_is_closed() -> None:
    """A dead core within a tumour that is not to be marked."""
    ring = ball(radii=(7, 14, 14)) & ~ball(radii=(7, 7, 7))
    seen = encoded_of(ring)
    mask, _ = follow(seen, only(ring, MIDDLE), first=5, last=11)
    assert not mask[5:12, 30, 24].any()
    assert dice(mask, only(ring, *range(5, 12))) > 0.95
    full = ring | ball(radii=(7, 7, 7))
    assert follow(seen, only(full, MIDDLE), first=5, last=11)[0][5:12, 30, 24].all()


def test_what_the_slices_showed_of_the_object_is_replaced() -> None:
    """Too much was marked in all slices, and one was corrected."""
    truth = ball()
    too_much = ball(radii=(5, 20, 20))
    too_much[MIDDLE] = truth[MIDDLE]
    mask, _ = follow(encoded_of(truth), too_much)
    assert dice(too_much, truth) < 0.7
    assert dice(mask[5:12], truth[5:12]) > 0.95


@pytest.mark.parametrize("held", [Click((24, 30, 11)), Propagate(11)])
def test_a_slice_with_prompts_is_held_and_ends_the_way(held: Click | Propagate) -> None:
    truth = ball(radii=(7, 12, 12))
    shown = only(truth, MIDDLE, 11)
    shown[11, :30] = False  # what the person made of it
    shown[12] = truth[0]
    mask, found = follow(encoded_of(truth), shown, held)
    assert (found.after.slice, found.after.why) == (10, "held")
    np.testing.assert_array_equal(mask[11:], shown[11:])
    assert mask[9:11].any(axis=(1, 2)).all()


def test_scribbles_hold_their_slices() -> None:
    marks = np.zeros(SHAPE, np.int8)
    marks[3, 5, 6], marks[12, 7, 8] = 1, -1
    prompts = [Scribble(marks), Click((1, 2, 4)), Box((0, 0, 0), (5, 5, 5)), Propagate(6), Propagate(9, axis=1)]
    assert held_slices(prompts, 0) == {3, 4, 6, 12}
    assert held_slices(prompts, 1) == {2, 5, 7, 9}
    assert held_slices(prompts, 2) == {1, 6, 8}


def test_between_two_held_slices_lies_what_is_between_their_shapes() -> None:
    """The image shows nothing: the shapes alone say how the object moves."""
    j, i = np.indices(SHAPE[1:])
    shown = np.zeros(SHAPE, bool)
    shown[4] = (j - 28) ** 2 + (i - 20) ** 2 <= 100
    shown[12] = (j - 28) ** 2 + (i - 32) ** 2 <= 100
    found = propagate(encoded_of(contrast=0.0), shown, [Click((32, 28, 12))], Propagate(4, first=4))
    mask = found.edit.applied(shown)
    centres = [np.argwhere(mask[k]).mean(axis=0)[1] for k in range(4, 13)]
    assert np.all(np.diff(centres) > 0)
    assert centres[4] == pytest.approx(26, abs=1)


def test_a_proposal_that_was_right_has_a_say_and_one_that_was_wrong_has_none() -> None:
    truth = ball()
    faint = {"contrast": 55.0}
    alone, _ = follow(encoded_of(truth, **faint), only(truth, MIDDLE))
    helped, _ = follow(encoded_of(truth, proposal=truth, **faint), only(truth, MIDDLE))
    misled, _ = follow(encoded_of(truth, proposal=ball((8, 12, 50)), **faint), only(truth, MIDDLE))
    assert dice(helped, truth) > dice(alone, truth)
    assert dice(misled, truth) == pytest.approx(dice(alone, truth), abs=0.02)


def test_the_same_again_is_the_same_and_changes_nothing_it_was_given() -> None:
    truth = ball()
    seen, shown = encoded_of(truth), only(truth, MIDDLE)
    one, two = (propagate(seen, shown, [], Propagate(MIDDLE)) for _ in range(2))
    assert one.edit.origin == two.edit.origin
    np.testing.assert_array_equal(one.edit.voxels, two.edit.voxels)
    np.testing.assert_array_equal(shown, only(truth, MIDDLE))


def test_nothing_changes_where_nobody_may_follow() -> None:
    truth = ball()
    mask, found = follow(encoded_of(truth), only(truth, MIDDLE), first=MIDDLE, last=MIDDLE)
    np.testing.assert_array_equal(mask, only(truth, MIDDLE))
    assert found.edit.voxels.size == 0


@pytest.mark.parametrize("shape", [np.zeros(SHAPE[1:], bool), np.ones(SHAPE[1:], bool)])
def test_an_empty_slice_is_refused_and_a_full_one_is_not(shape: Mask) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[MIDDLE] = shape
    if shape.any():
        assert follow(encoded_of(ball()), mask)[0][MIDDLE].all()
        return
    with pytest.raises(InputError, match=r"slice 8 holds nothing.*mark the object there first"):
        follow(encoded_of(ball()), mask)


def test_one_pixel_and_one_slice_do_not_break_it() -> None:
    dot = np.zeros(SHAPE, bool)
    dot[MIDDLE, 30, 24] = True
    mask, _ = follow(encoded_of(dot), dot)
    assert mask[MIDDLE].sum() == 1
    flat = Encoded(np.zeros((1, 1, 20, 20), np.float16))
    shape = np.zeros((1, 20, 20), bool)
    shape[0, 5:9, 5:9] = True
    found = propagate(flat, shape, [], Propagate(0))
    assert found.before.why == found.after.why == "edge"


def test_a_model_that_keeps_nothing_of_the_image_says_so() -> None:
    class Blind:
        shape, nbytes, proposal = SHAPE, 0, None

    assert not isinstance(Blind(), Shows)
    with pytest.raises(InputError, match="choose another interactive model"):
        propagate(Blind(), only(ball(), MIDDLE), [], Propagate(MIDDLE))


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        (Propagate(17), "slice 17 .* expected 0..16"),
        (Propagate(-1), "slice -1"),
        (Propagate(40, axis=1, last=56), "slice 56 .* expected 0..55"),
    ],
)
def test_slices_outside_of_the_volume_are_refused(prompt: Propagate, says: str) -> None:
    with pytest.raises(InputError, match=says):
        check([prompt], SHAPE)


@pytest.mark.parametrize("wrong", [{"first": 9}, {"last": 7}, {"axis": 3}])
def test_slices_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="expected"):
        Propagate(8, **wrong)


def test_every_model_is_asked_its_own_prompts_and_none_to_follow() -> None:
    class Model:
        kinds = (Click,)

        def answer(self, encoded: Any, mask: Mask, before: Any, prompt: Any) -> str:
            return f"asked {type(prompt).__name__}"

    class Follower(Model):
        kinds = (Click, Propagate)  # type: ignore[assignment]

    truth = ball()
    seen, shown = encoded_of(truth), only(truth, MIDDLE)
    assert answered(Model(), seen, shown, (), Click((1, 1, 1))) == "asked Click"  # type: ignore[arg-type, comparison-overlap]
    assert answered(Follower(), seen, shown, (), Propagate(MIDDLE)) == "asked Propagate"  # type: ignore[arg-type, comparison-overlap]
    assert answered(Model(), seen, shown, (), Propagate(MIDDLE)).applied(shown).sum() > shown.sum()  # type: ignore[arg-type]
