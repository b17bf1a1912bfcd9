"""Where images come from: an id that a viewer sends -> files on this computer, and what is known about them.

An id is looked up, never joined to a path: what is not listed does not exist, so ``../`` and absolute paths are
unknown images like any other misspelling.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from tumorseg.adapters.file_list import FileList
from tumorseg.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from tumorseg.config import AppConfig
    from tumorseg.geometry import Grid
    from tumorseg.types import StudyImage

VOLUME_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
IMAGE_SUFFIXES = VOLUME_SUFFIXES + PICTURE_SUFFIXES
#: Folder of the labels within a studies folder, as MONAI Label's own store names it.
LABELS_FOLDER = "labels"
#: A name that is safe as a file name on every system; for ids and tags that a request makes up.
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")


@dataclass(frozen=True)
class ImageEntry:
    """One image that can be shown and segmented.

    Attributes:
        id: what viewers call it: a SeriesInstanceUID, or a file's name without its ending.
        name: file name under which a viewer stores its download.
        info: what a viewer is told (UIDs, patient, description), JSON-able.
    """

    id: str
    name: str
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Labels and converted images are stored under this name; a UID read from a file may hold anything.
        if not self.id or self.id.startswith(".") or any(sign in self.id for sign in "/\\\0"):
            raise InputError(f"expected an image id without '/', '\\' and leading '.', got {self.id!r}")
        object.__setattr__(self, "info", MappingProxyType(dict(self.info)))


class ImageSource(Protocol):
    """What the data store and the inference need of any place where images lie."""

    #: Whether the images are DICOM series that OHIF can browse.
    is_dicom: bool

    def ids(self) -> list[str]:
        """List the images that are offered for labelling, one for each study."""
        ...

    def entry(self, image_id: str) -> ImageEntry:
        """Look up any image, also one that :meth:`ids` does not list; NotFoundError where there is none."""
        ...

    def files(self, image_id: str) -> tuple[Path, ...]:
        """Return the files that a model may look at when this image is asked for: its whole study."""
        ...

    def read(self, image_id: str, channels: Sequence[str] | None) -> tuple[StudyImage, Grid]:
        """Read the wanted sequences of the image's study, and the image's own grid; None reads the image alone.

        The sequences may lie on another grid of the same patient frame, the one they were acquired on; the answer
        of a model is then brought onto the image's own.
        """
        ...

    def states(self, image_ids: Sequence[str]) -> dict[str, str]:
        """Return image -> what differs once the image does; those that are gone are left out. Downloads nothing."""
        ...

    def local_file(self, image_id: str) -> Path:
        """Return one file that Slicer can open, made on the first call where the image is a DICOM series."""
        ...

    def add(self, image_id: str, file: Path) -> ImageEntry:
        """Take a copy of a new image."""
        ...

    def check(self) -> None:
        """Raise UnavailableError where the images cannot be reached."""
        ...

    def telling_ids(self) -> Sequence[str]:
        """Return the ids that may say who a patient is, as far as they are known; looks at nothing."""
        ...

    def cached_bytes(self) -> dict[str, int]:
        """Return how many bytes the source keeps on disk, by cache, as far as it knows."""
        ...

    def close(self) -> None:
        """Give back what is open."""
        ...


class FileSource:
    """A folder of NIfTI, NRRD or picture files; each file is one image, read anew when the folder changes."""

    is_dicom = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self._files = FileList(root, _image_suffix, LABELS_FOLDER)

    def ids(self) -> list[str]:
        """List every image file below the folder, by name; files in folders are called ``folder__file``."""
        return self._files.ids()

    def entry(self, image_id: str) -> ImageEntry:
        """Look up one file."""
        path = self._path(image_id)
        return ImageEntry(image_id, image_id + suffix_of(path), {"name": image_id + suffix_of(path)})

    def files(self, image_id: str) -> tuple[Path, ...]:
        """Return the image's file: here a study is one file with all its channels."""
        return (self._path(image_id),)

    def read(self, image_id: str, channels: Sequence[str] | None) -> tuple[StudyImage, Grid]:
        """Read the file; its channels are taken as they are."""
        from tumorseg.io import read_study

        image = read_study(self._path(image_id))
        return image, image.grid

    def states(self, image_ids: Sequence[str]) -> dict[str, str]:
        """Look at time of change and size of every file."""
        from tumorseg.adapters.files import states_of

        return states_of(image_ids, self.files)

    def local_file(self, image_id: str) -> Path:
        """Return the file itself."""
        return self._path(image_id)

    def add(self, image_id: str, file: Path) -> ImageEntry:
        """Copy a new image into the folder; the same one again is no change, another one is refused.

        Raises:
            InputError: the id is no plain name, the file cannot be read, or another image has this id.
        """
        from tumorseg.adapters.files import copy_atomically
        from tumorseg.io import read_study

        if not SAFE_NAME.fullmatch(image_id):
            raise InputError(f"expected letters, digits, '.', '-' and '_' as an image's name, got {image_id!r}")
        image = read_study(file)
        known = self._files.files().get(image_id)
        if known is None:
            copy_atomically(file, self.root / (image_id + suffix_of(file)))
            self._files.forget()
        elif not _same_image(image, read_study(known)):
            raise InputError(f"another image is already called {image_id!r}: choose a new name")
        return self.entry(image_id)

    def check(self) -> None:
        """Look whether the folder is there and can be listed."""
        from tumorseg.io.files import require_readable

        require_readable(self.root)

    def telling_ids(self) -> Sequence[str]:
        """Return the names of the files: people name files after patients."""
        return tuple(self._files.known)

    def cached_bytes(self) -> dict[str, int]:
        """Nothing is kept beside the folder."""
        return {}

    def close(self) -> None:
        """Nothing is held open."""

    def _path(self, image_id: str) -> Path:
        path = self._files.files().get(image_id)
        if path is None:
            raise NotFoundError(f"no image is called {image_id!r}; GET /datastore/?output=all lists them")
        return path


