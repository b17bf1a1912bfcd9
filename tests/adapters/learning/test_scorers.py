"""What is said of an image comes from the slices and the weights that serve, and is not a matter of lesion size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tests import tiny
from tests.support import BlobDetector, build_bright, settled_weights
from tumorseg.active_learning.types import (
    BALD,
    DETECTION_MARGIN,
    EMBEDDING,
    ENTROPY,
    FOREGROUND,
    LOCALISATION,
    MARGIN,
    TTA,
)
from tumorseg.adapters.learning import scorers
from tumorseg.adapters.learning.columns import SEGMENTATION_COLUMNS
from tumorseg.adapters.learning.scorers import DetectionScorer, SliceScorer, scorer_of
from tumorseg.geometry import Grid
from tumorseg.models import gate
from tumorseg.models.cascade import Cascade
from tumorseg.models.slice_classifier import SlicewiseClassifier
from tumorseg.models.slicewise import SlicewiseModel, SlicewiseSpec
from tumorseg.training.checkpoint import save_weights
from tumorseg.types import FLAIR, T1, T1GD, StudyImage

SEQUENCES = (T1, FLAIR, T1GD)


def image_of(voxels: NDArray[np.float32], channels: tuple[str, ...] = SEQUENCES) -> StudyImage:
    """Sequences that are all the same, ``(K, J, I)``, pixels of 0.9 mm."""
    grid = Grid(voxels.shape, np.diag([0.9, 0.9, 3.0, 1.0]))
    return StudyImage(np.ascontiguousarray(np.stack([voxels] * len(channels))), grid, channels)


@pytest.fixture(scope="module")
def study() -> StudyImage:
    return image_of(tiny.study("p1", (20, 36, 50)).image)  # sides that have to be padded, more slices than a chunk


@pytest.fixture(scope="module")
def scorer() -> SliceScorer:
    return SliceScorer(tiny.build(device="cpu"), "cpu")


def test_foreground_is_what_the_serving_model_marks(study: StudyImage, scorer: SliceScorer) -> None:
    started = (model := tiny.build(device="cpu")).begin(study)
    model.look([started])
    marked = float((started.look.probability >= 0.5).mean())
    assert 0 < marked < 1, "the test needs weights that mark a part"
    said = scorer(study, [FOREGROUND, ENTROPY])
    assert said.columns[FOREGROUND] == pytest.approx(marked, abs=1e-3)
    assert said.embedding is None


def test_every_column_is_in_0_to_1_and_the_same_again(study: StudyImage, scorer: SliceScorer) -> None:
    one, again = (scorer(study, SEGMENTATION_COLUMNS) for _ in range(2))
    assert set(one.columns) == {ENTROPY, MARGIN, BALD, TTA, FOREGROUND}
    assert all(0 < value <= 1 for value in one.columns.values())
    assert one.columns == again.columns
    assert one.embedding is not None
    assert one.embedding.shape == (128,)
    assert np.array_equal(one.embedding, again.embedding)  # type: ignore[arg-type]


def test_a_few_slices_at_a_time_change_no_number(
    study: StudyImage, scorer: SliceScorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = [ENTROPY, MARGIN, TTA, EMBEDDING]
    whole = scorer(study, columns)
    monkeypatch.setattr(scorers, "CHUNK", 3)
    parts = scorer(study, columns)
    assert parts.columns == pytest.approx(whole.columns, rel=1e-4)
    assert np.allclose(parts.embedding, whole.embedding, atol=1e-4)  # type: ignore[arg-type]


class _Flat(nn.Module):
    """Tumour where the first and the last of three slices are bright; no U, so no place for dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(9, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, 9, H, W)`` -> ``(B, 1, H, W)`` logits."""
        logits: torch.Tensor = self.head(x)
        return logits


@pytest.fixture
def flat(tmp_path: Path) -> SlicewiseModel:
    """A model of three slices at once, whose network is no U."""
    network = _Flat()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.weight[0, [0, 6]] = 2.0
        network.head.bias.fill_(-1.0)
    save_weights(network.state_dict(), tmp_path / "flat.safetensors", half=False, metadata={})
    spec = SlicewiseSpec("flat", "for tests", _Flat, slices=3, stride=16, mirror=False)
    return SlicewiseModel(spec, tmp_path / "flat.safetensors", "cpu")


def test_a_network_that_sees_neighbours_is_shown_them(study: StudyImage, flat: SlicewiseModel) -> None:
    started = flat.begin(study)
    flat.look([started])
    marked = float((started.look.probability >= 0.5).mean())
    assert SliceScorer(flat, "cpu")(study, [FOREGROUND]).columns[FOREGROUND] == pytest.approx(marked, abs=1e-3)
    assert 0 < marked < 1


def test_a_network_that_is_no_u_gives_what_needs_none(study: StudyImage, flat: SlicewiseModel) -> None:
    scorer = SliceScorer(flat, "cpu")
    assert scorer.columns == {ENTROPY, MARGIN, TTA, FOREGROUND}
    assert set(scorer(study, scorer.columns).columns) == scorer.columns


def test_of_a_cascade_only_the_slices_count_that_pass_its_gate(study: StudyImage, tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        weights = settled_weights(gate.network(), 9, tmp_path / "gate.safetensors")
    classifier = SlicewiseClassifier(gate.SPEC, weights, "cpu")
    scores = classifier.classify(study).scores
    both = Cascade(classifier, tiny.build(device="cpu"))
    alone = SliceScorer(both.marker, "cpu")(study, [FOREGROUND, ENTROPY]).columns
    found = {}
    for name, threshold in {"all": 0.0, "half": float(np.median(scores)), "none": 1.1}.items():
        classifier.threshold = threshold
        found[name] = SliceScorer(both, "cpu")(study, [FOREGROUND, ENTROPY, EMBEDDING])
    assert found["all"].columns == pytest.approx(alone, rel=1e-4)
    assert 0 < found["half"].columns[FOREGROUND] < alone[FOREGROUND]
    assert found["none"].columns == {ENTROPY: 0.0, FOREGROUND: 0.0}
    assert found["none"].embedding is not None  # what it looks like is known all the same


def lesion(radius: float, level: float = 1.0) -> StudyImage:
    """A head with one bright ball."""
    k, j, i = np.ogrid[:24, :64, :64]
    head = (j - 32) ** 2 + (i - 32) ** 2 <= 30**2
    ball = (k - 12) ** 2 + (j - 32) ** 2 + (i - 32) ** 2 <= radius**2
    return image_of(np.where(ball, 300 + 600 * level, 300.0 * head).astype(np.float32))


def test_a_large_lesion_has_no_higher_score_than_a_small_one(tmp_path: Path) -> None:
    """By the sum over voxels the larger one of the same picture would always be labelled first."""
    network = _Flat()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.weight[0, 4] = 0.5
        network.head.bias.fill_(-3.5)
    save_weights(network.state_dict(), tmp_path / "flat.safetensors", half=False, metadata={})
    spec = SlicewiseSpec("flat", "for tests", _Flat, slices=3, stride=16, mirror=False)
    scorer = SliceScorer(SlicewiseModel(spec, tmp_path / "flat.safetensors", "cpu"), "cpu")
    small, large = (scorer(lesion(radius), [ENTROPY, MARGIN, FOREGROUND]).columns for radius in (5, 10))
    for column in (ENTROPY, MARGIN):
        assert 0 < large[column] < 1.25 * small[column]


def blob(value: float, size: int = 6) -> StudyImage:
    """One bright blob of the given value, in the units of the image."""
    voxels = np.zeros((3, 40, 40), np.float32)
    voxels[:, 10 : 10 + size, 10 : 10 + size] = value
    return image_of(voxels, (FLAIR,))


def test_a_finding_on_the_threshold_is_worth_more_than_a_sure_one_and_than_none() -> None:
    scorer = DetectionScorer(BlobDetector())  # a blob's score is its mean by 1000; shown from 0.5 on
    margins = {value: scorer(blob(value), [DETECTION_MARGIN]).columns[DETECTION_MARGIN] for value in (0, 520, 900)}
    assert margins == pytest.approx({0: 0.0, 520: 0.96, 900: 0.2}, abs=0.01)
    large = scorer(blob(900, 20), [DETECTION_MARGIN]).columns[DETECTION_MARGIN]
    assert large == pytest.approx(margins[900])


def test_what_is_just_missed_counts_like_what_is_just_found() -> None:
    detector = BlobDetector()
    strict = replace(detector, options=detector.options.with_values(score=0.6))
    assert DetectionScorer(strict)(blob(580), [DETECTION_MARGIN]).columns[DETECTION_MARGIN] > 0.9


def test_boxes_that_noise_moves_are_unstable_and_those_it_cannot_move_are_not() -> None:
    scorer = DetectionScorer(BlobDetector())
    steady = scorer(blob(900), [LOCALISATION]).columns[LOCALISATION]
    shaky = scorer(blob(501), [LOCALISATION]).columns[LOCALISATION]  # half of its pixels fall below 500
    assert 0 <= steady < shaky <= 1
    assert scorer(blob(0), [LOCALISATION]).columns == {LOCALISATION: 0.0}
    assert scorer(blob(501), [LOCALISATION]).columns[LOCALISATION] == shaky


def test_noise_stays_what_the_image_s_numbers_can_hold() -> None:
    voxels = np.full((1, 3, 8, 8), 255, np.uint8)
    voxels[:, :, :4] = 0
    noisy = scorers._noisy(StudyImage(voxels, Grid((3, 8, 8), np.eye(4)), ("",)), 0.1, np.random.default_rng(0))
    assert noisy.voxels.dtype == np.uint8
    assert noisy.voxels[:, :, :4].max() < 128 <= noisy.voxels[:, :, 4:].min()


def test_a_model_without_a_network_of_ours_cannot_be_asked() -> None:
    assert scorer_of(build_bright(), "cpu") is None
    assert isinstance(scorer_of(BlobDetector(), "cpu"), DetectionScorer)
    assert isinstance(scorer_of(tiny.build(device="cpu"), "cpu"), SliceScorer)
