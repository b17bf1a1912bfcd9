"""Whether two servers' answers are the same mask."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def read_nrrd(data: bytes) -> tuple[NDArray[np.uint8], tuple[Any, ...]]:
    """Read an answer with ITK alone: voxels ``(K, J, I)``, and origin, spacing and direction in LPS mm."""
    import numpy as np
    import SimpleITK as sitk

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.nrrd"
        path.write_bytes(data)
        image = sitk.ReadImage(str(path))
    place = (*image.GetOrigin(), *image.GetSpacing(), *image.GetDirection())
    return sitk.GetArrayFromImage(image).astype(np.uint8), place


def agreement(one: bytes, other: bytes) -> float:
    """Dice of two answers that lie at the same place; 1 where both are empty.

    Raises:
        ValueError: they do not lie at the same place, so that a Dice would compare nothing.
    """
    import numpy as np

    (here, where), (there, elsewhere) = read_nrrd(one), read_nrrd(other)
    if here.shape != there.shape or not np.allclose(where, elsewhere, atol=1e-3):
        raise ValueError(f"expected answers on one grid, got {here.shape} {where} and {there.shape} {elsewhere}")
    total = int((here > 0).sum() + (there > 0).sum())
    return 2 * int(((here > 0) & (there > 0)).sum()) / total if total else 1.0
