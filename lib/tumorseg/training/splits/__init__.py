"""Frozen splits, by patient. A split is never changed: measured figures refer to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tumorseg.errors import InputError, NotFoundError


@dataclass(frozen=True)
class Split:
    """Patient ids: what trains, what stops the training, what is measured."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        everyone = self.train + self.validation + self.test
        if len(set(everyone)) != len(everyone):
            twice = sorted({p for p in everyone if everyone.count(p) > 1})
            raise InputError(f"a patient belongs to one subset only; in several: {', '.join(twice[:5])}")

    def subset(self, name: str) -> tuple[str, ...]:
        """Return the patients of ``train``, ``validation`` or ``test``."""
        if name not in ("train", "validation", "test"):
            raise NotFoundError(f"unknown subset {name!r}; known: train, validation, test")
        patients: tuple[str, ...] = getattr(self, name)
        return patients


#: Shares of validation and test of a drawn split, where nobody says otherwise.
DEFAULT_PARTS = (0.15, 0.15)


def random_split(ids: Sequence[str], seed: int, parts: tuple[float, float] = DEFAULT_PARTS) -> Split:
    """Draw a split: ``parts`` are the shares of validation and test; fewer than six leave nothing to test on.

    Raises:
        InputError: there are fewer than two to split.
    """
    if len(ids) < 2:
        raise InputError(f"expected at least 2 patients to split into training and validation, got {len(ids)}")
    order = [ids[i] for i in np.random.default_rng(seed).permutation(len(ids))]
    held = max(1, round(parts[0] * len(order)))
    test = order[held : held + round(parts[1] * len(order))] if len(order) >= 6 else []
    return Split(tuple(order[held + len(test) :]), tuple(order[:held]), tuple(test))


def split_parts(text: str) -> tuple[float, float]:
    """Read ``"85/7.5/7.5"``, per cent that train, validate and test, as the shares of validation and test.

    Raises:
        InputError: not three numbers, nothing to train or validate on, or their sum is not 100.
    """
    try:
        train, validation, test = (float(part) / 100 for part in text.split("/"))
    except ValueError as error:
        raise InputError(f"expected per cent as in random:85/7.5/7.5, got {text!r}") from error
    if min(train, validation) <= 0 or test < 0 or abs(train + validation + test - 1) > 1e-6:
        raise InputError(f"expected per cent of training, validation and test that make 100, got {text!r}")
    return validation, test


def load_split(path: Path | str = "lgg") -> Split:
    """Read a split by its name (a file beside this one) or its path."""
    file = (
        Path(__file__).parent / f"{path}.json"
        if "/" not in str(path) and not str(path).endswith(".json")
        else Path(path)
    )
    if not file.is_file():
        raise NotFoundError(f"no split file {file}")
    try:
        table = json.loads(file.read_text())
        return Split(*(tuple(table[name]) for name in ("train", "validation", "test")))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{file}: expected JSON with the lists train, validation and test ({error})") from error
