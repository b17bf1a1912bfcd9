"""Label files into voxels: NIfTI, NRRD, and the segmentation NRRD of 3D Slicer with its segments and layers.

A file sent by somebody else is read here, so nothing that it names is ever opened, nothing is unpacked beyond what
its header promises, and the promise is looked at first. The unpacking is isal's, which lets other threads run.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.labels.types import LABEL_SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The largest value that a label map may hold.
LARGEST_VALUE = 65535

#: Deflate shrinks data by no more than this: a header that promises more is damaged or hostile.
_MOST_DEFLATE = 1032
#: A header of an NRRD file ends within its first bytes; Slicer writes about 1 KB for a segment.
_LARGEST_HEADER = 1 << 22
_GZIP_ENCODINGS = frozenset({"gzip", "gz"})
_SEGMENT = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer|ID)")
#: The integer types that the NRRD format names (section 4 of its definition), each with its numpy kind.
_TYPES = {
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i1": ("signed char", "int8", "int8_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_KINDS = {name: kind for kind, names in _TYPES.items() for name in names}


@dataclass(frozen=True)
class Segment:
    """One segment of a ``.seg.nrrd``: the voxels of ``layer`` that hold ``value``."""

    name: str
    value: int
    layer: int


@dataclass(frozen=True, eq=False)
class LabelFile:
    """A label map as it was sent.

    Attributes:
        voxels: ``(L, K, J, I)`` uint8 or uint16; one layer, or several where segments overlap.
        grid: where the voxels lie.
        segments: what a ``.seg.nrrd`` says of its values; empty for every other file.
    """

    voxels: NDArray[Any]
    grid: Grid
    segments: tuple[Segment, ...] = ()


def read_label(path: Path, most_voxels: int | None = None) -> LabelFile:
    """Read a label map.

    Args:
        path: a file of LABEL_SUFFIXES.
        most_voxels: voxels that a layer of it may have; a file that promises more is refused before it is unpacked.

    Raises:
        InputError: no such file, damaged, spread over several files, or values that are no label map's.
    """
    name = path.name.lower()
    if not name.endswith(LABEL_SUFFIXES):
        raise InputError(f"expected a label as {', '.join(LABEL_SUFFIXES)}, got {path.name!r}")
    if path.stat().st_size == 0:
        raise InputError("the label sent is empty (0 bytes): send it again")
    return _read_nrrd(path, most_voxels) if name.endswith(".nrrd") else _read_nifti(path, most_voxels)


def _read_nifti(path: Path, most_voxels: int | None) -> LabelFile:
    from tumorseg.io.nifti import nifti_sizes, read_nifti

    sizes = nifti_sizes(path)
    if prod(sizes[3:]) > 1:
        raise InputError(f"expected one label map, got {path.name} with the sizes {sizes}: send three axes")
    _check_size(prod(sizes), most_voxels)
    image = read_nifti(path)
    if len(image.channels) != 1:
        raise InputError(f"expected one label map, got {len(image.channels)} channels in {path.name} (colours?)")
    return LabelFile(label_values(image.voxels), image.grid)


def _read_nrrd(path: Path, most_voxels: int | None) -> LabelFile:
    from tumorseg.io.nrrd import channels_first

    with path.open("rb") as file:
        header, end = _nrrd_header(path, file.read(_LARGEST_HEADER))
        file.seek(end)
        segments = _segments(header)
        kind, sizes = _promised(path, header)
        affine, spatial = _place(path, header, len(sizes))
        in_space = prod(sizes[axis] for axis in spatial)
        if prod(sizes) > in_space and not segments:
            raise InputError(f"expected one label map, got the sizes {sizes} in {path.name} without segments")
        _check_size(in_space, most_voxels)
        flat = _payload(path, file, header, prod(sizes) * kind.itemsize)
    data = label_values(np.frombuffer(flat, kind)).reshape(sizes[::-1])
    voxels = channels_first(path, data, spatial)
    return LabelFile(voxels, Grid((voxels.shape[1], voxels.shape[2], voxels.shape[3]), affine), segments)


def _place(path: Path, header: dict[str, Any], ndim: int) -> tuple[NDArray[np.float64], list[int]]:
    """Return voxel -> LPS mm, and the (fastest first) numbers of the axes in space."""
    from tumorseg.io.nrrd import nrrd_geometry

    try:
        affine, spatial, _ = nrrd_geometry(path, header, ndim)
    except InputError:
        raise
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(f"{path.name} has a geometry that cannot be read ({error}): write it anew") from None
    return affine, spatial


def _nrrd_header(path: Path, start: bytes) -> tuple[dict[str, Any], int]:
    """Read the fields before the empty line, and say where the voxels begin."""
    import nrrd

    end = re.search(rb"\r?\n\r?\n", start)
    if end is None or not start.startswith(b"NRRD"):
        raise InputError(f"{path.name} is no NRRD file with its voxels in it: write it as one file, or as .nii.gz")
    try:
        header: dict[str, Any] = dict(nrrd.read_header(io.StringIO(_as_text(start[: end.end()]))))
    except Exception as error:  # pynrrd passes on what its parsers raise
        raise InputError(f"{path.name} cannot be read as NRRD ({error}); is it damaged or cut off?") from None
    if "data file" in header or "datafile" in header:
        raise InputError(f"{path.name} keeps its voxels in another file: write header and voxels as one file")
    return header, end.end()


def _as_text(start: bytes) -> str:
    """Return a header as text: pynrrd leaves out of bytes what is no ASCII, and with it letters of segments' names."""
    try:
        return start.decode("utf-8")  # Slicer's
    except UnicodeDecodeError:
        return start.decode("latin-1")


