"""Ultrasound pictures as devices and archives write them: one frame, no place in the patient, any coding of colour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import convert_color_space
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

__all__ = ["SecondaryCaptureImageStorage", "UltrasoundMultiFrameImageStorage", "grey", "region", "rgb", "write_still"]

_ENCODERS = {
    JPEG2000Lossless: lambda p: imagecodecs.jpeg2k_encode(p, reversible=True, codecformat="j2k", mct=p.ndim == 3),
    JPEGLosslessSV1: lambda p: imagecodecs.jpeg8_encode(p, lossless=True, **_as_they_are(p)),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    RLELossless: None,  # pydicom's own
}


def grey(rows: int = 60, columns: int = 88) -> NDArray[np.uint8]:
    """A fan of speckle on black with two bright blobs, ``(rows, columns)``; no symmetry, 0 and 255 both occur."""
    j, i = np.indices((rows, columns))
    speckle = np.random.default_rng(3).integers(20, 70, (rows, columns))
    picture = np.where(np.abs(i - columns // 2) < 12 + j // 2, speckle, 0)
    picture[10:22, 40:60] = 150
    picture[35:45, 30:38] = 230
    picture[0, :3] = 255
    return picture.astype(np.uint8)


def rgb(rows: int = 60, columns: int = 88) -> NDArray[np.uint8]:
    """The same with a smooth colour flow on it, ``(rows, columns, 3)``."""
    picture = np.repeat(grey(rows, columns)[..., None], 3, axis=2)
    ramp = np.linspace(40, 250, 24).astype(np.uint8)
    picture[24:34, 48:72] = np.stack([ramp, ramp[::-1] // 3, 255 - ramp], axis=1)
    return picture


def region(
    delta_mm: Sequence[float] = (0.2, 0.2),
    corners: Sequence[int] = (0, 0, 87, 59),
    *,
    spatial_format: int = 1,
    units: int = 3,
) -> Dataset:
    """A region of the screen: mm of a pixel along x and y, corners x0, y0, x1, y1."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = spatial_format, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0, item.RegionLocationMaxX1, item.RegionLocationMaxY1 = corners
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX, item.PhysicalDeltaY = (step / 10 for step in delta_mm)
    return item


def write_still(
    path: Path,
    pixels: NDArray[Any],
    photometric: str | None = None,
    syntax: str = ExplicitVRLittleEndian,
    regions: Sequence[Dataset] = (),
    **attrs: Any,
) -> Path:
    """Write one ultrasound instance.

    Args:
        path: the file; its folder is made.
        pixels: ``(J, I)`` grey or indices, ``(J, I, 3)`` RGB, ``(N, J, I)`` a cine of grey.
        photometric: how it is stored; pixels given as RGB are turned into YBR. None goes by the shape.
        syntax: transfer syntax; ``JPEGBaseline8Bit`` is lossy.
        regions: items of SequenceOfUltrasoundRegions.
        attrs: DICOM keywords, None for one that the file shall lack.
    """
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    photometric = photometric or ("RGB" if colour else "MONOCHROME2")
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.SOPClassUID, ds.SOPInstanceUID = UltrasoundImageStorage, generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.InstanceNumber = generate_uid(), generate_uid(), 1
    ds.PatientID, ds.Modality, ds.SeriesNumber, ds.SeriesDescription = "STILL", "US", 1, "Breast"
    ds.Rows, ds.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 3 if colour else 1, photometric
    if colour:
        ds.PlanarConfiguration = attrs.pop("PlanarConfiguration", 0)
    if pixels.ndim == 3 and not colour:
        ds.SOPClassUID, ds.NumberOfFrames = UltrasoundMultiFrameImageStorage, len(pixels)
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, 0
    if regions:
        ds.SequenceOfUltrasoundRegions = list(regions)
    _store(ds, pixels, photometric, UID(syntax))
    for keyword, value in attrs.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path, enforce_file_format=True)
    return path


def _as_they_are(pixels: NDArray[Any]) -> dict[str, str]:
    """Tell the encoder of JPEG not to turn colours round."""
    return {"colorspace": "RGB", "outcolorspace": "RGB"} if pixels.ndim == 3 else {}


def _store(ds: Dataset, pixels: NDArray[Any], photometric: str, syntax: UID) -> None:
    """Attach the pixels in the coding that the header names."""
    if syntax == JPEGBaseline8Bit:
        ds.PixelData = encapsulate([jpeg(pixels, photometric)])
    else:
        stored = convert_color_space(pixels, "RGB", "YBR_FULL") if photometric.startswith("YBR_FULL") else pixels
        if syntax == RLELossless:
            ds.compress(RLELossless, stored, generate_instance_uid=False)
        elif syntax.is_compressed:
            ds.PixelData = encapsulate([bytes(_ENCODERS[syntax](stored))])
        else:
            ds.PixelData = _native(stored, photometric, ds.get("PlanarConfiguration", 0))
    ds["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"


def jpeg(pixels: NDArray[Any], photometric: str) -> bytes:
    """Encode as baseline JPEG, YCbCr of half the columns, or plain RGB where the header says so."""
    out = io.BytesIO()
    options = {"keep_rgb": True} if photometric == "RGB" else {"subsampling": "4:2:2"} if pixels.ndim == 3 else {}
    Image.fromarray(pixels).save(out, "JPEG", quality=95, **options)
    return out.getvalue()


def _native(stored: NDArray[Any], photometric: str, planar: int) -> bytes:
    """Lay samples out plainly: by pixel, by plane, or Y Y Cb Cr of two pixels."""
    if photometric == "YBR_FULL_422":
        even, odd = stored[:, ::2], stored[:, 1::2]
        stored = np.stack([even[..., 0], odd[..., 0], even[..., 1], even[..., 2]], axis=-1)
    elif planar:
        stored = np.moveaxis(stored, -1, 0)
    raw = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
    return raw + b"\0" * (len(raw) % 2)
