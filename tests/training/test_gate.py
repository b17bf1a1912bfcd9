"""A real, small training of the gate, and the choice of its threshold by hand."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import tifffile

from tumorseg.errors import InputError, NotFoundError, UnavailableError
from tumorseg.geometry import Grid
from tumorseg.io.kaggle_3m import Case, Kaggle3m
from tumorseg.metrics.roc import roc_auc
from tumorseg.models.metadata import read_metadata
from tumorseg.registry import load_classifier
from tumorseg.training import run
from tumorseg.training.config import Stage, TrainConfig
from tumorseg.training.gate import MARGIN, operating_point
from tumorseg.training.run import TrainOptions, train
from tumorseg.transforms.augment import AugmentConfig
from tumorseg.types import Segmentation, SliceScores, StudyImage

CALM = AugmentConfig(rotation_degrees=0, log2_scale=0, shear=0, shift=0, missing_probability=0, neighbour_probability=0)


@pytest.fixture
def data(tmp_path):
    """Six patients of six slices; the first three of each show a bright square in FLAIR."""
    rng = np.random.default_rng(0)
    for p in range(6):
        folder = tmp_path / "data" / f"P_{p}"
        folder.mkdir(parents=True)
        for n in range(1, 7):
            picture = rng.integers(60, 100, (64, 64, 3), dtype=np.uint8)
            mask = np.zeros((64, 64), np.uint8)
            if n < 4:
                row, column = rng.integers(4, 36, 2)
                mask[row : row + 24, column : column + 24] = 255
                picture[mask > 0, 1] = 250
            tifffile.imwrite(folder / f"P_{p}_{n}.tif", picture, photometric="rgb")
            tifffile.imwrite(folder / f"P_{p}_{n}_mask.tif", mask)
    return tmp_path / "data"


def test_training_learns_and_its_weights_classify(data, tmp_path, monkeypatch):
    config = TrainConfig(
        loss="gate_bce",
        epochs=3,
        steps_per_epoch=12,
        batch=8,
        tumour_fraction=0.5,
        ema=0.8,
        stages=(Stage(1.0, 1.0, 64),),
        augment=CALM,
    )
    monkeypatch.setitem(run.__dict__, "recipe", lambda model: config)
    rows = []
    options = TrainOptions(split="random", device="cpu", init="none")
    train("gate", data, tmp_path / "out", options, rows.append)
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    weights = tmp_path / "out" / "gate.safetensors"
    classifier = load_classifier("gate", weights=weights, device="cpu")
    assert classifier.threshold == float(read_metadata(weights)["threshold"])
    cases = list(Kaggle3m(data, json.loads((tmp_path / "out" / "split.json").read_text())["train"]))
    scores = np.concatenate([classifier.classify(case.image).scores for case in cases])
    truth = np.concatenate([case.truth.voxels.any(axis=(1, 2)) for case in cases])
    assert roc_auc(scores, truth) > 0.9


@dataclass
class Told:
    """A classifier that says what it was told, patient by patient."""

    scores: list[list[float]]
    axis: int = 0

    def classify(self, image, *, progress=None):
        return SliceScores(np.array(self.scores.pop(0)), self.axis, "told", "0" * 12)


def case(areas, axis=0):
    """A patient whose slices along ``axis`` have so many tumour voxels."""
    voxels = np.zeros((len(areas), 1, 100), np.uint8)
    for plane, area in zip(voxels, areas, strict=True):
        plane[0, :area] = 1
    voxels = np.ascontiguousarray(np.moveaxis(voxels, 0, axis))
    grid = Grid(voxels.shape, np.eye(4))
    image = StudyImage(voxels[None], grid, ("FLAIR",))
    return Case("P", image, Segmentation(voxels, grid, {"tumour": 1}))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_threshold_lies_below_the_largest_that_keeps_the_volume(axis):
    # Without the slice of 0.2 a fifth of the tumour would be lost; the slices without tumour do not matter.
    told = Told([[0.9, 0.6, 0.2, 0.1]], axis)
    assert operating_point(told, [case([60, 20, 20, 0], axis)]) == MARGIN * 0.2


def test_a_slice_of_next_to_nothing_may_be_lost():
    areas = [100, 100, 100, 1]  # one voxel of 301 is less than half a per cent
    assert operating_point(Told([[0.9, 0.8, 0.7, 0.01]]), [case(areas)]) == MARGIN * 0.7


def test_patients_weigh_the_same_whatever_their_tumour():
    """The same voxel is half of a small tumour."""
    told = Told([[0.9, 0.8, 0.7, 0.5], [0.6, 0.1]])
    assert operating_point(told, [case([100, 100, 100, 1]), case([1, 1])]) == MARGIN * 0.1


def test_without_any_tumour_it_is_one_half():
    assert operating_point(Told([[0.9, 0.8]]), [case([0, 0])]) == 0.5
    image = case([0]).image
    assert operating_point(Told([[0.9]]), [Case("P", image, None)]) == 0.5


def test_without_imagenet_weights_one_line_says_what_to_do(data, tmp_path, monkeypatch):
    monkeypatch.setattr("tumorseg.training.pretrained.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match="--init-weights none"):
        train("gate", data, tmp_path / "out", TrainOptions(split="random"))
    with pytest.raises(NotFoundError, match="expected a file of weights"):
        train("gate", data, tmp_path / "out", TrainOptions(split="random", init=tmp_path / "missing.pth"))


def test_an_unknown_preprocessing_is_refused(data, tmp_path):
    with pytest.raises(InputError, match="got 'gamma'"):
        train("gate", data, tmp_path / "out", TrainOptions(split="random", init="none", preprocess="gamma"))
