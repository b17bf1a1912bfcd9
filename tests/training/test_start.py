"""What a network is given to start from."""

import pytest
import torch

from tumorseg.errors import InputError
from tumorseg.models import cascade, gate, gate_resnet50, resunet
from tumorseg.models.weights import load_into
from tumorseg.networks.gate import widen_stem
from tumorseg.training.checkpoint import save_weights
from tumorseg.training.start import start_from


def save(network, path, **changes):
    state = {name: value for name, value in network.state_dict().items() if name not in changes}
    save_weights(state | changes, path, half=False, metadata={})
    return path


def test_a_trunk_of_imagenet_s_names_is_taken_and_its_stem_widened(tmp_path):
    trained = gate.network()
    stem = torch.randn(32, 3, 3, 3)
    state = {name.removeprefix("trunk."): value for name, value in trained.state_dict().items() if "trunk" in name}
    save_weights(state | {"conv_stem.weight": stem}, tmp_path / "imagenet.safetensors", half=False, metadata={})
    network = gate.network()
    loaded = start_from(network, gate.SPEC, tmp_path / "imagenet.safetensors")
    assert set(loaded.left) == {"head.1.weight", "head.1.bias"}
    assert torch.equal(network.trunk.conv_stem.weight, widen_stem(stem, 3))
    assert torch.equal(network.trunk.conv_head.weight, trained.trunk.conv_head.weight)


def test_a_resnet_of_torchvision_s_names_is_taken_but_for_its_thousand_classes(tmp_path):
    trained = gate_resnet50.network()
    classes = {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)}
    save(trained.trunk, tmp_path / "resnet.safetensors", **classes)
    network = gate_resnet50.network()
    loaded = start_from(network, gate_resnet50.SPEC, tmp_path / "resnet.safetensors")
    assert set(loaded.left) == {"trunk.fc.weight", "trunk.fc.bias"}
    assert torch.equal(network.trunk.conv1.weight, trained.trunk.conv1.weight)


def test_an_earlier_gate_is_taken_whole(tmp_path):
    trained = gate.network()
    network = gate.network()
    loaded = start_from(network, gate.SPEC, save(trained, tmp_path / "gate.safetensors"))
    assert loaded.left == ()
    assert torch.equal(network.head[1].weight, trained.head[1].weight)


def test_the_second_stage_starts_from_the_shipped_resunet():
    network, shipped = cascade.network(), resunet.network()
    load_into(shipped, resunet.SPEC.weights, "resunet")
    assert start_from(network, cascade.SPEC, None).left == ()
    assert torch.equal(network.head.weight, shipped.head.weight)


def test_none_starts_from_random_values():
    torch.manual_seed(0)
    network = cascade.network()
    before = network.head.weight.clone()
    assert start_from(network, cascade.SPEC, "none") is None
    assert start_from(network, resunet.SPEC, None) is None
    assert torch.equal(network.head.weight, before)


def test_weights_of_something_else_are_refused(tmp_path):
    with pytest.raises(InputError, match="weights of another network"):
        start_from(gate.network(), gate.SPEC, save(resunet.network(), tmp_path / "resunet.safetensors"))
