"""DICOM: how large, whatever way it is packed."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from tumorseg.io.guard.codestream import announced_size
from tumorseg.io.guard.sizes import SLACK, inflated, refused, require_no_more, voxel_bytes

_DEFLATED = "1.2.840.10008.1.2.1.99"
#: JPEG, JPEG-LS, JPEG 2000, HTJ2K and JPEG XL: pictures that carry a size of their own.
_PICTURES = frozenset(
    f"1.2.840.10008.1.2.4.{end}" for end in (50, 51, 57, 70, 80, 81, 90, 91, 110, 111, 112, 201, 202, 203)
)
#: An item of encapsulated pixel data has at least its header of 8 bytes.
_LEAST_FRAME = 8
_MOST_FRAMES = 100_000
#: Old archives hold data sets without preamble; they begin with a small element of group 2 or 8.
_WITHOUT_PREAMBLE = (b"\x08\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0", b"\x02\0\0\0")
_LONG = (b"OB", b"OW", b"OF", b"SQ", b"UN", b"UT")
_TAGS = ["Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated"]
_SIZES = ("NumberOfFrames", "Rows", "Columns", "SamplesPerPixel")


def check_dicom(file: BinaryIO, path: Path, most: int) -> int:
    """Look at one DICOM file and return how many bytes its pixels take unpacked; 0 where it has none.

    Args:
        file: the open file.
        path: what messages call it.
        most: bytes of pixels that are taken.

    Raises:
        InputError: it cannot be read, or its frames are not of the size that its header says.
        OversizeError: its pixels are more.
    """
    from pydicom import dcmread
    from pydicom.encaps import generate_frames

    syntax, begin = _syntax(file)
    if not begin and _start(file) not in _WITHOUT_PREAMBLE:
        raise refused(path, "is no DICOM; is it damaged, or another kind of file?")
    if syntax == _DEFLATED:
        file.seek(begin)
        require_no_more(path, inflated(file), most + SLACK)
    file.seek(0)
    try:
        header = dcmread(file, stop_before_pixels=True, specific_tags=_TAGS, force=True)
        frames, rows, columns, samples = (int(header.get(name) or 1) for name in _SIZES)
        bits = int(header.get("BitsAllocated") or 8)
        has_pixels = "Rows" in header
    except Exception as error:  # pydicom raises nearly anything on a corrupt file
        raise refused(
            path, f"cannot be read as DICOM ({type(error).__name__}: {error}); is it damaged or cut off?"
        ) from error
    total = voxel_bytes(path, [frames, rows, columns, samples], bits / 8, most)
    if not has_pixels:
        return 0
    at = file.tell()
    length = file.seek(0, 2)
    if frames > _MOST_FRAMES or (syntax in _PICTURES and frames > max(1, length // _LEAST_FRAME)):
        raise refused(path, f"announces {frames} frames, more than it can hold")
    if syntax in _PICTURES:
        file.seek(at + 12)
        try:
            pictures = [announced_size(frame) for frame in generate_frames(file.read(), number_of_frames=frames)]
        except Exception as error:  # the parser of fragments raises many kinds, all meaning damage
            raise refused(
                path, f"has compressed pixels that are damaged or cut off ({error}); copy it again"
            ) from error
        if any(size != (columns, rows) for size in pictures):
            raise refused(path, f"has a compressed frame that is not of {columns} x {rows} pixels, as its header says")
    return total


def _start(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(4)


def _syntax(file: BinaryIO) -> tuple[str, int]:
    """Return the transfer syntax, and where the data set begins (PS3.10 section 7.1); nothing is unpacked."""
    file.seek(0)
    if file.read(132)[128:] != b"DICM":
        return "", 0
    found, at = "", 132
    while True:
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or head[:2] != b"\x02\0":
            return found, at
        extra = 4 if head[4:6] in _LONG else 0
        size = struct.unpack("<I", file.read(4))[0] if extra else struct.unpack("<H", head[6:8])[0]
        if head[2:4] == b"\x10\0":
            found = file.read(min(size, 64)).decode("ascii", "replace").strip("\0 ")
        at += 8 + extra + size
