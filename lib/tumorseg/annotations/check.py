"""What is wrong with an annotated set that its reader cannot see: pixels, outlines, classes, one picture at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.annotations.collect import Problems
from tumorseg.annotations.crossings import crosses_itself
from tumorseg.annotations.outline import bounds_of_mask
from tumorseg.annotations.trace import parts
from tumorseg.annotations.types import Picture, PictureSet, Problem, Region
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: An outline may reach this far over the edge of a picture before it is worth a word, pixels: a click on the border.
BORDER_SLACK = 1.0
#: Parts of a mask that lie apart are worth a word when the box grows by more than this; lone pixels are common.
MAX_GROWTH = 1.1


def check_pictures(pictures: PictureSet, labels: Sequence[str] | None = None) -> PictureSet:
    """Look at every picture; what is wrong joins the problems, and who is unusable leaves the set.

    Args:
        pictures: the set.
        labels: the classes there may be; None allows all. They become the labels of the set.
    """
    problems, kept = Problems(), []
    for picture in pictures:
        before = problems.hard_count
        _check_file(picture, problems)
        for number, region in enumerate(picture.regions, start=1):
            _check_class(picture, region, labels, problems)
            _check_region(picture, number, region, problems)
        if problems.hard_count == before:
            kept.append(picture)
    found: list[Problem] = [*pictures.problems, *problems]
    return pictures.replace(kept, labels, found)


def _check_file(picture: Picture, problems: Problems) -> None:
    """Decode the whole picture: a header may be sound where the pixels are cut off."""
    try:
        picture.pixels()
    except InputError as error:
        problems.hard(picture.path, "unreadable_picture", error)


def _check_class(picture: Picture, region: Region, labels: Sequence[str] | None, problems: Problems) -> None:
    if labels is not None and region.label not in labels:
        text = f"has a region of the unknown class {region.label!r}; expected {', '.join(labels)}"
        problems.hard(picture.path, "unknown_class", text)


def _check_region(picture: Picture, number: int, region: Region, problems: Problems) -> None:
    where = f"region {number} ({region.label})"
    x0, y0, x1, y1 = region.bounds()
    size = f"the picture of {picture.width} x {picture.height}"
    if region.mask is None and not _inside((x0, y0, x1, y1), picture):
        text = f"{where} reaches from {x0:g}, {y0:g} to {x1:g}, {y1:g}, out of {size}; the part outside is cut off"
        problems.soft(picture.path, "out_of_bounds", text)
    if any(crosses_itself(polygon) for polygon in region.polygons):
        problems.soft(picture.path, "self_intersecting", f"the outline of {where} crosses itself")
    if not region.bitmap(picture.height, picture.width).any():
        problems.soft(picture.path, "covers_no_pixel", f"{where} covers no pixel of {size}")
    if region.mask is not None and _growth(region.mask) > MAX_GROWTH:
        text = f"the mask of {where} has parts that lie apart; a detector counts them as one object with one box"
        problems.soft(picture.path, "several_parts", text)


def _growth(mask: NDArray[np.bool_]) -> float:
    """Return by how much the box of a mask is longer than the box of its largest part; 1 where there is one part."""
    found = parts(mask)
    if len(found) < 2:
        return 1.0
    whole, largest = bounds_of_mask(mask), bounds_of_mask(max(found, key=np.count_nonzero))
    return float(((whole[2:] - whole[:2]) / (largest[2:] - largest[:2])).max())


def _inside(box: tuple[float, float, float, float], picture: Picture) -> bool:
    low, high = np.array(box[:2]), np.array(box[2:]) - (picture.width, picture.height)
    return bool((low >= -BORDER_SLACK).all() and (high <= BORDER_SLACK).all())
