"""Several looks of one network at the same slices: plain, with dropout, at changed pictures; and its encoder's vectors.

*Dropout.* The published networks were trained without it. It is injected when scores are computed and at no other
time (Ledda, Fumera, Roli: Dropout Injection at Test Time for Post Hoc Uncertainty Quantification in Neural Networks,
Information Sciences 2023), so that the network that serves stays bit for bit the one that was trained. Whole channels
are dropped (Tompson et al. 2015) after the last encoder and the first decoder stage, the central part of the
network, where Kendall et al. (Bayesian SegNet, BMVC 2017) found it to help: a dropped channel there takes away a part
of what the network knows of the picture, not a patch of it.

*Changed pictures.* Mirrored, and with contrast and brightness as they differ between scanners; all within what
training augments by. The mirror image is mirrored back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tumorseg.active_learning.types import BALD, ENTROPY, FOREGROUND, MARGIN, TTA
from tumorseg.errors import InputError

DROPOUT = 0.25
BATCH = 32

PLAIN, DROPPED, CHANGED = "plain", "dropout", "changed"
#: Which looks a column is computed from.
LOOKS = {ENTROPY: PLAIN, MARGIN: PLAIN, FOREGROUND: PLAIN, BALD: DROPPED, TTA: CHANGED}

_Change = Callable[[Tensor], Tensor]
#: Change of ``(B, C, H, W)`` z-scores, and what brings ``(B, 1, H, W)`` probabilities back.
CHANGES: tuple[tuple[_Change, _Change], ...] = (
    (lambda x: x, lambda p: p),
    (lambda x: x.flip(-1), lambda p: p.flip(-1)),
    (lambda x: 1.2 * x, lambda p: p),
    (lambda x: 0.8 * x, lambda p: p),
    (lambda x: x + 0.2, lambda p: p),
)


def look(
    network: nn.Module, slices: NDArray[np.floating[Any]], kind: str, *, passes: int = 8, seed: int = 0
) -> NDArray[np.float32]:
    """Return ``(T, N, H, W)`` probabilities of N slices.

    Args:
        network: ``(B, C, H, W)`` -> ``(B, 1, H, W)`` logits; is left in evaluation mode.
        slices: ``(N, C, H, W)`` as the network was trained on them.
        kind: :data:`PLAIN` (T = 1), :data:`DROPPED` (T = ``passes``) or :data:`CHANGED` (T = 5).
        passes: how many with dropout.
        seed: of the dropped channels.

    Raises:
        InputError: another kind, or dropout in a network without encoder and decoder stages.
    """
    if kind == PLAIN:
        return _run(network, slices)[None]
    if kind == CHANGED:
        return np.stack([_run(network, slices, change, back) for change, back in CHANGES])
    if kind != DROPPED:
        raise InputError(f"expected looks of {PLAIN}, {DROPPED} or {CHANGED}, got {kind!r}")
    rng = torch.Generator().manual_seed(seed)
    with dropout(network, DROPOUT, rng):
        return np.stack([_run(network, slices) for _ in range(passes)])


@contextmanager
def dropout(network: nn.Module, rate: float, rng: torch.Generator) -> Iterator[None]:
    """Drop channels in the middle of the network while the block runs."""

    def drop(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        keep = torch.rand(*output.shape[:2], 1, 1, generator=rng) >= rate
        return output * (keep / (1 - rate)).to(output.device, output.dtype)

    with ExitStack() as hooks:
        for stage in (_stages(network, "down")[-1], _stages(network, "up")[0]):
            hooks.callback(stage.register_forward_hook(drop).remove)
        yield


def embed(network: nn.Module, slices: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return ``(N, D)``: the mean over the picture of what the last encoder stage answers to ``(N, C, H, W)``."""
    found: list[Tensor] = []
    stage = _stages(network, "down")[-1]
    hook = stage.register_forward_hook(lambda module, inputs, output: found.append(output.mean(dim=(2, 3)).cpu()))
    try:
        _run(network, slices)
    finally:
        hook.remove()
    return torch.cat(found).float().numpy()


def _stages(network: nn.Module, part: str) -> Sequence[nn.Module]:
    stages = getattr(network, part, None)
    if not isinstance(stages, nn.ModuleList) or not len(stages):
        raise InputError(f"{type(network).__name__} has no list of {part!r} stages: choose a U-shaped network")
    return list(stages)


@torch.inference_mode()
def _run(
    network: nn.Module,
    slices: NDArray[np.floating[Any]],
    change: _Change = lambda x: x,
    back: _Change = lambda p: p,
) -> NDArray[np.float32]:
    device = next(network.parameters()).device
    network.eval()
    found = []
    for start in range(0, len(slices), BATCH):
        batch = torch.from_numpy(np.asarray(slices[start : start + BATCH], np.float32)).to(device)
        batch = change(batch).contiguous(memory_format=torch.channels_last)
        found.append(back(torch.sigmoid(network(batch).float()))[:, 0].cpu())
    return torch.cat(found).numpy() if found else np.empty((0, *slices.shape[2:]), np.float32)
