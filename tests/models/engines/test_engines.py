"""Both engines give the same numbers; the fast one starts without PyTorch once its conversion is kept."""

import importlib
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from tumorseg.errors import InputError
from tumorseg.models import resunet, resunet25d
from tumorseg.models.engines import make_engine
from tumorseg.models.engines.openvino_engine import OpenVinoEngine
from tumorseg.models.engines.torch_engine import TorchEngine
from tumorseg.training.checkpoint import save_weights


@pytest.fixture(params=[resunet, resunet25d], ids=["resunet", "resunet25d"])
def weights(request, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    network = request.param.network().train()
    with torch.no_grad():
        for _ in range(10):
            network(torch.randn(4, 3 * request.param.SPEC.slices, 64, 64))
    path = tmp_path / "weights.safetensors"
    save_weights(network.state_dict(), path, half=True, metadata={})
    return request.param.SPEC, path


def volume(slices=5, height=70, width=96):
    return np.random.default_rng(0).normal(size=(3, slices, height, width)).astype(np.float32)


def test_openvino_and_pytorch_agree(weights):
    spec, path = weights
    fast, reference = OpenVinoEngine(spec, path)(volume()), TorchEngine(spec, path, "cpu")(volume())
    assert reference.std() > 0.01, "the comparison needs an answer that varies"
    assert np.abs(fast - reference).max() < 1e-3


def test_every_slice_comes_back_once_and_in_its_place(weights):
    spec, path = weights
    engine = OpenVinoEngine(spec, path)
    whole = engine(volume(slices=9))
    if spec.slices == 1:
        alone = np.stack([engine(volume(slices=9)[:, k : k + 1])[0] for k in range(9)])
        assert np.abs(whole - alone).max() < 1e-5
    steps = []
    engine(volume(slices=9), lambda done, total: steps.append((done, total)))
    assert steps == [(n, 9) for n in range(1, 10)]


def test_the_mirrored_volume_gives_the_mirrored_answer(weights):
    spec, path = weights
    spec = replace(spec, mirror=True)
    engine = OpenVinoEngine(spec, path)
    even = volume(width=96)
    assert np.abs(engine(even[..., ::-1].copy())[..., ::-1] - engine(even)).max() < 1e-4


def test_a_kept_conversion_needs_no_pytorch(weights):
    spec, path = weights
    OpenVinoEngine(spec, path)
    code = (
        "import sys, numpy as np; from pathlib import Path; from importlib import import_module;"
        f"spec = import_module('tumorseg.models.{spec.name}').SPEC;"
        "from tumorseg.models.engines import make_engine;"
        f"make_engine(spec, Path({str(path)!r}), 'cpu')(np.zeros((3, 1, 32, 32), np.float32));"
        "assert 'torch' not in sys.modules and sys.modules['openvino_telemetry'] is None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_kept_conversion_of_other_code_is_not_used(weights, tmp_path, monkeypatch):
    """The same weights in a network that another release defines otherwise are another model."""
    spec, path = weights
    before = OpenVinoEngine(spec, path)(volume(1))
    module = tmp_path / "changed_network.py"
    module.write_text(
        "from importlib import import_module\n"
        f"inner = import_module('tumorseg.models.{spec.name}').SPEC.network\n"
        "def network():\n"
        "    made = inner()\n"
        "    made.head.register_forward_hook(lambda module, inputs, output: FACTOR * output)\n"
        "    return made\n"
        "FACTOR = 1\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    answers = []
    for factor in (1, -1):
        module.write_text(re.sub(r"FACTOR = .*", f"FACTOR = {factor}", module.read_text()))
        sys.modules.pop("changed_network", None)
        importlib.invalidate_caches()
        changed = replace(spec, network=importlib.import_module("changed_network").network)
        answers.append(OpenVinoEngine(changed, path)(volume(1)))
    assert np.abs(answers[0] - before).max() < 1e-5
    assert np.abs(answers[1] - (1 - before)).max() < 1e-4


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(weights, monkeypatch, tmp_path):
    spec, path = weights
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert OpenVinoEngine(spec, path)(volume(1)).shape == (1, 70, 96)


@pytest.mark.parametrize("device", ["cuda:7", "tpu", "cuda:x"])
def test_a_device_that_is_not_there_is_an_error(weights, device):
    with pytest.raises(InputError):
        make_engine(*weights, device)
