"""The cards of versions as files: ``cards/<id>.json``, one a version, written once.

The card of a version that is about to serve is first ``<id>.announced``: it counts as soon as the pointer names it.
Whoever was killed before that leaves an announcement that nobody hears and that the next change removes.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError
from tumorseg.labels.objects import flush_folder, write_durably
from tumorseg.versions.types import CaseUsed, VersionCard

logger = logging.getLogger(__name__)

#: ``0007-1f2e3d4c``: a number that increases, and the beginning of the weights' digest (``none`` where none was made).
_ID = re.compile(r"(\d{4,9})-(none|[0-9a-f]{8})")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CARD, _ANNOUNCED = ".json", ".announced"


def make_id(number: int, sha256: str) -> str:
    """Return the id of a version."""
    return f"{number:04d}-{sha256[:8] or 'none'}"


def number_of(version: str) -> int:
    """Return the number in an id; 0 where it is none."""
    match = _ID.fullmatch(version)
    return int(match[1]) if match else 0


def last_number(versions: Iterable[str]) -> int:
    """Return the highest number of some ids; 0 without any."""
    return max(map(number_of, versions), default=0)


def require_digest(text: str) -> str:
    """Return a SHA-256 as it is; InputError where it is none, so that it can be part of a file's name."""
    if not _DIGEST.fullmatch(text):
        raise InputError(f"expected a SHA-256 as 64 hex digits, got {text[:80]!r}")
    return text


def as_json(card: VersionCard) -> dict[str, Any]:
    """Return a card as it is stored and shown."""
    return dataclasses.asdict(card)


def from_json(said: Any) -> VersionCard:
    """Make a card of what was stored; fields that a later release may add are left out.

    Raises:
        InputError: it is no card.
    """
    try:
        known = {field.name: said[field.name] for field in dataclasses.fields(VersionCard) if field.name in said}
        cases = tuple(CaseUsed(**case) for case in known.pop("cases", ()))
        return VersionCard(**known, cases=cases)
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"expected the card of a version, got something else ({error})") from None


def write_card(folder: Path, card: VersionCard, *, announced: bool = False) -> None:
    """Write a card, or announce it; when this returns it would survive a power cut.

    Raises:
        InputError: ``measured`` holds what JSON cannot say, such as NaN.
    """
    try:
        text = json.dumps(as_json(card), indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"expected figures that JSON can hold on the card of {card.model}, got {error}") from None
    write_durably(folder / f"{card.id}{_ANNOUNCED if announced else _CARD}", text.encode())


def confirm_card(folder: Path, version: str) -> None:
    """Make the card of what was announced: it serves."""
    os.replace(folder / f"{version}{_ANNOUNCED}", folder / f"{version}{_CARD}")
    flush_folder(folder)


def card_ids(folder: Path) -> list[str]:
    """Return the ids of a folder's cards, damaged ones too: none of them is given a second time."""
    return _ids(folder, _CARD)


def announced_ids(folder: Path) -> list[str]:
    """Return the ids of what was announced and not confirmed."""
    return _ids(folder, _ANNOUNCED)


def discard_announced(folder: Path) -> None:
    """Remove what was announced and not confirmed."""
    for version in announced_ids(folder):
        (folder / f"{version}{_ANNOUNCED}").unlink(missing_ok=True)


def read_cards(folder: Path, served: Iterable[str] = ()) -> dict[str, VersionCard]:
    """Return the cards of a folder by id, newest first; a damaged one is left out and logged.

    Args:
        folder: of the cards.
        served: ids of which an announcement suffices.
    """
    ids = {*card_ids(folder), *filter(number_of, served)}
    cards = {version: _find(folder, version) for version in sorted(ids, key=_order, reverse=True)}
    return {version: card for version, card in cards.items() if card is not None}


def _order(version: str) -> tuple[int, str]:
    return number_of(version), version


def _ids(folder: Path, suffix: str) -> list[str]:
    try:
        return [path.stem for path in folder.iterdir() if path.suffix == suffix and number_of(path.stem)]
    except FileNotFoundError:
        return []


def _find(folder: Path, version: str) -> VersionCard | None:
    """Read a card or else its announcement, which may become the card at this very moment."""
    for suffix in (_CARD, _ANNOUNCED, _CARD):
        path = folder / f"{version}{suffix}"
        try:
            return _read(path, path.stat().st_mtime_ns)
        except FileNotFoundError:
            continue
    return None


@lru_cache(maxsize=1024)
def _read(path: Path, changed_ns: int) -> VersionCard | None:
    """Read a card, once as long as it stays as it is; lists of cases are long and asked for all the time."""
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # InputError is a ValueError
        logger.warning("the card %s is damaged and left out (%s): bring it back from a backup", path, error)
        return None
