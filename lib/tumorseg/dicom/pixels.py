"""Stored pixels -> voxels: native bytes are taken as they lie, compressed frames are decoded on all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from tumorseg.dicom.headers import Frame, PixelFormat
from tumorseg.dicom.parse import refusing
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_JPEG = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_HTJ2K = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")
_JPEG_XL = ("1.2.840.10008.1.2.4.110", "1.2.840.10008.1.2.4.112")
#: transfer syntax -> name of the decoder in imagecodecs.
_DECODERS = {
    **dict.fromkeys(_JPEG, "jpeg8_decode"),
    **dict.fromkeys(_JPEG_LOSSLESS, "jpegsof3_decode"),
    **dict.fromkeys(_JPEG_LS, "jpegls_decode"),
    **dict.fromkeys(_JPEG_2000, "jpeg2k_decode"),
    **dict.fromkeys(_HTJ2K, "htj2k_decode"),
    **dict.fromkeys(_JPEG_XL, "jpegxl_decode"),
}


def read_voxels(frames: Sequence[Frame]) -> NDArray[Any]:
    """Read the voxels of ``frames`` in their order.

    Args:
        frames: of one size; sorted as the result shall be.

    Returns:
        ``(K, J, I)``: the stored type where the rescale is 1 and 0, otherwise float32 rescaled values. MONOCHROME1
        is turned round, so that more is brighter.

    Raises:
        InputError: a file is cut off, a frame cannot be decoded, a rescale value is no number.
    """
    first = frames[0].pixels
    out = np.empty((len(frames), first.rows, first.columns), _dtype(frames))
    by_file: dict[Path, list[int]] = {}
    for k, frame in enumerate(frames):
        by_file.setdefault(frame.path, []).append(k)

    def fill(path: Path) -> None:
        slices = by_file[path]
        stored = _stored_frames(path, [frames[k] for k in slices])
        for k, pixels in zip(slices, stored, strict=True):
            out[k] = pixels

    with ThreadPoolExecutor(min(len(by_file), os.cpu_count() or 1, 8)) as pool:
        list(pool.map(fill, by_file))
    return _rescaled(out, frames)


def _dtype(frames: Sequence[Frame]) -> np.dtype[Any]:
    """Return a type that holds the stored values of every frame."""
    kinds = {(f.pixels.allocated, f.pixels.signed) for f in frames}
    odd = [bits for bits, _ in kinds if bits not in (8, 16, 32)]
    if odd:
        raise InputError(f"{frames[0].path} has {odd[0]} bits a voxel; expected 8, 16 or 32")
    return np.result_type(*(np.dtype(f"{'i' if signed else 'u'}{bits // 8}") for bits, signed in kinds))


def _stored_frames(path: Path, frames: Sequence[Frame]) -> list[NDArray[Any]]:
    """Return the stored values ``(J, I)`` of the wanted frames of one file."""
    pixels = frames[0].pixels
    syntax = UID(pixels.syntax)
    if syntax == DeflatedExplicitVRLittleEndian:
        with refusing(path):
            stack = np.asarray(dcmread(path).pixel_array).reshape(-1, pixels.rows, pixels.columns)
            return [_bits(stack[frame.index], pixels) for frame in frames]
    if not syntax.is_compressed:
        stack = _native(path, pixels)
        return [_bits(stack[frame.index], pixels) for frame in frames]
    encoded = _encapsulated(path, pixels)
    decode = _decoder(pixels)
    return [_bits(_decoded(path, encoded[frame.index], decode, pixels), pixels) for frame in frames]


def _native(path: Path, pixels: PixelFormat) -> NDArray[Any]:
    """Map all frames of an uncompressed file, ``(frames, J, I)``, without copying."""
    assert pixels.offset is not None
    implicit = pixels.syntax == ImplicitVRLittleEndian
    order = "<" if UID(pixels.syntax).is_little_endian else ">"
    dtype = np.dtype(f"{order}{'i' if pixels.signed else 'u'}{pixels.allocated // 8}")
    count = pixels.frames * pixels.rows * pixels.columns
    with path.open("rb") as file:
        file.seek(pixels.offset + (8 if implicit else 12))
        raw = file.read(count * dtype.itemsize)
    if len(raw) < count * dtype.itemsize:
        raise InputError(
            f"{path} is cut off: expected {count * dtype.itemsize} bytes of pixels, got {len(raw)}; copy it again"
        )
    return np.frombuffer(raw, dtype).reshape(pixels.frames, pixels.rows, pixels.columns)


def _encapsulated(path: Path, pixels: PixelFormat) -> list[bytes]:
    """Split compressed pixel data into one piece a frame."""
    assert pixels.offset is not None
    with path.open("rb") as file:
        file.seek(pixels.offset + 12)
        raw = file.read()
    try:
        encoded = list(generate_frames(raw, number_of_frames=pixels.frames))
    except Exception as error:  # the parser of fragments raises many kinds, all meaning damage
        raise InputError(f"{path}: the compressed pixels are damaged or cut off ({error}); copy it again") from error
    if len(encoded) < pixels.frames:
        raise InputError(f"{path} is cut off: expected {pixels.frames} frames, got {len(encoded)}; copy it again")
    return encoded


def _decoder(pixels: PixelFormat) -> Callable[[bytes], NDArray[Any]]:
    """Return the function that decodes one frame of this transfer syntax."""
    import imagecodecs

    if pixels.syntax == RLELossless:
        dtype = np.dtype(f"<u{pixels.allocated // 8}")
        # Runs of a hostile frame could go on without end: no more is unpacked than the header promises.
        most = pixels.rows * pixels.columns * pixels.samples * dtype.itemsize
        return lambda raw: np.frombuffer(imagecodecs.dicomrle_decode(raw, dtype, out=most), dtype)
    return codec(pixels.syntax)


def codec(syntax: str) -> Callable[[bytes], NDArray[Any]]:
    """Return the function that decodes one JPEG frame of a transfer syntax.

    Raises:
        InputError: there is none.
    """
    import imagecodecs

    if syntax not in _DECODERS:
        raise InputError(
            f"transfer syntax {UID(syntax).name} cannot be decoded; convert the series, e.g. with dcmdjpeg"
        )
    decode: Callable[[bytes], NDArray[Any]] = getattr(imagecodecs, _DECODERS[syntax])
    return decode


def _decoded(path: Path, raw: bytes, decode: Callable[[bytes], Any], pixels: PixelFormat) -> NDArray[Any]:
    """Decode one frame to ``(J, I)`` of the stored type."""
    try:
        image = np.asarray(decode(raw))
        flat = image.reshape(pixels.rows, pixels.columns)
    except Exception as error:  # every codec has exceptions of its own; the frame is at fault
        raise InputError(f"{path}: a compressed slice cannot be decoded ({error}); copy the file again") from error
    wanted = np.dtype(f"{'i' if pixels.signed else 'u'}{pixels.allocated // 8}")
    # Codecs do not know the sign; the bits are the same, and _bits extends the sign of short ones.
    return flat.view(wanted) if flat.dtype.itemsize == wanted.itemsize else flat.astype(wanted)


def _bits(stored: NDArray[Any], pixels: PixelFormat) -> NDArray[Any]:
    """Keep the stored bits only (old files hide overlays in the others) and extend their sign."""
    spare = pixels.allocated - pixels.stored
    if spare <= 0:
        return stored
    above = pixels.allocated - 1 - pixels.high_bit
    return (stored << above) >> spare


def _rescaled(stored: NDArray[Any], frames: Sequence[Frame]) -> NDArray[Any]:
    """Apply MONOCHROME1 and the frames' rescale values to ``(K, J, I)``."""
    slopes = np.array([frame.slope for frame in frames])
    intercepts = np.array([frame.intercept for frame in frames])
    if not (np.isfinite(slopes).all() and np.isfinite(intercepts).all()) or (slopes == 0).any():
        raise InputError(f"{frames[0].path.parent}: a rescale slope is zero or not a number; the values mean nothing")
    for k, frame in enumerate(frames):
        if frame.pixels.photometric == "MONOCHROME1":
            ends = 2**frame.pixels.stored - 1 if not frame.pixels.signed else -1
            stored[k] = ends - stored[k]
    if (slopes == 1).all() and (intercepts == 0).all():
        return stored
    scaled = stored.astype(np.float32)
    scaled *= slopes.astype(np.float32)[:, None, None]
    scaled += intercepts.astype(np.float32)[:, None, None]
    return scaled
