"""Which version of a model serves: ``current.json``, replaced in one step, with everything that ever served.

Servers of before the versions wrote ``{"sha256", "history": [{"sha256", "who", "at"}]}``; that is read as it is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError
from tumorseg.labels.objects import write_durably
from tumorseg.versions.cards import require_digest
from tumorseg.versions.types import SHIPPED

_NAME = "current.json"


@dataclass(frozen=True)
class Served:
    """A moment from which on something served.

    Attributes:
        sha256: of the weights; ``""`` for those that come with the package.
        who: who made it so.
        at: seconds since 1970.
        version: id; ``""`` where a server of before the versions wrote it.
        what: ``"publish"`` or ``"rollback"``.
    """

    sha256: str
    who: str
    at: int
    version: str = ""
    what: str = "publish"

    @property
    def made_at(self) -> str:
        """The moment in UTC, ISO 8601."""
        return datetime.fromtimestamp(self.at, UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Pointer:
    """What ever served, the last one serves; empty as long as only the shipped weights did."""

    history: tuple[Served, ...] = ()

    @property
    def serving(self) -> Served:
        """What serves."""
        return self.history[-1] if self.history else Served("", "", 0, SHIPPED)

    def moved(self, version: str, sha256: str, who: str, what: str) -> Pointer:
        """Return the pointer with one more entry."""
        return Pointer((*self.history, Served(sha256, who, int(time.time()), version, what)))


def read_pointer(folder: Path) -> Pointer:
    """Read the pointer of a model's folder.

    Raises:
        InputError: it is damaged.
    """
    try:
        text = (folder / _NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return Pointer()
    except UnicodeDecodeError:
        text = ""
    try:
        said = json.loads(text)
        history = tuple(_served(entry) for entry in said["history"])
        if not history or history[-1].sha256 != (said["sha256"] or ""):
            raise InputError("the last entry is not the one that serves")
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
        raise InputError(
            f"{_NAME} of {folder.name} is damaged, so nobody can tell which weights it should use: bring it back from "
            f"a backup, or choose a version: tumorseg models rollback {folder.name} ID"
        ) from None
    return Pointer(history)


def write_pointer(folder: Path, pointer: Pointer) -> None:
    """Replace the pointer in one step; when this returns it would survive a power cut."""
    history = [_as_json(served) for served in pointer.history]
    said = {"sha256": pointer.serving.sha256 or None, "id": pointer.serving.version, "history": history}
    write_durably(folder / _NAME, json.dumps(said, indent=2).encode())


def stamp_of(folder: Path) -> tuple[int, int, int] | None:
    """Return what differs when the pointer does; cheap. None where there is no pointer."""
    try:
        state = (folder / _NAME).stat()
    except FileNotFoundError:
        return None
    return state.st_ino, state.st_mtime_ns, state.st_size


def _as_json(served: Served) -> dict[str, Any]:
    return {
        "sha256": served.sha256 or None,
        "who": served.who,
        "at": served.at,
        "id": served.version,
        "what": served.what,
    }


def _served(said: Mapping[str, Any]) -> Served:
    sha256 = require_digest(said["sha256"]) if said["sha256"] else ""
    at = int(said.get("at", 0))
    datetime.fromtimestamp(at, UTC)
    return Served(sha256, str(said.get("who", "")), at, str(said.get("id", "")), str(said.get("what", "publish")))
