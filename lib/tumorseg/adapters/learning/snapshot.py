"""What one training learns from, fixed when it begins: ``cases.json`` in the folder of its job.

A training that was killed goes on with the same labels, whatever was saved since.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.adapters.learning.types import LeftOut
from tumorseg.io.files import write_atomically
from tumorseg.versions.types import CaseUsed

if TYPE_CHECKING:
    from tumorseg.active_learning.frozen import Part

_NAME = "cases.json"
#: Patients that the log names, those with the most images first.
_NAMED = 10


@dataclass(frozen=True)
class Snapshot:
    """The labels of one training.

    Attributes:
        cases: those that are used, with the part of their patient.
        left_out: the others.
        empty: images of the cases whose label says that there is no lesion.
    """

    cases: tuple[CaseUsed, ...]
    left_out: tuple[LeftOut, ...]
    empty: tuple[str, ...] = ()

    def of(self, part: Part) -> list[CaseUsed]:
        """Return the cases of one part."""
        return [case for case in self.cases if case.part == part]

    def lesions(self, part: Part) -> list[CaseUsed]:
        """Return the cases of one part that show a lesion."""
        return [case for case in self.of(part) if case.image not in self.empty]

    def without(self, unfit: Sequence[LeftOut]) -> Snapshot:
        """Return the snapshot with some of its cases among those that are left out."""
        labels = {label.label for label in unfit}
        cases = tuple(case for case in self.cases if case.label not in labels)
        return replace(self, cases=cases, left_out=(*self.left_out, *unfit))

    def lines(self) -> list[str]:
        """Say for people what is used and what is not."""
        parts = (f"{_counted(self.of('train'))} to learn from", f"{_counted(self.of('validation'))} to measure on")
        missing = [f"left out: {label.image} ({label.label[:8]}): {label.why}" for label in self.left_out]
        return [f"{', '.join(parts)}, {len(self.left_out)} left out", *missing]

    def grouping(self) -> list[str]:
        """Say whose the images are, as far as one line holds: who reads it sees whether names were understood."""
        if not self.cases:
            return []
        count = Counter(case.patient for case in self.cases).most_common()
        named = [f"{patient} ({images})" for patient, images in count[:_NAMED]]
        more = [f"and {len(count) - _NAMED} more"] if len(count) > _NAMED else []
        return [f"{_counted(self.cases)}: {', '.join([*named, *more])}"]

    def write(self, folder: Path) -> None:
        """Keep it."""
        write_atomically(folder / _NAME, json.dumps(asdict(self), indent=1).encode())


def read_snapshot(folder: Path) -> Snapshot | None:
    """Return what a training began with, None where it did not begin yet."""
    try:
        said = json.loads((folder / _NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Snapshot(
        tuple(CaseUsed(**case) for case in said["cases"]),
        tuple(LeftOut(**label) for label in said["left_out"]),
        tuple(said.get("empty", ())),  # a training that an older server began has none
    )


def _counted(cases: Sequence[CaseUsed]) -> str:
    patients = len({case.patient for case in cases})
    return f"{len(cases)} image{'' if len(cases) == 1 else 's'} of {patients} patient{'' if patients == 1 else 's'}"
