"""What a label must be to be kept: readable, whole numbers, on its image's voxels, of classes with names.

One decoding tells everything. What does not fit is refused with what was expected and what came; nothing is repaired
in the file, which is kept byte for byte as it was sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.labels.files import LabelFile, Segment, read_label
from tumorseg.labels.lattice import Placement, same_lattice
from tumorseg.labels.schema import HELPERS, Names, check_classes, check_segments, names_of_values, said_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.geometry import Grid

#: Any label of so many voxels is unpacked to look at it: that takes some milliseconds.
_CHEAP_VOXELS = 1 << 24


@dataclass(frozen=True)
class CheckedLabel:
    """What a check found out.

    Attributes:
        empty: no voxel is marked: somebody looked and there is nothing, where that is what they mean.
        values: in the voxels, ascending, without 0.
        names: value -> class; of a ``.seg.nrrd`` with several layers, whose values are not unique, it is empty.
        info: what to keep with the label: what was sent, with ``label_info`` as it is meant.
        shape: (K, J, I) of the file.
        notes: what is not as usual and fine, one sentence each.
    """

    empty: bool
    values: tuple[int, ...]
    names: Mapping[int, str]
    info: Mapping[str, Any]
    shape: tuple[int, int, int]
    notes: tuple[str, ...] = field(default=())


def check_label(
    file: Path,
    grid: Grid | None,
    info: Mapping[str, Any],
    *,
    placed: bool = True,
    classes: Mapping[str, int | None] = MappingProxyType({}),
) -> CheckedLabel:
    """Check a label that somebody sent.

    Args:
        file: of one of LABEL_SUFFIXES; anything it refers to is not opened.
        grid: of its image; None leaves the place unchecked (the image cannot be read now).
        info: what came with it; ``label_info`` names its values.
        placed: False for a picture without a place in the patient: sizes are compared and nothing else.
        classes: the classes of this server, see :func:`check_classes`.

    Raises:
        InputError: it cannot be kept; the message says what was expected, what came and what to do.
    """
    said = said_names(info)
    # A label of another size is unpacked too, to say how it differs; one of a wholly other size is not.
    label = read_label(file, max(2 * prod(grid.shape), _CHEAP_VOXELS) if grid is not None else None)
    notes = () if grid is None else _place_notes(label, grid, placed)
    found = [values_in(layer) for layer in label.voxels]
    values = sorted(set().union(*found))
    if label.segments:
        check_segments(label.segments, found, said)
        _check_used_segments(label, found, said, classes)
        names, kept = segment_names(label.segments), dict(info)
    else:
        names = names_of_values(said, values)
        check_classes(names, values, classes, numbered=True)
        kept = dict(info) if names == said else {**info, "label_info": _as_list(names)}
        notes += () if names == said else ("The values are numbered without the segments that were left out.",)
    return CheckedLabel(
        not values, tuple(values), MappingProxyType(names), MappingProxyType(kept), label.grid.shape, notes
    )


def place_label(label: LabelFile, grid: Grid, placed: bool = True) -> NDArray[Any]:
    """Return the layers ``(L, K, J, I)`` of a label on the voxels of its image.

    Raises:
        InputError: they are not the image's voxels.
    """
    if not placed:
        _check_shape(label, grid)
        return label.voxels
    return _placement(label, grid).apply(label.voxels)


def _place_notes(label: LabelFile, grid: Grid, placed: bool) -> tuple[str, ...]:
    """Check where the voxels lie and say what is unusual about it."""
    if not placed:
        _check_shape(label, grid)
        return ()
    placement = _placement(label, grid)
    turned = ("The label lists the image's voxels in another order; viewers see the same.",)
    part = (f"The label covers {label.grid.shape} of the image's {grid.shape} voxels; the rest is background.",)
    return (turned if placement.is_turned else ()) + (part if placement.is_part(label.grid) else ())


def _placement(label: LabelFile, grid: Grid) -> Placement:
    found = same_lattice(label.grid, grid, part=bool(label.segments))
    if found is None:
        raise InputError(
            f"the label does not lie on its image's voxels: expected {_described(grid)}; got {_described(label.grid)}. "
            "Was it drawn on another series, resampled or cropped?"
        )
    return found


def _check_shape(label: LabelFile, grid: Grid) -> None:
    if label.grid.shape != grid.shape:
        expected, got = (" × ".join(str(n) for n in shape[::-1]) for shape in (grid.shape, label.grid.shape))
        raise InputError(f"expected a label of {expected} pixels, as the picture has, got {got}")


def _described(grid: Grid) -> str:
    """Say shape, spacing and origin in the order in which viewers do (i, j, k)."""
    spacing = " × ".join(f"{step:.4g}" for step in grid.spacing)
    origin = ", ".join(f"{value:.2f}" for value in grid.origin)
    directions = " ".join("(" + ", ".join(f"{part:.2f}" for part in axis) + ")" for axis in grid.direction.T)
    sizes = " × ".join(str(n) for n in grid.shape[::-1])
    return f"{sizes} voxels of {spacing} mm, the first at ({origin}) LPS, axes {directions}"


def values_in(voxels: NDArray[Any]) -> set[int]:
    """Return the values other than 0 of a label map."""
    return {int(value) for value in np.unique(voxels[voxels > 0])}


def segment_names(segments: Sequence[Segment]) -> Names:
    """Return value -> name; empty where layers use a value for different segments."""
    names = {segment.value: segment.name for segment in segments}
    return names if len(names) == len(segments) else {}


def _check_used_segments(
    label: LabelFile, found: Sequence[set[int]], said: Names, classes: Mapping[str, int | None]
) -> None:
    """Check the classes of a ``.seg.nrrd``: those that were said and those that mark something."""
    marking = {segment.name for segment in label.segments if segment.value in found[segment.layer]}
    used = sorted((marking | set(said.values())) - HELPERS)
    check_classes(dict(enumerate(used)), (), classes, numbered=False)


def _as_list(names: Names) -> list[dict[str, Any]]:
    return [{"name": name, "idx": value} for value, name in sorted(names.items())]
