"""What a file of weights says of itself; read without loading the weights, or anything that could."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from tumorseg.errors import InputError, UnavailableError

#: safetensors opens with the length of its JSON header, eight bytes, least first.
_LENGTH_BYTES = 8
#: The format's own limit.
_MAX_HEADER = 100_000_000


def identify(name: str, weights: Path | None, shipped: Path) -> tuple[Path, str]:
    """Return the file of weights of a model, the shipped one unless another is given, and its version.

    The version is the first 12 hex digits of the file's SHA-256.

    Raises:
        UnavailableError: there is no such file.
    """
    path = Path(weights) if weights is not None else shipped
    if not path.is_file():
        raise UnavailableError(f"no weights for {name} at {path}: train it or pass --weights FILE")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return the texts that were stored with the weights.

    Raises:
        InputError: this is no safetensors file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            header = json.loads(file.read(min(length, _MAX_HEADER)))
        return {str(name): str(value) for name, value in header.get("__metadata__", {}).items()}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is no safetensors file of weights: {str(error).splitlines()[0]}") from error


def read_number(path: Path, name: str, default: float) -> float:
    """Return the number stored under ``name``, or ``default`` where there is none."""
    text = read_metadata(path).get(name)
    try:
        return default if text is None else float(text)
    except ValueError as error:
        raise InputError(f"{path}: expected a number as {name!r}, got {text!r}") from error
