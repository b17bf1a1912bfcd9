"""Sizes that are promised, and streams that must not unpack to more."""

from __future__ import annotations

import bz2
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from tumorseg.errors import InputError

#: What a compressed stream may hold beyond what its header says: headers, padding.
SLACK = 1 << 20
_PIECE = 1 << 20
_MEGABYTE = 1 << 20


class OversizeError(InputError):
    """An image that is larger than this server takes once it is unpacked (HTTP 413)."""

    status = 413


def refused(path: Path, why: str) -> InputError:
    """Say why a file is refused."""
    return InputError(f"{path} {why}")


def voxel_bytes(path: Path, sizes: Sequence[int], item: float, most: int) -> int:
    """Return the bytes of an image's voxels.

    Raises:
        InputError: a size that is none.
        OversizeError: more than ``most``.
    """
    if not sizes or min(sizes) < 1 or len(sizes) > 8:
        raise refused(path, f"has the sizes {list(sizes)[:8]}; expected one to eight positive ones")
    total = math.ceil(math.prod(sizes) * item)
    if total > most:
        raise OversizeError(
            f"{path} holds {total / _MEGABYTE:.0f} MB of voxels unpacked; this server takes {most / _MEGABYTE:.0f} MB"
        )
    return total


def require_no_more(path: Path, pieces: Iterator[bytes], most: int) -> None:
    """Unpack a stream piece by piece, keeping nothing, and stop where it is longer than its header says."""
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > most:
            raise OversizeError(f"{path} unpacks to more than its header says: it is damaged or hostile")


def gunzipped(file: BinaryIO) -> Iterator[bytes]:
    """Unpack every gzip member of a file from where it stands; where it is damaged it ends."""
    from isal import igzip

    yield from _pieces(igzip.IGzipFile(fileobj=file, mode="rb"))


def bunzipped(file: BinaryIO) -> Iterator[bytes]:
    """Unpack a bzip2 stream from where it stands; where it is damaged it ends."""
    yield from _pieces(bz2.BZ2File(file))


def inflated(file: BinaryIO) -> Iterator[bytes]:
    """Unpack a raw deflate stream from where it stands; where it is damaged it ends."""
    import zlib

    unpacker, data = zlib.decompressobj(-zlib.MAX_WBITS), b""
    try:
        while not unpacker.eof and (data := unpacker.unconsumed_tail or file.read(_PIECE)):
            yield unpacker.decompress(data, _PIECE)
    except zlib.error:
        return


def _pieces(stream: object) -> Iterator[bytes]:
    """Read to the end, or to where the stream is damaged: that the reader will say."""
    try:
        while piece := stream.read(_PIECE):  # type: ignore[attr-defined]
            yield piece
    except Exception:  # each packer has errors of its own
        return
