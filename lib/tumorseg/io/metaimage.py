"""MetaImage (.mha), what ITK programs exchange."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from tumorseg.errors import InputError
from tumorseg.geometry import Grid, affine_from_parts
from tumorseg.types import StudyImage

_HEADER_BYTES = 65536


def read_metaimage(path: Path) -> StudyImage:
    """Read a 2-D or 3-D image that holds its own voxels; vector components become channels.

    Raises:
        InputError: damaged, or its voxels lie in another file.
    """
    import SimpleITK as sitk

    # ITK takes ":" for "=" and any other file for the voxels: the first time the word comes, it must say LOCAL.
    with path.open("rb") as file:
        named = re.search(rb"(^|.)ElementDataFile *(\S) *(\S+)", file.read(_HEADER_BYTES), re.MULTILINE | re.IGNORECASE)
    if named is None or named.groups() != (b"", b"=", b"LOCAL"):
        raise InputError(f"{path} is no MetaImage that holds its own voxels; write it as NIfTI, NRRD or one .mha")
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(f"{path} cannot be read as MetaImage; is it damaged or cut off?") from error
    size = image.GetDimension()
    if size not in (2, 3):
        raise InputError(f"{path} has {size} axes; expected two or three")
    data = sitk.GetArrayFromImage(image)
    channels = np.moveaxis(data, -1, 0) if image.GetNumberOfComponentsPerPixel() > 1 else data[None]
    voxels = np.ascontiguousarray(channels if size == 3 else channels[:, None])
    direction = np.eye(3)
    direction[:size, :size] = np.reshape(image.GetDirection(), (size, size))
    extra = 3 - size
    affine = affine_from_parts((*image.GetOrigin(), *[0.0] * extra), direction, (*image.GetSpacing(), *[1.0] * extra))
    return StudyImage(
        voxels=voxels.astype(np.float32) if voxels.dtype.itemsize > 4 else voxels,
        grid=Grid((voxels.shape[1], voxels.shape[2], voxels.shape[3]), affine),
        channels=("",) * len(voxels),
        source={"kind": "metaimage", "path": str(path)},
    )
