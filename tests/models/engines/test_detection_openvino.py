"""The detector's pyramid through OpenVINO: the numbers of PyTorch."""

import pytest
import torch
from safetensors.torch import save_file

from tumorseg.models.engines.detection_openvino import OpenVinoPyramid
from tumorseg.networks.maskrcnn import build_maskrcnn


@pytest.mark.parametrize("backbone", ["lite0", "resnet50"])
def test_the_maps_are_those_of_pytorch(backbone, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    torch.manual_seed(0)
    network = build_maskrcnn(backbone, 1, side=64).eval()
    save_file(network.state_dict(), tmp_path / "w.safetensors")
    pictures = torch.rand(5, 3, 64, 64)
    with torch.inference_mode():
        ours, theirs = OpenVinoPyramid(network, tmp_path / "w.safetensors", 64)(pictures), network.backbone(pictures)
    assert list(ours) == list(theirs)
    for level, expected in theirs.items():
        assert torch.allclose(ours[level], expected, atol=1e-4 * float(expected.abs().max()))
    larger = torch.rand(1, 3, 96, 96)  # the conversion that was kept is for another size
    with torch.inference_mode():
        assert OpenVinoPyramid(network, tmp_path / "w.safetensors", 96)(larger)["0"].shape[-1] == 24
