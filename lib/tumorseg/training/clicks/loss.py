"""What is asked of the head after a click: the mask that results from what the click may change."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

#: Voxels added to both sides of the Dice, so that a window without truth counts by what is marked in vain.
SMOOTH = 20.0


def click_loss(logits: Tensor, truth: Tensor, mask: Tensor, positive: Tensor, weight: Tensor | None = None) -> Tensor:
    """Soft Dice of the resulting mask, plus the cross-entropy of what may change, mean over the windows.

    A positive click changes nothing that is marked already and a negative one nothing that is not
    (:mod:`tumorseg.interactive.local`), so what the head says there is nobody's business.

    Args:
        logits: ``(N, D, H, W)``.
        truth: ``(N, D, H, W)`` bool.
        mask: ``(N, D, H, W)`` bool, as it was when it was clicked.
        positive: ``(N,)`` bool, the clicks' signs.
        weight: ``(N, D, H, W)``, how much each voxel's cross-entropy counts; all the same without it.
    """
    free = mask != positive[:, None, None, None]
    after = torch.where(free, torch.sigmoid(logits.float()), mask.float())
    wanted = truth.float()
    both, all_ = ((x).flatten(1).sum(1) for x in (after * wanted, after + wanted))
    overlap = 1 - (2 * both + SMOOTH) / (all_ + SMOOTH)
    entropy = F.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none")
    counted = free.float() if weight is None else free * weight
    per_voxel = (entropy * counted).flatten(1).sum(1) / counted.flatten(1).sum(1).clamp(min=1)
    return (overlap + per_voxel).mean()
