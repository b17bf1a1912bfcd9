"""A study between the steps of a :class:`tumorseg.models.base.StagedModel`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tumorseg.geometry import Grid


class Share(Protocol):
    """A study's share of a run of a network; see :class:`tumorseg.models.engines.base.Look`."""

    error: Exception | None

    @property
    def size(self) -> int: ...  # noqa: D102

    @property
    def nbytes(self) -> int: ...  # noqa: D102


L = TypeVar("L", bound=Share)


@dataclass(eq=False)
class StartedStudy(Generic[L]):
    """A study on its way through a model.

    Attributes:
        grid: the image's own.
        look: its share of a run of the network.
        latencies: seconds by step.
    """

    grid: Grid
    look: L
    latencies: dict[str, float]

    @property
    def error(self) -> Exception | None:
        """What ended its share of the run."""
        return self.look.error

    @property
    def size(self) -> int:
        """Slices to look at."""
        return self.look.size

    @property
    def nbytes(self) -> int:
        """Memory that its share holds."""
        return self.look.nbytes
