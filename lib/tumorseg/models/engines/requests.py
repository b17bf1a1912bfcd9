"""A compiled OpenVINO network that works on several inputs at once, driven from one Python thread.

AsyncInferQueue, and several Python threads that call infer(), both lock up now and then: one holds the interpreter and
waits for the network, the other the network, for the interpreter. Here the inputs run at the same time in OpenVINO's
own threads, Python touches them from one thread at a time, whichever network it is, and their memory is OpenVINO's.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import suppress
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from tumorseg.models.engines.converted import PRECISION, ov
from tumorseg.models.engines.priority import with_nice_threads

#: Small working sets stay in the caches: many inputs one by one, each on a core, instead of one after the other on all.
SETTINGS = {"PERFORMANCE_HINT": "THROUGHPUT", **PRECISION}
#: One input on all cores, where somebody waits for it.
AT_ONCE = {"PERFORMANCE_HINT": "LATENCY", **PRECISION}
# Of the whole process: two networks driven from two threads lock up like one does. The thread that has the turn may ask
# another network in between, as for a click between two slices of a volume.
_TURN = RLock()
#: What a network is given: an array for each of its inputs, or the array of its only one.
Given = NDArray[np.float32] | tuple[NDArray[np.float32], ...]


class Requests:
    """One compiled network.

    Args:
        core: OpenVINO.
        model: with any number of float inputs.
        threads: CPU threads; all by default (``TUMORSEG_THREADS`` sets another number).
        urgent: whether somebody waits for every single answer: all cores work on one input.
    """

    def __init__(self, core: ov.Core, model: ov.Model, threads: int | None = None, *, urgent: bool = False) -> None:
        count = threads or int(os.environ.get("TUMORSEG_THREADS", "0"))
        settings = (AT_ONCE if urgent else SETTINGS) | ({"INFERENCE_NUM_THREADS": str(count)} if count else {})
        with _TURN:
            compiled = with_nice_threads(lambda: core.compile_model(model, "CPU", settings))
            streams = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
            self._requests = [compiled.create_infer_request() for _ in range(max(1, streams))]
        self._inputs: list[list[ov.Tensor | None]] = [[None] * len(compiled.inputs) for _ in self._requests]
        self._outputs = len(compiled.outputs)

    def run(self, inputs: Iterable[Given]) -> Generator[list[NDArray[np.float32]]]:
        """Yield the outputs for each input, in order; they are valid until the next one is asked for.

        Whoever does not take all of them closes the generator: until then nobody else has a turn.
        """
        running: deque[int] = deque()  # places, the oldest first
        with _TURN:
            try:
                for index, batch in enumerate(inputs):
                    if len(running) == len(self._requests):
                        yield self._collect(running.popleft())
                    place = index % len(self._requests)
                    self._start(place, batch)
                    running.append(place)
                while running:
                    yield self._collect(running.popleft())
            finally:  # an error on the way must not leave a request running into the next volume
                for place in running:
                    with suppress(RuntimeError):
                        self._requests[place].wait()

    def _start(self, place: int, given: Given) -> None:
        for index, array in enumerate(given if isinstance(given, tuple) else (given,)):
            tensor = self._inputs[place][index]
            if tensor is None or tuple(tensor.shape) != array.shape:
                tensor = self._inputs[place][index] = ov.Tensor(ov.Type.f32, ov.Shape(array.shape))
                self._requests[place].set_input_tensor(index, tensor)
            tensor.data[:] = array
        self._requests[place].start_async()

    def _collect(self, place: int) -> list[NDArray[np.float32]]:
        request = self._requests[place]
        request.wait()
        return [request.get_output_tensor(output).data for output in range(self._outputs)]
