"""Slices through PyTorch: on a GPU, and the reference that other engines are tested against."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from tumorseg.errors import InputError
from tumorseg.models.engines.base import Item, Keep, SliceEngine
from tumorseg.models.engines.ladder import Ladder
from tumorseg.models.engines.rung import Rung
from tumorseg.models.weights import load_into

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.models.slicewise import SlicewiseSpec

Network = TypeVar("Network", bound=nn.Module)

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


class Placed(Generic[Network]):
    """A network on its device, and on the CPU for the lowest rung of the ladder; each is put there when first asked.

    Args:
        network: filled, on the CPU, in eval mode.
        device: where it should compute.
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        self._network, self._device = network, device
        self._there: Network | None = network if device == torch.device("cpu") else None

    def on(self, rung: Rung) -> tuple[Network, torch.device]:
        """Return the network for a rung, and where it is; torch.OutOfMemoryError where it finds no room there."""
        if rung.cpu:
            self._there = None  # what it held on the GPU is for whoever needs it
            return self._network, torch.device("cpu")
        if self._there is None:
            self._there = copy.deepcopy(self._network).to(self._device)
        return self._there, self._device


class TorchEngine(SliceEngine):
    """Eager PyTorch in fp32, channels last; steps down where a GPU has no memory left."""

    def __init__(self, spec: SlicewiseSpec, weights: Path, device: str) -> None:
        super().__init__(spec)
        self.device = pick_device(device)
        network = spec.network()
        load_into(network, weights, spec.name)
        self.placed = Placed(network.eval().to(memory_format=torch.channels_last), self.device)  # type: ignore[call-overload]
        self.ladder = Ladder(spec.name, BATCH)

    @torch.inference_mode()
    def run(self, items: Iterator[Item], keep: Keep) -> None:
        """See :meth:`SliceEngine.run`; slices of the same size, whoever's they are, go through the network as one."""
        for batch in _batches(items):
            for part, probability, rung in self.ladder.walk(batch, self._probabilities):
                for item, one in zip(part, probability, strict=True):
                    keep(item, one, rung)

    def _probabilities(self, items: Sequence[Item], rung: Rung) -> NDArray[np.float32]:
        """Answer ``(B, H, W)`` for B slices of one size."""
        network, device = self.placed.on(rung)
        batch = torch.from_numpy(np.concatenate([look.input(k) for look, k in items])).to(device)
        with autocast(device, rung.half):
            probability = _sigmoid(network, batch)
            if self.spec.mirror:
                probability = (probability + _sigmoid(network, batch.flip(-1)).flip(-1)) / 2
        answer: NDArray[np.float32] = probability[:, 0].cpu().numpy()
        return answer


def autocast(device: torch.device, half: bool) -> torch.autocast:
    """Let PyTorch compute in 16 bits where ``half``; in bfloat16, which cannot overflow, where the device has it."""
    kind = torch.float16 if device.type == "cuda" and not torch.cuda.is_bf16_supported() else torch.bfloat16
    return torch.autocast(device.type, kind, enabled=half)


def _sigmoid(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(network(batch.contiguous(memory_format=torch.channels_last)).float())


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Gather slices that follow each other and have one size."""
    batch: list[Item] = []
    for item in items:
        if batch and (len(batch) == BATCH or item[0].shape != batch[0][0].shape):
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch
