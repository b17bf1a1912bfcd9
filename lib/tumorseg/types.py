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
        placed: False for a picture whose pixels may have a size but that has no place in the patient: no left and
            right, and no thickness, so that it holds areas and no volumes.
        source: where it came from (path, series UIDs); for messages and provenance only.
        notes: what a reader should know about this image (a fallback taken, a warning), one sentence each.
    """

    voxels: NDArray[Any]
    grid: Grid
    channels: tuple[str, ...]
    modality: str = ""
    spacing_known: bool = True
    placed: bool = True
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
class Instance:
    """One detected (or annotated) object.

    Attributes:
        label: class name.
        score: confidence in [0, 1]; 1 for an annotation.
        box: ``(6,)`` corners ``(i0, j0, k0, i1, j1, k1)``, voxel index, half-open: voxel ``v`` covers ``[v, v + 1)``,
            so a box around the one voxel (2, 3, 4) is ``(2, 3, 4, 3, 4, 5)`` and fractions are allowed. An affine
            that speaks of voxel centres is given ``corner - 0.5``. A detection in one slice has ``k1 == k0 + 1``.
        mask: ``(k, j, i)`` bool, the object itself, cut out of the grid at ``origin``.
        origin: ``(k, j, i)`` index of the mask's first voxel in the grid.
    """

    label: str
    score: float
    box: NDArray[np.floating[Any]]
    mask: NDArray[np.bool_]
    origin: tuple[int, int, int]

    def __post_init__(self) -> None:
        if self.box.shape != (6,) or not (self.box[3:] > self.box[:3]).all():
            raise InputError(f"expected a box (i0, j0, k0, i1, j1, k1) with some extent, got {self.box}")
        if self.mask.ndim != 3 or self.mask.dtype.kind != "b":
            raise InputError(f"expected a mask (k, j, i) of bool, got {self.mask.shape} {self.mask.dtype}")
        if not 0 <= self.score <= 1:
            raise InputError(f"expected a score in [0, 1], got {self.score}")

    @property
    def region(self) -> tuple[slice, slice, slice]:
        """Where the mask lies in the grid, ``(k, j, i)``."""
        k, j, i = (slice(start, start + size) for start, size in zip(self.origin, self.mask.shape, strict=True))
        return k, j, i


@dataclass(frozen=True, eq=False)
class Detections:
    """Objects on a grid, the most certain first.

    Attributes:
        instances: any number, sorted by falling score on construction.
        grid: shape ``(K, J, I)`` and affine of the image they lie on; every mask fits inside.
        labels: class name -> value in a label map.
    """

    instances: tuple[Instance, ...]
    grid: Grid
    labels: Mapping[str, int]

    def __post_init__(self) -> None:
        for instance in self.instances:
            if instance.label not in self.labels:
                raise InputError(f"expected one of the classes {sorted(self.labels)}, got {instance.label!r}")
            if any(s.start < 0 or s.stop > n for s, n in zip(instance.region, self.grid.shape, strict=True)):
                raise InputError(
                    f"a mask at {instance.origin} of {instance.mask.shape} is not inside {self.grid.shape}"
                )
        ordered = sorted(self.instances, key=lambda instance: -instance.score)
        object.__setattr__(self, "instances", tuple(ordered))
        object.__setattr__(self, "labels", MappingProxyType(dict(self.labels)))

    def __len__(self) -> int:
        return len(self.instances)

    def label_map(self) -> Segmentation:
        """All masks in one label map; where two overlap the more certain one is seen."""
        import numpy as np

        voxels = np.zeros(self.grid.shape, np.uint8 if max(self.labels.values(), default=0) < 256 else np.uint16)
        for instance in reversed(self.instances):
            voxels[instance.region][instance.mask] = self.labels[instance.label]
        return Segmentation(voxels, self.grid, self.labels)


@dataclass(frozen=True, eq=False)
class SliceScores:
    """What a classifier says of every slice of a volume.

    Attributes:
        scores: ``(K,)`` probability in [0, 1] that the slice shows what is looked for, along ``axis``.
        axis: 0, 1 or 2 of ``(K, J, I)``: the image's axis that the slices are stacked along.
        model: registry name.
        version: identifies the weights.
        notes: fallbacks and warnings.
        rung: as of :class:`Prediction`.
    """

    scores: NDArray[np.floating[Any]]
    axis: int
    model: str
    version: str
    notes: tuple[str, ...] = ()
    rung: str = "full"


@dataclass(frozen=True)
class Stage:
    """One step of a model that is made of several: which model, which weights, what it did."""

    model: str
    version: str
    result: str


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model answered, on the input's own grid, and how it came about.

    Attributes:
        segmentation: the label map.
        model: registry name.
        version: identifies the weights (first 12 hex digits of their SHA-256).
        notes: fallbacks and warnings of the image and of the model.
        latencies: seconds by step (``pre``, ``network``, ``post``).
        detections: the single objects, where the model finds objects; the segmentation is then their label map.
        stages: the models behind this one, in the order of their work, where there are several.
        rung: ``full``, or how far a GPU without free memory made the network step down: ``batch``, ``half``, ``cpu``
            (:mod:`tumorseg.models.engines.ladder`).
    """

    segmentation: Segmentation
    model: str
    version: str
    notes: tuple[str, ...] = ()
    latencies: Mapping[str, float] = field(default_factory=dict)
    detections: Detections | None = None
    stages: tuple[Stage, ...] = ()
    rung: str = "full"
