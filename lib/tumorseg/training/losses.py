"""Losses on logits. Every function takes ``(B, 1, H, W)`` logits and targets in [0, 1] and returns a scalar."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tumorseg.networks.gate import pool_cells

Loss = Callable[[Tensor, Tensor], Tensor]

# Abraham and Khan 2019, "A novel focal Tversky loss function with improved attention U-Net for lesion segmentation":
# alpha weighs what is missed, 1 - alpha what is found in vain; gamma < 1 keeps the gradient of easy cases alive.
TVERSKY_ALPHA = 0.7
FOCAL_GAMMA = 0.75
SMOOTH = 1.0
FULL_CELL = 16


def tversky_index(logits: Tensor, target: Tensor, alpha: float = TVERSKY_ALPHA, smooth: float = SMOOTH) -> Tensor:
    """Tversky index (eq. 3) over the whole batch, so that empty slices count through their false positives."""
    probability = torch.sigmoid(logits.float())
    hit = (probability * target).sum()
    missed = ((1 - probability) * target).sum()
    in_vain = (probability * (1 - target)).sum()
    return (hit + smooth) / (hit + alpha * missed + (1 - alpha) * in_vain + smooth)


def focal_tversky(logits: Tensor, target: Tensor) -> Tensor:
    """Focal Tversky loss, eq. 4 of the paper: ``(1 - TI) ** gamma``."""
    return (1 - tversky_index(logits, target)).clamp(min=1e-7) ** FOCAL_GAMMA


def dice_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Balanced Tversky (soft Dice, alpha 0.5) plus binary cross-entropy: overlap, and calibrated empty slices."""
    overlap = 1 - tversky_index(logits, target, alpha=0.5)
    return overlap + F.binary_cross_entropy_with_logits(logits.float(), target)


def slice_bce(cells: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the slice: does it show tumour? ``(B, 1, h, w)`` logits of its cells are pooled first."""
    shown = (target.amax(dim=(1, 2, 3), keepdim=True) >= 0.5).float()
    return F.binary_cross_entropy_with_logits(pool_cells(cells), shown)


def gate_bce(cells: Tensor, target: Tensor) -> Tensor:
    """:func:`slice_bce` plus the cross-entropy of every cell, which tells the gate where the tumour is.

    ``cells`` are ``(B, 1, h, w)`` logits; a cell counts fully where ``1 / FULL_CELL`` of its pixels are tumour.
    """
    size = (target.shape[-2] // cells.shape[-2], target.shape[-1] // cells.shape[-1])
    share = (FULL_CELL * F.avg_pool2d(target, size)).clamp(max=1)
    return slice_bce(cells, target) + F.binary_cross_entropy_with_logits(cells.float(), share)


LOSSES: dict[str, Loss] = {
    "focal_tversky": focal_tversky,
    "dice_bce": dice_bce,
    "slice_bce": slice_bce,
    "gate_bce": gate_bce,
}
