"""Slices through a PyTorch network in batches, with the mirror image averaged in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from tumorseg.errors import InputError
from tumorseg.models.base import Progress
from tumorseg.models.weights import load_into

if TYPE_CHECKING:
    from tumorseg.models.slicewise import SlicewiseSpec

BATCH = 8


def pick_device(name: str) -> torch.device:
    """``"auto"`` is a GPU when there is one; a device that is not there is an error, never a silent CPU."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"expected a device such as auto, cpu, cuda or cuda:1, got {name!r}") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"device {name} was asked for, this machine has {torch.cuda.device_count()} CUDA devices")
    return device


class TorchRunner:
    """Calls a network on whole volumes.

    Args:
        spec: network, context slices and stride.
        weights: safetensors of the network's state dict (fp16 or fp32).
        device: see :func:`pick_device`.
    """

    def __init__(self, spec: SlicewiseSpec, weights: Path, device: str) -> None:
        self.slices, self.stride, self.device = spec.slices, spec.stride, pick_device(device)
        network = spec.network()
        load_into(network, weights, spec.name)
        self.network = network.eval().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def __call__(self, prepared: NDArray[np.float32], progress: Progress | None = None) -> NDArray[np.float32]:
        """Map ``(C, K, H, W)`` normalised voxels to ``(K, H, W)`` probabilities."""
        volume = torch.from_numpy(prepared).transpose(0, 1)  # (K, C, H, W)
        count, _, height, width = volume.shape
        out = np.empty((count, height, width), np.float32)
        padding = self._padding(height, width)
        for start in range(0, count, BATCH):
            stop = min(start + BATCH, count)
            batch = F.pad(self._context(volume, start, stop), padding, mode="replicate").to(self.device)
            probability = (self._probability(batch) + self._probability(batch.flip(-1)).flip(-1)) / 2
            left, top = padding[0], padding[2]
            out[start:stop] = probability[:, 0, top : top + height, left : left + width].cpu().numpy()
            if progress:
                progress(stop, count)
        return out

    def _probability(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.network(batch.contiguous(memory_format=torch.channels_last)).float())

    def _context(self, volume: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """``(B, slices * C, H, W)``: each slice between its neighbours, the outermost repeated at the ends."""
        half = self.slices // 2
        middle = torch.arange(start, stop)[:, None] + torch.arange(-half, half + 1)[None]
        stacked = volume[middle.clamp(0, len(volume) - 1)]  # (B, slices, C, H, W)
        return stacked.flatten(1, 2)

    def _padding(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Left, right, top, bottom, so that both sides divide by the stride."""
        extra_w, extra_h = -width % self.stride, -height % self.stride
        return extra_w // 2, extra_w - extra_w // 2, extra_h // 2, extra_h - extra_h // 2
