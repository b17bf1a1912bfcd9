"""Detections from the network's square back to the image's own voxels. The weights are random: geometry is tested."""

import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tumorseg.errors import InputError, UnavailableError
from tumorseg.geometry import Grid, Reorientation
from tumorseg.models.detection_options import DetectionOptions
from tumorseg.models.detector import DetectorModel, DetectorSpec, _turned_back, paste
from tumorseg.networks.maskrcnn import build_maskrcnn
from tumorseg.types import Instance, StudyImage

SPEC = DetectorSpec(name="any", description="Random weights.", labels=(("a", 1), ("b", 2)), side=128, mirror=False)
EVERYTHING = DetectionOptions(score=0.0, nms=0.3, max_instances=5)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "any.safetensors"
    save_file(build_maskrcnn("lite0", 2, side=128).state_dict(), path, metadata={"backbone": "lite0"})
    return path


@pytest.fixture(scope="module")
def model(weights):
    return DetectorModel(SPEC, weights, "cpu")


def picture(shape=(1, 1, 90, 120), seed=0, affine=None):
    voxels = np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)
    affine = np.eye(4) if affine is None else affine
    return StudyImage(voxels, Grid(shape[1:], affine), ("",) * shape[0], spacing_known=False)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", list(itertools.product([False, True], repeat=3)))
def test_boxes_and_masks_turn_back_exactly(order, flips):
    turn = Reorientation(order, flips)
    own = np.zeros((5, 7, 9), bool)
    own[1:3, 2:5, 6:8] = True
    own[1, 2, 6] = False  # not the same from every side
    axial = turn.apply(own)
    where = np.argwhere(axial)
    low, high = where.min(0), where.max(0) + 1
    region = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    instance = Instance("a", 1.0, np.r_[low[::-1], high[::-1]].astype(float), axial[region], tuple(map(int, low)))
    back = _turned_back(instance, turn, axial.shape)
    assert back.box.tolist() == [6, 2, 1, 8, 5, 3]
    again = np.zeros_like(own)
    again[back.region] = back.mask
    assert np.array_equal(again, own)


def test_detections_lie_inside_their_picture_and_say_what_they_are(model):
    answer = model.predict(picture(), options=EVERYTHING)
    assert 0 < len(answer.detections) <= 5
    for found in answer.detections.instances:
        assert found.label in ("a", "b")
        assert (found.box >= 0).all()
        assert (found.box <= [120, 90, 1, 120, 90, 1]).all()
    assert answer.segmentation.voxels.shape == (1, 90, 120)
    assert np.array_equal(answer.segmentation.voxels, answer.detections.label_map().voxels)


def test_scores_fall_and_the_threshold_holds(model):
    scores = [i.score for i in model.predict(picture(), options=EVERYTHING).detections.instances]
    assert scores == sorted(scores, reverse=True)
    middle = (scores[0] + scores[-1]) / 2
    kept = model.predict(picture(), options=EVERYTHING.with_values(score=middle)).detections.instances
    assert [i.score for i in kept] == pytest.approx([s for s in scores if s >= middle])


def test_what_is_less_certain_changes_nothing_above_it(weights):
    both = DetectorModel(DetectorSpec("any", "Random.", SPEC.labels, side=128, mirror=True), weights, "cpu")
    low = both.predict(picture(), options=EVERYTHING).detections.instances
    high = both.predict(picture(), options=EVERYTHING.with_values(score=low[1].score)).detections.instances
    assert len(high) == 2
    for one, other in zip(high, low, strict=False):
        assert np.array_equal(one.box, other.box)
        assert np.array_equal(one.mask, other.mask)


def test_a_volume_is_read_slice_by_slice(model):
    volume = picture((1, 3, 64, 80))
    many = EVERYTHING.with_values(link=1.0, max_instances=2)  # masks never agree wholly: nothing is linked
    together = model.predict(volume, options=many).detections.instances
    apart = [score for k in range(3) for score in _scores_of_slice(model, volume, k, many)]
    assert sorted(i.score for i in together) == pytest.approx(sorted(apart), abs=1e-4)


def _scores_of_slice(model, volume, k, options):
    started = model.begin(volume, options=options)
    started.look.axial = started.look.axial[k : k + 1]
    model.look([started])
    return started.look.found[0].scores


def test_turning_the_volume_turns_the_detections(model):
    """The same voxels as a scanner with other axes would store them."""
    volume = picture((1, 2, 40, 50), affine=np.diag([1.0, 1.0, 4.0, 1.0]))
    turn = Reorientation((2, 0, 1), (True, False, True))
    moved = StudyImage(turn.apply(volume.voxels), turn.grid(volume.grid), ("",))
    straight = model.predict(volume, options=EVERYTHING).segmentation.voxels
    turned = model.predict(moved, options=EVERYTHING).segmentation.voxels
    assert straight.any()
    assert np.array_equal(turn.invert(turned), straight)


def test_the_mirror_image_is_looked_at_too(weights):
    """With both views the answer to the mirrored picture is the mirrored answer."""
    both = DetectorModel(DetectorSpec("any", "Random.", SPEC.labels, side=128, mirror=True), weights, "cpu")
    image = picture((1, 1, 128, 128))
    flipped = StudyImage(np.ascontiguousarray(image.voxels[..., ::-1]), image.grid, image.channels)
    one, other = (both.predict(i, options=EVERYTHING).detections.instances for i in (image, flipped))
    assert [i.score for i in one] == pytest.approx([i.score for i in other], abs=1e-4)
    assert one[0].box[[0, 3]] == pytest.approx(128 - other[0].box[[3, 0]], abs=0.05)


def test_a_full_mask_fills_its_box_and_half_a_mask_half_of_it():
    full, origin = paste(np.ones((28, 28), np.float32), np.array([3.0, 2.0, 23.0, 12.0]), (40, 40))
    assert origin == (2, 3)
    assert full.shape == (10, 20)
    assert full.mean() > 0.85
    half = np.ones((28, 28), np.float32)
    half[:, 14:] = 0
    left, _ = paste(half, np.array([3.0, 2.0, 23.0, 12.0]), (40, 40))
    assert left[:, 2:9].all(axis=0)[0]
    assert not left[:, 11:].any()


def test_other_modalities_and_missing_weights_are_refused(model, tmp_path):
    ct = StudyImage(np.zeros((1, 1, 8, 8), np.int16), Grid((1, 8, 8), np.eye(4)), ("",), modality="CT")
    with pytest.raises(InputError, match="modality CT"):
        model.predict(ct)
    with pytest.raises(UnavailableError, match="no weights for any"):
        DetectorModel(SPEC, tmp_path / "none.safetensors")


def test_weights_of_something_else_are_said(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"x": torch.zeros(3)}, path)
    with pytest.raises(InputError, match="does not hold weights of any"):
        DetectorModel(SPEC, path, "cpu").predict(picture())
    path.write_bytes(b"no weights at all")
    with pytest.raises(InputError, match="no safetensors file of weights"):
        DetectorModel(SPEC, path, "cpu").predict(picture())
