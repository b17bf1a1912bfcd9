"""Run-length masks as COCO writes them, compressed (a text) and not (a list of counts)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def encode(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return ``{"size": [H, W], "counts": text}`` of a ``(H, W)`` mask."""
    from pycocotools import mask as coco

    packed = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(size) for size in packed["size"]], "counts": packed["counts"].decode("ascii")}


def decode(packed: Mapping[str, Any], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask of a run-length object for a picture of ``shape`` (H, W); columns come first.

    Raises:
        InputError: it is of another size (nothing is allocated then), or the counts do not fill it.
    """
    from pycocotools import mask as coco

    try:
        height, width = (int(size) for size in packed["size"])
        counts = packed["counts"]
        if (height, width) != shape:
            raise InputError(f"a mask of {width} x {height} pixels on a picture of {shape[1]} x {shape[0]}")
        if isinstance(counts, list):
            return _from_list(counts, height, width)
        mask = coco.decode({"size": [height, width], "counts": str(counts).encode("ascii")})
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"a run-length mask lacks or misspells {error}; expected size [H, W] and counts") from error
    return np.ascontiguousarray(mask).astype(bool)


def _from_list(counts: list[Any], height: int, width: int) -> NDArray[np.bool_]:
    """Alternate runs of unset and set pixels, down the columns."""
    runs = np.asarray(counts, dtype=np.int64)
    if (runs < 0).any() or int(runs.sum()) != height * width:
        raise InputError(f"a run-length mask counts {int(runs.sum())} pixels; its size says {height} x {width}")
    values = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)
