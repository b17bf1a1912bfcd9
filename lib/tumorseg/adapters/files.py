"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary neighbour of ``path``, then put it in place in one step.

    The neighbour has the same ending, since writers choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".incoming-", dir=path.parent) as folder:
        draft = Path(folder) / path.name
        write(draft)
        os.replace(draft, path)


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes in one step."""
    write_atomically(path, lambda draft: draft.write_bytes(data) and None)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object in one step."""
    write_bytes(path, json.dumps(value, indent=2, default=str).encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; one that is missing or damaged is empty."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def copy_atomically(source: Path, target: Path) -> None:
    """Copy a file's content in one step."""
    write_atomically(target, lambda draft: shutil.copyfile(source, draft) and None)


def fingerprint(files: tuple[Path, ...]) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a file does: path, time of change (ns) and size of each."""
    states = ((path, path.stat()) for path in files)
    return tuple((str(path), state.st_mtime_ns, state.st_size) for path, state in states)
