"""What all engines share: context slices, padding, several volumes in one run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.models.base import Progress
from tumorseg.models.engines.rung import Rung, lower

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.models.slicewise import SlicewiseSpec


class Look:
    """One volume's share of a run of the network.

    Args:
        spec: the network.
        volume: ``(C, K, H, W)`` normalised voxels.
        progress: told (done, total) slices; what it raises ends this volume's share and nobody else's.
        only: ``(K,)``, the slices to look at; the others are 0.

    Attributes:
        probability: ``(K, H, W)``, or ``(K,)`` of a network that says one number of a slice.
        error: what ended the share early.
        rung: the lowest rung that a slice took, None where there is no ladder.
    """

    def __init__(
        self,
        spec: SlicewiseSpec,
        volume: NDArray[np.float32],
        progress: Progress | None = None,
        only: NDArray[np.bool_] | None = None,
        *,
        whole: bool = False,
    ) -> None:
        _, count, height, width = volume.shape
        self._slices = volume.transpose(1, 0, 2, 3)  # (K, C, H, W)
        self._pads = (_pad(height, spec.stride), _pad(width, spec.stride))
        self._around = np.arange(spec.slices) - spec.slices // 2
        self._progress, self._whole, self._done = progress, whole, 0
        self.chosen = np.arange(count) if only is None else np.flatnonzero(only)
        self.probability = np.zeros((count,) if whole else (count, height, width), np.float32)
        self.error: Exception | None = None
        self.rung: Rung | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the input."""
        height, width = self._slices.shape[2:]
        (top, bottom), (left, right) = self._pads
        return height + top + bottom, width + left + right

    @property
    def size(self) -> int:
        """Slices to look at."""
        return len(self.chosen)

    @property
    def nbytes(self) -> int:
        """Bytes of the slices and their probability."""
        return int(self._slices.nbytes + self.probability.nbytes)

    def restart(self) -> None:
        """Forget what a run that failed as a whole has left."""
        self._done, self.rung = 0, None

    def input(self, k: int) -> NDArray[np.float32]:
        """Return slice k with its neighbours, padded: ``(1, slices * C, H, W)``."""
        count, _, height, width = self._slices.shape
        one = self._slices[(k + self._around).clip(0, count - 1)]  # the outermost slices repeat
        one = one.reshape(1, -1, height, width)
        if any(map(any, self._pads)):
            one = np.pad(one, ((0, 0), (0, 0), *self._pads), mode="edge")
        return np.ascontiguousarray(one)

    def keep(self, k: int, probability: NDArray[np.float32], rung: Rung | None = None) -> None:
        """Take the answer ``(H, W)`` for slice k, or ``(1, 1)`` of a network that says one number of a slice."""
        if self.error is not None:
            return
        (top, _), (left, _) = self._pads
        height, width = self._slices.shape[2:]
        answer = probability[0, 0] if self._whole else probability[top : top + height, left : left + width]
        self.probability[k] = answer
        self.rung, self._done = lower(self.rung, rung), self._done + 1
        if self._progress:
            try:
                self._progress(self._done, len(self.chosen))
            except Exception as error:
                self.error = error


#: One slice of one volume: what is asked next.
Item = tuple[Look, int]
#: Takes the probabilities ``(H, W)`` of an item, and the rung it took.
Keep = Callable[[Item, "NDArray[np.float32]", Rung | None], None]


class SliceEngine(ABC):
    """Maps ``(C, K, H, W)`` normalised voxels to probabilities, of voxels or of whole slices, slice by slice."""

    def __init__(self, spec: SlicewiseSpec) -> None:
        self.spec = spec

    def __call__(
        self, prepared: NDArray[np.float32], progress: Progress | None = None, only: NDArray[np.bool_] | None = None
    ) -> NDArray[np.float32]:
        """Run the network over a volume; ``progress`` hears of every slice that is done.

        Args:
            prepared: ``(C, K, H, W)``.
            progress: told (done, total) slices.
            only: ``(K,)``, the slices to look at; the others are 0.
        """
        look = Look(self.spec, prepared, progress, only)
        self.look([look])
        if look.error is not None:
            raise look.error
        return look.probability

    def look(self, looks: Sequence[Look]) -> None:
        """Run the network over several volumes in one go; each gets what it would get alone.

        A volume whose ``progress`` raises is left at once and keeps the error; the others go on.
        """
        for look in looks:
            look.restart()
        by_size = sorted(looks, key=lambda look: look.shape)  # slices of one size can be stacked
        self.run(_items(by_size), lambda item, probability, rung: item[0].keep(item[1], probability, rung))

    @abstractmethod
    def run(self, items: Iterator[Item], keep: Keep) -> None:
        """Ask for one item after the other and hand every answer to ``keep``, in any order."""


def _items(looks: Sequence[Look]) -> Iterator[Item]:
    """Yield every slice that is still wanted when its turn comes."""
    for look in looks:
        for k in look.chosen:
            if look.error is not None:
                break
            yield look, int(k)


def _pad(side: int, stride: int) -> tuple[int, int]:
    extra = -side % stride
    return extra // 2, extra - extra // 2