def _promised(path: Path, header: dict[str, Any]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return type and sizes (fastest first) that the header promises."""
    kind = _KINDS.get(str(header.get("type", "")).lower())
    if kind is None:
        raise InputError(f"expected whole numbers as a label, got {header.get('type')!r} in {path.name}")
    sizes = tuple(int(size) for size in header.get("sizes", ()))
    if not 2 <= len(sizes) <= 4 or min(sizes) < 1 or len(sizes) != header.get("dimension"):
        raise InputError(f"{path.name} has the sizes {sizes}; expected two to four positive ones")
    if prod(sizes) * int(kind[1]) > path.stat().st_size * _MOST_DEFLATE:
        raise InputError(f"{path.name} promises the sizes {sizes}, more than a file of its size can hold")
    return np.dtype(kind).newbyteorder(">" if header.get("endian") == "big" else "<"), sizes


def _payload(path: Path, file: Any, header: dict[str, Any], count: int) -> bytearray:
    """Read ``count`` bytes of voxels from where ``file`` stands."""
    from isal import igzip, igzip_lib

    encoding = str(header.get("encoding", "")).lower()
    if encoding != "raw" and encoding not in _GZIP_ENCODINGS:
        raise InputError(f"expected NRRD voxels as raw or gzip, got {encoding!r} in {path.name}: write it as gzip")
    if any(int(header.get(key, 0)) for key in ("byte skip", "byteskip", "line skip", "lineskip")):
        raise InputError(f"{path.name} skips a part of its file: write header and voxels as one file")
    source = igzip.GzipFile(fileobj=file, mode="rb") if encoding in _GZIP_ENCODINGS else file
    raw = bytearray(count)
    view, done = memoryview(raw), 0
    try:
        while done < count and (got := source.readinto(view[done:])):
            done += got
        more = source.read(1)  # at the end gzip looks at its checksum
    except (OSError, EOFError, ValueError, igzip_lib.IsalError) as error:  # type: ignore[misc]  # its stub names no class
        raise InputError(f"{path.name} cannot be unpacked ({error}); is it damaged or cut off?") from None
    if done < count:
        raise InputError(f"{path.name} is cut off: expected {count} bytes of voxels, got {done}; send it again")
    if more:
        raise InputError(f"{path.name} holds more than the {count} bytes of voxels that its header promises")
    return raw


def _segments(header: dict[str, Any]) -> tuple[Segment, ...]:
    """Return the segments that Slicer lists; files of before 2020 have a layer for each and value 1."""
    said: dict[int, dict[str, str]] = {}
    for key, text in header.items():
        match = _SEGMENT.fullmatch(str(key))
        if match:
            said.setdefault(int(match[1]), {})[match[2]] = str(text)
    try:
        return tuple(
            Segment(
                fields.get("Name", fields.get("ID", f"Segment_{number}")),
                int(fields.get("LabelValue", 1)),
                int(fields.get("Layer", number)),
            )
            for number, fields in sorted(said.items())
        )
    except ValueError as error:
        raise InputError(f"a segment has a LabelValue or Layer that is no number ({error})") from None


def _check_size(voxels: int, most: int | None) -> None:
    if most is not None and voxels > most:
        raise InputError(f"expected a label of at most {most} voxels, as the image has, got one of {voxels}")


def label_values(voxels: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers in 0..65535 as uint8 or uint16.

    Raises:
        InputError: NaN, infinity, fractions, or values out of range.
    """
    if voxels.dtype == np.uint8:
        return voxels
    if voxels.dtype.kind == "f":
        _require_whole(voxels)
    low, high = (voxels.min(), voxels.max()) if voxels.size else (0, 0)
    if low < 0 or high > LARGEST_VALUE:
        raise InputError(f"expected label values in 0..{LARGEST_VALUE}, got {low:g}..{high:g}: is this the image?")
    return voxels.astype(np.uint8 if high < 256 else np.uint16)


def _require_whole(voxels: NDArray[Any]) -> None:
    if not np.isfinite(voxels).all():
        raise InputError("expected whole numbers as label values, got NaN or infinity: repair the label map")
    if not (voxels == np.rint(voxels)).all():
        raise InputError("expected whole numbers as label values, got fractions: send a label map, not a probability")
