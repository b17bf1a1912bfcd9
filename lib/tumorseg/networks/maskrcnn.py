"""Mask R-CNN (He et al. 2017) on torchvision's parts, with a feature pyramid (Lin et al. 2017).

Three backbones: ``resnet50`` and ``resnet101`` are what was published (256 channels a level, torchvision's heads, so
that its COCO weights fit), ``lite0`` is an EfficientNet-Lite0 with a pyramid and heads of 64 channels that trains and
answers well on a CPU. What all share, and what differs from torchvision's defaults, suits one or a few lesions in a
picture of 256 pixels: anchors from 12 pixels, a tenth of the proposals, RoI batches of 64 instead of 512.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

BACKBONES = ("lite0", "resnet50", "resnet101")
SIDE = 256
# One size a level of the pyramid (strides 4 to 64), in pixels of the 256 x 256 input; lesions measure 10 to 200.
ANCHOR_SIZES = ((12,), (24,), (48,), (96,), (192,))
ASPECTS = (0.5, 1.0, 2.0)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LIGHT_CHANNELS, LIGHT_FEATURES, LIGHT_MASK_LAYERS = 64, 512, 4


@dataclass(frozen=True)
class Proposals:
    """How many candidates the network looks at: before and after NMS in the RPN, and RoIs a picture in training."""

    before: int = 400
    after: int = 100
    before_training: int = 600
    after_training: int = 200
    rois: int = 64


class LightPyramid(nn.Module):
    """EfficientNet-Lite0 and its pyramid: ``(B, 3, H, W)`` -> five maps ``(B, 64, H / stride, W / stride)``."""

    def __init__(self) -> None:
        super().__init__()
        from tumorseg.networks.efficientnet_lite import CHANNELS, EfficientNetLite0

        self.body = EfficientNetLite0()
        self.fpn = FeaturePyramidNetwork(list(CHANNELS), LIGHT_CHANNELS, LastLevelMaxPool())
        self.out_channels = LIGHT_CHANNELS

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """See the class."""
        maps: dict[str, Tensor] = self.fpn({str(level): m for level, m in enumerate(self.body(x))})
        return maps


def build_maskrcnn(
    backbone: str, classes: int, *, side: int = SIDE, proposals: Proposals | None = None, folded: bool = True
) -> MaskRCNN:
    """Return an untrained network.

    Args:
        backbone: one of :data:`BACKBONES`.
        classes: without the background.
        side: pixels of the square input; pictures come in that size, nothing is resized inside.
        proposals: how many candidates.
        folded: whether the light backbone's batch norm is folded already, as in every file of weights of ours;
            ImageNet weights go in before.
    """
    if backbone not in BACKBONES:
        raise InputError(f"expected one of the backbones {', '.join(BACKBONES)}, got {backbone!r}")
    chosen = proposals or Proposals()
    shared: dict[str, Any] = {
        "min_size": side,
        "max_size": side,
        "image_mean": IMAGENET_MEAN,
        "image_std": IMAGENET_STD,
        "rpn_anchor_generator": AnchorGenerator(ANCHOR_SIZES, (ASPECTS,) * len(ANCHOR_SIZES)),
        "rpn_pre_nms_top_n_train": chosen.before_training,
        "rpn_post_nms_top_n_train": chosen.after_training,
        "rpn_pre_nms_top_n_test": chosen.before,
        "rpn_post_nms_top_n_test": chosen.after,
        "box_batch_size_per_image": chosen.rois,
        "box_detections_per_img": 20,
    }
    if backbone != "lite0":
        from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

        body = resnet_fpn_backbone(backbone_name=backbone, weights=None, trainable_layers=5)
        return MaskRCNN(body, classes + 1, **shared)
    pyramid = LightPyramid()
    if folded:
        pyramid.body.fold()
    pooled = 7
    return MaskRCNN(
        pyramid,
        box_head=TwoMLPHead(LIGHT_CHANNELS * pooled**2, LIGHT_FEATURES),
        box_predictor=FastRCNNPredictor(LIGHT_FEATURES, classes + 1),
        mask_head=MaskRCNNHeads(LIGHT_CHANNELS, (LIGHT_CHANNELS,) * LIGHT_MASK_LAYERS, 1),
        mask_predictor=MaskRCNNPredictor(LIGHT_CHANNELS, LIGHT_CHANNELS, classes + 1),
        **shared,
    )
