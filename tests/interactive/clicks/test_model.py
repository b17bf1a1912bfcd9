"""The click model as it serves, with a head that nobody trained: places, determinism, what is kept."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.dicom.phantoms import GRIDS, sample
from tumorseg.errors import InputError, UnavailableError
from tumorseg.interactive.base import Interactive
from tumorseg.interactive.clicks.engine import TorchClicks
from tumorseg.interactive.clicks.model import ClickModel
from tumorseg.interactive.prompts import Box, Click
from tumorseg.models.metadata import identify
from tumorseg.models.resunet25d import SPEC, build
from tumorseg.networks.clicks import ClickHead
from tumorseg.training.checkpoint import save_weights
from tumorseg.types import StudyImage


def untrained(path: Path, **metadata: str) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        save_weights(ClickHead().state_dict(), path, half=True, metadata=metadata)
    return path


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    trunk = identify(SPEC.name, None, SPEC.weights)[1]
    return untrained(tmp_path_factory.mktemp("head") / "clicks.safetensors", trunk=trunk)


@pytest.fixture(scope="module")
def model(weights) -> ClickModel:
    return ClickModel(weights, "cpu")


def study(name: str) -> StudyImage:
    grid = GRIDS[name]
    return StudyImage(sample(grid)[None].astype(np.float32), grid, ("FLAIR",), modality="MR")


@pytest.fixture(scope="module")
def axial(model):
    return model.encode(study("axial"))


def test_it_keeps_the_contract(model):
    assert isinstance(model, Interactive)
    assert model.viewer_type == "deepgrow"


def test_the_proposal_is_the_default_models_mask_voxel_for_voxel(model, axial):
    served = build().predict(study("axial"))
    assert (axial.proposal == (served.segmentation.voxels > 0)).all()
    assert axial.shape == served.segmentation.grid.shape
    assert axial.nbytes > axial.fine.nbytes


@pytest.mark.parametrize("name", ["oblique sagittal", "flipped slices", "permuted oblique"])
def test_a_click_lands_where_it_was_on_oblique_and_flipped_grids_too(model, name):
    encoded = model.encode(study(name))
    at = (7, 11, 5)
    for positive in (True, False):
        mask = np.full(encoded.shape, not positive)
        edit = model.answer(encoded, mask, (), Click(at, positive))
        assert edit.applied(mask)[at[::-1]] == positive
        changed = edit.applied(mask) != mask
        assert (changed == (edit.applied(mask) == positive)).all(), "it adds or it removes"


def test_the_same_clicks_give_the_same_mask_whoever_else_clicked_meanwhile(model, axial):
    mask = np.zeros(axial.shape, bool)
    first = model.answer(axial, mask, (), Click((15, 20, 10)))
    model.answer(axial, ~mask, (Click((3, 3, 3)),), Click((30, 9, 2), positive=False))
    again = model.answer(axial, mask, (), Click((15, 20, 10)))
    assert first.origin == again.origin
    assert (first.voxels == again.voxels).all()


def test_a_click_in_the_air_and_one_in_the_last_corner_are_answered(model, axial):
    mask = np.zeros(axial.shape, bool)
    k, j, i = axial.shape
    for at in ((0, 0, 0), (i - 1, j - 1, k - 1)):
        assert model.answer(axial, mask, (), Click(at)).applied(mask)[at[::-1]]


def test_openvino_and_pytorch_say_the_same(model, weights, axial):
    trunk = identify(SPEC.name, None, SPEC.weights)[0]
    torch_engine = TorchClicks(trunk, weights, "cpu")
    one = np.random.default_rng(0).random((1, 9, 64, 64), np.float32)
    for ours, theirs in zip(next(model._engine.look([one])), next(torch_engine.look([one])), strict=True):
        assert np.abs(np.array(ours) - theirs).max() < 1e-3
    given = [np.random.default_rng(c).random((3, c, s, s), np.float32) for c, s in ((24, 32), (48, 16), (22, 32))]
    assert np.abs(model._engine.answer(*given) - torch_engine.answer(*given)).max() < 1e-3


def test_one_slice_is_enough(model):
    image = study("axial")
    k = 12
    single = StudyImage(image.voxels[:, k : k + 1], image.grid.part((k, 0, 0), (1, *image.grid.shape[1:])), ("FLAIR",))
    encoded = model.encode(single)
    mask = np.zeros(encoded.shape, bool)
    assert model.answer(encoded, mask, (), Click((15, 20, 0))).applied(mask)[0, 20, 15]


def test_a_box_is_refused_and_says_what_is_taken(model, axial):
    with pytest.raises(InputError, match="prompts of the kind click, got box"):
        model.answer(axial, np.zeros(axial.shape, bool), (), Box((0, 0, 0), (3, 3, 3)))


def test_a_head_of_another_trunk_does_not_serve(tmp_path):
    with pytest.raises(InputError, match="train the head anew"):
        ClickModel(untrained(tmp_path / "other.safetensors", trunk="0123456789ab"))


def test_without_weights_it_says_so(tmp_path):
    with pytest.raises(UnavailableError, match="no weights for clicks"):
        ClickModel(tmp_path / "none.safetensors")
