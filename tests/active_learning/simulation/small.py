"""A simulation that takes a second: few made-up patients, a few steps of the small network."""

from __future__ import annotations

from tumorseg.active_learning.simulation.data import Patients
from tumorseg.active_learning.simulation.phantoms import phantoms
from tumorseg.active_learning.simulation.settings import Settings

SETTINGS = Settings(start=4, batch=3, rounds=3, steps=2, shrink=1, passes=2)


def patients(count: int = 7) -> Patients:
    made = phantoms(count)
    return Patients(tuple(made[2:]), tuple(v for v in made[:2] if v.mask.any()), "small")
