"""How good a model is on labelled cases: its own answers, on the images' own grids, as whoever asks it gets them.

Every figure is kept in ``measured.json`` at once, so that a training that was killed does not measure twice.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.io.files import write_atomically
from tumorseg.metrics.overlap import dice
from tumorseg.metrics.pair import Pair
from tumorseg.models.regrid import regrid

if TYPE_CHECKING:
    from tumorseg.adapters.learning.volumes import CaseReader, LabelledStudy
    from tumorseg.models.base import Model
    from tumorseg.versions.types import CaseUsed

_NAME = "measured.json"


class Measurements:
    """The figures of one training's models.

    Args:
        folder: of the training's job.
        reader: of its cases.
        between: called before every image; what it raises ends the measuring.
    """

    def __init__(self, folder: Path, reader: CaseReader, between: Callable[[], None]) -> None:
        self._path, self._reader, self._between = folder / _NAME, reader, between
        self._dice: dict[str, dict[str, float]] = {}
        if self._path.exists():
            self._dice = json.loads(self._path.read_text(encoding="utf-8"))

    def by_patient(self, weights: str, model: Callable[[], Model], cases: Sequence[CaseUsed]) -> dict[str, float]:
        """Return patient -> Dice in [0, 1], the mean over those images of the patient that are among the cases.

        Args:
            weights: names the weights, so that figures of others are not taken for theirs.
            model: makes the model; not called where everything is measured already.
            cases: to measure on.
        """
        known = self._dice.setdefault(weights, {})
        missing = [case for case in cases if case.image not in known]
        built = model() if missing else None
        for case in missing:
            self._between()
            assert built is not None
            known[case.image] = case_dice(built, self._reader.read(case))
            write_atomically(self._path, json.dumps(self._dice, indent=1).encode())
        patients = dict.fromkeys(case.patient for case in cases)
        return {
            patient: float(np.mean([known[case.image] for case in cases if case.patient == patient]))
            for patient in patients
        }

    def exact(self, weights: str, cases: Sequence[CaseUsed]) -> int:
        """Count the cases, measured already, whose label is the model's answer voxel for voxel."""
        known = self._dice.get(weights, {})
        return sum(known.get(case.image) == 1 for case in cases)


def case_dice(model: Model, study: LabelledStudy) -> float:
    """Return Dice of a model's answer; 1 where there is nothing to find and nothing is found."""
    found = regrid(model.predict(study.image), study.grid).segmentation
    return dice(Pair(study.mask, found.voxels > 0))
