"""Reading files of weights into networks."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
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
