"""What runs a network over slices: OpenVINO on a CPU, PyTorch on a GPU. Same numbers, other speeds."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.models.engines.base import SliceEngine
    from tumorseg.models.slicewise import SlicewiseSpec

DEVICES = re.compile(r"auto|cpu|cuda(:\d+)?")


def has_cuda_driver() -> bool:
    """Whether an NVIDIA driver is installed; asking the loader costs nothing, importing torch costs seconds."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    return True


def make_engine(spec: SlicewiseSpec, weights: Path, device: str) -> SliceEngine:
    """Return the fastest engine for ``device``: ``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        InputError: no such device, or the weights are not this network's.
    """
    if not DEVICES.fullmatch(device):
        raise InputError(f"expected a device such as auto, cpu, cuda or cuda:1, got {device!r}")
    if device != "cpu" and (device.startswith("cuda") or has_cuda_driver()):
        from tumorseg.models.engines.torch_engine import TorchEngine, pick_device

        picked = pick_device(device)
        if picked.type == "cuda":
            return TorchEngine(spec, weights, str(picked))
    from tumorseg.models.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(spec, weights)
