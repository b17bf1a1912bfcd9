"""What the simulated person did and what it led to, as typed rows; every figure and table is made of these."""

from __future__ import annotations

from dataclasses import dataclass

from tumorseg.interactive.prompts import Click


@dataclass(frozen=True)
class Step:
    """The mask after one more click.

    Attributes:
        click: what was clicked; None for the mask that the person began with.
        dice: volume Dice with the truth, over the image's own voxels.
        seconds: that the answer took, without finding out where to click and without the network between machines.
        changed: voxels that are marked now and were not before, or the other way round.
        elsewhere: lesions that were marked at least in part and that the click has nothing to do with
            (:mod:`tumorseg.evaluation.interactive.elsewhere`).
        harmed: those of them that lost a voxel that was marked correctly. Nobody wants one.
    """

    click: Click | None
    dice: float
    seconds: float = 0.0
    changed: int = 0
    elsewhere: int = 0
    harmed: int = 0


@dataclass(frozen=True)
class PatientClicks:
    """One patient, clicked until nothing was wrong or the clicks were used up.

    Attributes:
        patient: id.
        slices: of the volume.
        truth_voxels: size of the true tumour; at least 1.
        encode_s: seconds until the first click could be answered, without reading the image.
        steps: the start and every click that was made, in their order.
    """

    patient: str
    slices: int
    truth_voxels: int
    encode_s: float
    steps: tuple[Step, ...]

    @property
    def made(self) -> tuple[Step, ...]:
        """The clicks themselves, without the start."""
        return self.steps[1:]

    def dice_after(self, clicks: int) -> float:
        """Return the Dice after so many clicks; who has nothing left to correct keeps the mask."""
        return self.steps[min(clicks, len(self.steps) - 1)].dice

    def clicks_to(self, dice: float) -> int | None:
        """Return the fewest clicks after which the Dice was at least so much; None where it never was.

        0 for a start that is good enough. That it may have fallen again later does not count, as everywhere this
        figure (NoC) is reported.
        """
        return next((number for number, step in enumerate(self.steps) if step.dice >= dice), None)


@dataclass(frozen=True)
class ClickReport:
    """One model on one set of patients.

    Attributes:
        model: registry name.
        version: of weights and method.
        start: what the person began with, ``auto`` or ``nothing``.
        limit: clicks after which the person gives up.
        noisy: pixels by which the hand missed at most.
        rows: patients with a tumour.
        without_tumour: patients that have none; there is no Dice to raise, and they are left out.
        without_truth: patients that nobody annotated.
    """

    model: str
    version: str
    start: str
    limit: int
    noisy: int
    rows: tuple[PatientClicks, ...]
    without_tumour: int = 0
    without_truth: int = 0
