"""What a Mask R-CNN starts from: ImageNet, COCO, an earlier training of ours, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.errors import InputError, NotFoundError
from tumorseg.training.pretrained import Loaded, imagenet_lite0, load_matching, read_state, torchvision_state

if TYPE_CHECKING:
    from torchvision.models.detection import MaskRCNN

RANDOM, IMAGENET, COCO = "none", "imagenet", "coco"


def start_from(network: MaskRCNN, backbone: str, source: str) -> Loaded | None:
    """Fill a new network, whose light backbone is not folded yet, and fold it.

    Args:
        network: from :func:`tumorseg.networks.maskrcnn.build_maskrcnn` with ``folded=False``.
        backbone: which one it has.
        source: ``none``, ``imagenet`` (the backbone), ``coco`` (everything but the class, box and mask predictors,
            ResNet-50 only), or a file.

    Raises:
        UnavailableError: the weights are neither on disk nor to be had; the message says what to do.
    """
    light = backbone == "lite0"
    if source == RANDOM:
        loaded = None
    elif source == IMAGENET and light:
        loaded = load_matching(network.backbone.body.body, read_state(imagenet_lite0()), "ImageNet")
    elif source == IMAGENET:
        loaded = load_matching(network.backbone.body, torchvision_state(backbone), "ImageNet")
    elif source == COCO:
        if backbone != "resnet50":
            raise InputError(f"COCO weights exist for resnet50, not for {backbone}; use --init-weights imagenet")
        loaded = load_matching(network, torchvision_state("maskrcnn_resnet50"), "COCO")
    else:
        if not Path(source).is_file():
            raise NotFoundError(f"no file {source} to start from; expected a file, {IMAGENET}, {COCO} or {RANDOM}")
        if light:
            network.backbone.body.fold()
        return load_matching(network, read_state(Path(source)), Path(source).name)
    if light:
        network.backbone.body.fold()
    return loaded
