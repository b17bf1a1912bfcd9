"""The results that travel between the rooms: frozen, and checked when they are made.

Axis order everywhere is ``(C, K, J, I)`` or ``(K, J, I)``: slice, row, column, the order in which
DICOM frames, ITK buffers and NRRD files lie in memory. Affines map the voxel index ``(i, j, k)``
(column, row, slice; voxel centres) to millimetres in the DICOM patient frame, LPS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tumorseg.errors import InputError
from tumorseg.geometry import Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T1, FLAIR, T1GD, T2 = "T1", "FLAIR", "T1Gd", "T2"


@dataclass(frozen=True, eq=False)
class StudyImage:
    """One or several sequences of one study on one grid.

    Attributes:
        voxels: ``(C, K, J, I)`` real numbers, C-contiguous.
        grid: shape ``(K, J, I)`` and affine (i, j, k) -> LPS mm.
        channels: C names, for example ``("T1", "FLAIR", "T1Gd")``; ``""`` where nothing says what it is.
        modality: DICOM modality (``"MR"``, ``"CT"``, ``"US"``) or ``""`` when unknown.
        spacing_known: False for PNG, TIFF and the like; millimetres then mean pixels.
        source: where it came from (path, series UIDs); for messages and provenance only.
        notes: what a reader should know about this image (a fallback taken, a warning), one sentence each.
    """

    voxels: NDArray[Any]
    grid: Grid
    channels: tuple[str, ...]
    modality: str = ""
    spacing_known: bool = True
    source: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.ndim != 4 or self.voxels.shape[1:] != self.grid.shape:
            raise InputError(f"expected voxels (C, {self.grid.shape}), got {self.voxels.shape}")
        if len(self.channels) != self.voxels.shape[0]:
            raise InputError(f"expected {self.voxels.shape[0]} channel names, got {self.channels}")
        if self.voxels.dtype.kind not in "uif":
            raise InputError(f"expected real numbers as voxels, got {self.voxels.dtype}")
        object.__setattr__(self, "source", MappingProxyType(dict(self.source)))

    def channel(self, name: str) -> NDArray[Any]:
        """Return the ``(K, J, I)`` voxels of the channel called ``name``."""
        voxels: NDArray[Any] = self.voxels[self.channels.index(name)]
        return voxels

    def with_notes(self, *notes: str) -> StudyImage:
        """Return the same image with further notes."""
        return replace(self, notes=self.notes + tuple(notes))


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A label map on a grid.

    Attributes:
        voxels: ``(K, J, I)`` uint8 (uint16 above 255 labels), 0 is background.
        grid: shape and affine of exactly these voxels.
        labels: name -> value, without the background.
        probability: ``(K, J, I)`` float in [0, 1] of the foreground, or None.
    """

    voxels: NDArray[Any]
    grid: Grid
    labels: Mapping[str, int]
    probability: NDArray[np.floating[Any]] | None = None

    def __post_init__(self) -> None:
        if self.voxels.shape != self.grid.shape:
            raise InputError(f"expected a label map {self.grid.shape}, got {self.voxels.shape}")
        if self.voxels.dtype.kind not in "ub":
            raise InputError(f"expected an unsigned label map, got {self.voxels.dtype}")
        if self.probability is not None and self.probability.shape != self.grid.shape:
            raise InputError(f"expected a probability map {self.grid.shape}, got {self.probability.shape}")
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model answered, on the input's own grid, and how it came about.

    Attributes:
        segmentation: the label map.
        model: registry name.
        version: identifies the weights (first 12 hex digits of their SHA-256).
        notes: fallbacks and warnings of the image and of the model.
        latencies: seconds by step (``pre``, ``network``, ``post``).
    """

    segmentation: Segmentation
    model: str
    version: str
    notes: tuple[str, ...] = ()
    latencies: Mapping[str, float] = field(default_factory=dict)
