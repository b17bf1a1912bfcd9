"""Detections of single slices joined to lesions of a volume.

1. Slices are taken in order. A chain is a lesion that has been followed so far; a detection may continue a chain of its
   class where their masks overlap in the plane by at least a given IoU.
2. Which detection continues which chain is decided for all of a slice at once, so that the sum of the IoUs is as large
   as it can be (linear assignment; Kuhn, Naval Research Logistics Quarterly 2, 1955), and not by who comes first.
3. First the chains that were seen in the slice before are continued, then, with what is left, those that were seen two
   slices before: a detector that misses a lesion in one slice does not make two of it. The missed slice stays empty in
   the mask, nothing is invented there. A gap of two slices ends a chain.
4. In a volume, two chains of one class that cover each other in the slices they share are one lesion: of two boxes
   of a slice, one within the other, the overlap may be too small for the NMS. The surer chain's masks count; the
   other one gives its own only to slices that the surer one missed.
5. A lesion's score is the highest of its slices: how sure the model is that there is something at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tumorseg.errors import InputError
from tumorseg.types import Instance

#: How many slices without a detection a lesion may run through.
GAP = 1
#: From this share of the smaller one on, two chains that overlap are one lesion.
SAME_LESION = 0.5


@dataclass
class _Chain:
    """One lesion as far as it was followed: one instance a slice, slices ascending."""

    parts: list[Instance] = field(default_factory=list)

    @property
    def end(self) -> int:
        """The last slice in which it was seen."""
        return self.parts[-1].origin[0]

    @property
    def score(self) -> float:
        """The highest of its slices."""
        return max(part.score for part in self.parts)

    def shared(self, other: _Chain) -> list[tuple[Instance, Instance]]:
        """The instances of both in the slices where both were seen."""
        theirs = {part.origin[0]: part for part in other.parts}
        return [(part, theirs[part.origin[0]]) for part in self.parts if part.origin[0] in theirs]

    def absorb(self, other: _Chain) -> None:
        """Take over the slices that only the other one was seen in."""
        mine = {part.origin[0] for part in self.parts}
        self.parts += [part for part in other.parts if part.origin[0] not in mine]
        self.parts.sort(key=lambda part: part.origin[0])


def link_slices(per_slice: Sequence[Sequence[Instance]], *, iou: float, min_slices: int) -> tuple[Instance, ...]:
    """Join the detections of neighbouring slices to three-dimensional instances.

    Args:
        per_slice: for each slice k of a volume its instances, each with a mask ``(1, j, i)`` at ``(k, j, i)``.
        iou: masks of one class with at least this IoU are one lesion, in [0, 1]; masks that do not touch never are.
        min_slices: a lesion seen in fewer slices is dropped; a single slice (a picture) loses nothing.

    Returns:
        One instance a lesion, by falling score: the masks stacked, the box around all boxes, the highest score. The
        answer does not depend on the order within a slice.
    """
    _check(per_slice)
    chains = _followed(per_slice, iou)
    if len(per_slice) > 1:
        chains = [chain for chain in _merged(chains) if len(chain.parts) >= min_slices]
    return tuple(sorted((_joined(chain) for chain in chains), key=_rank))


def _followed(per_slice: Sequence[Sequence[Instance]], iou: float) -> list[_Chain]:
    """Follow every detection from slice to slice."""
    chains: list[_Chain] = []
    for k, instances in enumerate(per_slice):
        left = sorted(instances, key=_rank)
        for distance in range(1, GAP + 2):
            left = _continue(chains, k - distance, left, iou)
        chains.extend(_Chain([instance]) for instance in left)
    return chains


def _merged(chains: list[_Chain]) -> list[_Chain]:
    """Make one of the chains that cover each other, the surest first."""
    kept: list[_Chain] = []
    for chain in sorted(chains, key=lambda chain: (-chain.score, _rank(chain.parts[0]))):
        same = (one for one in kept if one.parts[0].label == chain.parts[0].label and _cover(one, chain) >= SAME_LESION)
        surer = next(same, None)
        if surer is None:
            kept.append(chain)
        else:
            surer.absorb(chain)
    return kept


def _cover(one: _Chain, other: _Chain) -> float:
    """Which share of the smaller of two chains is covered by the other one, in the slices that they share."""
    pairs = one.shared(other)
    smaller = min(sum(np.count_nonzero(pair[side].mask) for pair in pairs) for side in (0, 1))
    return sum(_common(*pair) for pair in pairs) / smaller if smaller else 0.0


def plane_iou(one: Instance, other: Instance) -> float:
    """IoU of two masks ``(1, j, i)`` as if they lay in one slice; 0 where both are empty."""
    common = _common(one, other)
    union = np.count_nonzero(one.mask) + np.count_nonzero(other.mask) - common
    return float(common / union) if union else 0.0


def _common(one: Instance, other: Instance) -> int:
    """How many pixels two masks ``(1, j, i)`` share, as if they lay in one slice."""
    (_, *a), (_, *b) = one.region, other.region
    low = [max(x.start, y.start) for x, y in zip(a, b, strict=True)]
    high = [min(x.stop, y.stop) for x, y in zip(a, b, strict=True)]
    if high[0] <= low[0] or high[1] <= low[1]:
        return 0
    return int(np.count_nonzero(_window(one, low, high) & _window(other, low, high)))


def _window(instance: Instance, low: list[int], high: list[int]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """The part of a mask between two in-plane corners ``(j, i)`` of the grid, ``(j, i)``."""
    (_, j, i) = instance.origin
    window: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    window = instance.mask[0, low[0] - j : high[0] - j, low[1] - i : high[1] - i]
    return window


def _continue(chains: list[_Chain], end: int, instances: list[Instance], iou: float) -> list[Instance]:
    """Append to the chains that were last seen in slice ``end`` and return the instances that continue none."""
    from scipy.optimize import linear_sum_assignment  # half a second that a look at the models need not wait for

    open_chains = [chain for chain in chains if chain.end == end]
    if not open_chains or not instances:
        return instances
    gain = np.array([[_gain(chain.parts[-1], instance, iou) for instance in instances] for chain in open_chains])
    taken = set()
    for row, column in zip(*linear_sum_assignment(gain, maximize=True), strict=True):
        if gain[row, column] > 0:
            open_chains[row].parts.append(instances[column])
            taken.add(int(column))
    return [instance for index, instance in enumerate(instances) if index not in taken]


def _gain(last: Instance, instance: Instance, iou: float) -> float:
    """What it is worth to join two instances; 0 where they may not be."""
    overlap = plane_iou(last, instance) if last.label == instance.label else 0.0
    return overlap if overlap >= iou else 0.0


def _joined(chain: _Chain) -> Instance:
    """Put the slices of one lesion on top of each other."""
    low = np.min([part.origin for part in chain.parts], axis=0)
    high = np.max([np.add(part.origin, part.mask.shape) for part in chain.parts], axis=0)
    mask = np.zeros(high - low, dtype=bool)
    for part in chain.parts:
        k, j, i = np.subtract(part.origin, low)
        mask[k, j : j + part.mask.shape[1], i : i + part.mask.shape[2]] = part.mask[0]
    boxes = np.array([part.box for part in chain.parts], dtype=np.float64)
    box = np.concatenate([boxes[:, :3].min(axis=0), boxes[:, 3:].max(axis=0)])
    return Instance(chain.parts[0].label, chain.score, box, mask, (int(low[0]), int(low[1]), int(low[2])))


def _rank(instance: Instance) -> tuple[float, str, tuple[float, ...]]:
    """Order by falling score; equal ones by class and place, so that the order never depends on the input's."""
    return -instance.score, instance.label, tuple(float(edge) for edge in instance.box)


def _check(per_slice: Sequence[Sequence[Instance]]) -> None:
    for k, instances in enumerate(per_slice):
        for instance in instances:
            if instance.mask.shape[0] != 1 or instance.origin[0] != k:
                raise InputError(
                    f"expected masks (1, j, i) at (k, j, i) with k = {k} in slice {k}, "
                    f"got a mask {instance.mask.shape} at {instance.origin}"
                )
