"""How much a person changed of what a model proposed.

Added path length after Vaassen et al. 2020, "Evaluation of measures for assessing time-saving of automatic
organ-at-risk segmentation in radiotherapy" (Phys Imaging Radiat Oncol 13): the pixels of the final contours that are
not on the proposed ones. Of the measures compared there it follows the time of the correction best. It counts what had
to be drawn and not what had to be deleted: a wrong lesion that was removed adds no path, but changed voxels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.labels.schema import HELPERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.labels.agreement import Masks

_CUBIC_MM_PER_ML = 1000.0
#: Classes that are told apart: each is one bit of a voxel.
_MOST_CLASSES = 64


@dataclass(frozen=True)
class Edit:
    """The way from a proposal to the final label.

    Attributes:
        dice: of the proposal with the final label, over the voxels of all classes, in [0, 1]; both empty: 1.
        changed: voxels that are of another class now.
        added: voxels that were marked as nothing and are something.
        removed: voxels that were something and are nothing.
        final: voxels marked in the end.
        path: added path length, pixels.
        ml: volume of the changed voxels, None where the size of a voxel is not known.
    """

    dice: float
    changed: int
    added: int
    removed: int
    final: int
    path: int
    ml: float | None = None

    @property
    def unchanged(self) -> bool:
        """Whether the proposal was taken as it was."""
        return self.changed == 0

    @property
    def share(self) -> float | None:
        """Changed voxels as a part of the marked ones; above 1 where more went than stayed, None of an empty label."""
        return self.changed / self.final if self.final else None


def edit(
    proposal: NDArray[np.integer[Any]],
    final: NDArray[np.integer[Any]],
    spacing: tuple[float, float, float] | None = None,
) -> Edit:
    """Compare two label maps of one image.

    Args:
        proposal: ``(K, J, I)``, 0 is background.
        final: the same classes under the same values, on the same voxels.
        spacing: mm along k, j, i.

    Raises:
        InputError: they are of different shapes.
    """
    if proposal.shape != final.shape or final.ndim != 3:
        raise InputError(f"expected two label maps (K, J, I) of one shape, got {proposal.shape} and {final.shape}")
    marked = (proposal > 0) | (final > 0)
    box = _box_of(marked)
    before, after = proposal[box], final[box]
    differs = before != after
    changed = int(np.count_nonzero(differs))
    sizes = int(np.count_nonzero(before)), int(np.count_nonzero(after))
    same = int(np.count_nonzero(~differs & (after > 0)))
    return Edit(
        dice=2 * same / sum(sizes) if sum(sizes) else 1.0,
        changed=changed,
        added=int(np.count_nonzero(differs & (before == 0))),
        removed=int(np.count_nonzero(differs & (after == 0))),
        final=sizes[1],
        path=int(np.count_nonzero(contour(after) & ~(contour(before) & ~differs))),
        ml=None if spacing is None else changed * float(np.prod(spacing)) / _CUBIC_MM_PER_ML,
    )


def contour(label: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Return the marked pixels ``(K, J, I)`` beside one of another class in their slice; the picture's edge is one."""
    padded = np.pad(label, ((0, 0), (1, 1), (1, 1)))
    inner = padded[:, 1:-1, 1:-1]
    around = (padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:])
    return np.asarray((inner > 0) & np.logical_or.reduce([inner != beside for beside in around]))


def comparable(
    proposal: Masks, final: Masks, shape: tuple[int, int, int]
) -> tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]:
    """Give the classes of two labels common values, each combination of overlapping ones its own.

    Where each has one class at most that is the same one, whatever annotators call it.

    Args:
        proposal: class -> ``(K, J, I)``.
        final: the same of the other label.
        shape: of the image, for labels without any class.

    Returns:
        Two label maps ``(K, J, I)`` for :func:`edit`.
    """
    labels = [{name: mask for name, mask in masks.items() if name not in HELPERS} for masks in (proposal, final)]
    if all(len(masks) <= 1 for masks in labels):
        labels = [{"": next(iter(masks.values()))} if masks else {} for masks in labels]
    classes = sorted({name for masks in labels for name in masks})
    bits = {name: 1 << place for place, name in enumerate(classes)}
    return _joined(labels[0], bits, shape), _joined(labels[1], bits, shape)


def _joined(masks: Mapping[str, Any], bits: Mapping[str, int], shape: tuple[int, int, int]) -> NDArray[np.integer[Any]]:
    if len(bits) > _MOST_CLASSES:
        raise InputError(f"expected at most {_MOST_CLASSES} classes in label and proposal together, got {len(bits)}")
    joined: NDArray[np.integer[Any]] = np.zeros(shape, np.min_scalar_type((1 << len(bits)) - 1))
    for name, mask in masks.items():
        joined[mask] |= joined.dtype.type(bits[name])
    return joined


def _box_of(marked: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the smallest box with everything that is marked, one pixel wider; all of an empty mask.

    Wider, so that a contour at its side is no other than in the whole picture.
    """
    box = []
    for axis in range(marked.ndim):
        others = tuple(other for other in range(marked.ndim) if other != axis)
        found = np.flatnonzero(marked.any(axis=others))
        if not len(found):
            return (slice(None),) * marked.ndim
        box.append(slice(max(0, int(found[0]) - 1), int(found[-1]) + 2))
    return tuple(box)
