"""What the server hands to a job's process: the configuration, and whose child it is.

It goes through the process's standard input and not into a file or the command line: an address may hold a password.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tumorseg.config import AppConfig


def encode(config: AppConfig) -> bytes:
    """Return what :func:`read` reads: one line of JSON."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return json.dumps({"config": values, "server": os.getpid()}, default=_plain).encode() + b"\n"


def read(stream: IO[bytes]) -> tuple[AppConfig, int]:
    """Return the configuration, and the process id of the server."""
    from tumorseg.config import AppConfig

    orders = json.loads(stream.readline())
    # Empty ones are what they are by default, and not every parser takes an empty text.
    given = {key: value for key, value in orders["config"].items() if value not in (None, "")}
    studies = given.pop("studies")
    return AppConfig.parse(studies, given, environ={}), int(orders["server"])


def import_paths() -> str:
    """Return where this process looks for modules, for PYTHONPATH: a site's own models are found there too."""
    return os.pathsep.join(dict.fromkeys(os.path.abspath(path) for path in sys.path))


def _plain(value: Any) -> Any:
    """Turn what JSON does not know into what the configuration's parsers take."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a setting of type {type(value).__name__} cannot be handed on")
