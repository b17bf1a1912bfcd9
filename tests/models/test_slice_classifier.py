"""A classifier around a real network: every slice keeps its score, whatever the grid the volume comes on."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.test_geometry import AXIS_ALIGNED, axis_aligned
from tumorseg.errors import InputError, NotFoundError, UnavailableError
from tumorseg.geometry import Grid, to_axial
from tumorseg.models import gate, gate_resnet50
from tumorseg.models.classifier import SliceClassifier
from tumorseg.models.engines.base import Look
from tumorseg.models.engines.openvino_engine import OpenVinoEngine
from tumorseg.models.engines.torch_engine import TorchEngine
from tumorseg.models.slice_classifier import SlicewiseClassifier
from tumorseg.registry import CLASSIFIERS, load_classifier
from tumorseg.training.checkpoint import save_weights
from tumorseg.types import StudyImage


@pytest.fixture(scope="module", params=[gate, gate_resnet50], ids=["gate", "gate_resnet50"])
def classifier(request, tmp_path_factory):
    """A network with random weights and settled batch norms: its scores depend on everything it sees."""
    torch.manual_seed(1)
    spec = request.param.SPEC
    network = request.param.network().train()
    with torch.no_grad():
        for _ in range(10):
            network(torch.randn(4, 3 * spec.slices, 64, 64))
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    save_weights(network.state_dict(), path, half=False, metadata={"threshold": "0.25"})
    return SlicewiseClassifier(spec, path, "cpu")


def volume(grid, seed=0):
    """Every slice has a texture of its own coarseness, so that scores differ."""
    rng = np.random.default_rng(seed)
    voxels = rng.integers(0, 255, (3, *grid.shape)).astype(np.float32)
    return StudyImage(voxels, grid, ("T1", "FLAIR", "T1Gd"), modality="MR")


def test_it_says_what_it_is(classifier):
    assert isinstance(classifier, SliceClassifier)
    assert classifier.threshold == 0.25
    assert len(classifier.version) == 12
    assert CLASSIFIERS[classifier.name]


def test_one_score_for_each_slice_in_the_image_s_order(classifier):
    image = volume(Grid((5, 64, 64), np.eye(4)))
    answer = classifier.classify(image)
    assert answer.scores.shape == (5,)
    assert ((answer.scores > 0) & (answer.scores < 1)).all()
    assert len(np.unique(answer.scores)) == 5
    assert (answer.axis, answer.model, answer.version) == (0, classifier.name, classifier.version)


@pytest.mark.parametrize(("permutation", "signs"), AXIS_ALIGNED[::11])
def test_scores_follow_their_slices_through_any_permutation(classifier, permutation, signs):
    image = volume(Grid((4, 64, 96), np.eye(4)))
    expected = classifier.classify(image).scores
    count_by_world, shape_ijk = [96, 64, 4], [0] * 3
    for world in range(3):
        shape_ijk[permutation[world]] = count_by_world[world]
    other = axis_aligned(permutation, signs, tuple(shape_ijk[::-1]), (1.0, 1.0, 1.0))
    turn = to_axial(other)
    answer = classifier.classify(StudyImage(turn.invert(image.voxels), other, image.channels, modality="MR"))
    assert answer.axis == turn.order[0]
    backwards = turn.flips[0]
    assert np.allclose(answer.scores[::-1] if backwards else answer.scores, expected, atol=1e-4)


def test_both_engines_give_the_same_scores(classifier):
    prepared = np.random.default_rng(0).normal(size=(3, 4, 96, 70)).astype(np.float32)
    looks = [Look(classifier.spec, prepared, whole=True) for _ in range(2)]
    OpenVinoEngine(classifier.spec, classifier.weights).look(looks[:1])
    TorchEngine(classifier.spec, classifier.weights, "cpu").look(looks[1:])
    fast, reference = (look.probability for look in looks)
    assert np.ptp(reference) > 1e-4, "the comparison needs an answer that varies"
    assert np.abs(fast - reference).max() < 1e-3


def test_progress_counts_slices(classifier):
    seen = []
    classifier.classify(volume(Grid((3, 64, 64), np.eye(4))), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_single_sequence_is_noted_and_ct_refused(classifier):
    image = volume(Grid((2, 64, 64), np.eye(4)))
    flair = replace(image, voxels=image.voxels[1:2], channels=("FLAIR",))
    assert "FLAIR stands in" in classifier.classify(flair).notes[0]
    with pytest.raises(InputError, match="modality CT"):
        classifier.classify(replace(image, modality="CT"))


def test_an_empty_slice_and_a_constant_volume_have_scores(classifier):
    image = StudyImage(np.zeros((3, 2, 64, 64)), Grid((2, 64, 64), np.eye(4)), ("T1", "FLAIR", "T1Gd"))
    assert np.isfinite(classifier.classify(image).scores).all()


def test_missing_weights_and_names_are_said(classifier, tmp_path):
    with pytest.raises(UnavailableError, match="no weights for"):
        SlicewiseClassifier(classifier.spec, tmp_path / "none.safetensors")
    with pytest.raises(NotFoundError, match="known: gate"):
        load_classifier("no-such-classifier")
