"""Training of the click head: mistakes that are mistakes, clicks into them, and a run that learns and resumes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from tumorseg.errors import InputError
from tumorseg.networks.clicks import ClickHead, Trunk
from tumorseg.training.clicks.config import ClickConfig, Stage
from tumorseg.training.clicks.engine import ClickTrainer
from tumorseg.training.clicks.loss import click_loss
from tumorseg.training.clicks.mistakes import contested, signed_distance, start, styled
from tumorseg.training.clicks.person import click
from tumorseg.training.clicks.pieces import PieceSampler
from tumorseg.training.data import Volume
from tumorseg.transforms.augment import AugmentConfig

STILL = AugmentConfig(*[0.0] * 11)


def ball(shape=(5, 64, 64), centre=(2, 30, 34), radii=(2.5, 12, 10)) -> np.ndarray:
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum(((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radii, strict=True)) <= 1


def patient(name: str = "p", seed: int = 0) -> Volume:
    mask = ball((7, 64, 64), (3, 30, 34))
    noise = np.random.default_rng(seed).normal(0, 0.2, (7, 3, 64, 64))
    return Volume(name, (noise + 2 * mask[:, None]).astype(np.float16), mask.astype(np.uint8))


def test_the_distance_is_positive_inside_and_counts_pixels():
    mask = np.zeros((2, 20, 20), bool)
    mask[0, 5:15, 5:15] = True
    distance = signed_distance(mask)
    assert distance[0, 9, 5] == pytest.approx(0.5)
    assert distance[0, 9, 4] == pytest.approx(-0.5)
    assert (distance[1] < -10).all()


def test_starts_are_wrong_in_many_ways_and_sometimes_empty():
    truth, rng = ball(), np.random.default_rng(0)
    starts = [start(truth, np.where(truth, 0.9, 0.1).astype(np.float32), rng) for _ in range(80)]
    dices = np.array([2 * (s & truth).sum() / (s.sum() + truth.sum()) for s in starts])
    assert (dices == 0).any()
    assert (dices == 1).any()
    assert ((dices > 0.3) & (dices < 0.97)).sum() > 20
    assert any((s & ~truth).any() for s in starts)
    assert all(s.dtype == bool for s in starts)


def test_a_piece_without_a_tumour_has_something_to_take_away():
    nothing, rng = np.zeros((3, 64, 64), bool), np.random.default_rng(0)
    assert all(start(nothing, np.zeros((3, 64, 64), np.float32), rng).any() for _ in range(20))


def test_a_styled_truth_never_vanishes():
    tiny, rng = ball(radii=(1, 1.2, 1.2)), np.random.default_rng(0)
    assert all(styled(tiny, rng).any() for _ in range(200))


def test_a_contested_region_is_one_piece_that_looks_alike():
    """Bright left of column 32 and dark right of it: no region crosses that border."""
    truth, rng = ball(), np.random.default_rng(0)
    image = np.zeros((5, 3, 64, 64), np.float32)
    image[..., :32] = 5
    more = less = 0
    for _ in range(40):
        other = contested(truth, image, rng)
        assert other.any()
        region = other != truth
        if region.any():
            assert ndimage.label(region, np.ones((3, 3, 3)))[1] == 1
            assert not (region[..., :31].any() and region[..., 33:].any())
            more, less = more + (other > truth).any(), less + (other < truth).any()
    assert more > 5
    assert less > 5
    assert not contested(np.zeros_like(truth), image, rng).any()


def test_the_person_clicks_into_a_mistake_and_says_which():
    truth, rng = ball(), np.random.default_rng(0)
    mask = np.roll(truth, 6, axis=2)
    seen = set()
    for _ in range(30):
        made = click(mask, truth, rng)
        i, j, k = made.at
        assert mask[k, j, i] != truth[k, j, i] == made.positive
        seen.add(made.positive)
    assert seen == {True, False}
    assert click(truth, truth, rng) is None


def test_only_what_the_click_may_change_counts():
    truth = torch.from_numpy(ball())[None]
    mask, positive = torch.zeros_like(truth), torch.tensor([True])
    right = torch.where(truth, 8.0, -8.0)
    assert click_loss(right, truth, mask, positive) < 0.01
    assert click_loss(-right, truth, mask, positive) > 1
    # A negative click on an empty mask can change nothing, so nothing that is said matters.
    a, b = (click_loss(said, truth, mask, ~positive) for said in (right, -right))
    assert torch.equal(a, b)
    # What is wrong where it counts more costs more.
    wrong = right.clone()
    wrong[:, 2, 28:32, 32:36] *= -1
    here, there = (torch.ones(truth.shape).index_fill_(1, torch.tensor([k]), 5.0) for k in (2, 0))
    assert click_loss(wrong, truth, mask, positive, here) > click_loss(wrong, truth, mask, positive, there)


def test_pieces_show_picture_and_truth_at_the_same_place():
    sampler = PieceSampler([patient()], 64, STILL, np.random.default_rng(0), torch.Generator().manual_seed(0))
    for _ in range(5):
        piece = sampler.draw(5)
        assert piece.image.shape == (7, 3, 64, 64)
        assert piece.for_trunk().shape == (5, 9, 64, 64)
        assert torch.equal(piece.for_trunk()[2, 3:6], piece.image[3])
        bright = piece.image[1:-1].mean(dim=1).numpy() > 1
        assert (bright == piece.truth).mean() > 0.97


def test_a_patient_without_a_tumour_is_refused():
    empty = Volume("e", np.zeros((5, 3, 64, 64), np.float16), np.zeros((5, 64, 64), np.uint8))
    with pytest.raises(InputError, match="a tumour each"):
        PieceSampler([empty], 64, STILL, np.random.default_rng(0), torch.Generator())


def trainer(out: Path, epochs: int) -> ClickTrainer:
    torch.manual_seed(0)
    config = ClickConfig(
        epochs=epochs,
        batches=1,
        rounds=2,
        piece=64,
        window=32,
        stages=(Stage(1.0, 3, 2, contested=1.0, near=4.0),),
        augment=STILL,
    )
    return ClickTrainer(Trunk(), ClickHead(), config, out)


def test_a_run_writes_what_it_learned_and_goes_on_from_there(tmp_path):
    first = trainer(tmp_path, 1)
    first.fit([patient()])
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert rows == first.history
    assert (tmp_path / "best.safetensors").is_file()
    again = trainer(tmp_path, 2)
    again.resume(tmp_path / "state.pt")
    assert (again.steps, again.progress()) == (first.steps, 0.5)
    ours, theirs = again.network.state_dict(), first.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    again.fit([patient()])
    assert again.steps > first.steps
    assert again.progress() == 1


def test_the_trunk_is_not_trained(tmp_path):
    run = trainer(tmp_path, 1)
    before = {name: value.clone() for name, value in run.trunk.state_dict().items()}
    run.fit([patient()])
    assert all(torch.equal(value, before[name]) for name, value in run.trunk.state_dict().items())
