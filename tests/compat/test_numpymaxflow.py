"""The numpymaxflow of compat/ finds the exact minimum, and MONAI Label's scribbles can work with it."""

from __future__ import annotations

import itertools

import numpy as np
import numpymaxflow
import pytest


def energy(labels: np.ndarray, image: np.ndarray, prob: np.ndarray, lamda: float, sigma: float) -> float:
    """The energy of Wang et al. 2018, equation 5, spelled out."""
    total = -np.log(np.where(labels, prob[1], prob[0])).sum()
    for axis in range(labels.ndim):
        difference = np.square(np.diff(image, axis=axis + 1)).sum(0)
        cut = np.diff(labels.astype(int), axis=axis) != 0
        total += lamda * (np.exp(-difference / (2 * sigma**2)) * cut).sum()
    return float(total)


@pytest.mark.parametrize("shape", [(3, 4), (2, 2, 3), (1, 6), (1, 1, 1)])
@pytest.mark.parametrize("lamda", [0.0, 0.3, 1.0, 5.0])
def test_no_labelling_costs_less(shape: tuple[int, ...], lamda: float) -> None:
    rng = np.random.default_rng(7)
    for channels, sigma in itertools.product((1, 2), (0.1, 0.5)):
        image, foreground = rng.random((channels, *shape)), rng.uniform(0.02, 0.98, shape)
        prob = np.stack([1 - foreground, foreground])
        every = (np.array(bits, bool).reshape(shape) for bits in itertools.product((0, 1), repeat=foreground.size))
        least = min(energy(labels, image, prob, lamda, sigma) for labels in every)
        found = numpymaxflow.maxflow(image, prob, lamda, sigma)
        assert found.shape == (1, *shape)
        assert energy(found[0] > 0, image, prob, lamda, sigma) == pytest.approx(least, abs=1e-4)


def test_two_voxels_by_hand() -> None:
    # Alone, the left voxel is background (0.4) and the right one foreground (0.9). Equal intensities: cutting costs
    # lamda. Both foreground costs log(0.6 / 0.4) = 0.405 more than the cut labelling without its lamda.
    image, foreground = np.zeros((1, 1, 2)), np.array([[0.4, 0.9]])
    prob = np.stack([1 - foreground, foreground])
    assert numpymaxflow.maxflow(image, prob, lamda=0.40, sigma=1.0).tolist() == [[[0.0, 1.0]]]
    assert numpymaxflow.maxflow(image, prob, lamda=0.41, sigma=1.0).tolist() == [[[1.0, 1.0]]]


def test_ties_are_background() -> None:
    prob = np.full((2, 3, 3), 0.5)
    assert not numpymaxflow.maxflow(np.zeros((1, 3, 3)), prob).any()


def test_certain_probabilities_do_not_overflow() -> None:
    foreground = np.array([[0.0, 1.0, 1.0]])
    found = numpymaxflow.maxflow(np.array([[[0.0, 1.0, 1.0]]]), np.stack([1 - foreground, foreground]), 8.0, 0.1)
    assert found.tolist() == [[[0.0, 1.0, 1.0]]]


def test_noisy_ball_comes_back_whole() -> None:
    z, y, x = np.indices((16, 40, 48))
    ball = (z - 8) ** 2 + (y - 20) ** 2 + (x - 24) ** 2 < 49
    rng = np.random.default_rng(3)
    image = ball + rng.normal(0, 0.05, ball.shape)
    foreground = np.clip(0.5 + 0.3 * (ball - 0.5) + rng.normal(0, 0.2, ball.shape), 0.01, 0.99)
    found = numpymaxflow.maxflow(image[None], np.stack([1 - foreground, foreground]), 5.0, 0.1)[0] > 0
    assert (found != ball).mean() < 0.002 < ((foreground > 0.5) != ball).mean()


def test_seeds_win_over_probabilities() -> None:
    image, prob = np.zeros((1, 4, 4)), np.stack([np.full((4, 4), 0.1), np.full((4, 4), 0.9)])
    seed = np.zeros((2, 4, 4))
    seed[0, 0, 0], seed[1, 3, 3] = 1, 1
    found = numpymaxflow.maxflow_interactive(image, prob, seed, lamda=0.5, sigma=1.0)[0]
    assert found[0, 0] == 0
    assert found.sum() == 15
    strong = numpymaxflow.maxflow_interactive(image, 1 - prob, seed, lamda=50.0, sigma=1.0)[0]
    assert (strong[0, 0], strong[3, 3]) == (0, 1)


@pytest.mark.parametrize(
    ("image", "prob", "options"),
    [
        (np.zeros((4, 4)), np.full((2, 4, 4), 0.5), {}),
        (np.zeros((1, 4, 4)), np.full((1, 4, 4), 0.5), {}),
        (np.zeros((1, 4, 4)), np.full((2, 4, 5), 0.5), {}),
        (np.zeros((1, 4, 4)), np.full((2, 4, 4), 0.5), {"sigma": 0.0}),
        (np.full((1, 4, 4), np.nan), np.full((2, 4, 4), 0.5), {}),
    ],
)
def test_bad_input_is_refused(image: np.ndarray, prob: np.ndarray, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        numpymaxflow.maxflow(image, prob, **options)


def test_seed_cannot_be_both() -> None:
    with pytest.raises(ValueError, match="both"):
        numpymaxflow.maxflow_interactive(np.zeros((1, 2, 2)), np.full((2, 2, 2), 0.5), np.ones((2, 2, 2)))


def test_monai_labels_graph_cut_transform() -> None:
    from monailabel.scribbles.transforms import ApplyGraphCutOptimisationd, MakeISegUnaryd

    square = np.zeros((1, 12, 12), np.float32)
    square[0, 3:9, 3:9] = 1.0
    scribbles = np.zeros_like(square)
    scribbles[0, 0, 0], scribbles[0, 5, 5] = 2, 3
    unsure = np.full((2, 12, 12), 0.5, np.float32)
    unsure[1], unsure[0] = 0.4 + 0.2 * square[0], 0.6 - 0.2 * square[0]
    data = {"image": square, "logits": unsure, "label": scribbles}
    made = MakeISegUnaryd(
        image="image", logits="logits", scribbles="label", unary="unary", scribbles_bg_label=2, scribbles_fg_label=3
    )(data)
    done = ApplyGraphCutOptimisationd(unary="unary", pairwise="image", lamda=5.0, sigma=0.1)(made)
    assert np.array_equal(done["pred"], square)
