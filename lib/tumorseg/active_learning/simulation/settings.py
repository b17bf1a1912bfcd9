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
#: Sides of the pictures are cut to a multiple of this, which every network here can halve often enough.
MULTIPLE = 16


@dataclass(frozen=True)
class Settings:
    """How the loop is replayed.

    Attributes:
        model: :data:`TINY`, or a registry name of a model that sees one slice at a time.
        unit: what is chosen: single slices, or whole cases.
        start: units that are labelled before anything is chosen, the same for every strategy.
        batch: units that are chosen in the first round.
        growth: how many times as many each further round chooses.
        rounds: trainings, the one on the start included.
        steps: of the optimiser in each training.
        warm: a training goes on from the weights of the round before, as the server's does; else from random values.
            The training on everything then takes as many steps as all rounds together.
        shrink: pixels on a side that become one.
        patients: most patients to choose from; None for all.
        passes: looks with dropout.
        noise: of the annotator's border, 0 for the truth; see :mod:`tumorseg.active_learning.simulation.annotator`.
    """

    model: str = TINY
    unit: Unit = "slice"
    start: int = 16
    batch: int = 32
    growth: float = 1.0
    rounds: int = 5
    steps: int = 250
    warm: bool = False
    shrink: int = 4
    patients: int | None = None
    passes: int = 5
    noise: float = 0.0

    def __post_init__(self) -> None:
        least = {"start": 1, "batch": 1, "rounds": 2, "steps": 1, "shrink": 1, "passes": 2}
        wrong = {name: getattr(self, name) for name, low in least.items() if getattr(self, name) < low}
        if wrong or self.unit not in ("slice", "case") or not 0 <= self.noise <= 1 or not 1 <= self.growth <= 4:
            raise InputError(
                f"expected at least {least}, a unit of slice or case, a noise in [0, 1] and a growth in [1, 4]; got "
                f"{wrong}, {self.unit!r}, {self.noise}, {self.growth}"
            )

    def batch_of(self, round_: int) -> int:
        """Return how many units are chosen after a round."""
        return round(self.batch * self.growth**round_)

    @property
    def last_units(self) -> int:
        """Units that are labelled in the last round."""
        return self.start + sum(self.batch_of(round_) for round_ in range(self.rounds - 1))

    @property
    def full_steps(self) -> int:
        """Steps of the training on everything: as many as a trajectory's last network has seen."""
        return self.steps * (self.rounds if self.warm else 1)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    def fingerprint(self, data: str) -> str:
        """Return what tells results of these settings on ``data`` from others."""
        text = json.dumps({**asdict(self), "data": data}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


#: Minutes on two cores, on pictures of 64 x 64.
QUICK = Settings(patients=40, rounds=4)
#: Hours on two cores; the published network by its own recipe, at half the data's resolution.
REAL = Settings(model="resunet", start=16, batch=16, growth=1.8, rounds=6, steps=300, warm=True, shrink=2)
#: What another unit changes: a case is worth many slices.
CASES: dict[str, int] = {"start": 2, "batch": 2}
