"""NRRD, attached and detached, grey and with a list of channels, in any of its patient frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: space -> signs that bring its axes to LPS.
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}


def read_nrrd(path: Path) -> StudyImage:
    """Read a NRRD file; an axis without a direction in space becomes the channels.

    Returns:
        Voxels ``(C, K, J, I)`` of the stored type, i the fastest axis in space. Channels have no names.

    Raises:
        InputError: no NRRD, cut off, or data outside the header's own folder.
    """
    import nrrd

    try:
        with path.open("rb") as file:
            header = nrrd.read_header(file)
            _require_own_data(path, header)
            data = nrrd.read_data(header, file, str(path), index_order="C")
    except InputError:
        raise
    except Exception as error:  # pynrrd passes on what its parsers and zlib raise
        raise InputError(f"{path} cannot be read as NRRD ({error}); is it damaged or cut off?") from error
    affine, spatial, notes = nrrd_geometry(path, header, data.ndim)
    voxels = channels_first(path, data, spatial)
    return StudyImage(
        voxels=voxels,
        grid=Grid((voxels.shape[1], voxels.shape[2], voxels.shape[3]), affine),
        channels=("",) * len(voxels),
        source={"kind": "nrrd", "path": str(path)},
        notes=notes,
    )


def _require_own_data(path: Path, header: dict[str, Any]) -> None:
    """A detached header may name any file of this computer; only its own folder is read."""
    named = header.get("data file") or header.get("datafile")
    if named and (str(named).upper().startswith("LIST") or "%" in str(named)):
        raise InputError(f"{path} spreads its voxels over several files; write one NRRD file")
    if named and (path.parent / str(named)).resolve().parent != path.parent.resolve():
        raise InputError(f"{path} names {named} as its data, outside its own folder; put both into one folder")


def nrrd_geometry(
    path: Path, header: dict[str, Any], ndim: int
) -> tuple[NDArray[np.float64], list[int], tuple[str, ...]]:
    """Return voxel -> LPS mm, the (fastest first) numbers of the axes in space, and notes."""
    directions = header.get("space directions")
    if directions is None:
        return _plain_geometry(header, ndim)
    vectors = np.array([np.full(3, np.nan) if row is None else row for row in directions], dtype=np.float64)
    spatial = [axis for axis in range(ndim) if np.isfinite(vectors[axis]).all()]
    if vectors.shape[1] != 3 or not 2 <= len(spatial) <= 3:
        raise InputError(f"{path} has {len(spatial)} axes in a space of {vectors.shape[1]}; expected three in three")
    space = str(header.get("space", "")).lower()
    notes = () if space in _TO_LPS else ("The NRRD header names no patient frame: taken as LPS.",)
    signs = np.diag(np.array(_TO_LPS.get(space, (1, 1, 1)), dtype=np.float64))
    affine = np.eye(4)
    affine[:3, : len(spatial)] = signs @ vectors[spatial].T
    if len(spatial) == 2:
        normal = np.cross(affine[:3, 0], affine[:3, 1])
        affine[:3, 2] = normal / np.linalg.norm(normal)
    affine[:3, 3] = signs @ np.asarray(header.get("space origin", np.zeros(3)), dtype=np.float64)
    return affine, spatial, notes


def _plain_geometry(header: dict[str, Any], ndim: int) -> tuple[NDArray[np.float64], list[int], tuple[str, ...]]:
    """Return the geometry of a file without directions: spacings only, along left, back, head."""
    kinds = [str(kind).lower() for kind in header.get("kinds", ["domain"] * ndim)]
    spatial = [axis for axis in range(ndim) if kinds[axis] in ("domain", "space", "???", "none")][:3]
    spacings = np.asarray(header.get("spacings", np.full(ndim, np.nan)), dtype=np.float64)
    steps = [float(spacings[axis]) if spacings[axis] > 0 else 1.0 for axis in spatial]
    affine = np.diag([*steps, *[1.0] * (4 - len(steps))])
    return affine, spatial, ("The NRRD header has no directions: left and right are not known.",)


def channels_first(path: Path, data: NDArray[Any], spatial: list[int]) -> NDArray[Any]:
    """Bring data in C order (slowest axis first) to ``(C, K, J, I)``."""
    slow_first = sorted(data.ndim - 1 - axis for axis in spatial)
    if not 2 <= len(slow_first) <= 3:
        raise InputError(f"{path} has {len(slow_first)} axes in space; expected three")
    rest = [axis for axis in range(data.ndim) if axis not in slow_first]
    ordered = data.transpose(*rest, *slow_first)
    sizes = [data.shape[axis] for axis in slow_first]
    voxels = ordered.reshape(-1, *([1] if len(sizes) == 2 else []), *sizes)
    wide = voxels.dtype.itemsize > 4
    return np.ascontiguousarray(voxels, dtype=np.float32 if wide else voxels.dtype.newbyteorder("="))
