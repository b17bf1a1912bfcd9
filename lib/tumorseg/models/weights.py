"""Reading files of weights into networks."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from tumorseg.errors import InputError


def load_into(network: nn.Module, path: Path, name: str) -> None:
    """Fill ``network`` in place from a safetensors file of fp16 or fp32; ``name`` is for the message."""
    try:
        state = load_file(path)
        network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    except (SafetensorError, RuntimeError, OSError) as error:
        raise InputError(f"{path} does not hold weights of {name}: {str(error).splitlines()[0]}") from error


def weights_metadata(path: Path) -> dict[str, str]:
    """Return what a safetensors file says of itself; nothing where it says nothing."""
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} is no file of weights: {str(error).splitlines()[0]}") from error
