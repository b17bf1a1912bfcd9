"""A real, small training: it learns, stops, resumes and writes what the model loads."""

import json

import numpy as np
import pytest
import tifffile
import torch

from tumorseg.errors import InputError
from tumorseg.io.kaggle_3m import Kaggle3m
from tumorseg.models import resunet, resunet25d
from tumorseg.models.preparation import preprocess
from tumorseg.models.slicewise import SlicewiseModel
from tumorseg.training import run
from tumorseg.training.config import Stage, TrainConfig
from tumorseg.training.data import SliceSampler, load_volumes, stack_context, tumour_slices
from tumorseg.training.engine import Trainer
from tumorseg.training.run import TrainOptions, train

QUICK = TrainConfig(
    epochs=3, steps_per_epoch=6, batch=4, ema=0.9, stages=(Stage(0.3, 0.5, 32), Stage(1.0, 1.0, 32)), learning_rate=5e-3
)


@pytest.fixture
def data(tmp_path):
    """Six patients with a bright blob in FLAIR on textured ground; the last slice of each is empty."""
    rng = np.random.default_rng(0)
    for p in range(6):
        folder = tmp_path / "data" / f"P_{p}"
        folder.mkdir(parents=True)
        for n in range(1, 5):
            picture = rng.integers(60, 100, (64, 64, 3), dtype=np.uint8)
            mask = np.zeros((64, 64), np.uint8)
            if n < 4:
                row, column = rng.integers(8, 40, 2)
                mask[row : row + 16, column : column + 16] = 255
                picture[mask > 0, 1] = 220
            tifffile.imwrite(folder / f"P_{p}_{n}.tif", picture, photometric="rgb")
            tifffile.imwrite(folder / f"P_{p}_{n}_mask.tif", mask)
    return tmp_path / "data"


@pytest.mark.parametrize("module", [resunet, resunet25d])
def test_training_learns_and_its_weights_load(data, tmp_path, monkeypatch, module):
    config = TrainConfig(epochs=6, steps_per_epoch=15, batch=6, ema=0.9, stages=(Stage(1.0, 1.0, 64),))
    monkeypatch.setitem(run.__dict__, "recipe", lambda model: config)
    rows = []
    name = module.SPEC.name
    result = train(name, data, tmp_path / "out", TrainOptions(split="random", device="cpu"), rows.append)
    assert rows[-1]["valid_dice"] > 0.8
    assert result.stopped == "all epochs done"
    model = SlicewiseModel(module.SPEC, tmp_path / "out" / f"{name}.safetensors", "cpu")
    case = Kaggle3m(data, json.loads((tmp_path / "out" / "split.json").read_text())["validation"])[0]
    found, truth = model.predict(case.image).segmentation.voxels, case.truth.voxels
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.8
    assert len((tmp_path / "out" / "history.jsonl").read_text().splitlines()) == 6


def trainer(out, **changes):
    torch.manual_seed(0)
    return Trainer(resunet.network(), TrainConfig(**{**vars(QUICK), **changes}), out)


def test_a_resumed_run_ends_where_an_unbroken_one_does(data, tmp_path):
    volumes = load_volumes(Kaggle3m(data), preprocess)
    whole = trainer(tmp_path / "whole")
    whole.out.mkdir()
    whole.fit(volumes[:4], volumes[4:])
    broken = trainer(tmp_path / "broken")
    broken.out.mkdir()

    class Stop(Exception):
        pass

    def stop_after_two(row):
        if row["epoch"] == 1:
            raise Stop

    with pytest.raises(Stop):
        broken.fit(volumes[:4], volumes[4:], stop_after_two)
    again = trainer(tmp_path / "broken")
    again.resume(tmp_path / "broken" / "state.pt")
    again.fit(volumes[:4], volumes[4:])
    for a, b in zip(whole.average.state_dict().values(), again.average.state_dict().values(), strict=True):
        assert torch.allclose(a.float(), b.float(), atol=1e-5)
    assert [row["train_loss"] for row in whole.history] == [row["train_loss"] for row in again.history]


def test_early_stopping_counts_epochs_without_a_better_loss(data, tmp_path):
    volumes = load_volumes(Kaggle3m(data), preprocess)
    run_ = trainer(tmp_path, epochs=50, patience=2, learning_rate=1e-12, weight_decay=0.0)
    run_.validate = lambda volumes, zoom=1.0: (1.0, 0.0)  # a loss that never gets better
    result = run_.fit(volumes[:4], volumes[4:])
    assert "no better validation loss for 2 epochs" in result.stopped
    assert result.history[-1]["zoom"] == 1.0, "it may not stop before the last stage"


def test_the_time_budget_ends_the_run(data, tmp_path):
    volumes = load_volumes(Kaggle3m(data), preprocess)
    run_ = Trainer(resunet.network(), QUICK, tmp_path, minutes=1e-4)
    assert run_.fit(volumes[:4], volumes[4:]).stopped == "time budget used"


def test_a_damaged_state_is_said(tmp_path):
    (tmp_path / "state.pt").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot resume"):
        trainer(tmp_path).resume(tmp_path / "state.pt")


def test_batches_hold_the_asked_part_of_tumour_slices(data):
    volumes = load_volumes(Kaggle3m(data), preprocess)
    sampler = SliceSampler(volumes, 3, 0.75, np.random.default_rng(0))
    images, masks = sampler.draw(8)
    assert images.shape == (8, 9, 64, 64)
    assert int(masks.flatten(1).any(dim=1).sum()) == 6
    with pytest.raises(InputError, match="no training slice shows a tumour"):
        SliceSampler([v.__class__(v.id, v.image[3:], v.mask[3:]) for v in volumes], 1, 0.5, np.random.default_rng(0))


def test_context_repeats_the_outermost_slice():
    volume = np.arange(4, dtype=np.float16).reshape(4, 1, 1, 1)
    assert stack_context(volume, 0, 3).ravel().tolist() == [0, 0, 1]
    assert stack_context(volume, 3, 3).ravel().tolist() == [2, 3, 3]


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch": -1}, {"learning_rate": float("nan")}])
def test_impossible_options_are_refused(data, tmp_path, changes):
    with pytest.raises(InputError, match="expected a positive"):
        train("resunet", data, tmp_path / "out", TrainOptions(split="random", **changes))


def test_only_slices_with_tumour_are_kept_where_asked(data):
    for volume in load_volumes(Kaggle3m(data), preprocess):
        kept = tumour_slices(volume)
        assert len(kept.mask) == 3
        assert np.array_equal(kept.image, volume.image[:3])
        assert kept.mask.any(axis=(1, 2)).all()


def test_weights_remember_the_contrast_they_were_trained_with(data, tmp_path):
    config = TrainOptions(split="random", device="cpu", minutes=0.005, batch=2, preprocess="clahe")
    train("resunet", data, tmp_path / "out", config)
    model = SlicewiseModel(resunet.SPEC, tmp_path / "out" / "resunet.safetensors", "cpu")
    assert model.contrast == "clahe"
    image = Kaggle3m(data)[0].image
    found = model.predict(image).segmentation.probability
    model.contrast = "none"
    assert not np.allclose(model.predict(image).segmentation.probability, found)
