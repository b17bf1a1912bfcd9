"""PyTorch networks as OpenVINO models: converted once for each file of weights, kept in the cache folder.

Weights without the code that they were trained in are no network: the text of the modules that define networks is part
of the key, so that another release, or a changed model of a site's own, never answers with what was converted before.
From then on neither the conversion nor, for segmentation, the import of PyTorch stands before the first mask.
"""

from __future__ import annotations

import hashlib
import inspect
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg import networks
from tumorseg.folders import cache_folder

# OpenVINO's Python package can report its use to a server abroad. A machine beside a PACS reports nothing: the
# reporter is hidden before the package is imported, and OpenVINO then takes its own empty stand-in.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor, nn

#: ``ov`` is taken from here, so that nobody imports it before its telemetry is hidden.
__all__ = ["PRECISION", "Make", "converted", "ov"]

# bf16 would be faster where the CPU has it, but a mask should not depend on the machine that made it.
PRECISION = {"INFERENCE_PRECISION_HINT": "f32"}
#: Makes the network in eval mode and an example of its input, or of its inputs.
Make = Callable[[], "tuple[nn.Module, Tensor | tuple[Tensor, ...]]"]
#: Of an input, -1 where it varies.
Shape = tuple[int, ...]


def converted(
    core: ov.Core,
    weights: Path,
    name: str,
    make: Make,
    shape: Shape | tuple[Shape, ...],
    defined: Callable[..., Any] | None = None,
) -> ov.Model:
    """Read the converted network from the cache; convert and keep it first when it is not there.

    Args:
        core: OpenVINO.
        weights: what the network is filled with; another file is another network.
        name: of the network, and of the version of its conversion.
        make: called only when it has to be converted.
        shape: of the input, or of each input.
        defined: what makes the untrained network, where that is a module of its own; ours are all known.
    """
    made_of = f"{ov.__version__} {name} {shape}".encode() + _code(defined)
    digest = hashlib.sha256(weights.read_bytes() + made_of).hexdigest()[:24]
    folder = cache_folder() / "openvino" / digest
    if not (folder / "model.xml").is_file():
        model = _convert(*make(), shape)
        try:
            _store(model, folder)
        except OSError:
            return model  # a read-only or full home costs time at the next start, nothing else
    return core.read_model(folder / "model.xml")


def _code(defined: Callable[..., Any] | None) -> bytes:
    """Return the text of the modules that define networks; nothing is imported for it."""
    files = set(Path(inspect.getfile(networks)).parent.glob("*.py"))
    while isinstance(defined, partial):
        defined = defined.func
    if defined is not None and (own := getattr(sys.modules.get(defined.__module__), "__file__", None)):
        files.add(Path(own))
    return b"".join(file.read_bytes() for file in sorted(files))


def _store(model: ov.Model, folder: Path) -> None:
    """Write the two files into a folder that appears whole or not at all; another process may be first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent))
    try:
        ov.save_model(model, temporary / "model.xml", compress_to_fp16=False)
        try:
            temporary.rename(folder)
        except OSError:
            if not (folder / "model.xml").is_file():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _convert(network: nn.Module, example: Tensor | tuple[Tensor, ...], shape: Shape | tuple[Shape, ...]) -> ov.Model:
    """Trace the network and read the trace with OpenVINO's front end."""
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    traced = torch.jit.trace(network, example)  # type: ignore[no-untyped-call]
    front_end = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # must outlive the conversion: the C++ side does not hold it
    model: ov.Model = front_end.convert(front_end.load(decoder))
    shapes = [one if isinstance(one, tuple) else shape for one in shape[: len(model.inputs)]]
    model.reshape({index: ov.PartialShape(list(one)) for index, one in enumerate(shapes)})
    return model
