"""Where the frames of the source images lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset


@dataclass(frozen=True)
class Plane:
    """One frame: rows, columns, position and orientation in LPS mm as DICOM writes them.

    Attributes:
        shape: rows, columns.
        position: centre of the first pixel.
        orientation: direction along a row, then along a column, six cosines.
        spacing: between rows, between columns.
        thickness: of the slice, so that a label map's voxels half a slice away are still found.
    """

    shape: tuple[int, int]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    thickness: float

    def reference(self) -> sitk.Image:
        """Return an empty image of one slice at this place, the grid to sample on."""
        along_row, along_column = np.array(self.orientation[:3]), np.array(self.orientation[3:])
        direction = np.stack([along_row, along_column, np.cross(along_row, along_column)], axis=1)
        image = sitk.Image([self.shape[1], self.shape[0], 1], sitk.sitkUInt8)
        image.SetOrigin(self.position)
        image.SetSpacing((self.spacing[1], self.spacing[0], self.thickness))
        image.SetDirection(direction.ravel().tolist())
        return image


def source_planes(sources: Sequence[Dataset]) -> list[Plane]:
    """Return the planes of single-frame images in the order given, or of one multi-frame image by frame.

    Raises:
        ValueError: no source images, or one without a position in the patient.
    """
    if not sources:
        raise ValueError("expected the headers of the source images, got none")
    if len(sources) == 1 and "PerFrameFunctionalGroupsSequence" in sources[0]:
        return _frames(sources[0])
    return [_plane(source, source, source, source) for source in sources]


def _frames(source: Dataset) -> list[Plane]:
    shared = source.get("SharedFunctionalGroupsSequence", [Dataset()])[0]

    def group(frame: Dataset, name: str) -> Dataset:
        holder = frame if name in frame else shared
        found = holder.get(name)
        if not found:
            raise ValueError(f"expected a {name} in the functional groups of the source image, found none")
        item: Dataset = found[0]
        return item

    return [
        _plane(
            source,
            group(frame, "PlanePositionSequence"),
            group(frame, "PlaneOrientationSequence"),
            group(frame, "PixelMeasuresSequence"),
        )
        for frame in source.PerFrameFunctionalGroupsSequence
    ]


def _plane(size: Dataset, position: Dataset, orientation: Dataset, measures: Dataset) -> Plane:
    try:
        spacing = measures.PixelSpacing
        return Plane(
            (int(size.Rows), int(size.Columns)),
            tuple(float(x) for x in position.ImagePositionPatient),
            tuple(float(x) for x in orientation.ImageOrientationPatient),
            (float(spacing[0]), float(spacing[1])),
            float(measures.get("SliceThickness") or 1.0),
        )
    except AttributeError as error:
        raise ValueError(f"a source image has no place in the patient: {error}") from error
