"""Files of a training run: written whole or not at all, and enough to go on from."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from tumorseg.errors import InputError
from tumorseg.io.files import write_atomically


def save_weights(state: Mapping[str, Tensor], path: Path, *, half: bool, metadata: Mapping[str, str]) -> None:
    """Write a state dict as safetensors; ``half`` stores floating tensors as fp16."""
    tensors = {
        name: (value.detach().cpu().half() if half and value.is_floating_point() else value.detach().cpu()).contiguous()
        for name, value in state.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save(tensors, metadata=dict(metadata)))


@dataclass
class RunState:
    """Everything beside the configuration that a run needs to go on after a stop."""

    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Any]
    epoch: int
    seconds: float
    best_loss: float
    best_epoch: int
    history: list[dict[str, float]]
    random: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the state atomically."""
        buffer = io.BytesIO()
        torch.save(vars(self), buffer)
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> RunState:
        """Read what :meth:`save` wrote; nothing but tensors and plain values is unpickled."""
        try:
            return cls(**torch.load(path, map_location="cpu", weights_only=True))
        except (OSError, RuntimeError, TypeError, EOFError, UnpicklingError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"cannot resume from {path}: {reason}; delete it to start anew") from error
