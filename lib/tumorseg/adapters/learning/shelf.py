"""The pictures of a training in files of its job, mapped and not loaded: hundreds of patients need no more memory.

They are made once: a training that was killed finds them again. They go with the job's other large files.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import StorageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.training.data import Volume

_IMAGE, _MASK = "image.npy", "mask.npy"


class Shelf:
    """Volumes by name.

    Args:
        folder: made at the first :meth:`put`.
        spare_mb: disk space that stays free.
    """

    def __init__(self, folder: Path, spare_mb: int) -> None:
        self._folder, self._spare = folder, spare_mb << 20

    def get(self, name: str, id: str) -> Volume | None:
        """Return a volume that was put here under a plain name, None where there is none that is whole.

        Args:
            name: of the volume.
            id: what it is called from now on.
        """
        from tumorseg.training.data import Volume

        try:
            image, mask = (np.load(self._folder / f"{name}.{part}", mmap_mode="r") for part in (_IMAGE, _MASK))
        except (OSError, ValueError):  # not there, or cut off when the machine stopped
            return None
        return Volume(id, image, mask)

    def put(self, name: str, volume: Volume) -> Volume:
        """Write a volume and return it as it is read from here.

        Raises:
            StorageError: there is no space for it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        needed, free = volume.image.nbytes + volume.mask.nbytes, shutil.disk_usage(self._folder).free
        if needed + self._spare > free:
            raise StorageError(
                f"the labelled images do not fit on the disk of the state folder: the next one needs {needed >> 20} MB "
                f"of the {free >> 20} MB that are free, and {self._spare >> 20} MB (min_free_mb) stay free. Make room, "
                "then train again",
                full=True,
            )
        for part, values in ((_MASK, volume.mask), (_IMAGE, volume.image)):
            _write(self._folder / f"{name}.{part}", values)
        kept = self.get(name, volume.id)
        if kept is None:
            raise StorageError(f"the picture {name} cannot be read again once written: is the disk failing?")
        return kept


def _write(path: Path, values: NDArray[Any]) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        np.save(file, values)
    os.replace(temporary, path)
