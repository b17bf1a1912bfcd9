"""An asymmetric phantom in patient space, seen by any grid, and writers of small real files of it.

Head and blocks are defined in LPS mm, so a test can ask of every voxel that was read whether it
holds what lies at its position. Nothing about the phantom survives a mirror or an exchange of axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    MRImageStorage,
    generate_uid,
)

from tumorseg.geometry import Grid, flip_ras_lps

#: LPS mm of the middle of the head; off the origin, so that a forgotten offset shows.
CENTRE = np.array([11.3, -23.7, 41.9])
HEAD_RADII_MM = np.array([52.3, 61.7, 46.1])
HEAD, FAT, CYST, TUMOUR = 100, 300, 600, 900
#: value -> (lowest, highest corner) in mm from CENTRE: three sizes, three places, no symmetry.
BLOCKS: dict[int, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    FAT: ((-33.1, -40.3, -21.7), (-18.9, -2.1, 20.3)),
    CYST: ((4.7, 12.9, -27.3), (32.9, 27.1, -4.1)),
    TUMOUR: ((9.1, -35.7, 3.3), (31.3, -11.9, 29.7)),
}


def phantom_points(points_lps: NDArray[Any]) -> NDArray[np.int16]:
    """Return the phantom's value at each of ``(N, 3)`` LPS mm, ``(N,)``; 0 outside the head."""
    local = np.asarray(points_lps, dtype=np.float64) - CENTRE
    values = np.where(((local / HEAD_RADII_MM) ** 2).sum(axis=1) <= 1, HEAD, 0).astype(np.int16)
    for value, (low, high) in BLOCKS.items():
        values[((local > low) & (local < high)).all(axis=1)] = value
    return values


def grid_points(grid: Grid) -> NDArray[np.float64]:
    """Return the LPS mm of every voxel, ``(K * J * I, 3)`` in the order of a raveled ``(K, J, I)`` array."""
    k, j, i = np.indices(grid.shape).reshape(3, -1)
    return grid.points(np.stack([i, j, k], axis=1))


def sample(grid: Grid) -> NDArray[np.int16]:
    """Return what a scanner with this grid sees, ``(K, J, I)`` int16."""
    return phantom_points(grid_points(grid)).reshape(grid.shape)


def make_grid(direction: NDArray[Any], spacing: Sequence[float], shape: tuple[int, int, int]) -> Grid:
    """Build the grid of ``shape`` (K, J, I) whose middle is the phantom's; columns of ``direction`` are i, j, k."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(direction, dtype=np.float64) * np.asarray(spacing, dtype=np.float64)
    affine[:3, 3] = CENTRE - affine[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    return Grid(shape, affine)


def finer(grid: Grid, times: int) -> Grid:
    """Return a grid of the same slices whose pixels are so many times as small."""
    k, j, i = grid.shape
    spacing = np.array(grid.spacing) / (times, times, 1)
    return make_grid(grid.direction, spacing.tolist(), (k, j * times, i * times))


def _turned(degrees: Sequence[float]) -> NDArray[np.float64]:
    """Return the rotation about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        turn, (a, b) = np.eye(3), [n for n in range(3) if n != axis]
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    return matrix


def _axes(i: Sequence[float], j: Sequence[float], k: Sequence[float]) -> NDArray[np.float64]:
    return np.array([i, j, k], dtype=np.float64).T


_L, _P, _S = np.eye(3)
_TURN = _turned((17.0, -12.0, 24.0))

#: What scanners and files do. The last three have k against i x j: possible in NIfTI and NRRD, and
#: in DICOM only as a stack that is read from its other end (see :func:`as_displayed`).
GRIDS: dict[str, Grid] = {
    "axial": make_grid(_axes(_L, _P, _S), (3.5, 3.5, 5.0), (22, 40, 36)),
    "sagittal": make_grid(_axes(_P, -_S, -_L), (3.5, 3.5, 5.0), (25, 34, 40)),
    "coronal": make_grid(_axes(_L, -_S, _P), (3.5, 3.5, 5.0), (28, 32, 36)),
    "oblique": make_grid(_TURN @ _axes(_L, _P, _S), (3.5, 3.5, 5.0), (26, 44, 40)),
    "oblique sagittal": make_grid(_TURN @ _axes(_P, -_S, -_L), (3.5, 3.5, 5.0), (28, 40, 44)),
    "flipped": make_grid(_axes(-_L, -_P, _S), (3.5, 3.5, 5.0), (22, 40, 36)),
    "anisotropic": make_grid(_axes(_L, _P, _S), (2.5, 4.5, 7.0), (16, 32, 48)),
    "flipped slices": make_grid(_axes(_L, _P, -_S), (3.5, 3.5, 5.0), (22, 40, 36)),
    "permuted": make_grid(_axes(_S, _L, -_P), (3.5, 4.0, 5.0), (27, 32, 30)),
    "permuted oblique": make_grid(_TURN @ _axes(-_P, _L, -_S), (4.0, 3.5, 5.0), (26, 40, 36)),
}


