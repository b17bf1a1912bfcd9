"""JSON files of annotations, with errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError, NotFoundError


def load_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        NotFoundError: there is no such file.
        InputError: empty, cut off, or no JSON.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise NotFoundError(f"{path} does not exist; expected a JSON file of annotations") from None
    if not data.strip():
        raise InputError(f"{path} is empty; expected a JSON file of annotations, copy it again from its source")
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no valid JSON ({error}); is it cut off? Copy it again from its source") from error


def as_object(value: Any, path: Path, what: str) -> dict[str, Any]:
    """Return ``value`` where it is a JSON object, else say what was expected where."""
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected {what} as a JSON object, got {type(value).__name__}")
    return value


def as_list(value: Any, path: Path, what: str) -> list[Any]:
    """Return ``value`` where it is a JSON array, else say what was expected where."""
    if not isinstance(value, list):
        raise InputError(f"{path}: expected {what} as a JSON array, got {type(value).__name__}")
    return value
