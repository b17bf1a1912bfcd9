"""What a simulation is, in one typed object; every figure it makes follows from this and the data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tumorseg.errors import InputError

Unit = Literal["slice", "case"]
#: The model that is small enough for hundreds of trainings; not in the registry, since it serves nobody.
TINY = "tiny"
BASELINE = "foreground_random"


@dataclass(frozen=True)
class Settings:
    """How the loop is replayed.

    Attributes:
        model: :data:`TINY`, or a registry name of a model that sees one slice at a time.
        unit: what is chosen: single slices, or whole cases.
        start: units that are labelled before anything is chosen, the same for every strategy.
        batch: units that are chosen in each round.
        rounds: trainings, the one on the start included.
        steps: of the optimiser in each training; each starts from random values.
        shrink: pixels on a side that become one.
        patients: most patients to choose from; None for all.
        passes: looks with dropout.
        noise: of the annotator, 0 for the truth; see :mod:`tumorseg.active_learning.simulation.annotator`.
    """

    model: str = TINY
    unit: Unit = "slice"
    start: int = 16
    batch: int = 32
    rounds: int = 5
    steps: int = 250
    shrink: int = 4
    patients: int | None = None
    passes: int = 5
    noise: float = 0.0

    def __post_init__(self) -> None:
        least = {"start": 1, "batch": 1, "rounds": 2, "steps": 1, "shrink": 1, "passes": 2}
        wrong = {name: getattr(self, name) for name, low in least.items() if getattr(self, name) < low}
        if wrong or self.unit not in ("slice", "case") or not 0 <= self.noise <= 1:
            raise InputError(
                f"expected at least {least}, a unit of slice or case and a noise in [0, 1]; got {wrong}, "
                f"{self.unit!r}, {self.noise}"
            )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def fingerprint(self, data: str) -> str:
        """Return what tells results of these settings on ``data`` from others."""
        text = json.dumps({**asdict(self), "data": data}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


#: Minutes on two cores, on pictures of 64 x 64.
QUICK = Settings(patients=40)
#: Hours; the published network at the data's own resolution.
REAL = Settings(model="resunet", start=32, batch=32, rounds=10, steps=1500, shrink=1, passes=8)
#: What another unit changes: a case is worth many slices.
CASES: dict[str, int] = {"start": 2, "batch": 2}
