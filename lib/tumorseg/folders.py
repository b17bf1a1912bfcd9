"""The user's own folders (XDG base directories); none is created here."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where things are kept that can be made again: ``$XDG_CACHE_HOME/tumorseg`` or ``~/.cache/tumorseg``."""
    return _user_folder("XDG_CACHE_HOME", ".cache")


def data_folder() -> Path:
    """Where the user's own work is kept that must not be lost with a cache."""
    return _user_folder("XDG_DATA_HOME", ".local/share")


def _user_folder(variable: str, default: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / default) / "tumorseg"
