"""Mask R-CNN over the slices of several studies at once; steps down where a GPU has no memory left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from tumorseg.models.engines.detection import SliceDetections, detect
from tumorseg.models.engines.detection_look import DetectionLook
from tumorseg.models.engines.ladder import Ladder
from tumorseg.models.engines.rung import Rung
from tumorseg.models.engines.torch_engine import Placed, pick_device

if TYPE_CHECKING:
    from torchvision.models.detection import MaskRCNN

BATCH = 8
#: One slice of one study.
Item = tuple[DetectionLook, int]


class DetectionEngine:
    """A detector on its device.

    Args:
        name: of the network, for the log.
        network: filled, on the CPU, in eval mode.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        mirror: whether the mirror image is looked at too.
    """

    def __init__(self, name: str, network: MaskRCNN, device: str, *, mirror: bool) -> None:
        self.placed = Placed(network, pick_device(device))
        self.ladder = Ladder(name, BATCH)
        self._mirror = mirror

    def look(self, looks: Sequence[DetectionLook]) -> None:
        """Look for objects in all slices; a study whose ``progress`` raises is left at once, the others go on."""
        for look in looks:
            look.restart()
        for batch in _batches(looks):
            for part, found, rung in self.ladder.walk(batch, self._detect):
                for (look, _), one in zip(part, found, strict=True):
                    look.keep(one, rung)

    def _detect(self, items: Sequence[Item], rung: Rung) -> list[SliceDetections]:
        network, device = self.placed.on(rung)
        slices = (torch.from_numpy(np.ascontiguousarray(look.axial[k : k + 1])).to(device) for look, k in items)
        squares = torch.cat([look.box.apply(one) for (look, _), one in zip(items, slices, strict=True)])
        options = [look.options for look, _ in items]
        return detect(network, squares, options, mirror=self._mirror, half=rung.half)


def _batches(looks: Sequence[DetectionLook]) -> Iterator[list[Item]]:
    """Gather the slices that are still wanted when their turn comes."""
    batch: list[Item] = []
    for look in looks:
        for k in range(len(look.axial)):
            if look.error is not None:
                break
            batch.append((look, k))
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch
