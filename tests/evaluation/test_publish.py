"""A run becomes the shipped weights only when it is better, and its card says what was measured."""

import json

import numpy as np
import pytest
import tifffile
import torch

from tumorseg.errors import InputError, NotFoundError
from tumorseg.evaluation import publish as module
from tumorseg.evaluation.card import card_markdown
from tumorseg.models import gate, resunet, slicewise
from tumorseg.training.checkpoint import save_weights


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Three patients, a run that measured them, and a shelf of its own for shipped weights."""
    monkeypatch.setattr(slicewise, "WEIGHTS", tmp_path / "shelf")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name in ("P_1", "P_2", "P_3"):
        (tmp_path / "data" / name).mkdir(parents=True)
        mask = np.zeros((64, 64), np.uint8)
        mask[20:40, 10:50] = 255
        picture = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        tifffile.imwrite(tmp_path / "data" / name / f"{name}_1.tif", picture, photometric="rgb")
        tifffile.imwrite(tmp_path / "data" / name / f"{name}_1_mask.tif", mask)
    write_run(tmp_path / "all", bias=20.0)
    write_run(tmp_path / "none", bias=-20.0)
    return tmp_path


def write_run(folder, bias):
    """Weights that mark everything (Dice 800 / 4096 ...) or nothing (Dice 0), by the bias of the last layer."""
    folder.mkdir()
    network = resunet.network()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.fill_(bias)
    save_weights(network.state_dict(), folder / "resunet.safetensors", half=True, metadata={})
    config = {"steps_per_epoch": 2, "batch": 4, "loss": "focal_tversky", "stages": [], "minutes": 5.0}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "split.json").write_text(json.dumps({"train": ["P_3"], "validation": ["P_1"], "test": ["P_2"]}))
    (folder / "history.jsonl").write_text(json.dumps({"epoch": 0, "minutes": 1.0}) + "\n")


def publish(place, run, **options):
    return module.publish("resunet", place / run, place / "data", device="cpu", **options)


def test_the_first_weights_are_published_with_a_card(place):
    result = publish(place, "all")
    assert result.weights == place / "shelf" / "resunet.safetensors"
    dice = 2 * 800 / (800 + 64 * 64)
    card = json.loads((place / "shelf" / "resunet.json").read_text())
    assert card["measured"]["test"]["dice_mean"] == pytest.approx(dice, abs=1e-4)
    assert card["held_out"] == {"validation": ["P_1"], "test": ["P_2"]}
    page = (place / "shelf" / "resunet.md").read_text()
    assert page == card_markdown(card)
    for fact in ("non-commercial", "P_2", "tumorseg train resunet", "not a medical device", f"{dice:.3f}"):
        assert fact in page


def test_worse_weights_do_not_replace_better_ones(place):
    better = publish(place, "all").weights.read_bytes()
    with pytest.raises(InputError, match="the shipped weights are better"):
        publish(place, "none")
    assert (place / "shelf" / "resunet.safetensors").read_bytes() == better
    publish(place, "none", force=True)
    assert (place / "shelf" / "resunet.safetensors").read_bytes() != better
    publish(place, "all")
    assert (place / "shelf" / "resunet.safetensors").read_bytes() == better


def test_figures_of_other_patients_do_not_compare(place):
    publish(place, "none")
    split = {"train": ["P_3"], "validation": ["P_2"], "test": ["P_1"]}
    (place / "all" / "split.json").write_text(json.dumps(split))
    with pytest.raises(InputError, match="other validation patients"):
        publish(place, "all")


def test_a_run_without_weights_is_said(place):
    (place / "all" / "resunet.safetensors").unlink()
    with pytest.raises(NotFoundError, match="train finish first"):
        publish(place, "all")


def test_a_classifier_is_published_with_its_threshold(place):
    (place / "gate").mkdir()
    for name in ("config", "split"):
        (place / "gate" / f"{name}.json").write_text((place / "all" / f"{name}.json").read_text())
    (place / "gate" / "history.jsonl").write_text((place / "all" / "history.jsonl").read_text())
    torch.manual_seed(0)
    metadata = {"threshold": "0.125"}
    save_weights(gate.network().state_dict(), place / "gate" / "gate.safetensors", half=True, metadata=metadata)
    with_empty_slice(place / "data" / "P_1", "P_1")
    result = module.publish("gate", place / "gate", place / "data", device="cpu")
    card = json.loads((place / "shelf" / "gate.json").read_text())
    assert card["threshold"] == 0.125
    assert card["measured"]["validation"]["slices"] == 2
    assert 0 <= card["measured"]["validation"]["auc"] <= 1
    assert card["measured"]["test"]["auc"] is None, "one slice, with tumour: there is nothing to tell apart"
    page = (place / "shelf" / "gate.md").read_text()
    assert result.card["version"] in page
    assert "the score 0.1250 on" in page
    assert "Started from EfficientNet-Lite0" in page


def with_empty_slice(folder, name):
    tifffile.imwrite(folder / f"{name}_2.tif", np.full((64, 64, 3), 90, np.uint8), photometric="rgb")
    tifffile.imwrite(folder / f"{name}_2_mask.tif", np.zeros((64, 64), np.uint8))
