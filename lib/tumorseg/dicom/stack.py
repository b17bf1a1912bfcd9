"""Slices in space: their order along the normal, and the grid that a stack of them forms.

The order is by position along row direction x column direction, ascending: the order in which OHIF
shows a volume. File order, file names and instance numbers are never looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.geometry import Grid

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.dicom.headers import Frame

#: Sideways step of slice to slice, as a part of the step itself, from which a stack counts as sheared (0.3 degrees).
TILT_TOLERANCE = 0.005
#: Millimetres that the whole stack must shift sideways before it counts as sheared: positions are rounded.
TILT_TOLERANCE_MM = 0.1


def normal(frame: Frame) -> NDArray[np.float64]:
    """Return the unit vector row direction x column direction, ``(3,)`` LPS; the frame must have an orientation."""
    assert frame.orientation is not None
    cross = np.cross(*np.asarray(frame.orientation, dtype=np.float64))
    return np.asarray(cross / np.linalg.norm(cross))


def sort_frames(frames: Sequence[Frame]) -> tuple[Frame, ...]:
    """Order frames along the first one's normal; frames without a place keep the order in which they came."""
    if any(frame.position is None or frame.orientation is None for frame in frames):
        return tuple(frames)
    axis = normal(frames[0])
    return tuple(sorted(frames, key=lambda frame: float(np.dot(axis, frame.position or ()))))


def depths(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Return mm along the first frame's normal, ``(K,)``."""
    return np.array([frame.position for frame in frames], dtype=np.float64) @ normal(frames[0])


def sideways(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Return by how much one slice lies beside the one before it, LPS mm within the slice plane, ``(3,)``."""
    if len(frames) < 2:
        return np.zeros(3)
    ends = np.array([frames[0].position, frames[-1].position], dtype=np.float64)
    step = (ends[1] - ends[0]) / (len(frames) - 1)
    axis = normal(frames[0])
    return np.asarray(step - axis * (step @ axis))


def is_tilted(frames: Sequence[Frame]) -> bool:
    """Whether the slices are stacked at an angle to their normal (a gantry tilt)."""
    if len(frames) < 2:
        return False
    beside = float(np.linalg.norm(sideways(frames)))
    step = abs(depths(frames)[-1] - depths(frames)[0]) / (len(frames) - 1)
    return beside > TILT_TOLERANCE * step and beside * (len(frames) - 1) > TILT_TOLERANCE_MM


def stack_grid(frames: Sequence[Frame]) -> Grid:
    """Return the grid of sorted frames that passed the preflight.

    A tilt stays in the affine as a shear, exactly: nothing is resampled to straighten it. A single slice is as
    thick as its header says, 1 mm where it says nothing.
    """
    first = frames[0]
    if first.position is None or first.orientation is None or first.spacing is None:
        raise InputError(
            f"{first.path} has no position, orientation or pixel spacing: it cannot be placed in the patient"
        )
    between_rows, between_columns = first.spacing
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(first.orientation[0]) * between_columns
    affine[:3, 1] = np.asarray(first.orientation[1]) * between_rows
    affine[:3, 2] = _slice_step(frames)
    affine[:3, 3] = first.position
    return Grid((len(frames), first.pixels.rows, first.pixels.columns), affine)


def _slice_step(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """Return the vector from one slice to the next, LPS mm."""
    axis = normal(frames[0])
    if len(frames) == 1:
        return np.asarray(axis * (frames[0].gap or frames[0].thickness or 1.0))
    along = depths(frames)
    step = axis * ((along[-1] - along[0]) / (len(frames) - 1))
    # Rounded positions wander sideways a little; only a true tilt may bend the axes of the volume.
    return np.asarray(step + sideways(frames)) if is_tilted(frames) else np.asarray(step)
