"""Two stages of real networks: what the gate does not pass is not looked at, and the answer says so."""

import numpy as np
import pytest
import torch

from tumorseg.errors import InputError
from tumorseg.geometry import Grid, affine_from_parts
from tumorseg.models import cascade, gate
from tumorseg.models.base import Model
from tumorseg.models.cascade import Cascade
from tumorseg.models.slice_classifier import SlicewiseClassifier
from tumorseg.models.slicewise import SlicewiseModel
from tumorseg.training.checkpoint import save_weights
from tumorseg.types import StudyImage


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A marker with random weights and a gate whose scores vary from slice to slice."""
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("weights")
    for module in (gate, cascade):
        network = module.network().train()
        with torch.no_grad():
            for _ in range(10):
                network(torch.randn(4, 3 * module.SPEC.slices, 64, 64))
        save_weights(network.state_dict(), folder / f"{module.SPEC.name}.safetensors", half=False, metadata={})
    return folder


@pytest.fixture(scope="module")
def image():
    """Stacked along the first axis, from the head down: the slices run backwards against the network's."""
    grid = Grid((6, 64, 64), affine_from_parts([0, 0, 0], np.diag([1.0, 1, -1]), [1.0, 1.0, 4.0]))
    voxels = np.random.default_rng(0).integers(0, 255, (3, *grid.shape), dtype=np.uint8)
    return StudyImage(voxels, grid, ("T1", "FLAIR", "T1Gd"), modality="MR")


@pytest.fixture
def model(networks, image):
    """The gate's threshold lies between its scores of this image: some slices pass."""
    classifier = SlicewiseClassifier(gate.SPEC, networks / "gate.safetensors", "cpu")
    classifier.threshold = float(np.median(classifier.classify(image).scores))
    return Cascade(classifier, SlicewiseModel(cascade.SPEC, networks / "cascade.safetensors", "cpu"))


def test_it_is_a_model_like_any_other(model):
    assert isinstance(model, Model)
    assert model.name == "cascade"
    assert model.version not in (model.gate.version, model.marker.version)
    assert model.weights.name == "cascade.safetensors"


def test_passed_slices_are_answered_as_by_the_second_stage_alone_and_the_others_are_empty(model, image):
    passed = model.gate.classify(image).scores >= model.gate.threshold
    assert 0 < passed.sum() < len(passed), "the test needs slices of both kinds"
    assert not np.array_equal(passed, passed[::-1]), "and an order that shows"
    alone, answer = model.marker.predict(image).segmentation, model.predict(image).segmentation
    assert alone.probability.min() > 0
    assert np.array_equal(answer.probability[passed], alone.probability[passed])
    assert not answer.probability[~passed].any()
    assert not answer.voxels[~passed].any()


def test_the_answer_says_what_each_stage_did(model, image):
    answer = model.predict(image)
    assert (answer.model, answer.version) == ("cascade", model.version)
    assert [stage.version for stage in answer.stages] == [model.gate.version, model.marker.version]
    assert answer.stages[0].model == "gate"
    assert "of 6 slices" in answer.stages[0].result
    assert f"{np.count_nonzero(answer.segmentation.voxels)} voxels" in answer.stages[1].result
    assert any("of 6 slices" in note for note in answer.notes)
    assert {"gate", "pre", "network", "post"} == set(answer.latencies)


def test_where_no_slice_passes_nothing_is_marked(model, image):
    model.gate.threshold = 1.1
    answer = model.predict(image)
    assert not answer.segmentation.voxels.any()
    assert answer.segmentation.grid is image.grid
    assert "0 of 6 slices" in answer.stages[0].result


def test_where_all_pass_it_is_the_second_stage(model, image):
    model.gate.threshold = 0.0
    both, alone = model.predict(image).segmentation, model.marker.predict(image).segmentation
    assert np.array_equal(both.probability, alone.probability)


def test_progress_runs_through_both_stages(model, image):
    seen = []
    model.predict(image, progress=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {12}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (12, 12)


def test_a_choice_of_other_slices_is_refused(model, image):
    with pytest.raises(InputError, match="choice of the 6 slices"):
        model.marker.predict(image, only=np.ones(5, bool))
