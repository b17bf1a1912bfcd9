"""The rows of a score store as arrays, unpacked once and read by every request until one of them changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.types import EMBEDDING

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.active_learning.store import Row


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """What one version of a model said of M images.

    Attributes:
        places: image -> its row.
        fingerprints: M times how the image's files looked.
        columns: name -> ``(M,)`` scores, NaN where there is none.
        embeddings: ``(M, D)`` vectors, a row of NaN where there is none; None where there are none at all.
    """

    places: Mapping[str, int]
    fingerprints: tuple[str, ...]
    columns: Mapping[str, NDArray[np.float64]]
    embeddings: NDArray[np.float64] | None

    @classmethod
    def of(cls, rows: Mapping[str, Row]) -> ScoreTable:
        """Unpack the rows of a store."""
        values = list(rows.values())
        names = sorted({name for row in values for name in row.columns})
        columns = {name: np.array([row.columns.get(name, np.nan) for row in values], np.float64) for name in names}
        places = {image: place for place, image in enumerate(rows)}
        return cls(places, tuple(row.fingerprint for row in values), columns, _stacked(values))

    def fresh(self, images: Sequence[str], states: Mapping[str, str]) -> NDArray[np.intp]:
        """Return ``(N,)`` the row of each image, -1 where there is none or the image has changed since.

        Args:
            images: N ids.
            states: image -> how its files look now; one that is not in it has no row that could be trusted.
        """
        places, prints = self.places, self.fingerprints
        found = (places.get(image, -1) for image in images)
        good = [
            place if place >= 0 and prints[place] == states.get(image) else -1
            for image, place in zip(images, found, strict=True)
        ]
        return np.array(good, np.intp)

    def column(self, name: str, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return ``(N,)`` scores of the given rows, NaN for -1 and for a column that nobody asked for."""
        if name not in self.columns or not len(rows):
            return np.full(len(rows), np.nan)
        return np.where(rows >= 0, self.columns[name][rows], np.nan)

    def vectors(self, rows: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """Return ``(N, D)`` vectors of the given rows, a row of NaN for -1; None where there are none at all."""
        if self.embeddings is None:
            return None
        vectors = self.embeddings[rows]
        vectors[rows < 0] = np.nan
        return vectors

    def lacks(self, columns: Collection[str], rows: NDArray[np.intp]) -> bool:
        """Tell whether one of the given rows is -1 or lacks one of these columns, :data:`EMBEDDING` among them."""
        if (rows < 0).any():
            return True
        vectors = np.full(len(rows), np.nan) if self.embeddings is None else self.embeddings[rows, 0]
        values = [vectors if name == EMBEDDING else self.column(name, rows) for name in columns]
        return any(bool(np.isnan(one).any()) for one in values)


def _stacked(rows: Sequence[Row]) -> NDArray[np.float64] | None:
    sizes = [len(row.embedding) for row in rows if row.embedding is not None]
    if not sizes:
        return None
    stacked = np.full((len(rows), sizes[0]), np.nan)
    for place, row in enumerate(rows):
        if row.embedding is not None and len(row.embedding) == sizes[0]:
            stacked[place] = row.embedding
    return stacked
