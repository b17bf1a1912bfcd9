"""Annotated pictures: what every data set format is read into and written from.

Coordinates are ``x, y`` in pixels from the upper left corner of the picture: the pixel in column c and row r covers
``[c, c + 1) x [r, r + 1)``, its centre is ``(c + 0.5, r + 0.5)``. Boxes are ``(x0, y0, x1, y1)``, half-open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

from tumorseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Class of a region where the annotation names none: sets with one class often leave it out.
DEFAULT_LABEL = "tumor"


@dataclass(frozen=True, eq=False)
class Region:
    """One annotated object. At least one of ``polygons``, ``mask`` and ``box`` says where it is.

    Attributes:
        label: class name.
        polygons: ``(P, 2)`` float ``x, y`` each, P >= 3, closed without repeating the first point; several are joined.
        mask: ``(H, W)`` bool over the whole picture, or None.
        box: ``(4,)`` float ``x0, y0, x1, y1``, half-open, or None.
        attributes: what the annotation says besides, JSON-able (score, pose, difficulty).
        shape: the outline in the words of the format it was read from, so that it can be written back verbatim.
    """

    label: str
    polygons: tuple[NDArray[np.floating[Any]], ...] = ()
    mask: NDArray[np.bool_] | None = None
    box: NDArray[np.floating[Any]] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    shape: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.label:
            raise InputError("expected a class name for a region, got an empty one")
        for polygon in self.polygons:
            if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
                raise InputError(f"expected a polygon (P, 2) of at least 3 points, got {polygon.shape}")
        if self.mask is not None and (self.mask.ndim != 2 or self.mask.dtype.kind != "b"):
            raise InputError(f"expected a mask (H, W) of bool, got {self.mask.shape} {self.mask.dtype}")
        if self.box is not None and self.box.shape != (4,):
            raise InputError(f"expected a box (x0, y0, x1, y1), got {self.box}")
        if not self.polygons and self.mask is None and self.box is None:
            raise InputError(f"a region of {self.label!r} needs a polygon, a mask or a box")
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))
        object.__setattr__(self, "shape", MappingProxyType(dict(self.shape)))

    def __repr__(self) -> str:
        return f"Region({self.label!r}, bounds {tuple(self.bounds().tolist())})"

    def bitmap(self, height: int, width: int) -> NDArray[np.bool_]:
        """Return ``(height, width)`` bool: the pixels whose centre is inside, as far as they are in the picture.

        The mask counts where there is one, else the polygons, else the box is filled.
        """
        from tumorseg.annotations.outline import fill_box, fill_polygons

        if self.mask is not None:
            if self.mask.shape != (height, width):
                raise InputError(f"expected a mask of {(height, width)}, got {self.mask.shape}")
            return self.mask.copy()
        if self.polygons:
            return fill_polygons(self.polygons, height, width)
        assert self.box is not None
        return fill_box(self.box, height, width)

    def bounds(self) -> NDArray[np.float64]:
        """Return ``(4,)`` ``x0, y0, x1, y1``, half-open: the box that was given, else around polygons or mask."""
        from tumorseg.annotations.outline import bounds_of_mask, bounds_of_polygons

        if self.box is not None:
            return self.box.astype(float)
        if self.polygons:
            return bounds_of_polygons(self.polygons)
        assert self.mask is not None
        return bounds_of_mask(self.mask)


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture file and what is annotated on it; its pixels are read when asked for.

    Attributes:
        id: unique in its set: the path below the set's folder without the ending, ``/`` between folders.
        path: the file.
        width: columns.
        height: rows.
        regions: the objects; none where there are none or where nobody looked, see ``labelled``.
        patient: whose picture it is; None where the set does not say.
        attributes: what the annotation says of the whole picture, JSON-able; ``split`` where a folder says it.
        labelled: False where the lack of regions only says that nobody annotated the picture.
        channels: names of the colour channels where they are sequences, else empty.
    """

    id: str
    path: Path
    width: int
    height: int
    regions: tuple[Region, ...] = ()
    patient: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    labelled: bool = True
    channels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise InputError(f"expected a picture of some extent, got {self.width} x {self.height} for {self.id}")
        object.__setattr__(self, "attributes", MappingProxyType(dict(self.attributes)))

    def __repr__(self) -> str:
        return f"Picture({self.id!r}, {self.width} x {self.height}, {len(self.regions)} regions)"

    def pixels(self) -> NDArray[np.uint8]:
        """Return ``(H, W)`` or ``(H, W, 3)`` uint8; more bits are stretched from darkest to brightest."""
        from tumorseg.annotations.image_file import read_pixels

        return read_pixels(self.path)


@dataclass(frozen=True)
class Problem:
    """Something wrong with a data set.

    Attributes:
        file: the file it was found in, or that is not there.
        kind: one of tumorseg.annotations.problems.KINDS.
        message: a sentence: what was found, what was expected.
        hard: whether the picture had to be left out, for its annotation is not what was meant.
    """

    file: Path
    kind: str
    message: str
    hard: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.message}"


class PictureSet(Sequence[Picture]):
    """The annotated pictures of a folder.

    Attributes:
        root: the folder.
        format: registry name of the format it was read as.
        labels: class names, in the order of the format.
        problems: what was wrong; what a hard problem speaks of is not in the set.
        about: what the format says of the whole set, JSON-able, so that it can be written back.
    """

    def __init__(
        self,
        root: Path,
        format: str,
        pictures: Iterable[Picture],
        labels: Iterable[str] | None = None,
        problems: Iterable[Problem] = (),
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.root, self.format, self.about = root, format, MappingProxyType(dict(about or {}))
        self._pictures = tuple(pictures)
        seen = {region.label for picture in self._pictures for region in picture.regions}
        self.labels = tuple(sorted(seen)) if labels is None else tuple(dict.fromkeys(labels))
        self.problems = tuple(problems)
        ids = [picture.id for picture in self._pictures]
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise InputError(f"{root}: two pictures are called {twice!r}; annotate each file once")

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Picture, ...]: ...
    def __getitem__(self, index: int | slice) -> Picture | tuple[Picture, ...]:
        return self._pictures[index]

    def __len__(self) -> int:
        return len(self._pictures)

    def replace(
        self,
        pictures: Iterable[Picture] | None = None,
        labels: Iterable[str] | None = None,
        problems: Iterable[Problem] | None = None,
    ) -> PictureSet:
        """Return the set with other pictures, labels or problems."""
        return PictureSet(
            self.root,
            self.format,
            self._pictures if pictures is None else pictures,
            self.labels if labels is None else labels,
            self.problems if problems is None else problems,
            self.about,
        )

    def labelled(self) -> PictureSet:
        """Return the set without the pictures that nobody annotated; those without an object stay."""
        return self.replace([picture for picture in self._pictures if picture.labelled])

    def require_sound(self) -> PictureSet:
        """Return the set itself where nothing had to be left out.

        Raises:
            InputError: it names the first file, says what is wrong with it and how many more there are.
        """
        hard = [problem for problem in self.problems if problem.hard]
        if hard:
            more = f" ({len(hard) - 1} more like this; `tumorseg check` lists them)" if len(hard) > 1 else ""
            raise InputError(f"{hard[0]}{more}")
        return self
