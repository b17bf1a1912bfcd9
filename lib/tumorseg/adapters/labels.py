"""The labels that annotators send: ``<root>/<tag>/<image><ending>`` and, beside it, what was said about it.

Every lookup reads the folder, so that a second process (a training, another server) never works on stale lists and
never writes them back. Writing is atomic.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.files import copy_atomically, read_json, write_json
from tumorseg.adapters.sources import LABELS_FOLDER, SAFE_NAME, suffix_of
from tumorseg.errors import InputError, NotFoundError
from tumorseg.folders import data_folder

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

LABEL_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd")
_INFO_SUFFIX = ".info.json"


class LabelStore:
    """Labels by image id and tag. Ids come from an image source; tags are plain names."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def tags(self, image_id: str) -> list[str]:
        """List the tags under which the image has a label."""
        if not self.root.is_dir():
            return []
        tags = sorted(path.name for path in self.root.iterdir() if path.is_dir() and SAFE_NAME.fullmatch(path.name))
        return [tag for tag in tags if self._find(image_id, tag)]

    def path(self, image_id: str, tag: str) -> Path:
        """Return the label's file; NotFoundError where there is none."""
        path = self._find(image_id, tag)
        if path is None:
            raise NotFoundError(f"image {image_id!r} has no label tagged {tag!r}")
        return path

    def info(self, image_id: str, tag: str) -> dict[str, Any]:
        """Return what was said about the label."""
        path = self.path(image_id, tag)
        stored = read_json(self._info_path(image_id, tag))
        return {"ts": int(path.stat().st_mtime), **stored, "name": path.name}

    def save(self, image_id: str, tag: str, file: Path, info: Mapping[str, Any]) -> Path:
        """Keep a copy of a label file; one of another format under the same tag makes way.

        Raises:
            InputError: the tag is no plain name, or the file is no label map that can be read.
        """
        suffix = suffix_of(file)
        if suffix not in LABEL_SUFFIXES:
            raise InputError(f"expected a label as {', '.join(LABEL_SUFFIXES)}, got {suffix or 'no ending'!r}")
        _check_readable(file)
        target = self._folder(tag) / f"{image_id}{suffix}"
        before = self._find(image_id, tag)
        copy_atomically(file, target)
        write_json(self._info_path(image_id, tag), {**info, "ts": int(time.time())})
        if before is not None and before != target:
            before.unlink(missing_ok=True)
        return target

    def update_info(self, image_id: str, tag: str, info: Mapping[str, Any]) -> None:
        """Add to what was said about a label."""
        known = self.info(image_id, tag)
        write_json(self._info_path(image_id, tag), {**known, **info})

    def remove(self, image_id: str, tag: str) -> None:
        """Delete a label; NotFoundError where there is none."""
        self.path(image_id, tag).unlink()
        self._info_path(image_id, tag).unlink(missing_ok=True)

    def _find(self, image_id: str, tag: str) -> Path | None:
        folder = self._folder(tag)
        candidates = (folder / f"{image_id}{suffix}" for suffix in LABEL_SUFFIXES)
        return next((path for path in candidates if path.is_file()), None)

    def _info_path(self, image_id: str, tag: str) -> Path:
        return self._folder(tag) / f"{image_id}{_INFO_SUFFIX}"

    def _folder(self, tag: str) -> Path:
        if not SAFE_NAME.fullmatch(tag):
            raise InputError(f"expected letters, digits, '.', '-' and '_' as a tag, got {tag!r}")
        return self.root / tag


def labels_root(config: AppConfig) -> Path:
    """Decide where labels lie: as configured, else in the studies folder, else with the user's data."""
    if config.labels is not None:
        return config.labels
    if not config.is_remote and os.access(config.studies, os.W_OK):
        return Path(config.studies) / LABELS_FOLDER
    import hashlib

    return data_folder() / LABELS_FOLDER / hashlib.sha256(config.studies.encode()).hexdigest()[:16]


def _check_readable(file: Path) -> None:
    """Read the label map once; a file that is damaged or no image is refused before anything is kept."""
    import SimpleITK as sitk

    try:
        image = sitk.ReadImage(str(file))
    except RuntimeError:
        raise InputError(f"the label sent as {file.name} cannot be read as {suffix_of(file)}: send it again") from None
    kind = image.GetPixelID()
    if kind in (sitk.sitkFloat32, sitk.sitkFloat64) and not _whole_numbers(sitk.GetArrayViewFromImage(image)):
        raise InputError("expected whole numbers as label values, got fractions: send a label map, not a probability")


def _whole_numbers(values: Any) -> bool:
    import numpy as np

    return bool(np.isfinite(values).all() and (values == np.rint(values)).all())
