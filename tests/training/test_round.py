"""One round on a few studies: it learns, goes on after a kill as if there had been none, and stops when it should."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests import tiny
from tumorseg.errors import InputError
from tumorseg.geometry import Grid, flip_ras_lps
from tumorseg.models.metadata import read_metadata
from tumorseg.models.preparation import prepare
from tumorseg.models.resunet25d import SPEC as RESUNET25D
from tumorseg.training.data import SliceSampler, Volume, as_volume
from tumorseg.training.recipes import recipe
from tumorseg.training.round import (
    LEAST_STEPS,
    PASSES,
    RoundOptions,
    RoundStopped,
    multiple_for,
    plan,
    train_round,
)
from tumorseg.types import StudyImage

#: Short, so that a test takes seconds.
QUICK = RoundOptions(epochs=3, steps_per_epoch=4, batch=4, threads=1, device="cpu")


def study_image(study):
    grid = Grid(study.image.shape, flip_ras_lps(study.affine))
    return StudyImage(study.image[None], grid, ("",))


def volume(name, shape=tiny.SHAPE, spec=tiny.SPEC, **how):
    study = tiny.study(name, shape, **how)
    prepared = prepare(study_image(study), spec.channels, spec.stride)
    return as_volume(name, prepared.slices, prepared.cut(study.mask), multiple_for(spec, warm=False))


@pytest.fixture(scope="module")
def volumes():
    return [volume("p1"), volume("p2", (4, 40, 56)), volume("p3", (1, 48, 32)), volume("p0")]


def same_weights(one, other):
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("warm", [True, False])
def test_a_round_learns_what_the_annotators_drew_on_pictures_of_different_sizes(volumes, tmp_path, warm):
    options = replace(QUICK, epochs=5, steps_per_epoch=45, batch=8, warm=warm)
    said = []
    candidate = train_round(
        tiny.SPEC, tiny.SPEC.weights, volumes[:3], volumes[3:], tmp_path, options, lambda *told: said.append(told)
    )
    study = tiny.study("p0")
    model = tiny.build(candidate, "cpu")
    found = model.predict(study_image(study)).segmentation.voxels > 0
    dice = 2 * (found & (study.mask > 0)).sum() / (found.sum() + study.mask.sum())
    before = tiny.build(device="cpu").predict(study_image(study)).segmentation.voxels > 0
    assert dice > 0.6 > 2 * (before & (study.mask > 0)).sum() / (before.sum() + study.mask.sum())
    assert model.contrast == "none"
    fractions = [told[0] for told in said]
    assert fractions == sorted(fractions)
    assert said[-1][1] == said[-1][2] <= 5


def test_a_round_that_was_killed_ends_with_the_same_weights_as_one_that_was_not(volumes, tmp_path):
    whole = train_round(tiny.SPEC, tiny.SPEC.weights, volumes[:3], volumes[3:], tmp_path / "whole", QUICK)

    class Kill(BaseException):
        pass

    steps = []

    def killed_in_the_second_epoch(*told):
        steps.append(told)
        if len(steps) == 7:
            raise Kill

    broken = tmp_path / "broken"
    with pytest.raises(Kill):
        train_round(tiny.SPEC, tiny.SPEC.weights, volumes[:3], volumes[3:], broken, QUICK, killed_in_the_second_epoch)
    assert (broken / "state.pt").exists()
    again = train_round(tiny.SPEC, tiny.SPEC.weights, volumes[:3], volumes[3:], broken, QUICK)
    assert same_weights(whole, again)
    written = again.stat().st_mtime_ns
    assert train_round(tiny.SPEC, tiny.SPEC.weights, volumes[:3], volumes[3:], broken, QUICK) == again
    assert again.stat().st_mtime_ns == written, "versions are named by the bytes of their file: it is not made anew"


def test_dropout_does_not_make_a_resumed_round_another_one(tmp_path):
    spec = RESUNET25D
    small = [volume("p1", spec=spec), volume("p0", spec=spec)]
    options = replace(QUICK, epochs=2, steps_per_epoch=1, batch=2, warm=False)
    ends = []
    for name in ("whole", "broken"):
        calls = []

        def stop_in_the_second_epoch(calls=calls, name=name):
            calls.append(1)
            return name == "broken" and len(calls) == 3

        try:
            ends.append(
                train_round(spec, None, small[:1], small[1:], tmp_path / name, options, None, stop_in_the_second_epoch)
            )
        except RoundStopped:
            ends.append(train_round(spec, None, small[:1], small[1:], tmp_path / name, options))
    assert same_weights(*ends)


def test_a_stop_is_heard_before_the_next_batch_and_leaves_what_is_needed_to_go_on(volumes, tmp_path):
    asked = []

    def stopped():
        asked.append(1)
        return len(asked) > 6

    with pytest.raises(RoundStopped):
        train_round(tiny.SPEC, tiny.SPEC.weights, volumes[:3], volumes[3:], tmp_path, QUICK, None, stopped)
    assert len(asked) == 7
    assert (tmp_path / "state.pt").exists()
    assert not (tmp_path / "candidate.safetensors").exists()


def test_a_round_keeps_to_its_minutes(volumes, tmp_path):
    said = []
    options = replace(QUICK, epochs=50, minutes=1e-4)
    train_round(
        tiny.SPEC, tiny.SPEC.weights, volumes[:3], volumes[3:], tmp_path, options, lambda *told: said.append(told)
    )
    assert len(said) < 20
    assert (tmp_path / "candidate.safetensors").exists()


def test_two_slices_of_one_pixel_at_the_bottom_of_the_network_do_not_break_batch_norm(tmp_path):
    one = [volume("p1", (3, 16, 16)), volume("p0", (3, 16, 16))]
    options = replace(QUICK, epochs=1, steps_per_epoch=2, batch=2)
    assert train_round(tiny.SPEC, tiny.SPEC.weights, one[:1], one[1:], tmp_path, options).exists()
    with pytest.raises(InputError, match="expected a batch of 2"):
        RoundOptions(batch=1)


def test_without_any_tumour_there_is_nothing_to_learn(tmp_path):
    none = [volume("p1", lesion=False), volume("p0")]
    with pytest.raises(InputError, match="no training slice shows a tumour"):
        train_round(tiny.SPEC, tiny.SPEC.weights, none[:1], none[1:], tmp_path, QUICK)


def test_without_a_validation_patient_nothing_is_trained(volumes, tmp_path):
    with pytest.raises(InputError, match="got 4 and 0"):
        train_round(tiny.SPEC, tiny.SPEC.weights, volumes, [], tmp_path, QUICK)


def test_weights_of_another_network_are_said(volumes, tmp_path):
    with pytest.raises(InputError, match="does not hold weights of tiny"):
        train_round(tiny.SPEC, RESUNET25D.weights, volumes[:3], volumes[3:], tmp_path, QUICK)


def fake(slices, side):
    return Volume("p", np.zeros((slices, 3, side, side), np.float16), np.ones((slices, side, side), np.uint8))


def test_a_round_is_as_long_as_there_is_something_to_see():
    base = recipe("resunet25d")
    few = plan(RESUNET25D, [fake(5, 64)], RoundOptions(), warm=True)
    some = plan(RESUNET25D, [fake(150, 240)] * 2, RoundOptions(), warm=True)
    scratch = plan(RESUNET25D, [fake(150, 240)] * 2, RoundOptions(), warm=False)
    assert few.epochs * few.steps_per_epoch == LEAST_STEPS[True]
    assert some.epochs * some.steps_per_epoch * some.batch == pytest.approx(PASSES[True] * 300, rel=0.1)
    assert some.learning_rate < scratch.learning_rate == base.learning_rate
    assert len(some.stages) == 1 < len(scratch.stages)
    assert few.stages[0].size == 64 < some.stages[0].size == base.stages[-1].size
    assert all(math.isfinite(value) and 0 < value < 1 for value in (few.ema, some.ema, scratch.ema))


def test_batches_of_different_pictures_are_squares_that_hold_all_of_them():
    both = [volume("p1", (3, 32, 64)), volume("p2", (3, 64, 32))]
    images, masks = SliceSampler(both, 1, 0.5, np.random.default_rng(0)).draw(8)
    assert images.shape == (8, 3, 64, 64)
    assert masks.shape == (8, 1, 64, 64)
    tallest = max(v.mask.sum(axis=(1, 2)).max() for v in both)
    assert 0 < masks.sum(dim=(1, 2, 3)).max() <= tallest


def test_the_file_says_what_the_serving_model_has_to_know(volumes, tmp_path):
    options = replace(QUICK, epochs=1, steps_per_epoch=1, contrast="clahe")
    candidate = train_round(tiny.SPEC, tiny.SPEC.weights, volumes[:3], volumes[3:], tmp_path, options)
    assert read_metadata(candidate)["preprocess"] == "clahe"
    assert "minutes" not in read_metadata(candidate)


def test_the_validation_patients_choose_nothing_since_they_are_to_judge(volumes, tmp_path):
    """Were the best epoch chosen on them, their figures of the candidate would be better than it is."""
    inverted = [Volume(one.id, one.image, 1 - one.mask) for one in volumes[3:]]
    weights = [
        train_round(tiny.SPEC, tiny.SPEC.weights, volumes[:3], judges, tmp_path / name, QUICK)
        for name, judges in (("true", volumes[3:]), ("inverted", inverted))
    ]
    assert same_weights(*weights)
