"""Pictures that are there twice, exactly or nearly, above all in two parts of a split.

1. Same pixels: equal SHA-256 of size and pixels, whatever the file format.
2. Nearly the same: the difference hash (is a pixel of a small grey copy brighter than its right neighbour?) picks the
   candidates, as it stands and mirrored; the correlation of two larger grey copies decides. Saving again as JPEG,
   another size and another brightness pass for the same; a crop or a rotation does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.annotations.types import Picture, Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

#: Side of the difference hash: 16 x 16 bits.
HASH_SIDE = 16
#: Candidates differ in at most this part of the bits; two unrelated pictures differ in about half.
MAX_DIFFERENCE = 0.3
#: Side of the grey copies that are compared, and how well they must correlate.
THUMB_SIDE, MIN_CORRELATION = 64, 0.95
#: A picture whose grey values vary less than this (of 255) shows nothing to compare.
MIN_CONTRAST = 2.0
#: Pictures that are compared with all others at once; bounds the memory.
_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is compared of a picture.

    Attributes:
        digest: SHA-256 of size and pixels.
        bits: ``(4,)`` uint64, the difference hash.
        mirrored: the same of the picture mirrored left to right.
        thumb: ``(64, 64)`` float32 of mean 0 and length 1; zeros where there is no contrast.
    """

    digest: str
    bits: NDArray[np.uint64]
    mirrored: NDArray[np.uint64]
    thumb: NDArray[np.float32]


@dataclass(frozen=True)
class Twin:
    """Two pictures of a sequence that show the same: ``first < second``."""

    first: int
    second: int
    exact: bool
    correlation: float
    mirrored: bool = False


def fingerprint(pixels: NDArray[np.uint8]) -> Fingerprint:
    """Return what is compared of ``(H, W)`` or ``(H, W, 3)`` pixels; grey in three channels counts as grey."""
    from PIL import Image as Pillow

    if pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = np.ascontiguousarray(pixels[..., 0])
    digest = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    grey = Pillow.fromarray(pixels).convert("L")
    thumb = np.asarray(grey.resize((THUMB_SIDE, THUMB_SIDE), Pillow.Resampling.BOX), np.float32)
    contrast = float(thumb.std())
    centred = thumb - thumb.mean()
    unit = centred / (np.linalg.norm(centred) or 1) if contrast >= MIN_CONTRAST else np.zeros_like(thumb)
    return Fingerprint(digest, _bits(grey, False), _bits(grey, True), unit.astype(np.float32))


def twins(prints: Sequence[Fingerprint]) -> list[Twin]:
    """Return all pairs that show the same."""
    found = list(_equal(prints))
    known = {(twin.first, twin.second) for twin in found}
    return sorted([*found, *_near(prints, known)], key=lambda twin: (twin.second, twin.first))


def find_duplicates(pictures: Sequence[Picture], parts: Sequence[str | None]) -> list[Problem]:
    """Report pictures that show what an earlier one shows; ``parts`` says to which part of a split each belongs.

    Neighbouring slices of one patient look alike: within a patient only equal pixels are reported.
    """
    problems = []
    for twin in twins([fingerprint(picture.pixels()) for picture in pictures]):
        first, second = pictures[twin.first], pictures[twin.second]
        if not twin.exact and first.patient is not None and first.patient == second.patient:
            continue
        across = parts[twin.first] != parts[twin.second]
        kind = f"{'' if twin.exact else 'near_'}duplicate{'_across_splits' if across else ''}"
        how = "shows the same pixels as" if twin.exact else f"shows nearly the same ({twin.correlation:.3f}) as"
        where = f" ({parts[twin.second]} and {parts[twin.first]})" if across else ""
        text = f"{how} {first.path}{', mirrored' if twin.mirrored else ''}{where}; keep one of them"
        problems.append(Problem(second.path, kind, text))
    return problems


def _bits(grey: Image, mirror: bool) -> NDArray[np.uint64]:
    from PIL import Image as Pillow
    from PIL import ImageOps

    seen = ImageOps.mirror(grey) if mirror else grey
    small = np.asarray(seen.resize((HASH_SIDE + 1, HASH_SIDE), Pillow.Resampling.BOX), np.int16)
    return np.packbits(small[:, 1:] > small[:, :-1]).view(np.uint64)


def _equal(prints: Sequence[Fingerprint]) -> Iterator[Twin]:
    first_with: dict[str, int] = {}
    for index, one in enumerate(prints):
        first = first_with.setdefault(one.digest, index)
        if first != index:
            yield Twin(first, index, exact=True, correlation=1.0)


def _near(prints: Sequence[Fingerprint], known: set[tuple[int, int]]) -> Iterator[Twin]:
    if not prints:
        return
    bits = np.stack([one.bits for one in prints])
    limit = MAX_DIFFERENCE * HASH_SIDE * HASH_SIDE
    for mirrored in (False, True):
        asked = np.stack([one.mirrored for one in prints]) if mirrored else bits
        for start in range(0, len(bits), _BLOCK):
            differ = np.bitwise_count(asked[start : start + _BLOCK, None] ^ bits[None]).sum(axis=2, dtype=np.int32)
            for row, other in zip(*np.nonzero(differ <= limit), strict=True):
                first, second = start + int(row), int(other)
                if first < second and (first, second) not in known:
                    twin = _compare(prints, first, second, mirrored)
                    if twin is not None:
                        known.add((first, second))
                        yield twin


def _compare(prints: Sequence[Fingerprint], first: int, second: int, mirrored: bool) -> Twin | None:
    one, other = prints[first], prints[second]
    if one.digest == other.digest:
        return None  # both were reported as equal to an earlier one
    thumb = one.thumb[:, ::-1] if mirrored else one.thumb
    correlation = float((thumb * other.thumb).sum())
    return Twin(first, second, False, correlation, mirrored) if correlation >= MIN_CORRELATION else None
