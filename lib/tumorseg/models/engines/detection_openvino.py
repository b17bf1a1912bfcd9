"""The dense part of a detector, backbone and pyramid, through OpenVINO on a CPU: PyTorch's numbers in less time.

Proposals, RoI pooling and the heads stay with PyTorch: their sizes change with every picture.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tumorseg.models.engines.converted import converted, ov
from tumorseg.models.engines.requests import Requests

if TYPE_CHECKING:
    from torchvision.models.detection import MaskRCNN


class OpenVinoPyramid(nn.Module):
    """Stands in for the backbone of a network: ``(B, 3, S, S)`` -> maps by level, ``(B, C, S / stride, S / stride)``.

    Args:
        network: filled with ``weights``, in eval mode, on the CPU.
        weights: the file, by which the conversion is kept.
        side: S.
    """

    def __init__(self, network: MaskRCNN, weights: Path, side: int) -> None:
        super().__init__()
        backbone, self.out_channels = network.backbone, network.backbone.out_channels
        with torch.inference_mode():
            self.levels = list(backbone(torch.zeros(1, 3, side, side)))
        core, shape = ov.Core(), (1, 3, side, side)
        model = converted(core, weights, "pyramid", partial(_make, backbone, side), shape)
        self._requests = Requests(core, model)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """See the class."""
        slices = (one[None] for one in x.contiguous().numpy())
        maps: list[Tensor] = []
        with closing(self._requests.run(slices)) as answers:
            for index, outputs in enumerate(answers):
                if not maps:
                    maps = [torch.empty(len(x), *output.shape[1:]) for output in outputs]
                for level, output in zip(maps, outputs, strict=True):
                    level[index] = torch.from_numpy(output)[0]
        return dict(zip(self.levels, maps, strict=True))


class _Maps(nn.Module):
    """The maps as a tuple: what tracing understands."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.backbone(x).values())


def _make(backbone: nn.Module, side: int) -> tuple[nn.Module, Tensor]:
    return _Maps(backbone).eval(), torch.zeros(1, 3, side, side)
