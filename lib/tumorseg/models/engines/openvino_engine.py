"""Slices through OpenVINO on a CPU, in fp32: PyTorch's numbers in less time (``benchmarks/serving.py`` measures it).

The network is converted once for each file of weights and kept in the cache folder; from then on neither the
conversion nor the import of PyTorch stands before the first mask. One slice, with its mirror image, is one request, and
as many requests run at once as the CPU likes (OpenVINO's throughput mode): small working sets stay in the caches.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from collections import deque
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.folders import cache_folder
from tumorseg.models.engines.base import Inputs, Keep, SliceEngine

# OpenVINO's Python package can report its use to a server abroad. A machine beside a PACS reports nothing: the
# reporter is hidden before the package is imported, and OpenVINO then takes its own empty stand-in.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.models.slicewise import SlicewiseSpec

# bf16 would be faster where the CPU has it, but a mask should not depend on the machine that made it.
SETTINGS = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}


class OpenVinoEngine(SliceEngine):
    """One compiled network for any number and size of slices.

    Args:
        spec: the network.
        weights: safetensors of its state dict.
        threads: CPU threads; all by default (``TUMORSEG_THREADS`` sets another number).
    """

    def __init__(self, spec: SlicewiseSpec, weights: Path, threads: int | None = None) -> None:
        super().__init__(spec)
        count = threads or int(os.environ.get("TUMORSEG_THREADS", "0"))
        settings = SETTINGS | ({"INFERENCE_NUM_THREADS": str(count)} if count else {})
        core = ov.Core()
        compiled = core.compile_model(_converted(core, spec, weights), "CPU", settings)
        streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        # Requests run at the same time in OpenVINO's own threads; Python touches them from one thread only, and their
        # inputs are memory of OpenVINO's. AsyncInferQueue, and several Python threads that call infer(), both lock up
        # now and then: one holds the interpreter and waits for the network, the other the network, for the interpreter.
        self._requests = [compiled.create_infer_request() for _ in range(max(1, streams))]
        self._inputs: list[ov.Tensor | None] = [None] * len(self._requests)
        self._lock = Lock()

    def run(self, count: int, inputs: Inputs, keep: Keep) -> None:
        """See :meth:`SliceEngine.run`."""
        running: deque[tuple[int, int]] = deque()  # (slice, request), the oldest first
        with self._lock:
            try:
                for index in range(count):
                    place = index % len(self._requests)
                    if len(running) == len(self._requests):
                        keep(*self._collect(*running.popleft()))
                    self._start(place, inputs(index, index + 1))
                    running.append((index, place))
                while running:
                    keep(*self._collect(*running.popleft()))
            finally:  # an error on the way must not leave a request running into the next volume
                for _, place in running:
                    self._requests[place].wait()

    def _start(self, place: int, straight: NDArray[np.float32]) -> None:
        """Begin one slice, ``(1, C, H, W)``, with its mirror image where the model wants it."""
        batch = np.concatenate([straight, straight[..., ::-1]]) if self.spec.mirror else straight
        tensor = self._inputs[place]
        if tensor is None or tuple(tensor.shape) != batch.shape:
            tensor = self._inputs[place] = ov.Tensor(ov.Type.f32, ov.Shape(batch.shape))
            self._requests[place].set_input_tensor(0, tensor)
        tensor.data[:] = batch
        self._requests[place].start_async()

    def _collect(self, index: int, place: int) -> tuple[int, NDArray[np.float32]]:
        """Wait for one slice; its probability is ``(1, H, W)``."""
        self._requests[place].wait()
        answer = self._requests[place].get_output_tensor(0).data[:, 0]
        if self.spec.mirror:
            return index, np.asarray((answer[:1] + answer[1:, :, ::-1]) / 2)
        return index, np.array(answer)


def _converted(core: ov.Core, spec: SlicewiseSpec, weights: Path) -> ov.Model:
    """Read the converted network from the cache; convert and keep it first when it is not there."""
    digest = hashlib.sha256(weights.read_bytes() + ov.__version__.encode() + spec.name.encode()).hexdigest()[:24]
    folder = cache_folder() / "openvino" / digest
    if not (folder / "model.xml").is_file():
        model = _convert(spec, weights)
        try:
            _store(model, folder)
        except OSError:
            return model  # a read-only or full home costs time at the next start, nothing else
    return core.read_model(folder / "model.xml")


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


def _convert(spec: SlicewiseSpec, weights: Path) -> ov.Model:
    """Trace the PyTorch network with a sigmoid behind it and read the trace with OpenVINO's front end."""
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    from tumorseg.models.weights import load_into

    network = spec.network()
    load_into(network, weights, spec.name)
    channels = len(spec.channels) * spec.slices
    example = torch.zeros(2, channels, 2 * spec.stride, 2 * spec.stride)
    with_sigmoid = torch.nn.Sequential(network, torch.nn.Sigmoid()).eval()
    traced = torch.jit.trace(with_sigmoid, example)  # type: ignore[no-untyped-call]
    front_end = FrontEndManager().load_by_framework("pytorch")
    decoder = TorchScriptPythonDecoder(traced)  # must outlive the conversion: the C++ side does not hold it
    model: ov.Model = front_end.convert(front_end.load(decoder))
    model.reshape(ov.PartialShape([-1, channels, -1, -1]))
    return model
