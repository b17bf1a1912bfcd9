"""A DICOM segmentation -> a label map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import highdicom as hd
import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset

from pydicom_seg.template import label_value


@dataclass(frozen=True)
class Result:
    """What was read.

    Attributes:
        image: label map, LPS; rows and columns as in the SEG, slices ascending along row x column direction.
        names: value in ``image`` -> the segment's label.
    """

    image: sitk.Image
    names: Mapping[int, str]


class MultiClassReader:
    """Read a SEG whose segments do not overlap into one label map."""

    def read(self, dataset: Dataset) -> Result:
        """Return the label map; positions between the frames that the SEG leaves out are background.

        Raises:
            RuntimeError: segments overlap, which one label map cannot hold.
            ValueError: the frames do not lie on one regular grid.
        """
        seg = hd.seg.Segmentation.from_dataset(dataset, copy=False)
        volume = seg.get_volume(combine_segments=True, allow_missing_positions=True)
        by_number = {number: seg.get_segment_description(number) for number in seg.segment_numbers}
        table = np.zeros(max(by_number) + 1, np.uint16)
        for number, description in by_number.items():
            table[number] = label_value(description)
        names = {int(table[number]): str(d.segment_label) for number, d in by_number.items()}
        return Result(_image(table[np.asarray(volume.array, dtype=np.intp)], volume), names)


def _image(labels: np.ndarray, volume: hd.Volume) -> sitk.Image:
    """Wrap ``(slice, row, column)`` labels; highdicom's affine takes its index in that order, ITK's in reverse."""
    if labels.max(initial=0) <= np.iinfo(np.uint8).max:
        labels = labels.astype(np.uint8)
    image = sitk.GetImageFromArray(np.ascontiguousarray(labels))
    image.SetOrigin([float(x) for x in volume.position])
    image.SetSpacing([float(x) for x in volume.spacing[::-1]])
    image.SetDirection(np.asarray(volume.direction)[:, ::-1].ravel().tolist())
    return image
