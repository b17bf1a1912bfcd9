"""Files that are seen whole or not at all, and how to tell that one changed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError, NotFoundError
from tumorseg.io.files import digest, write_atomically


def fill_atomically(path: Path, fill: Callable[[Path], object]) -> None:
    """Let ``fill`` write a draft beside ``path``, of the same name, then put it in place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        fill(draft)
        os.replace(draft, path)


def copy_atomically(source: Path, target: Path) -> None:
    """Copy a file's content in one step."""
    fill_atomically(target, lambda draft: shutil.copyfile(source, draft))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object in one step, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(value, indent=2, default=str).encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; one that is missing or damaged is empty."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def fingerprint(files: tuple[Path, ...]) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a file does: path, time of change (ns) and size of each.

    Raises:
        NotFoundError: a file is gone.
    """
    try:
        states = [(path, path.stat()) for path in files]
    except FileNotFoundError:
        raise NotFoundError(
            "the image was there, but its files are gone: put them back, or choose another image"
        ) from None
    return tuple((str(path), state.st_mtime_ns, state.st_size) for path, state in states)


def states_of(names: Iterable[str], files: Callable[[str], tuple[Path, ...]]) -> dict[str, str]:
    """Return name -> digest of how its files look, without those that are gone or hold no image.

    Where they lie is no part of it: servers of one site may see the same folder under different paths.
    """
    found = {}
    for name in names:
        try:
            looks = fingerprint(files(name))
            found[name] = digest([(os.path.basename(path), changed, size) for path, changed, size in looks])
        except (NotFoundError, InputError, OSError):
            continue
    return found
