"""By what a method without weights is known: a name that somebody changes, and a digest of all its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from types import ModuleType
from typing import Any


def numbers_of(modules: Iterable[ModuleType]) -> dict[str, Any]:
    """Return the constants of modules by module and name: every one that is public."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": value
        for module in modules
        for name, value in sorted(vars(module).items())
        if name.isupper() and not name.startswith("_") and name != "TYPE_CHECKING"
    }


def version_of(method: str, numbers: dict[str, Any]) -> str:
    """Return the version of a method: another one whenever its name or one of its numbers is another."""
    told = repr(sorted(numbers.items()))
    return f"{method}-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
