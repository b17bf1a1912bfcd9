"""Who validates: decided once for each patient, by hash, and never again.

A candidate model is compared with the serving one on these patients. Were they drawn anew each round, a patient that
trained the serving model could validate the next one. The hash of the name decides, so that the answer does not
depend on the order of arrival, on other patients or on the machine; only where nobody is in the other part yet, as with
the second patient, one goes there, so that there is something to train and something to validate on from then on.
What was decided is kept (``known``) and passed in again: it wins over the hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Literal

from tumorseg.errors import InputError

Part = Literal["train", "validation"]

#: Part of the patients that validates.
SHARE = 0.2
_STEPS = 2**32


def by_hash(patient: str, share: float = SHARE) -> Part:
    """Return the part that the name alone gives."""
    if not 0 < share < 1:
        raise InputError(f"expected a share of validation in (0, 1), got {share}")
    number = int.from_bytes(hashlib.sha256(patient.encode()).digest()[:4], "big")
    return "validation" if number / _STEPS < share else "train"


def assign(patients: Iterable[str], known: Mapping[str, Part] | None = None, share: float = SHARE) -> dict[str, Part]:
    """Return the part of every known and every new patient.

    Args:
        patients: in the order in which they were labelled; known ones keep their part.
        known: what was decided before.
        share: of new patients that validates, in (0, 1).
    """
    parts = dict(known or {})
    for patient in patients:
        if patient in parts:
            continue
        part = by_hash(patient, share)
        if parts and set(parts.values()) == {part}:
            part = "train" if part == "validation" else "validation"
        parts[patient] = part
    return parts
