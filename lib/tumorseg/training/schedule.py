"""What every training loop does in the same way: the learning rate over a run, and the moving average of weights."""

from __future__ import annotations

import math

import torch
from torch import nn

#: Part of the peak with which the warm-up begins.
FIRST_RATE = 0.05


def rate(progress: float, warmup: float, final: float) -> float:
    """Return the learning rate relative to its peak: a linear warm-up, then half a cosine down to ``final``.

    Args:
        progress: of the run, in [0, 1].
        warmup: part of the run until the peak.
        final: relative rate at the end.
    """
    if progress < warmup:
        return FIRST_RATE + (1 - FIRST_RATE) * progress / warmup
    part = (progress - warmup) / (1 - warmup)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * part))


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, steps: int, decay: float) -> None:
    """Move ``average`` towards ``network`` after its step number ``steps``; closely at first, then by ``decay``."""
    decay = min(decay, (1 + steps) / (10 + steps))
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
