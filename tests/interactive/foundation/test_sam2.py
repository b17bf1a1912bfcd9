from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tumorseg.errors import InputError, UnavailableError
from tumorseg.geometry import Grid, Reorientation
from tumorseg.interactive.base import Encoded, Interactive
from tumorseg.interactive.foundation.sam2 import Sam2, build
from tumorseg.interactive.foundation.sam2_slices import Slices
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Prompt, Propagate, Scribble
from tumorseg.io.memory_cache import MemoryCache
from tumorseg.types import FLAIR, StudyImage

Mask = NDArray[np.bool_]
SHAPE = (4, 40, 56)
CLICK, AGAIN, AWAY = Click((30, 12, 2)), Click((40, 30, 2)), Click((6, 35, 2), positive=False)


@pytest.fixture(scope="module")
def loaded(checkpoint: Path, small: None) -> Sam2:
    return build(checkpoint, "cpu")


@pytest.fixture
def encodings(loaded: Sam2, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every picture that the image encoder saw."""
    network, seen = loaded._network(), []
    real = network._network.forward_image

    def counting(pictures: Any) -> Any:
        seen.append(pictures)
        return real(pictures)

    monkeypatch.setattr(network._network, "forward_image", counting)
    return seen


def study(grid: Grid | None = None) -> StudyImage:
    voxels = np.random.default_rng(6).normal(300, 80, (1, *SHAPE)).astype(np.float32)
    return StudyImage(voxels, grid or Grid(SHAPE, np.diag([1.0, 1.0, 5.0, 1.0])), (FLAIR,), "MR")


def inverted() -> StudyImage:
    image = study()
    return StudyImage(-image.voxels, image.grid, image.channels, image.modality)


def played(model: Sam2, encoded: Slices, prompts: Sequence[Prompt]) -> Mask:
    mask = np.zeros(encoded.shape, bool)
    for n, prompt in enumerate(prompts):
        mask = model.answer(encoded, mask, prompts[:n], prompt).applied(mask)
    return mask


def test_it_is_what_the_contract_asks_for(loaded: Sam2) -> None:
    assert isinstance(loaded, Interactive)
    encoded: Encoded = loaded.encode(study())
    assert encoded.shape == SHAPE
    assert encoded.proposal is None
    assert encoded.nbytes == study().voxels.nbytes + 2 * study().voxels.size
    assert encoded.nbytes == study().voxels.nbytes + encoded.evidence.nbytes


def test_the_first_prompt_in_a_slice_encodes_it_and_no_other_does(loaded: Sam2, encodings: list[Any]) -> None:
    encoded = loaded.encode(study())
    assert not encodings, "looking at an image encodes nothing"
    played(loaded, encoded, [CLICK, AGAIN, AWAY, Box((5, 5, 1), (30, 30, 3))])
    assert len(encodings) == 1
    played(loaded, encoded, [Click((10, 10, 0))])
    assert len(encodings) == 2


def test_what_is_kept_for_all_images_together_has_a_bound_and_no_image_gets_another_s(
    loaded: Sam2, encodings: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image that grew with every slice that is clicked would outgrow the memory it was weighed for."""
    one = loaded.encode(study()).embedding(0, loaded._network()).nbytes
    kept: MemoryCache[Any] = MemoryCache(2 * one, lambda embedding: embedding.nbytes)
    monkeypatch.setattr(loaded, "_embeddings", kept)
    images = [loaded.encode(study()), loaded.encode(inverted())]
    weighed = [image.nbytes for image in images]
    for encoded in images:
        played(loaded, encoded, [Click((30, 12, k)) for k in range(2)])
        assert kept.size() <= 2 * one
    assert [image.nbytes for image in images] == weighed
    pictures = [image.embedding(1, loaded._network()).coarse for image in images]
    assert not (pictures[0] == pictures[1]).all()


def test_ten_who_click_at_once_encode_the_slice_once(loaded: Sam2, encodings: list[Any]) -> None:
    encoded = loaded.encode(study())
    with ThreadPoolExecutor(10) as pool:
        masks = list(pool.map(lambda _: played(loaded, encoded, [CLICK]), range(10)))
    assert len(encodings) == 1
    assert all((mask == masks[0]).all() for mask in masks)


def test_the_same_prompts_give_the_same_mask_whatever_is_kept(loaded: Sam2) -> None:
    prompts = [CLICK, Click((10, 10, 0)), AGAIN, ExtremePoints(((2, 3, 1), (40, 30, 1))), AWAY, Click((9, 9, 1))]
    expected = played(loaded, loaded.encode(study()), prompts)
    assert expected.any()
    nothing: MemoryCache[Any] = MemoryCache(0, lambda embedding: embedding.nbytes)
    np.testing.assert_array_equal(played(loaded, Slices(study(), nothing), prompts), expected)
    assert nothing.size() == 0


def test_a_gpu_without_memory_is_no_fault_of_the_program_and_the_next_click_is_answered(
    loaded: Sam2, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(pictures: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    encoded = loaded.encode(study())
    with monkeypatch.context() as patch:
        patch.setattr(loaded._network()._network, "forward_image", full)
        with pytest.raises(UnavailableError, match="no memory left for sam2") as caught:
            played(loaded, encoded, [CLICK])
    assert caught.value.retry_after
    assert played(loaded, encoded, [CLICK])[CLICK.at[::-1]]


def test_a_click_changes_its_slice_alone_and_its_voxel_says_what_it_said(loaded: Sam2) -> None:
    encoded, mask = loaded.encode(study()), np.zeros(SHAPE, bool)
    mask[:, 5:25, 20:50] = True
    for prompt in (CLICK, Click((2, 2, 2)), Click((25, 10, 2), positive=False)):
        edit = loaded.answer(encoded, mask, (), prompt)
        after = edit.applied(mask)
        assert after[prompt.at[::-1]] == prompt.positive
        np.testing.assert_array_equal(after[[0, 1, 3]], mask[[0, 1, 3]])
        assert not ((after & ~mask) if not prompt.positive else (mask & ~after)).any()


def test_an_earlier_click_stays_what_it_said(loaded: Sam2) -> None:
    encoded, mask = loaded.encode(study()), np.zeros(SHAPE, bool)
    before = [AWAY, CLICK]
    for prompt in (AGAIN, Box((0, 0, 2), (55, 39, 2))):
        after = loaded.answer(encoded, mask, before, prompt).applied(mask)
        assert after[CLICK.at[::-1]] or isinstance(prompt, Click)
        assert not after[AWAY.at[::-1]]


def test_a_box_answers_in_its_middle_slice_and_within_itself(loaded: Sam2) -> None:
    encoded, mask = loaded.encode(study()), np.ones(SHAPE, bool)
    edit = loaded.answer(encoded, mask, (), Box((8, 6, 1), (40, 30, 3)))
    assert edit.region == (slice(2, 3), slice(6, 31), slice(8, 41))
    points = ExtremePoints(((8, 20, 2), (40, 20, 2), (20, 6, 1), (20, 30, 3)))
    np.testing.assert_array_equal(loaded.answer(encoded, mask, (), points).voxels, edit.voxels)


def test_the_mask_so_far_is_looked_at(loaded: Sam2) -> None:
    encoded = loaded.encode(study())
    masks = [np.zeros(SHAPE, bool) for _ in range(2)]
    masks[1][2, 20:, :8] = True
    answers = [loaded.answer(encoded, mask, (), Click((45, 8, 2))).applied(mask) ^ mask for mask in masks]
    assert (answers[0] != answers[1])[2, :, 12:].any()


def test_where_nothing_is_marked_a_negative_click_is_answered_without_looking(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"never read")
    model = Sam2(tmp_path / "weights.pt", "cpu")
    edit = model.answer(model.encode(study()), np.zeros(SHAPE, bool), (), AWAY)
    assert not edit.voxels.any()
    assert model._loaded is None


@pytest.mark.parametrize(
    "turn",
    [
        Reorientation((0, 1, 2), (True, True, False)),
        Reorientation((2, 0, 1), (False, True, True)),
        Reorientation((1, 2, 0), (True, False, True)),
    ],
)
def test_a_click_lands_where_it_was_on_a_mirrored_or_sagittal_series(loaded: Sam2, turn: Reorientation) -> None:
    """The same patient, stored in another order, gets the same mask at the same place."""
    image = study()
    stored = StudyImage(turn.apply(image.voxels), turn.grid(image.grid), image.channels, image.modality)
    prompts = [CLICK, AWAY, Box((5, 8, 1), (40, 33, 1)), AGAIN]
    expected = played(loaded, loaded.encode(image), prompts)
    assert 0 < expected[2].sum() < expected[2].size
    found = played(loaded, loaded.encode(stored), [moved(prompt, turn) for prompt in prompts])
    np.testing.assert_array_equal(turn.invert(found), expected)


def moved(prompt: Click | Box, turn: Reorientation) -> Click | Box:
    """Return the prompt on the reoriented grid, found by looking where its voxels went."""
    drawn = np.zeros(SHAPE, bool)
    if isinstance(prompt, Click):
        drawn[prompt.at[::-1]] = True
    else:
        drawn[prompt.region] = True
    where = np.argwhere(turn.apply(drawn))[:, ::-1]
    first, last = (tuple(int(n) for n in ends) for ends in (where.min(axis=0), where.max(axis=0)))
    return Click(first, prompt.positive) if isinstance(prompt, Click) else Box(first, last)  # type: ignore[arg-type]


def test_a_colour_picture_is_seen_as_it_is(loaded: Sam2) -> None:
    pixels = np.random.default_rng(6).integers(0, 256, (3, 1, 30, 50), np.uint8)
    picture = StudyImage(pixels, Grid((1, 30, 50), np.eye(4)), ("", "", ""))
    encoded = loaded.encode(picture)
    seen = encoded.picture(0)
    np.testing.assert_array_equal(seen, np.moveaxis(pixels[:, 0], 0, -1))
    assert played(loaded, encoded, [Click((20, 10, 0))])[0, 10, 20]


def test_what_it_does_not_take(loaded: Sam2) -> None:
    mask = np.zeros(SHAPE, bool)
    with pytest.raises(InputError, match="takes prompts of the kind click, box, extremepoints, got scribble"):
        loaded.answer(loaded.encode(study()), mask, (), Scribble(np.zeros(SHAPE, np.int8)))
    loaded.answer(loaded.encode(study()), mask, [Scribble(np.ones(SHAPE, np.int8)), Propagate(1)], CLICK)


def test_other_weights_are_another_version(checkpoint: Path, tmp_path: Path, loaded: Sam2) -> None:
    other = tmp_path / "other.pt"
    other.write_bytes(b"other weights")
    assert Sam2(checkpoint, "cpu").version == loaded.version != Sam2(other, "cpu").version


def test_weights_that_were_exchanged_before_the_first_click_are_not_taken_for_those_that_are_offered(
    checkpoint: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"PK\x05\x06" + bytes(18))  # an archive of nothing
    model = build(weights, "cpu")
    weights.write_bytes(checkpoint.read_bytes())
    with pytest.raises(UnavailableError, match=r"weights of sam2, .*weights\.pt, were exchanged"):
        model.answer(model.encode(study()), np.zeros(SHAPE, bool), (), CLICK)
    weights.unlink()
    with pytest.raises(InputError, match=r"cannot read the weights of sam2, .*weights\.pt \(No such file"):
        model.answer(model.encode(study()), np.zeros(SHAPE, bool), (), CLICK)


def test_no_weights_and_damaged_ones_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        UnavailableError, match=r"fetches none: get a checkpoint such as .* --sam2-weights \(tumorseg serve\) or"
    ):
        build()
    with pytest.raises(InputError, match="there is no file"):
        build(tmp_path / "gone.pt")
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(b"not a checkpoint\n" * 99)
    with pytest.raises(InputError, match=r"got .*damaged\.pt, which is damaged$"):
        build(damaged)