def suffix_of(path: Path) -> str:
    """Return the ending of an image or label file in lower case, ``.nii.gz`` and ``.seg.nrrd`` as one."""
    name = path.name.lower()
    return next((ending for ending in (".nii.gz", ".seg.nrrd") if name.endswith(ending)), os.path.splitext(name)[1])


def _image_suffix(name: str) -> str:
    """Return the ending of an image file's name, ``""`` where it is none."""
    suffix = suffix_of(Path(name))
    return suffix if suffix in IMAGE_SUFFIXES else ""


def open_source(config: AppConfig) -> ImageSource:
    """Look at what the studies are and open them.

    Raises:
        InputError: the folder does not exist or holds nothing that can be read.
    """
    if not config.is_remote:
        root = Path(config.studies)
        if not root.is_dir():
            raise InputError(f"expected a studies folder, but {root} is none: pass an existing folder or an address")
        if not looks_like_dicom(root):
            source = FileSource(root)
            if not source.ids():
                raise InputError(f"found no images in {root}: expected DICOM, {', '.join(IMAGE_SUFFIXES)}")
            return source
    from tumorseg.adapters.dicom_source import DicomSource

    return DicomSource.open(config)


def looks_like_dicom(root: Path) -> bool:
    """Tell whether there is a DICOM file below ``root``; images of other kinds beside it are then not served."""
    for folder, folders, names in os.walk(root):
        inner = Path(folder)
        folders[:] = [name for name in folders if not name.startswith(".") and inner / name != root / LABELS_FOLDER]
        candidates = (inner / name for name in names if not name.startswith("."))
        if any(suffix_of(path) not in IMAGE_SUFFIXES and _has_dicom_preamble(path) for path in candidates):
            return True
    return False


def _has_dicom_preamble(path: Path) -> bool:
    """Look for the DICM mark behind the 128 bytes of preamble (PS3.10 section 7.1)."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _same_image(one: StudyImage, other: StudyImage) -> bool:
    """Whether two images show the same voxels at the same place."""
    import numpy as np

    return one.grid.same_as(other.grid) and np.array_equal(one.voxels, other.voxels)
