"""Weights that a site brings: ``<state>/weights/<model>/<sha256>.safetensors``, and which of them is used.

Files are named by their content and never changed or removed; ``current.json`` is replaced in one step, so that a
server that is stopped at any moment starts again with the old weights or the new ones.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tumorseg.adapters.files import copy_atomically, read_json, write_json
from tumorseg.adapters.sources import SAFE_NAME
from tumorseg.errors import InputError, NotFoundError

_CURRENT = "current.json"
#: safetensors: eight bytes with the length of the JSON that follows; it may not be longer than this.
_LENGTH, _MOST_HEADER = 8, 100_000_000
Shapes = Mapping[str, tuple[int, ...]]


class WeightsStore:
    """The weights of every model, as a site brought them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def current(self, model: str) -> Path | None:
        """Return the file that is used, None where the site brought none.

        Raises:
            InputError: the file is gone.
        """
        said = read_json(self._folder(model) / _CURRENT)
        if not said:
            return None
        path = self._folder(model) / f"{said.get('sha256')}.safetensors"
        if not path.is_file():
            raise InputError(
                f"the weights {path.name} of {model} are gone: bring them back from a backup, or send new ones"
            )
        return path

    def keep(self, model: str, file: Path, who: str) -> Path:
        """Keep a copy of a file and use it from now on."""
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        folder = self._folder(model)
        path = folder / f"{digest}.safetensors"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            copy_atomically(file, path)
            _settle(path)
        before = read_json(folder / _CURRENT)
        history = [*before.get("history", []), {"sha256": digest, "who": who, "at": int(time.time())}]
        write_json(folder / _CURRENT, {"sha256": digest, "history": history})
        return path

    def _folder(self, model: str) -> Path:
        if not SAFE_NAME.fullmatch(model):
            raise NotFoundError(f"unknown model {model[:80]!r}")
        return self.root / model


def describe_file(path: Path) -> dict[str, Any]:
    """Describe a file of weights as MONAI Label does."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return {"checksum": f"SHA256:{digest}", "modified_time": int(path.stat().st_mtime)}


def shapes_of(path: Path) -> Shapes:
    """Return name and shape of every tensor of a safetensors file, having read its header only.

    Raises:
        InputError: it is none, or cut off.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(_LENGTH), "little")
        text = stream.read(length) if 0 < length <= min(size - _LENGTH, _MOST_HEADER) else b""
    try:
        header = json.loads(text)
        tensors = {name: said for name, said in header.items() if name != "__metadata__"}
        ends = [said["data_offsets"][1] for said in tensors.values()]
        shapes = {name: tuple(int(side) for side in said["shape"]) for name, said in tensors.items()}
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError, IndexError):
        raise InputError("expected weights as safetensors, got another kind of file, or a damaged one") from None
    if not shapes or size != _LENGTH + length + max(ends):
        raise InputError("the safetensors file holds no weights, or is cut off: send it again")
    return shapes


def require_same_shapes(model: str, given: Shapes, expected: Shapes) -> None:
    """Raise InputError where weights are not those of this network."""
    missing, beyond = sorted(set(expected) - set(given)), sorted(set(given) - set(expected))
    if missing or beyond:
        what = f"{missing[0]!r} is missing" if missing else f"{beyond[0]!r} is not of this network"
        raise InputError(f"these are not weights of {model}: {what} ({len(missing)} missing, {len(beyond)} too many)")
    for name, shape in expected.items():
        if given[name] != shape:
            raise InputError(f"these are not weights of {model}: expected {name!r} as {shape}, got {given[name]}")


def _settle(path: Path) -> None:
    """Wait until the file is on the disk, before anything names it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
