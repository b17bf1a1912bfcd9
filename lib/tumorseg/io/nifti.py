"""NIfTI-1 and NIfTI-2, plain and gzipped, read as they lie: (i, j, k) is the file's own order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tumorseg.errors import InputError
from tumorseg.geometry import Grid, flip_ras_lps
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header
    from numpy.typing import NDArray

_SIZES = {348: "1", 540: "2"}  # first number of the header -> version
#: xyzt_units -> mm. 0 is "unknown", which everybody reads as mm.
_MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
#: The largest factor by which deflate can shrink data: a header that promises more is damaged or hostile.
_MOST_DEFLATE = 1032
_PIECE = 1 << 20
_SCANNER = 1  # the code of a transform to the scanner's own coordinates


def read_nifti(path: Path) -> StudyImage:
    """Read a 2-D to 5-D NIfTI file; axes after the third become channels.

    Returns:
        Voxels ``(C, K, J, I)``: stored type, float32 where values are scaled or 64-bit. Channels have no names.

    Raises:
        InputError: no NIfTI, cut off, complex numbers.
    """
    try:
        with _open(path) as file:
            header = _header(path, file)
            voxels = _voxels(path, file, header)
        affine, notes = _affine(header)
    except InputError:
        raise
    except Exception as error:  # isal, nibabel and numpy raise many kinds, all meaning a bad file
        raise InputError(f"{path} cannot be read as NIfTI ({error}); is it damaged or cut off?") from error
    return StudyImage(
        voxels=voxels,
        grid=Grid((voxels.shape[1], voxels.shape[2], voxels.shape[3]), flip_ras_lps(affine)),
        channels=("",) * len(voxels),
        source={"kind": "nifti", "path": str(path)},
        notes=notes,
    )


def nifti_sizes(path: Path) -> tuple[int, ...]:
    """Return how many voxels the header promises along each axis, fastest first; no voxel is read.

    Raises:
        InputError: no NIfTI, or cut off within its header.
    """
    try:
        with _open(path) as file:
            return tuple(int(size) for size in _header(path, file).get_data_shape())
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read as NIfTI ({error}); is it damaged or cut off?") from error


def _open(path: Path) -> BinaryIO:
    """Open a file by its content: some are gzipped without saying so, and the other way round."""
    from isal import igzip

    file = path.open("rb")
    zipped = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    if not zipped:
        return file
    file.close()
    unzipped: BinaryIO = igzip.open(path, "rb")
    return unzipped


def _header(path: Path, file: BinaryIO) -> Nifti1Header:
    """Read the header at the beginning of ``file``, whichever version and byte order."""
    from nibabel import Nifti1Header, Nifti2Header

    start = file.read(4)
    sizes = {int.from_bytes(start, order): order for order in ("little", "big")}
    size = next((size for size in _SIZES if size in sizes), 0)
    if not size:
        raise InputError(f"{path} is not NIfTI: its header is {int.from_bytes(start, 'little')} bytes, not 348 or 540")
    block = start + file.read(size - 4)
    if len(block) < size:
        raise InputError(f"{path} is cut off within its header; copy it again")
    kind = Nifti1Header if size == 348 else Nifti2Header
    header: Nifti1Header = kind(block, check=False)
    return header


def _voxels(path: Path, file: BinaryIO, header: Nifti1Header) -> NDArray[Any]:
    """Read the voxels that follow the header as ``(C, K, J, I)``."""
    dtype = header.get_data_dtype()
    sizes = [int(n) for n in header.get_data_shape()]
    if not 2 <= len(sizes) <= 5 or min(sizes) < 1:
        raise InputError(f"{path} has the sizes {sizes}; expected two to five positive ones")
    colour = dtype.names is not None and len(dtype.names) >= 3
    if not colour and dtype.kind not in "uif":
        raise InputError(f"{path} holds {dtype} numbers; expected real ones")
    raw = _bytes(path, file, header, int(np.prod(sizes)) * dtype.itemsize)
    shape = (-1, *([1, *sizes[1::-1]] if len(sizes) == 2 else sizes[2::-1]))
    if colour:  # RGB24, alpha is dropped
        channels = np.frombuffer(raw, np.uint8).reshape(*shape[1:], dtype.itemsize)[..., :3]
        return np.ascontiguousarray(np.moveaxis(channels, -1, 0))
    return _scaled(np.frombuffer(raw, dtype).reshape(shape), *header.get_slope_inter())


def _bytes(path: Path, file: BinaryIO, header: Nifti1Header, count: int) -> bytearray:
    """Read ``count`` bytes of voxels, having made sure that the file can hold them."""
    read = int(header["sizeof_hdr"])
    offset = max(int(header.get_data_offset()), read)
    if count > path.stat().st_size * _MOST_DEFLATE:
        raise InputError(f"{path} promises {count} bytes of voxels, more than a file of its size can hold")
    file.read(offset - read)
    raw = bytearray(count)
    view, done = memoryview(raw), 0
    while done < count:
        got = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            raise InputError(f"{path} is cut off: expected {count} bytes of voxels, got {done}; copy it again")
        done += got
    while file.read(_PIECE):  # to the end, where gzip keeps the checksum; piece by piece, as nothing says how far it is
        pass
    return raw


def _scaled(stored: NDArray[Any], slope: float | None, intercept: float | None) -> NDArray[Any]:
    """Apply the header's scale, go to native byte order, and to float32 where 64 bits would be wasted."""
    scale, shift = (1.0 if slope is None else slope), (intercept or 0.0)
    wide = stored.dtype.itemsize > 4
    if (scale, shift) != (1.0, 0.0):
        return np.asarray(stored * scale + shift, dtype=np.float32)
    native = np.dtype(np.float32) if wide or stored.dtype == np.float16 else stored.dtype.newbyteorder("=")
    return stored.astype(native, copy=False)


def _affine(header: Nifti1Header) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Return voxel -> RAS mm, by the rules of ITK, so that a mask lies in Slicer where the image does.

    sform and qform may both be there and differ; ITK takes the sform when it is the scanner's or the only one.
    Without either, ITK lets the axes run to the left, back and head from the first voxel.
    """
    qform, sform = int(header["qform_code"]), int(header["sform_code"])
    notes: tuple[str, ...] = ()
    if sform > 0 and (
        qform <= 0 or sform == _SCANNER or np.allclose(header.get_qform(), header.get_sform(), atol=1e-3)
    ):
        affine = np.asarray(header.get_sform(), dtype=np.float64)
    elif qform > 0:
        affine = np.asarray(header.get_qform(), dtype=np.float64)
    else:
        zooms = [abs(float(size)) or 1.0 for size in header["pixdim"][1:4]]
        affine = flip_ras_lps(np.diag([*zooms, 1.0]))
        notes = ("The NIfTI header has no orientation (sform and qform code are 0): left and right are not known.",)
    if int(header["dim"][0]) == 2 and not affine[:3, 2].any():
        affine[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1]) / np.linalg.norm(affine[:3, 0])
    unit = _MILLIMETRES.get(int(header["xyzt_units"]) & 7, 1.0)
    affine[:3] *= unit
    return affine, notes
