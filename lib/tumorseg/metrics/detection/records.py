"""What was annotated and what was found in one image. Plain numbers: nothing here knows of a model or of a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The one class that all classes become where only "is there a lesion" is asked.
LESION = "lesion"


@dataclass(frozen=True, eq=False)
class Truth:
    """One annotated object.

    Attributes:
        label: class name.
        box: ``(4,)`` corners ``(x0, y0, x1, y1)`` in pixels, half-open: the pixel (column c, row r) covers
            ``[c, c + 1) x [r, r + 1)``; in a volume ``(6,)`` corners ``(i0, j0, k0, i1, j1, k1)``. Any sequence is
            taken and becomes float64.
        mask: boolean ``(H, W)`` or ``(K, J, I)``, the whole image; None where only boxes are annotated.
    """

    label: str
    box: NDArray[Any]
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _corners(self.box))


@dataclass(frozen=True, eq=False)
class Found:
    """One detected object: like :class:`Truth`, with a score (finite; the higher the more certain)."""

    label: str
    score: float
    box: NDArray[Any]
    mask: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "box", _corners(self.box))
        if not np.isfinite(self.score):
            raise InputError(f"expected a finite score of a detection, got {self.score}")


@dataclass(frozen=True, eq=False)
class ImageResult:
    """All objects of one image.

    Attributes:
        image_id: names the image in messages and tables.
        patient: whose image it is; None where nobody knows: the image then counts as a patient of its own.
        truth: what was annotated; empty for an image without lesion.
        found: what was detected, in any order; among equal scores the earlier one comes first.
        size: ``(H, W)`` or ``(K, J, I)``: the shape of every mask.
    """

    image_id: str
    patient: str | None
    truth: tuple[Truth, ...]
    found: tuple[Found, ...]
    size: tuple[int, ...]

    def __post_init__(self) -> None:
        for kind, items in (("annotated", self.truth), ("detected", self.found)):
            for item in items:
                if np.size(item.box) != 2 * len(self.size):
                    raise InputError(
                        f"{self.image_id}: expected {2 * len(self.size)} corners of each {kind} box in an image "
                        f"{self.size}, got {np.size(item.box)}"
                    )
                if item.mask is not None and (item.mask.shape != tuple(self.size) or item.mask.dtype != np.bool_):
                    raise InputError(
                        f"{self.image_id}: expected each {kind} mask as boolean {tuple(self.size)}, "
                        f"got {item.mask.dtype} {item.mask.shape}"
                    )

    @property
    def cluster(self) -> str:
        """What is drawn as one in a bootstrap: the patient, or the image where the patient is not known."""
        return f"image {self.image_id}" if self.patient is None else f"patient {self.patient}"


def as_one_class(results: Iterable[ImageResult], label: str = LESION) -> list[ImageResult]:
    """Return the same results with every class called ``label``: a malignant lesion found as benign is found."""
    return [
        replace(
            result,
            truth=tuple(replace(item, label=label) for item in result.truth),
            found=tuple(replace(item, label=label) for item in result.found),
        )
        for result in results
    ]


def true_labels(results: Iterable[ImageResult]) -> list[str]:
    """Return the classes that are annotated anywhere, sorted."""
    return sorted({item.label for result in results for item in result.truth})


def all_labels(results: Iterable[ImageResult]) -> list[str]:
    """Return the classes that are annotated or detected anywhere, sorted."""
    everything = list(results)
    return sorted({*true_labels(everything), *(item.label for result in everything for item in result.found)})


def _corners(box: NDArray[Any]) -> NDArray[Any]:
    corners = np.asarray(box, dtype=np.float64)
    sides = corners.size // 2
    if corners.ndim != 1 or corners.size not in (4, 6) or not (corners[sides:] >= corners[:sides]).all():
        raise InputError(f"expected a box (x0, y0, x1, y1) or (i0, j0, k0, i1, j1, k1) with x0 <= x1, got {box}")
    return corners
