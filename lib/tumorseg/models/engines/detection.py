"""Mask R-CNN over slices in two passes: boxes first, masks only for what a request keeps.

torchvision's own inference computes masks for up to a hundred boxes a picture before anybody has asked how certain
they are. Here the thresholds of the request come between the two passes; the maps of the pyramid are kept for the
second. The pass over the mirrored picture, where the model says so, shares both.

1. Backbone and pyramid; proposals; class and box of every proposal (He et al. 2017, section 3).
2. Boxes of one class that overlap are merged: the most certain one stays, its corners the mean of those it stands
   for, weighted by their scores (Solovyev et al. 2021, weighted boxes fusion), its score the mean of the views' best.
3. The mask head on the boxes that are left, averaged over the views, ``(N, 28, 28)`` probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import batched_nms, box_iou, clip_boxes_to_image

from tumorseg.models.engines.torch_engine import autocast
from tumorseg.networks.maskrcnn import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchvision.models.detection import MaskRCNN

    from tumorseg.models.detection_options import DetectionOptions

#: Below this nothing is a candidate, whatever a request asks for.
MIN_SCORE = 0.01
#: Candidates of one object overlap at least this much.
SAME_OBJECT = 0.6
MIN_BOX = 2.0


@dataclass(frozen=True)
class SliceDetections:
    """What was found in one square slice.

    Attributes:
        boxes: ``(N, 4)`` float32 x0, y0, x1, y1 pixel edges.
        scores: ``(N,)``, falling.
        classes: ``(N,)`` int, from 1.
        masks: ``(N, 28, 28)`` float32 probabilities over each box.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    masks: np.ndarray


@torch.inference_mode()
def detect(
    network: MaskRCNN,
    slices: Tensor,
    options: Sequence[DetectionOptions],
    *,
    mirror: bool = False,
    half: bool = False,
) -> list[SliceDetections]:
    """Look for objects in ``(B, S, S)`` grey slices in [0, 1].

    Args:
        network: in eval mode.
        slices: on the network's device.
        options: of each slice; score, nms and max_instances are used.
        mirror: whether the left-right mirror image is looked at too.
        half: whether the maps, which take nearly all of the memory, are computed in 16 bits.
    """
    side = slices.shape[-1]
    views = [slices, slices.flip(-1)] if mirror else [slices]
    maps = [_maps(network, view, half) for view in views]
    candidates = [_boxes(network, m, len(slices), side) for m in maps]
    for view in candidates[1:]:
        for index, (boxes, scores) in enumerate(view):
            view[index] = (_mirrored(boxes, side), scores)
    merged = [_merge([view[b] for view in candidates], options[b]) for b in range(len(slices))]
    masks = _masks(network, maps, merged, side)
    return [
        SliceDetections(
            *(t.float().cpu().numpy() if t.is_floating_point() else t.cpu().numpy() for t in (*found, mask))
        )
        for found, mask in zip(merged, masks, strict=True)
    ]


def _maps(network: MaskRCNN, slices: Tensor, half: bool) -> dict[str, Tensor]:
    """Maps of the pyramid by level. Boxes are computed in fp32: 16 bits cannot tell neighbouring pixels apart."""
    with autocast(slices.device, half):
        maps: dict[str, Tensor] = network.backbone(_normalised(slices))
    return {level: values.float() for level, values in maps.items()}


def _normalised(slices: Tensor) -> Tensor:
    mean, std = (slices.new_tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return ((slices[:, None] - mean) / std).contiguous(memory_format=torch.channels_last)


def _mirrored(boxes: Tensor, side: int) -> Tensor:
    return torch.stack([side - boxes[..., 2], boxes[..., 1], side - boxes[..., 0], boxes[..., 3]], -1)


def _boxes(network: MaskRCNN, maps: dict[str, Tensor], count: int, side: int) -> list[tuple[Tensor, Tensor]]:
    """``(R, C, 4)`` boxes and ``(R, C)`` scores for each slice, of the C classes without background."""
    shapes = [(side, side)] * count
    first = next(iter(maps.values()))
    proposals, _ = network.rpn(ImageList(first.new_empty((count, 3, side, side)), shapes), maps)
    heads = network.roi_heads
    features = heads.box_head(heads.box_roi_pool(maps, proposals, shapes))
    logits, deltas = heads.box_predictor(features)
    boxes = clip_boxes_to_image(heads.box_coder.decode(deltas, proposals), (side, side))[:, 1:]
    scores = logits.softmax(-1)[:, 1:]
    counts = [len(p) for p in proposals]
    return list(zip(boxes.split(counts), scores.split(counts), strict=True))


def _merge(views: Sequence[tuple[Tensor, Tensor]], options: DetectionOptions) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes ``(N, 4)``, scores ``(N,)`` and classes ``(N,)`` that stay, of all views' candidates in one slice."""
    boxes = torch.cat([b.flatten(0, 1) for b, _ in views])
    scores = torch.cat([s.flatten() for _, s in views])
    classes = torch.cat([torch.arange(1, s.shape[1] + 1, device=s.device).repeat(len(s)) for _, s in views])
    view = torch.cat([torch.full((s.numel(),), v, device=s.device) for v, (_, s) in enumerate(views)])
    wide = ((boxes[:, 2:] - boxes[:, :2]) >= MIN_BOX).all(1)
    # Not the request's threshold: what is asked for must not change the boxes of what is more certain.
    keep = wide & (scores >= MIN_SCORE)
    boxes, scores, classes, view = boxes[keep], scores[keep], classes[keep], view[keep]
    # A request may allow any overlap between objects, but two views of one object are always one.
    heads = batched_nms(boxes, scores, classes, min(options.nms, SAME_OBJECT) if len(views) > 1 else options.nms)
    heads = heads[: 4 * options.max_instances]
    same = (box_iou(boxes[heads], boxes) >= SAME_OBJECT) & (classes[heads][:, None] == classes[None])
    weight = same * scores
    fused = (weight @ boxes) / weight.sum(1, keepdim=True).clamp(min=1e-9)
    best = torch.stack([(weight * (view == v)).amax(1) if len(view) else weight.sum(1) for v in range(len(views))])
    mean = best.mean(0)
    chosen = mean.argsort(descending=True, stable=True)
    chosen = chosen[mean[chosen] >= max(MIN_SCORE, options.score)][: options.max_instances]
    return fused[chosen], mean[chosen], classes[heads][chosen]


def _masks(
    network: MaskRCNN, maps: list[dict[str, Tensor]], found: list[tuple[Tensor, Tensor, Tensor]], side: int
) -> list[Tensor]:
    """``(N, 28, 28)`` probabilities for each slice, the mean over the views."""
    counts = [len(boxes) for boxes, _, _ in found]
    classes = torch.cat([c for _, _, c in found])
    if not sum(counts):
        return [classes.new_zeros((0, 28, 28), dtype=torch.float32) for _ in counts]
    heads, total = network.roi_heads, torch.zeros(())
    for index, view in enumerate(maps):
        boxes = [_mirrored(b, side) if index else b for b, _, _ in found]
        features = heads.mask_head(heads.mask_roi_pool(view, boxes, [(side, side)] * len(boxes)))
        logits = heads.mask_predictor(features)[torch.arange(len(classes)), classes]
        total = total + (logits.flip(-1) if index else logits).sigmoid()
    return list(torch.split(total / len(maps), counts))
