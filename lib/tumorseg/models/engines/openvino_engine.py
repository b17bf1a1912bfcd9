"""Slices through OpenVINO on a CPU, in fp32: PyTorch's numbers in less time (``benchmarks/serving.py`` measures it).

One slice, with its mirror image, is one request, and as many requests run at once as the CPU likes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.models.engines.base import Item, Keep, SliceEngine
from tumorseg.models.engines.converted import converted, ov
from tumorseg.models.engines.requests import Requests

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from tumorseg.models.slicewise import SlicewiseSpec


class OpenVinoEngine(SliceEngine):
    """One compiled network for any number and size of slices.

    Args:
        spec: the network.
        weights: safetensors of its state dict.
        threads: CPU threads; all by default (``TUMORSEG_THREADS`` sets another number).
    """

    def __init__(self, spec: SlicewiseSpec, weights: Path, threads: int | None = None) -> None:
        super().__init__(spec)
        core, channels = ov.Core(), len(spec.channels) * spec.slices
        shape = (-1, channels, -1, -1)
        model = converted(core, weights, spec.name, partial(_make, spec, weights), shape, spec.network)
        self._requests = Requests(core, model, threads)

    def run(self, items: Iterator[Item], keep: Keep) -> None:
        """See :meth:`SliceEngine.run`; no core waits between two volumes."""
        asked: deque[Item] = deque()

        def batches() -> Iterator[NDArray[np.float32]]:
            """Yield every slice, ``(1, C, H, W)``, with its mirror image behind it where the model wants it."""
            for item in items:
                straight = item[0].input(item[1])
                asked.append(item)
                yield np.concatenate([straight, straight[..., ::-1]]) if self.spec.mirror else straight

        with closing(self._requests.run(batches())) as answers:
            for answer, *_ in answers:
                both = (answer[0, 0] + answer[1, 0, :, ::-1]) / 2 if self.spec.mirror else answer[0, 0]
                keep(asked.popleft(), np.array(both, np.float32), None)


def _make(spec: SlicewiseSpec, weights: Path) -> tuple[nn.Module, Tensor]:
    """Return the PyTorch network with a sigmoid behind it, and an example of its input."""
    import torch

    from tumorseg.models.weights import load_into

    network = spec.network()
    load_into(network, weights, spec.name)
    side = 2 * spec.stride
    example = torch.zeros(2, len(spec.channels) * spec.slices, side, side)
    return torch.nn.Sequential(network, torch.nn.Sigmoid()).eval(), example
