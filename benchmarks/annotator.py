"""A simulated person in a viewer: clicks where the largest error is, and sends all points each time, as OHIF does."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import masks
from benchmarks.load.tally import quantile
from benchmarks.viewers import ask_ohif
from tumorseg.errors import UnavailableError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

Points = list[list[int]]
#: Positive and negative points -> what a viewer's tool puts into the request.
Dialect = Callable[[Points, Points], Mapping[str, Any]]


def deepgrow(positive: Points, negative: Points) -> Mapping[str, Any]:
    """Say it as OHIF's tool for models of the type ``deepgrow`` does."""
    return {"foreground": positive, "background": negative}


def deepedit(label: str, background: str) -> Dialect:
    """Return how the tool for models of the type ``deepedit`` says it: a list for each label."""
    return lambda positive, negative: {label: positive, background: negative}


@dataclass(frozen=True, eq=False)
class Answered:
    """One click.

    Attributes:
        seconds: from sending the request to having read the answer.
        mask: ``(K, J, I)`` bool, what came back.
        sha256: of the answer's bytes.
        at: seconds of :func:`time.perf_counter` when it was sent.
    """

    seconds: float
    mask: Mask
    sha256: str
    at: float


@dataclass
class Annotator:
    """One person at one study.

    Attributes:
        address: of the server.
        model: its name there.
        image: what is clicked on.
        truth: ``(K, J, I)`` bool, what the person wants.
        dialect: how points are said.
        mask: what the person sees; nothing before the first answer.
    """

    address: str
    model: str
    image: str
    truth: Mask
    dialect: Dialect = deepgrow
    mask: Mask | None = None
    positive: Points = field(default_factory=list)
    negative: Points = field(default_factory=list)

    def click(self) -> Answered | None:
        """Click once; None where nothing is wrong any more."""
        from tumorseg.interactive.robot import next_click

        click = next_click(self.truth & False if self.mask is None else self.mask, self.truth)
        if click is None:
            return None
        (self.positive if click.positive else self.negative).append(list(click.at))
        answer = self.ask()
        self.mask = answer.mask
        return answer

    def ask(self) -> Answered:
        """Send all points."""
        at = time.perf_counter()
        answer = ask_ohif(self.address, self.model, self.image, self.dialect(self.positive, self.negative))
        voxels, _ = masks.read_nrrd(answer.nrrd)
        if voxels.shape != self.truth.shape:
            raise UnavailableError(f"expected a mask {self.truth.shape} (K, J, I), got {voxels.shape} of {self.image}")
        return Answered(answer.seconds, voxels > 0, hashlib.sha256(answer.nrrd).hexdigest(), at)

    @property
    def dice(self) -> float:
        """Overlap of what is seen with what is wanted."""
        from tumorseg.metrics.overlap import dice
        from tumorseg.metrics.pair import Pair

        return dice(Pair(self.truth, self.truth & False if self.mask is None else self.mask))


def latency(seconds: Sequence[float]) -> dict[str, float]:
    """Return count, median, 95th percentile and largest, milliseconds."""
    if not seconds:
        raise UnavailableError("the person found nothing left to correct, and no such click was timed: ask for fewer")
    told = {"median_ms": median(seconds), "p95_ms": quantile(seconds, 0.95), "max_ms": max(seconds)}
    return {"count": len(seconds), **{name: round(1000 * value, 1) for name, value in told.items()}}
