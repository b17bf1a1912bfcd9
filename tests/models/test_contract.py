"""Every registered model keeps the contract with its shipped weights on the sample study; not edited for new ones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tumorseg.errors import InputError, NotFoundError
from tumorseg.geometry import Grid, to_axial
from tumorseg.io import read_study
from tumorseg.models.base import DetectionModel, Model
from tumorseg.registry import DEFAULT_MODEL, MODELS, load_model
from tumorseg.types import StudyImage

SAMPLE = Path(__file__).parents[2] / "sample_data"
MAX_WEIGHTS_BYTES = 20e6
MAX_ALL_WEIGHTS_BYTES = 60e6
# The sample patient trained nothing; a model that misses this much of its tumour is broken, not merely weak.
SANE_DICE = 0.7
#: Of the sample study, with its tumour.
SLICES = slice(6, 16)


@pytest.fixture(scope="module", params=sorted(MODELS))
def model(request):
    return load_model(request.param, device="cpu")


@pytest.fixture(scope="module")
def study(model):
    """What a model is made for: the sample patient, or, for ultrasound, a phantom of a dark mass in bright tissue."""
    if "US" in getattr(model, "modalities", ()):
        return ultrasound()
    whole = read_study(SAMPLE / "lgg_dicom", channels=("T1", "FLAIR", "T1Gd"))
    return part(whole) if isinstance(model, DetectionModel) else whole


def part(study):
    """Return the slices around the tumour: a detector takes a second for each, and is asked for all of them often."""
    origin = study.grid.points(np.array([[0, 0, SLICES.start]]))[0]
    affine = study.grid.affine.copy()
    affine[:3, 3] = origin
    voxels = study.voxels[:, SLICES]
    return replace(study, voxels=voxels, grid=Grid(voxels.shape[1:], affine))


def ultrasound():
    rng = np.random.default_rng(0)
    row, column = np.mgrid[:240, :320]
    tissue = 90 + 25 * np.sin(row / 9 + np.sin(column / 40)) + 20 * np.exp(-row / 30)
    tissue = np.where(_mass(row, column), 14, tissue) + 45 * ((row > 150) & (abs(column - 160) < 50))
    speckle = np.abs(rng.normal(1, 0.3, tissue.shape))
    pixels = (tissue * speckle).clip(0, 255).astype(np.uint8)[None, None]
    return StudyImage(pixels, Grid((1, 240, 320), np.eye(4)), ("",), modality="US", spacing_known=False)


def _mass(row, column):
    return ((row - 110) / 40) ** 2 + ((column - 160) / 60) ** 2 <= 1


@pytest.fixture(scope="module")
def truth(study):
    if study.modality == "US":
        return _mass(*np.mgrid[:240, :320])[None]
    image = read_study(SAMPLE / "expected" / "lgg_truth.nii.gz")
    image = image if image.grid.same_as(study.grid) else part(image)
    assert image.grid.same_as(study.grid), "the stored mask must lie on the study's grid for this comparison"
    return image.voxels[0] > 0


@pytest.fixture(scope="module")
def answer(model, study):
    return model.predict(study)


def test_it_says_what_it_is(model):
    assert isinstance(model, Model)
    assert MODELS[model.name]
    assert model.description
    assert model.dimension in (2, 3)
    assert 0 not in model.labels.values()
    assert len(set(model.labels.values())) == len(model.labels) > 0


def test_its_weights_are_small_and_have_a_card(model):
    assert model.weights.stat().st_size <= MAX_WEIGHTS_BYTES
    assert sum(f.stat().st_size for f in model.weights.parent.glob("*.safetensors")) <= MAX_ALL_WEIGHTS_BYTES
    card = json.loads(model.weights.with_suffix(".json").read_text())
    assert card["version"] == model.version, "the card belongs to other weights: run tumorseg publish again"
    assert card["licence"]
    assert not set(card["held_out"]["test"]) & set(card["held_out"]["validation"])
    assert model.version in model.weights.with_suffix(".md").read_text()


def test_the_answer_lies_on_the_input_and_on_the_tumour(model, study, truth, answer):
    found = answer.segmentation
    assert found.grid is study.grid
    assert set(np.unique(found.voxels)) <= {0, *model.labels.values()}
    assert (answer.model, answer.version) == (model.name, model.version)
    marked = found.voxels > 0
    assert 2 * (marked & truth).sum() / (marked.sum() + truth.sum()) > SANE_DICE


def test_the_same_image_gives_the_same_answer(model, study, answer):
    assert np.array_equal(model.predict(study).segmentation.voxels, answer.segmentation.voxels)


def test_turning_the_volume_turns_the_answer(model, study, answer):
    """The sample as a scanner with other axes would store it: axes exchanged, two of them running backwards."""
    turn = to_axial(study.grid)
    order = replace(turn, order=(2, 0, 1), flips=(True, False, True))
    moved = replace(study, voxels=order.apply(study.voxels), grid=order.grid(study.grid))
    back = order.invert(model.predict(moved).segmentation.voxels)
    assert (back != answer.segmentation.voxels).mean() < 1e-5


def test_flair_alone_is_answered_and_what_it_stands_in_for_is_said(model, study):
    if "FLAIR" not in study.channels:
        pytest.skip("no sequences in ultrasound")
    flair = replace(study, voxels=study.voxels[1:2], channels=("FLAIR",))
    notes = " ".join(model.predict(flair).notes)
    # A model that looks at one sequence has what it wants.
    assert ("FLAIR stands in" in notes) != isinstance(model, DetectionModel)


def test_another_modality_is_refused(model, study):
    with pytest.raises(InputError, match="modality CT"):
        model.predict(replace(study, modality="CT"))


def test_the_default_is_a_registered_one_and_others_are_said():
    assert DEFAULT_MODEL in MODELS
    with pytest.raises(NotFoundError, match=DEFAULT_MODEL):
        load_model("no-such-model")
