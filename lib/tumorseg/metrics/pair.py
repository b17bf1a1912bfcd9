"""What every metric looks at: the truth and the answer for one patient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Pair:
    """Two masks on one grid, all slices of a patient together.

    Attributes:
        truth: ``(K, J, I)`` boolean, True where the annotators saw tumour.
        found: ``(K, J, I)`` boolean, True where the model did.
        spacing: mm along k, j, i, or None where nobody knows it.
    """

    truth: NDArray[np.bool_]
    found: NDArray[np.bool_]
    spacing: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("truth", "found"):
            mask: NDArray[Any] = getattr(self, name)
            if mask.ndim != 3 or mask.dtype != np.bool_:
                raise InputError(f"expected {name} as a boolean (K, J, I) mask, got {mask.dtype} {mask.shape}")
        if self.truth.shape != self.found.shape:
            raise InputError(f"expected two masks of one shape, got {self.truth.shape} and {self.found.shape}")

    @cached_property
    def both(self) -> int:
        """Voxels that are tumour in the truth and in the answer (true positives)."""
        return int(np.count_nonzero(self.truth & self.found))

    @cached_property
    def true(self) -> int:
        """Voxels of tumour in the truth."""
        return int(np.count_nonzero(self.truth))

    @cached_property
    def marked(self) -> int:
        """Voxels of tumour in the answer."""
        return int(np.count_nonzero(self.found))
