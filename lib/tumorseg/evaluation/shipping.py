"""Weights become the shipped ones: only where they are better on the same validation data, and whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tumorseg.errors import InputError
from tumorseg.io.files import write_atomically


def require_better(
    weights: Path, measured: Mapping[str, Any], split: Mapping[str, Any], *, deciding: str, of: str
) -> None:
    """Compare with the card of the shipped weights.

    Args:
        weights: the shipped weights; where they have no card there is nothing to compare with.
        measured: subset -> figures of the new weights.
        split: subset -> ids that were held out.
        deciding: the figure that decides, on the validation data.
        of: what was held out, for the message (``patients``, ``pictures``).

    Raises:
        InputError: other data was held out, which does not compare, or the shipped weights are as good.
    """
    shipped = weights.with_suffix(".json")
    if not shipped.is_file() or "validation" not in measured:
        return
    card = json.loads(shipped.read_text())
    if card["held_out"]["validation"] != split["validation"]:
        raise InputError(f"the shipped weights were measured on other validation {of}; use --force to replace them")
    old, new = card["measured"]["validation"][deciding], measured["validation"][deciding]
    if new is None or (old is not None and new <= old):
        raise InputError(f"the shipped weights are better (validation {deciding} {old}, this run {new})")


def ship(weights: Path, candidate: Path, card: Mapping[str, Any], page: str) -> None:
    """Write the card, for machines and for people, and then the weights."""
    weights.parent.mkdir(exist_ok=True)
    write_atomically(weights.with_suffix(".json"), (json.dumps(card, indent=1) + "\n").encode())
    write_atomically(weights.with_suffix(".md"), page.encode())
    write_atomically(weights, candidate.read_bytes())
