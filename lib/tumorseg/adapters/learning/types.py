"""What of the labels a training can use, and what not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tumorseg.labels.types import LabelVersion


@dataclass(frozen=True)
class LabelledCase:
    """An image and the version of its label that counts.

    Attributes:
        image: id of the image.
        patient: the unit of the split; the image itself where no patient is known.
        version: the label.
    """

    image: str
    patient: str
    version: LabelVersion


@dataclass(frozen=True)
class LeftOut:
    """A label that is not used, and one sentence why.

    Attributes:
        image: id of the image.
        label: uid of the label version.
        why: for people.
        implausible: whether the mask itself looks wrong (inverted), and not only unfit for this model.
    """

    image: str
    label: str
    why: str
    implausible: bool = False


@dataclass(frozen=True)
class Gathered:
    """What there is to learn from.

    Attributes:
        cases: in the order in which the images were first labelled.
        left_out: the rest.
    """

    cases: tuple[LabelledCase, ...]
    left_out: tuple[LeftOut, ...]
