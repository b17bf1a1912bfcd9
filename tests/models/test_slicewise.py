"""The slice-wise pipeline around a real network: same mask whatever the grid the volume comes on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.test_geometry import AXIS_ALIGNED, axis_aligned, rotated
from tumorseg.errors import InputError, UnavailableError
from tumorseg.geometry import Grid, affine_from_parts, resample, to_axial
from tumorseg.models import resunet, resunet25d
from tumorseg.models.slicewise import SlicewiseModel
from tumorseg.training.checkpoint import save_weights
from tumorseg.types import StudyImage


@pytest.fixture(scope="module", params=[resunet, resunet25d], ids=["resunet", "resunet25d"])
def model(request, tmp_path_factory):
    """A network with random weights and settled batch norms: its output depends on everything it sees."""
    torch.manual_seed(1)
    network = request.param.network()
    network.train()
    channels = 3 * request.param.SPEC.slices
    with torch.no_grad():
        for _ in range(20):
            network(torch.randn(4, channels, 64, 64))
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(network.state_dict(), path, half=False, metadata={})
    return SlicewiseModel(request.param.SPEC, path, "cpu")


def volume(grid, seed=0):
    voxels = np.random.default_rng(seed).integers(0, 255, (3, *grid.shape), dtype=np.uint8)
    return StudyImage(voxels, grid, ("T1", "FLAIR", "T1Gd"), modality="MR")


@pytest.mark.parametrize(("permutation", "signs"), AXIS_ALIGNED[::7])
def test_the_mask_follows_the_voxels_through_any_permutation(model, permutation, signs):
    base = Grid((3, 40, 50), affine_from_parts([5, 6, 7], np.eye(3), [1.0, 1.0, 5.0]))
    image = volume(base)
    expected = model.predict(image).segmentation
    spacing_by_world = [1.0, 1.0, 5.0]
    count_by_world = [50, 40, 3]
    spacing, shape_ijk = [0.0] * 3, [0] * 3
    for world in range(3):
        spacing[permutation[world]], shape_ijk[permutation[world]] = spacing_by_world[world], count_by_world[world]
    other = axis_aligned(permutation, signs, tuple(shape_ijk[::-1]), spacing)
    turn = to_axial(other)
    moved = StudyImage(turn.invert(image.voxels), other, image.channels, modality="MR")
    result = model.predict(moved).segmentation
    assert result.grid is other
    assert np.allclose(turn.apply(result.probability), expected.probability, atol=1e-5)


def test_padding_leaves_the_result_in_place(model):
    image = volume(Grid((2, 45, 37), np.eye(4)))
    prediction = model.predict(image)
    assert prediction.segmentation.voxels.shape == (2, 45, 37)
    assert prediction.segmentation.voxels.dtype == np.uint8
    assert set(np.unique(prediction.segmentation.voxels)) <= {0, 1}


def test_fine_pixels_are_brought_to_the_trained_size_and_back(model):
    """A bright block on a fine oblique grid: the answer there is the answer of the trained pixel size, resampled."""
    coarse = Grid((2, 48, 48), affine_from_parts([0, 0, 0], rotated((3, 4, 5)), [0.9, 0.9, 5]))
    fine_affine = coarse.affine @ np.diag([0.5, 0.5, 1, 1])
    fine_affine[:3, 3] = coarse.affine[:3, :3] @ np.array([-0.25, -0.25, 0]) + coarse.origin
    fine = Grid((2, 96, 96), fine_affine)
    smooth = volume(coarse)
    fine_voxels = np.stack([np.repeat(np.repeat(c, 2, axis=1), 2, axis=2) for c in smooth.voxels])
    answer = model.predict(StudyImage(fine_voxels, fine, smooth.channels, modality="MR")).segmentation
    assert answer.grid is fine
    expected = resample(model.predict(smooth).segmentation.probability, coarse, fine)
    assert np.corrcoef(answer.probability.ravel(), expected.ravel())[0, 1] > 0.9


def test_one_slice_and_one_channel_work(model):
    image = StudyImage(np.random.default_rng(0).random((1, 1, 64, 64)), Grid((1, 64, 64), np.eye(4)), ("",))
    prediction = model.predict(image)
    assert "stands in" in prediction.notes[0]
    assert {"pre", "network", "post"} == set(prediction.latencies)


def test_a_constant_image_gives_a_finite_answer(model):
    image = StudyImage(np.full((3, 1, 64, 64), 7.0), Grid((1, 64, 64), np.eye(4)), ("T1", "FLAIR", "T1Gd"))
    assert np.isfinite(model.predict(image).segmentation.probability).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_voxels_that_are_not_finite_are_refused(model, bad):
    image = volume(Grid((2, 32, 32), np.eye(4)))
    voxels = image.voxels.astype(np.float32)
    voxels[1, 0, 3, 4] = bad
    with pytest.raises(InputError, match="1 voxels are not finite"):
        model.predict(replace(image, voxels=voxels))


def test_progress_counts_slices(model):
    seen = []
    model.predict(volume(Grid((11, 32, 32), np.eye(4))), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(n, 11) for n in range(1, 12)]


def test_weights_that_are_missing_or_of_another_model_are_said(model, tmp_path):
    with pytest.raises(UnavailableError, match="no weights"):
        SlicewiseModel(model.spec, tmp_path / "none.safetensors")
    path = tmp_path / "other.safetensors"
    save_weights({"a": torch.zeros(1)}, path, half=True, metadata={})
    with pytest.raises(InputError, match="does not hold weights"):
        SlicewiseModel(model.spec, path, "cpu").predict(volume(Grid((1, 32, 32), np.eye(4))))
    path.write_bytes(b"nonsense")
    with pytest.raises(InputError, match="no safetensors file of weights"):
        SlicewiseModel(model.spec, path, "cpu").predict(volume(Grid((1, 32, 32), np.eye(4))))


@pytest.mark.parametrize("device", ["cuda:7", "tpu-please"])
def test_a_device_that_is_not_there_is_an_error(model, device):
    with pytest.raises(InputError):
        SlicewiseModel(model.spec, model.weights, device).predict(volume(Grid((1, 32, 32), np.eye(4))))
