"""Mask R-CNN and the light backbone: sizes, folding, gradients."""

import pytest
import torch

from tumorseg.errors import InputError
from tumorseg.networks.efficientnet_lite import CHANNELS, EfficientNetLite0
from tumorseg.networks.maskrcnn import ANCHOR_SIZES, Proposals, build_maskrcnn


def test_the_backbone_gives_maps_at_a_4th_to_a_32nd():
    with torch.inference_mode():
        maps = EfficientNetLite0().eval()(torch.rand(2, 3, 64, 96))
    assert [tuple(m.shape) for m in maps] == [
        (2, c, 64 // s, 96 // s) for c, s in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    ]


def test_folding_changes_no_answer_and_leaves_no_norm():
    torch.manual_seed(0)
    network = EfficientNetLite0()
    for module in network.modules():  # as if trained: statistics that matter
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    picture = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        before = network.eval()(picture)
        after = network.fold().fold()(picture)
    assert not [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for a, b in zip(before, after, strict=True):
        assert torch.allclose(a, b, atol=1e-3 * float(a.abs().max()))


@pytest.mark.parametrize("backbone", ["lite0", "resnet50", "resnet101"])
def test_it_trains_and_answers(backbone):
    torch.manual_seed(0)
    network = build_maskrcnn(backbone, 2, side=128, proposals=Proposals(50, 20, 50, 20, 16))
    pictures = [torch.rand(3, 128, 128), torch.rand(3, 128, 128)]
    mask = torch.zeros(1, 128, 128, dtype=torch.uint8)
    mask[0, 30:80, 20:60] = 1
    lesion = {"boxes": torch.tensor([[20.0, 30, 60, 80]]), "labels": torch.tensor([2]), "masks": mask}
    nothing = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long), "masks": mask[:0]}
    losses = network.train()(pictures, [lesion, nothing])
    torch.stack(list(losses.values())).sum().backward()
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert network.roi_heads.mask_predictor.mask_fcn_logits.weight.grad.abs().sum() > 0
    with torch.inference_mode():
        answers = network.eval()(pictures)
    assert all(answer["masks"].shape[1:] == (1, 128, 128) for answer in answers)


def test_the_light_one_is_light_and_the_anchors_suit_lesions():
    assert sum(p.numel() for p in build_maskrcnn("lite0", 1).parameters()) < 6e6
    assert min(ANCHOR_SIZES) == (12,)


def test_an_unknown_backbone_lists_the_known():
    with pytest.raises(InputError, match="lite0, resnet50, resnet101, got 'vgg'"):
        build_maskrcnn("vgg", 1)