def as_displayed(grid: Grid) -> Grid:
    """Return the grid that a DICOM series written from ``grid`` is read on: k ascends along i x j."""
    if np.linalg.det(grid.affine[:3, :3]) > 0:
        return grid
    affine = np.array(grid.affine)
    affine[:3, 3] += affine[:3, 2] * (grid.shape[0] - 1)
    affine[:3, 2] *= -1
    return Grid(grid.shape, affine)


def _ds(values: Any) -> list[str]:
    """Write numbers as DICOM decimal strings of at most 16 characters."""
    return [f"{float(value):.10g}"[:16] for value in np.ravel(values)]


def _image(grid: Grid, voxels: NDArray[Any], sop_class: UID, attrs: dict[str, Any]) -> Dataset:
    """Build what a single and a multi-frame image share."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(attrs.pop("TransferSyntaxUID", ExplicitVRLittleEndian))
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (generate_uid() for _ in range(3))
    ds.PatientID, ds.PatientName = "PHANTOM", "Phantom^Asymmetric"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20240102", "030405", "1", ""
    ds.PatientBirthDate, ds.PatientSex, ds.ReferringPhysicianName, ds.Manufacturer = "", "O", "", "tumorseg"
    ds.Modality, ds.SeriesNumber, ds.SeriesDescription, ds.PatientPosition = "MR", "1", "phantom", "HFS"
    ds.Rows, ds.Columns = grid.shape[1:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = voxels.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(voxels.dtype.kind == "i")
    ds.BurnedInAnnotation = "NO"
    for keyword in [key for key in attrs if key not in _GROUPED or sop_class != EnhancedMRImageStorage]:
        setattr(ds, keyword, attrs.pop(keyword))
    return ds


def _save(ds: Dataset, path: Path, pixels: NDArray[Any]) -> None:
    """Attach ``pixels`` in the byte order of the transfer syntax, compress if it says so, and write a file."""
    syntax = ds.file_meta.TransferSyntaxUID
    order = ">" if not syntax.is_little_endian else "<"
    raw = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OW" if pixels.dtype.itemsize > 1 else "OB"
    if syntax.is_compressed and not syntax.is_deflated:
        _compress(ds, syntax, pixels.reshape(-1, *pixels.shape[-2:]))
    ds.save_as(path, enforce_file_format=True)


def _compress(ds: Dataset, syntax: UID, frames: NDArray[Any]) -> None:
    """Encapsulate ``(N, J, I)`` frames, losslessly; pydicom writes what it has an encoder for."""
    if syntax == JPEG2000Lossless:
        encoded = [imagecodecs.jpeg2k_encode(frame, reversible=True, codecformat="j2k") for frame in frames]
    elif syntax in (JPEGLossless, JPEGLosslessSV1):
        unsigned = frames.view(f"u{frames.dtype.itemsize}")  # the codec knows bits only
        encoded = [imagecodecs.ljpeg_encode(frame) for frame in unsigned]
    else:
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.compress(syntax, frames if "NumberOfFrames" in ds else frames[0], generate_instance_uid=False)
        return
    ds.PixelData = encapsulate([bytes(frame) for frame in encoded])
    ds["PixelData"].VR = "OB"


def write_dicom_series(folder: Path, grid: Grid, voxels: NDArray[Any], **attrs: Any) -> list[Path]:
    """Write single-frame MR files whose names and instance numbers do not tell the order in space.

    Args:
        folder: made if it is not there.
        grid: any grid, sheared ones too (a gantry tilt).
        voxels: ``(K, J, I)`` integers.
        attrs: DICOM keywords that every file gets (``SeriesDescription="FLAIR"``), ``TransferSyntaxUID``
            (native, RLE, J2K or JPEG-LS).

    Returns:
        One path a slice, in the order of k.
    """
    folder.mkdir(parents=True, exist_ok=True)
    uids = {key: generate_uid() for key in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")}
    numbers = np.random.default_rng(7).permutation(len(voxels))
    paths = []
    for k, (slice_, number) in enumerate(zip(voxels, numbers, strict=True)):
        ds = _image(grid, voxels, UID(attrs.get("SOPClassUID", MRImageStorage)), {**uids, **attrs})
        ds.ImageType = attrs.get("ImageType", ["ORIGINAL", "PRIMARY", "M"])
        ds.InstanceNumber = attrs.get("InstanceNumber", int(number) + 1)
        ds.ImageOrientationPatient = _ds(grid.direction[:, :2].T)
        ds.ImagePositionPatient = _ds(grid.points(np.array([[0, 0, k]])))
        ds.PixelSpacing = _ds(grid.spacing[1::-1])  # DICOM: distance of rows first, that is along j
        ds.SliceThickness = _ds(grid.spacing[2])[0]
        paths.append(folder / f"IM{number:04d}.dcm")
        _save(ds, paths[-1], np.ascontiguousarray(slice_))
    return paths


#: Keywords that an Enhanced MR image keeps inside its functional groups.
_GROUPED = ("EchoTime", "RepetitionTime", "InversionTime", "RescaleSlope", "RescaleIntercept")


def write_enhanced_mr(
    path: Path, grid: Grid, voxels: NDArray[Any], frame_order: Sequence[int] | None = None, **attrs: Any
) -> Path:
    """Write one Enhanced MR multi-frame file.

    Args:
        path: the file.
        grid: any grid.
        voxels: ``(K, J, I)`` integers.
        frame_order: the k of each frame in the file; None interleaves them as scanners do.
        attrs: DICOM keywords; echo, repetition and inversion time, and rescale values, go into the functional
            groups. ``RescaleSlope`` and ``RescaleIntercept`` may be sequences: one value a slice, in order of k.
    """
    order = list(frame_order) if frame_order is not None else [*range(0, len(voxels), 2), *range(1, len(voxels), 2)]
    grouped = {key: attrs[key] for key in _GROUPED if key in attrs}
    ds = _image(grid, voxels, EnhancedMRImageStorage, dict(attrs))
    ds.ImageType = attrs.get("ImageType", ["ORIGINAL", "PRIMARY", "M", "NONE"])
    ds.InstanceNumber, ds.NumberOfFrames, ds.MRAcquisitionType = 1, len(order), "2D"
    ds.SharedFunctionalGroupsSequence = DicomSequence([_shared_groups(grid, grouped)])
    ds.PerFrameFunctionalGroupsSequence = DicomSequence(
        [_frame_groups(grid, k, number, grouped) for number, k in enumerate(order)]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    _save(ds, path, np.ascontiguousarray(voxels[order]))
    return path


def _item(**elements: Any) -> DicomSequence:
    """Make a sequence of the one item with these elements."""
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return DicomSequence([item])


def _shared_groups(grid: Grid, grouped: dict[str, Any]) -> Dataset:
    group = Dataset()
    group.PlaneOrientationSequence = _item(ImageOrientationPatient=_ds(grid.direction[:, :2].T))
    group.PixelMeasuresSequence = _item(PixelSpacing=_ds(grid.spacing[1::-1]), SliceThickness=_ds(grid.spacing[2])[0])
    group.MREchoSequence = _item(EffectiveEchoTime=float(grouped.get("EchoTime", 20)))
    group.MRTimingAndRelatedParametersSequence = _item(RepetitionTime=_ds(grouped.get("RepetitionTime", 500))[0])
    inversion = {"InversionTimes": float(grouped["InversionTime"])} if "InversionTime" in grouped else {}
    group.MRModifierSequence = _item(InversionRecovery="YES" if inversion else "NO", **inversion)
    return group


def _frame_groups(grid: Grid, k: int, number: int, grouped: dict[str, Any]) -> Dataset:
    group = Dataset()
    group.PlanePositionSequence = _item(ImagePositionPatient=_ds(grid.points(np.array([[0, 0, k]]))))
    group.FrameContentSequence = _item(FrameAcquisitionNumber=number + 1)
    slope, intercept = (
        float(np.broadcast_to(grouped.get(key, default), grid.shape[0])[k])
        for key, default in (("RescaleSlope", 1), ("RescaleIntercept", 0))
    )
    group.PixelValueTransformationSequence = _item(
        RescaleSlope=_ds(slope)[0], RescaleIntercept=_ds(intercept)[0], RescaleType="US"
    )
    return group


def write_nifti(path: Path, grid: Grid, voxels: NDArray[Any]) -> Path:
    """Write ``(K, J, I)`` or ``(C, K, J, I)`` voxels as NIfTI, their axes i, j, k(, c) as they are."""
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    data = voxels.T if voxels.ndim == 3 else np.moveaxis(voxels, 0, -1).transpose(2, 1, 0, 3)
    nibabel.save(nibabel.Nifti1Image(data, flip_ras_lps(grid.affine)), path)
    return path


def write_nrrd(path: Path, grid: Grid, voxels: NDArray[Any], space: str = "left-posterior-superior") -> Path:
    """Write ``(K, J, I)`` or ``(C, K, J, I)`` voxels as NRRD (channels as the fastest, a "vector" axis)."""
    import nrrd

    path.parent.mkdir(parents=True, exist_ok=True)
    affine = grid.affine if space == "left-posterior-superior" else flip_ras_lps(grid.affine)
    data, directions = voxels.T, affine[:3, :3].T
    header: dict[str, Any] = {"space": space, "space origin": affine[:3, 3], "encoding": "gzip"}
    if voxels.ndim == 4:
        data = voxels.transpose(0, 3, 2, 1)
        directions = np.vstack([np.full(3, np.nan), directions])
        header["kinds"] = ["vector", "domain", "domain", "domain"]
    nrrd.write(str(path), np.ascontiguousarray(data), {**header, "space directions": directions}, index_order="F")
    return path
