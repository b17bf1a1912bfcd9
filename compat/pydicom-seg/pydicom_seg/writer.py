"""A label map and the images it was drawn on -> a DICOM segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import highdicom as hd
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pydicom_seg.geometry import source_planes
from pydicom_seg.template import Template, describe


class MultiClassWriter:
    """Write label maps as DICOM SEG (BINARY), one segment for each label.

    Args:
        template: from :func:`pydicom_seg.template.from_dcmqi_metainfo`.
        inplane_cropping: must be False; frames keep the size of the source images.
        skip_empty_slices: leave out frames without a voxel.
        skip_missing_segment: leave out described labels that the map does not have, instead of refusing.
    """

    def __init__(
        self,
        template: Template,
        inplane_cropping: bool = False,
        skip_empty_slices: bool = True,
        skip_missing_segment: bool = False,
    ) -> None:
        if inplane_cropping:
            raise ValueError("frames are not cropped here: call with inplane_cropping=False")
        self._template = template
        self._skip_empty_slices = skip_empty_slices
        self._skip_missing_segment = skip_missing_segment

    def write(self, segmentation: sitk.Image, source_images: Sequence[Dataset]) -> hd.seg.Segmentation:
        """Return the SEG of ``segmentation`` on the planes of ``source_images``.

        Args:
            segmentation: label map, LPS; in any voxel order and on any grid that covers the labels.
            source_images: the series' single-frame headers in any order, or one Enhanced multi-frame header.

        Raises:
            ValueError: the map has a label that the template does not describe, lacks one that it does, or none of
                its voxels lies on the source images.
        """
        planes = source_planes(source_images)
        voxels = np.stack([_sample(segmentation, plane.reference()) for plane in planes])
        values = self._values(voxels, sitk.GetArrayViewFromImage(segmentation))
        numbered = list(enumerate(values, start=1))
        stack = np.stack([voxels == value for value in values], axis=-1).astype(np.uint8)
        return hd.seg.Segmentation(
            source_images=list(source_images),
            pixel_array=stack,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[describe(self._template.segments[v], number, v) for number, v in numbered],
            omit_empty_frames=self._skip_empty_slices,
            **self._general(source_images[0]),
        )

    def _values(self, sampled: NDArray[Any], drawn: NDArray[Any]) -> list[int]:
        """Return the labels to write, ascending, after checking them against the template."""
        present = {int(v) for v in np.unique(drawn)} - {0}
        described = set(self._template.segments)
        if unknown := sorted(present - described):
            raise ValueError(f"labels {unknown} are in the map but not in the template, which has {sorted(described)}")
        if present and not sampled.any():
            raise ValueError("no labelled voxel lies on the source images: is the map from another series?")
        if present == described:
            return sorted(present)
        if not (self._skip_missing_segment and present):
            raise ValueError(f"the template describes {sorted(described)}, the map has {sorted(present)}")
        return sorted(present)

    def _general(self, source: Dataset) -> dict[str, Any]:
        """Return the attributes of the object itself."""
        meta = self._template.meta
        return {
            "series_instance_uid": hd.UID(),
            "sop_instance_uid": hd.UID(),
            "series_number": int(meta.get("SeriesNumber", 300)),
            "instance_number": int(meta.get("InstanceNumber", 1)),
            "series_description": str(meta.get("SeriesDescription", "Segmentation"))[:64],
            "content_label": str(meta.get("ContentLabel", "SEGMENTATION")).upper()[:16],
            "content_description": str(meta.get("ContentDescription", "")) or None,
            "content_creator_name": _person(str(meta.get("ContentCreatorName") or "")) or None,
            "manufacturer": "tumorseg",
            "manufacturer_model_name": "pydicom-seg on highdicom",
            "device_serial_number": "0",
            "software_versions": version("pydicom-seg"),
        }


def _person(name: str) -> str:
    """Return a name that DICOM takes: a single component is a family name and says so with a caret."""
    return name if "^" in name or not name else f"{name}^"


def _sample(label: sitk.Image, plane: sitk.Image) -> NDArray[Any]:
    """Return the label map's values ``(rows, columns)`` at the pixel centres of one source plane."""
    sampled = sitk.Resample(label, plane, sitk.Transform(), sitk.sitkNearestNeighbor, 0, label.GetPixelID())
    return np.asarray(sitk.GetArrayFromImage(sampled)[0])
