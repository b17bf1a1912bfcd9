"""The last answer that each person was given of each image, kept until they save what they made of it.

One file each, whole or not there, below the state folder; several servers may share it. It is a memory and no record:
the oldest make way, a damaged one is as good as none.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.io.files import write_atomically

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.types import Segmentation

#: What is kept at most: answers, bytes of them, and for how long.
MOST, MOST_BYTES, DAYS = 2000, 1 << 30, 14
_SUFFIX = ".npz"
_LOOK_EVERY = 50
_DAY_S = 86400.0


@dataclass(frozen=True, eq=False)
class Proposal:
    """An answer.

    Attributes:
        voxels: ``(K, J, I)`` label map on the image's own voxels.
        affine: ``(4, 4)`` voxel (i, j, k) -> mm, as of :class:`tumorseg.geometry.Grid`.
        labels: class -> value.
        model: name.
        version: what the model said of itself.
        given: when, s since 1970.
    """

    voxels: NDArray[Any]
    affine: NDArray[np.float64]
    labels: Mapping[str, int]
    model: str
    version: str
    given: float

    @property
    def masks(self) -> dict[str, NDArray[np.bool_]]:
        """Return every class of the model, those that it did not find too."""
        return {name: self.voxels == value for name, value in self.labels.items() if value}


class Proposals:
    """The answers of one set of studies.

    Args:
        folder: where they lie; made at the first one.
        studies: tells them from those of other studies that the same state folder serves.
    """

    def __init__(self, folder: Path, studies: str, *, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._studies = studies
        self._most, self._most_bytes = most, most_bytes
        self._written = 0

    def keep(self, image: str, holder: str, mask: Segmentation, model: str, version: str, given: float) -> None:
        """Keep an answer in the place of the one before.

        Raises:
            OSError: the disk is full or fails.
        """
        labels = {str(name): int(value) for name, value in mask.labels.items()}
        said = {"labels": labels, "model": model, "version": version, "given": given, "shape": mask.voxels.shape}
        start, part = _marked_part(mask.voxels)
        file = io.BytesIO()
        text = np.frombuffer(json.dumps(said).encode(), np.uint8)
        np.savez_compressed(file, said=text, start=np.array(start), part=part, affine=mask.grid.affine)
        self.folder.parent.mkdir(parents=True, mode=0o700, exist_ok=True)  # the mode is of the last folder only
        self.folder.mkdir(mode=0o700, exist_ok=True)
        write_atomically(self.folder / f"{self._of_image(image)}-{_digest(holder)}{_SUFFIX}", file.getvalue())
        if self._written % _LOOK_EVERY == 0:
            self._make_room()
        self._written += 1

    def find(self, image: str, holder: str, *, anyone: bool = False) -> Proposal | None:
        """Return what somebody was given last; where nobody signs in (``anyone``) what anybody was."""
        paths = [self.folder / f"{self._of_image(image)}-{_digest(holder)}{_SUFFIX}"]
        if anyone:
            paths += sorted(self.folder.glob(f"{self._of_image(image)}-*{_SUFFIX}"), key=_changed, reverse=True)
        return next((found for path in paths if (found := _read(path)) is not None), None)

    def _of_image(self, image: str) -> str:
        return _digest(f"{self._studies}\0{image}")

    def _make_room(self) -> None:
        """Remove what is too old, then the oldest until the rest fits."""
        kept, size = 0, 0
        for path in sorted(self.folder.glob(f"*{_SUFFIX}"), key=_changed, reverse=True):
            with suppress(OSError):  # another server tidies up too
                state = path.stat()
                kept, size = kept + 1, size + state.st_size
                is_old = time.time() - state.st_mtime > DAYS * _DAY_S
                if is_old or kept > self._most or (size > self._most_bytes and kept > 1):
                    path.unlink()


def _marked_part(voxels: NDArray[Any]) -> tuple[list[int], NDArray[Any]]:
    """Return the smallest box ``(k, j, i)`` with everything that is marked, and where it begins."""
    start, part = [], voxels
    for axis in range(voxels.ndim):
        others = tuple(other for other in range(voxels.ndim) if other != axis)
        found = np.flatnonzero(part.any(axis=others))
        first, end = (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 0)
        start.append(first)
        part = part[(slice(None),) * axis + (slice(first, end),)]
    return start, part


def _read(path: Path) -> Proposal | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            said = json.loads(file["said"].tobytes())
            part, start = file["part"], file["start"]
            voxels = np.zeros(said["shape"], part.dtype)
            box = tuple(slice(first, first + size) for first, size in zip(start, part.shape, strict=True))
            voxels[box] = part
            return Proposal(voxels, file["affine"], said["labels"], said["model"], said["version"], said["given"])
    except Exception:  # what damage makes zip, zlib and NumPy say has no common kind
        return None


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]
