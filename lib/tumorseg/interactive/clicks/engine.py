"""What runs the click network: OpenVINO on a CPU, PyTorch on a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    Array = NDArray[np.float32]


class ClickEngine(Protocol):
    """The two halves of the network."""

    def look(self, inputs: Iterable[Array]) -> Iterator[tuple[Array, Array, Array]]:
        """Run the trunk over slices ``(1, 9, H, W)``.

        Yields:
            ``(24, H / 2, W / 2)`` and ``(48, H / 4, W / 4)`` features and the probability ``(H, W)``, the mean of the
            slice's and its mirror image's; valid until the next is asked for.
        """
        ...

    def answer(self, fine: Array, coarse: Array, guide: Array) -> Array:
        """Run the head over the window of a click, inputs as of :class:`ClickHead`; probability ``(D, H, W)``."""
        ...


def make_engine(trunk: Path, head: Path, device: str) -> ClickEngine:
    """Return what runs the network on ``device`` (``auto``, ``cpu``, ``cuda``, ``cuda:N``)."""
    from tumorseg.models.engines import has_cuda_driver

    if device != "cpu" and (device.startswith("cuda") or has_cuda_driver()):
        from tumorseg.models.engines.torch_engine import pick_device

        picked = pick_device(device)
        if picked.type == "cuda":
            return TorchClicks(trunk, head, str(picked))
    return OpenVinoClicks(trunk, head)


class OpenVinoClicks:
    """Both halves compiled; fp32."""

    def __init__(self, trunk: Path, head: Path) -> None:
        from tumorseg.models.engines.converted import converted, ov
        from tumorseg.models.engines.requests import Requests
        from tumorseg.networks.clicks import COARSE, FINE, GUIDE, SEQUENCES

        core = ov.Core()
        looking = converted(core, trunk, "clicks-trunk", partial(_traced_trunk, trunk), (-1, 3 * SEQUENCES, -1, -1))
        shapes = tuple((-1, channels, -1, -1) for channels in (FINE, COARSE, GUIDE))
        answering = converted(core, head, "clicks-head", partial(_traced_head, head), shapes)
        self._trunk, self._head = Requests(core, looking), Requests(core, answering, urgent=True)

    def look(self, inputs: Iterable[Array]) -> Iterator[tuple[Array, Array, Array]]:
        """See :class:`ClickEngine`."""
        both = (np.concatenate([one, one[..., ::-1]]) for one in inputs)
        with closing(self._trunk.run(both)) as answers:
            for fine, coarse, probability in answers:
                yield fine[0], coarse[0], (probability[0, 0] + probability[1, 0, :, ::-1]) / 2

    def answer(self, fine: Array, coarse: Array, guide: Array) -> Array:
        """See :class:`ClickEngine`."""
        with closing(self._head.run([(fine, coarse, guide)])) as answers:
            return np.array(next(answers)[0][:, 0], np.float32)


class TorchClicks:
    """Both halves in eager PyTorch, fp32."""

    def __init__(self, trunk: Path, head: Path, device: str) -> None:
        self._device = device
        self._trunk, self._head = _traced_trunk(trunk)[0].to(device), _traced_head(head)[0].to(device)

    def look(self, inputs: Iterable[Array]) -> Iterator[tuple[Array, Array, Array]]:
        """See :class:`ClickEngine`."""
        import torch

        for one in inputs:
            with torch.inference_mode():
                both = torch.from_numpy(np.concatenate([one, one[..., ::-1]])).to(self._device)
                fine, coarse, probability = (t.float().cpu().numpy() for t in self._trunk(both))
            yield fine[0], coarse[0], (probability[0, 0] + probability[1, 0, :, ::-1]) / 2

    def answer(self, fine: Array, coarse: Array, guide: Array) -> Array:
        """See :class:`ClickEngine`."""
        import torch

        with torch.inference_mode():
            given = (torch.from_numpy(part).to(self._device) for part in (fine, coarse, guide))
            probability: Array = self._head(*given)[:, 0].float().cpu().numpy()
        return probability


def _traced_trunk(weights: Path) -> tuple[nn.Module, Tensor]:
    """Return the trunk with a sigmoid behind its logits, and an example of its input."""
    import torch

    from tumorseg.models.weights import load_into
    from tumorseg.networks.clicks import SEQUENCES, Trunk

    trunk = Trunk()
    load_into(trunk.network, weights, "the click model's trunk")
    return _with_sigmoid(trunk, last=2), torch.zeros(2, 3 * SEQUENCES, 2 * Trunk.stride, 2 * Trunk.stride)


def _traced_head(weights: Path) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Return the head with a sigmoid behind it, and an example of its inputs."""
    import torch

    from tumorseg.models.weights import load_into
    from tumorseg.networks.clicks import COARSE, FINE, GUIDE, ClickHead

    head = ClickHead()
    load_into(head, weights, "clicks")
    example = (torch.zeros(3, FINE, 16, 16), torch.zeros(3, COARSE, 8, 8), torch.zeros(3, GUIDE, 16, 16))
    return _with_sigmoid(head, last=None), example


def _with_sigmoid(network: nn.Module, last: int | None) -> nn.Module:
    """Put a sigmoid behind a network's only output, or behind its output number ``last``."""
    import torch
    from torch import nn

    class Ended(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *given: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
            said = self.network(*given)
            return torch.sigmoid(said) if last is None else (*said[:last], torch.sigmoid(said[last]))

    return Ended().eval()
