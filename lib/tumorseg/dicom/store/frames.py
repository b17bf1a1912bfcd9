"""Single frames out of a DICOM file, without reading the rest of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.dicom.store.catalog import InstanceNode
from tumorseg.dicom.store.entries import text_of
from tumorseg.dicom.store.tags import TRANSFER_SYNTAX
from tumorseg.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
# A layout takes some kilobytes (the offsets of a multi-frame file a little more).
_CACHED_LAYOUTS = 4096
_ENCAPSULATED_HEADER = 12  # tag, VR, reserved, undefined length: encapsulated files are always explicit VR

#: Transfer syntax -> media type of one compressed frame (PS3.18 table 8.7.3-5).
MEDIA_TYPES = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
_NATIVE = {_IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, _DEFLATED, _BIG_ENDIAN}


@dataclass(frozen=True)
class Layout:
    """Where the frames of one file lie.

    Attributes:
        transfer_syntax: as stored.
        n_frames: number of frames.
        frame_bits: size of one native frame in bits.
        bits_allocated: of one sample.
        offset: position in the file of the first native frame, or of the basic offset table.
        extended: the values of the extended offset table and its lengths, when the file has them.
    """

    transfer_syntax: str
    n_frames: int
    frame_bits: int
    bits_allocated: int
    offset: int
    extended: tuple[bytes, bytes] | None = None

    @property
    def compressed(self) -> bool:
        """Whether frames are encapsulated."""
        return self.transfer_syntax not in _NATIVE

    @property
    def seekable(self) -> bool:
        """Whether a native frame is a run of whole bytes of the file, already little endian."""
        return self.transfer_syntax in (_IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN) and self.frame_bits % 8 == 0


def syntax_of(node: InstanceNode) -> str:
    """Return the transfer syntax of an indexed instance."""
    return text_of(node.attributes, TRANSFER_SYNTAX) or _IMPLICIT_LITTLE_ENDIAN


def layout(path: Path) -> Layout:
    """Find the frames of a file (cached while the file does not change).

    Raises:
        InputError: the file cannot be parsed.
        NotFoundError: it holds no pixels.
    """
    status = path.stat()
    return _layout(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=_CACHED_LAYOUTS)
def _layout(path: Path, size: int, mtime_ns: int) -> Layout:
    from pydicom import dcmread

    tags = ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames", "PhotometricInterpretation"]
    extended_tags = ["ExtendedOffsetTable", "ExtendedOffsetTableLengths"]
    try:
        with path.open("rb") as stream:
            dataset = dcmread(stream, stop_before_pixels=True, specific_tags=[*tags, *extended_tags], force=True)
            start = stream.tell()
            header = stream.read(8)
        # A header without a meta group is implicit little endian (PS3.10 section 7.1 makes the group mandatory).
        syntax = str(getattr(dataset.file_meta, "TransferSyntaxUID", _IMPLICIT_LITTLE_ENDIAN))
        if "Rows" not in dataset or (syntax != _DEFLATED and header[:4] not in _PIXEL_TAGS):
            raise NotFoundError(f"{path.name} holds no pixel data")
        pixels = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("SamplesPerPixel", 1))
        extended = tuple(dataset.get(keyword) for keyword in extended_tags)
        return Layout(
            transfer_syntax=syntax,
            n_frames=int(dataset.get("NumberOfFrames") or 1),
            frame_bits=_frame_bits(dataset, pixels),
            bits_allocated=int(dataset.BitsAllocated),
            offset=start + (8 if syntax == _IMPLICIT_LITTLE_ENDIAN else _ENCAPSULATED_HEADER),
            extended=(extended[0], extended[1]) if all(extended) else None,
        )
    except NotFoundError:
        raise
    except Exception as error:  # pydicom raises nearly anything on a corrupt file
        raise InputError(f"{path.name} cannot be read as DICOM: {error}") from error


_PIXEL_TAGS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # (7FE0,0010), little and big endian


def _frame_bits(dataset: Any, pixels: int) -> int:
    """Size of one native frame; YBR_FULL_422 stores two samples a pixel instead of three (PS3.3 C.7.6.3.1.2)."""
    bits = pixels * int(dataset.BitsAllocated)
    return bits // 3 * 2 if dataset.get("PhotometricInterpretation") == "YBR_FULL_422" else bits


def stored_frame(path: Path, number: int) -> bytes:
    """Return frame ``number`` (from 1) of a compressed file as it is stored, fragments joined.

    Raises:
        NotFoundError: there is no such frame.
        InputError: the file cannot be parsed.
    """
    from pydicom.encaps import get_frame

    where = require_frame(path, number)
    try:
        with path.open("rb") as stream:
            stream.seek(where.offset)
            return get_frame(stream, number - 1, extended_offsets=where.extended, number_of_frames=where.n_frames)
    except Exception as error:  # pydicom raises nearly anything on a corrupt file
        raise InputError(f"frame {number} of {path.name} cannot be read: {error}") from error


def native_frame(path: Path, number: int) -> bytes:
    """Return frame ``number`` (from 1) as explicit little endian samples, decoded when it is compressed.

    Raises:
        NotFoundError: there is no such frame.
        InputError: the file cannot be parsed or decoded.
    """
    where = require_frame(path, number)
    if where.seekable:
        length = where.frame_bits // 8
        with path.open("rb") as stream:
            stream.seek(where.offset + (number - 1) * length)
            data = stream.read(length)
        if len(data) != length:
            raise InputError(f"{path.name} is cut off: frame {number} has {len(data)} of {length} bytes")
        return data
    pixels = decoded_frame(path, number, raw=True)
    if where.bits_allocated == 1:
        import numpy as np

        return np.packbits(pixels.ravel().astype(np.uint8), bitorder="little").tobytes()
    return pixels.astype(pixels.dtype.newbyteorder("<"), copy=False).tobytes()


def decoded_frame(path: Path, number: int, *, raw: bool = False) -> NDArray[Any]:
    """Return the samples of frame ``number`` (from 1), ``(rows, columns)`` or ``(rows, columns, 3)``.

    With ``raw`` colours stay in the colour space of the file (which its header names), else they become RGB.
    """
    from pydicom import dcmread
    from pydicom.pixels.utils import pixel_array

    where = require_frame(path, number)
    try:
        # pydicom looks for the pixels of a single frame in the file itself, where a deflated one has none
        source = dcmread(path) if where.transfer_syntax == _DEFLATED else path
        return pixel_array(source, index=number - 1, raw=raw)
    except Exception as error:  # a missing plugin, or pixels that no decoder understands
        raise InputError(f"frame {number} of {path.name} cannot be decoded: {error}") from error


def require_frame(path: Path, number: int) -> Layout:
    """Return the layout of a file that has frame ``number`` (from 1); raise NotFoundError when it has not."""
    where = layout(path)
    if not 1 <= number <= where.n_frames:
        raise NotFoundError(f"{path.name} has frames 1 to {where.n_frames}, not {number}")
    return where
