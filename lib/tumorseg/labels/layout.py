"""The plain layout that MONAI Label and other tools read: ``<root>/<tag>/<image><ending>`` and ``<image>.info.json``.

What lies there is a copy of the newest version of each label, never the kept file itself nor a link to it: a tool
that edits it in place changes nothing of the history.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tumorseg.labels.objects import DRAFT_SUFFIX
from tumorseg.labels.types import LABEL_SUFFIXES, SAFE_TAG, LabelVersion

INFO_SUFFIX = ".info.json"
#: Where the history lies, hidden from tools that list the tags.
HISTORY_FOLDER = ".tumorseg"
#: What we add to the description beside a copy; it is no part of what the client said.
OUR_KEYS = frozenset({"ts", "name", "version", "author", "created", "tool", "model", "no_lesion"})
# MONAI Label's own store describes every label in one file beside the folder of labels.
_STOCK_FILE = "datastore_v2.json"


@dataclass(frozen=True)
class FileState:
    """What tells cheaply that a file changed."""

    size: int
    changed_ns: int


class PlainLayout:
    """The folders of one label store, one for each tag."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._stock: tuple[FileState | None, dict[str, Any]] = (None, {})

    def tags(self) -> list[str]:
        """List the folders that may be tags."""
        try:
            with os.scandir(self.root) as entries:
                return sorted(entry.name for entry in entries if SAFE_TAG.fullmatch(entry.name) and entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def file(self, tag: str, name: str) -> Path:
        """Say where a file of a tag lies."""
        return self.root / tag / name

    def find(self, image: str, tag: str) -> Path | None:
        """Return the label file of an image; of several the one whose ending comes first in LABEL_SUFFIXES."""
        candidates = (self.file(tag, image + suffix) for suffix in LABEL_SUFFIXES)
        return next((path for path in candidates if path.is_file()), None)

    def states(self, tag: str) -> dict[str, FileState]:
        """Return the label files of a tag and their states, by name."""
        found = {}
        with suppress(FileNotFoundError), os.scandir(self.root / tag) as entries:
            for entry in entries:
                if image_of(entry.name) is not None:
                    with suppress(FileNotFoundError):
                        state = entry.stat()
                        found[entry.name] = FileState(state.st_size, state.st_mtime_ns)
        return found

    def images(self, tag: str) -> frozenset[str]:
        """Return the images that have a file under a tag."""
        return frozenset(str(image_of(name)) for name in self.states(tag))

    def info(self, image: str, tag: str) -> dict[str, Any]:
        """Return what is said about a label: beside it, else in MONAI Label's own list."""
        said = _json_object(self.file(tag, image + INFO_SUFFIX)) or self._stock_info(image, tag)
        return {key: value for key, value in said.items() if key not in OUR_KEYS}

    def put(self, version: LabelVersion, file: Path) -> FileState:
        """Put a copy of a version in place, in one step; its description goes first."""
        path = self.file(version.tag, version.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.describe(version)
        draft = _draft(path)
        try:
            shutil.copyfile(file, draft)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        state = state_of(path)
        assert state is not None
        return state

    def describe(self, version: LabelVersion) -> None:
        """Write what is said about a version."""
        path = self.file(version.tag, version.image + INFO_SUFFIX)
        draft = _draft(path)
        try:
            draft.write_text(json.dumps(description(version), indent=2), encoding="utf-8")
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)

    def remove(self, image: str, tag: str, names: list[str]) -> None:
        """Remove copies of an image's label, and the description with the last of them."""
        for name in names:
            self.file(tag, name).unlink(missing_ok=True)
        if self.find(image, tag) is None:
            self.file(tag, image + INFO_SUFFIX).unlink(missing_ok=True)

    def _stock_info(self, image: str, tag: str) -> dict[str, Any]:
        """Look a label up in the list of a MONAI Label store whose labels lie here."""
        path = self.root.parent / _STOCK_FILE
        state = state_of(path)
        if state != self._stock[0]:
            said = _json_object(path)
            ours = said.get("labels_dir", "labels") == self.root.name
            self._stock = (state, said.get("objects", {}) if ours else {})
        found: Any = self._stock[1]
        for key in (image, "labels", tag, "info"):
            found = found.get(key) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}


def set_aside(root: Path, path: Path, *, stays: bool = False) -> Path:
    """Move a file that is in the way to where an operator finds it: nothing that might be a label is thrown away.

    One that ``stays`` is in both places until something is put over it: there is no moment without it.
    """
    folder = root / HISTORY_FOLDER / "set-aside"
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{secrets.token_hex(4)}-{path.name}"
    if stays:
        os.link(path, target)
    else:
        os.replace(path, target)
    return target


def description(version: LabelVersion) -> dict[str, Any]:
    """Return what a client is told about a version: what came with it, and where it is from."""
    said = {
        **version.info,
        "ts": int(datetime.fromisoformat(version.created).timestamp()),
        "name": version.name,
        "version": version.uid,
        "author": version.author,
        "created": version.created,
        "tool": version.tool,
        "no_lesion": version.no_lesion,
    }
    return {**said, "model": version.model} if version.model else said


def image_of(name: str) -> str | None:
    """Return the image that a label file belongs to; None where it is no label file."""
    suffix = suffix_of_label(name)
    return name[: -len(suffix)] if suffix and not name.startswith(".") and len(name) > len(suffix) else None


def suffix_of_label(name: str) -> str:
    """Return which of LABEL_SUFFIXES a file name ends in, ``.seg.nrrd`` before ``.nrrd``; ``""`` for none."""
    return max((suffix for suffix in LABEL_SUFFIXES if name.endswith(suffix)), key=len, default="")


def state_of(path: Path) -> FileState | None:
    """Return the state of a file, None where there is none."""
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileState(state.st_size, state.st_mtime_ns)


def _draft(path: Path) -> Path:
    # Its ending is none that any tool takes for a label.
    return path.with_name(f".{secrets.token_hex(8)}{DRAFT_SUFFIX}")


def _json_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; one that is missing or damaged is empty."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
