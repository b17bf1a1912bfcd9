"""Weights to start from."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from tumorseg.errors import InputError
from tumorseg.training.pretrained import lite_name, load_matching, read_state


def packaged_names(network):
    """The names of the package's file, told back from timm's in the order of the layers."""
    plain = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    wide = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    wide |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    ends = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    blocks: list[tuple[str, str]] = []
    for name in network.state_dict():
        parts = name.split(".")
        if parts[0] != "blocks":
            yield f"{ends[parts[0]]}.{parts[1]}", name
            continue
        if (parts[1], parts[2]) not in blocks:
            blocks.append((parts[1], parts[2]))
        table = plain if parts[1] == "0" else wide
        yield f"_blocks.{blocks.index((parts[1], parts[2]))}.{table[parts[3]]}.{parts[4]}", name


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return timm.create_model("tf_efficientnet_lite0")


def test_every_name_of_the_package_is_found(network):
    pairs = list(packaged_names(network))
    assert len(pairs) == len(network.state_dict())
    assert [lite_name(theirs) for theirs, _ in pairs] == [ours for _, ours in pairs]


def test_a_file_under_the_packages_names_fills_the_network(network, tmp_path):
    own = network.state_dict()
    torch.save({theirs: own[ours] for theirs, ours in packaged_names(network)}, tmp_path / "lite0.pth")
    other = timm.create_model("tf_efficientnet_lite0")
    loaded = load_matching(other, read_state(tmp_path / "lite0.pth"), "lite0.pth")
    assert loaded.taken == len(own)
    assert not loaded.left
    picture = torch.rand(1, 3, 64, 64)
    assert torch.equal(other.eval()(picture), network.eval()(picture))


def test_heads_of_other_classes_stay_and_are_named(network, tmp_path):
    save_file(network.state_dict(), tmp_path / "a.safetensors")
    other = timm.create_model("tf_efficientnet_lite0", num_classes=2)
    loaded = load_matching(other, read_state(tmp_path / "a.safetensors"), "a")
    assert loaded.left == ("classifier.weight", "classifier.bias")
    assert "2 start from random values" in str(loaded)


def test_weights_of_another_network_are_refused(network):
    with pytest.raises(InputError, match=r"another network: 0 of"):
        load_matching(network, {"x": torch.zeros(1)}, "x")


class Mischief:
    """What a hostile file would hold."""

    def __reduce__(self):
        return print, ("this must never run",)


def test_code_in_a_file_does_not_run(tmp_path, capsys):
    torch.save({"a": Mischief()}, tmp_path / "bad.pth")
    with pytest.raises(InputError, match=r"cannot read weights from .*bad\.pth"):
        read_state(tmp_path / "bad.pth")
    assert "never" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"text", b"\x80\x04K\x01."])
def test_what_is_no_file_of_weights_is_said(tmp_path, content):
    (tmp_path / "bad.pth").write_bytes(content)
    with pytest.raises(InputError, match="cannot read weights"):
        read_state(tmp_path / "bad.pth")
