"""Intersection over union of many boxes or masks with many (Jaccard 1912)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tumorseg.errors import InputError
from tumorseg.metrics.detection.records import Found, ImageResult, Truth

if TYPE_CHECKING:
    from numpy.typing import NDArray

Kind = Literal["box", "mask"]


def overlaps(
    image: ImageResult, found: Sequence[Found], truth: Sequence[Truth], kind: Kind = "box"
) -> NDArray[np.float64]:
    """Return ``(F, T)`` the IoU of detections and annotated objects of one image.

    Raises:
        InputError: masks are asked for and an object has none.
    """
    if kind == "box":
        return box_iou(stack_boxes(found, image), stack_boxes(truth, image))
    return mask_iou(masks_of(found, image), masks_of(truth, image))


def areas(image: ImageResult, items: Sequence[Found | Truth], kind: Kind) -> NDArray[np.float64]:
    """Return ``(N,)`` the area (2-D) or volume (3-D) of boxes or masks, in pixels."""
    if kind == "box":
        return _box_areas(stack_boxes(items, image))
    return np.array([np.count_nonzero(mask) for mask in masks_of(items, image)], dtype=np.float64)


def box_iou(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``(A, B)`` the IoU of half-open boxes ``(A, 2 D)`` and ``(B, 2 D)``: first D low, then D high corners.

    A box without extent overlaps nothing.
    """
    d = a.shape[1] // 2
    low = np.maximum(a[:, None, :d], b[None, :, :d])
    high = np.minimum(a[:, None, d:], b[None, :, d:])
    both = np.clip(high - low, 0, None).prod(axis=2)
    union = _box_areas(a)[:, None] + _box_areas(b)[None, :] - both
    return np.asarray(np.divide(both, union, out=np.zeros_like(both), where=union > 0))


def mask_iou(a: Sequence[NDArray[np.bool_]], b: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Return ``(A, B)`` the IoU of boolean masks of one shape. An empty mask overlaps nothing."""
    result = np.zeros((len(a), len(b)))
    cut = [(mask_box(mask), mask, int(np.count_nonzero(mask))) for mask in b]
    for row, mask in enumerate(a):
        box, size = mask_box(mask), int(np.count_nonzero(mask))
        for column, (other_box, other, other_size) in enumerate(cut):
            shared = tuple(
                slice(max(s.start, o.start), min(s.stop, o.stop)) for s, o in zip(box, other_box, strict=True)
            )
            if any(s.stop <= s.start for s in shared):
                continue
            both = int(np.count_nonzero(mask[shared] & other[shared]))
            result[row, column] = both / (size + other_size - both) if both else 0.0
    return result


def mask_box(mask: NDArray[np.bool_]) -> tuple[slice, ...]:
    """Return the smallest box around a mask, a slice for each axis; without extent where the mask is empty."""
    sides = []
    for axis in range(mask.ndim):
        hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        sides.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0))
    return tuple(sides)


def stack_boxes(items: Sequence[Found | Truth], image: ImageResult) -> NDArray[np.float64]:
    """Return the boxes as ``(N, 2 D)``, also for no boxes."""
    return np.array([item.box for item in items], dtype=np.float64).reshape(len(items), 2 * len(image.size))


def masks_of(items: Sequence[Found | Truth], image: ImageResult) -> list[NDArray[np.bool_]]:
    """Return the masks.

    Raises:
        InputError: an object has none.
    """
    masks = [item.mask for item in items if item.mask is not None]
    if len(masks) < len(items):
        raise InputError(f"{image.image_id}: expected a mask for every object, got {len(items) - len(masks)} without")
    return masks


def _box_areas(boxes: NDArray[Any]) -> NDArray[np.float64]:
    d = boxes.shape[1] // 2
    return np.asarray((boxes[:, d:] - boxes[:, :d]).prod(axis=1), dtype=np.float64)
