"""Slices through PyTorch: on a GPU, and the reference that other engines are tested against."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from tumorseg.errors import InputError
from tumorseg.models.engines.base import Inputs, Keep, SliceEngine
from tumorseg.models.weights import load_into

if TYPE_CHECKING:
    from tumorseg.models.slicewise import SlicewiseSpec

BATCH = 16


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


class TorchEngine(SliceEngine):
    """Eager PyTorch in fp32, channels last."""

    def __init__(self, spec: SlicewiseSpec, weights: Path, device: str) -> None:
        super().__init__(spec)
        self.device = pick_device(device)
        network = spec.network()
        load_into(network, weights, spec.name)
        self.network = network.eval().to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def run(self, count: int, inputs: Inputs, keep: Keep) -> None:
        """See :meth:`SliceEngine.run`."""
        for start in range(0, count, BATCH):
            batch = torch.from_numpy(inputs(start, min(start + BATCH, count))).to(self.device)
            probability = self._probability(batch)
            if self.spec.mirror:
                probability = (probability + self._probability(batch.flip(-1)).flip(-1)) / 2
            keep(start, probability[:, 0].cpu().numpy())

    def _probability(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.network(batch.contiguous(memory_format=torch.channels_last)).float())
