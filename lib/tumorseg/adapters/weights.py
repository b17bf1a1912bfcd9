"""What a file of weights is, told by its content: a description, and whether it fits a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError
from tumorseg.versions.files import digest_of

#: safetensors: eight bytes with the length of the JSON that follows; it may not be longer than this.
_LENGTH, _MOST_HEADER = 8, 100_000_000
Shapes = Mapping[str, tuple[int, ...]]


def describe_file(path: Path) -> dict[str, Any]:
    """Describe a file of weights as MONAI Label does."""
    return {"checksum": f"SHA256:{digest_of(path)}", "modified_time": int(path.stat().st_mtime)}


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
