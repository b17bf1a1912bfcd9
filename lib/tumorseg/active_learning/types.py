"""What a strategy chooses from, and what a strategy is.

A candidate is a slice of a patient or a whole case; a strategy does not care which. What is known of the candidates
are columns of numbers (NaN where a candidate was not scored) and vectors; a strategy names the columns that it looks
at, so that nobody computes what nobody reads, and chooses without them where they are missing (the cold start).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Columns of a segmentation (tumorseg.active_learning.scoring).
ENTROPY, MARGIN, BALD, TTA, FOREGROUND = "entropy", "margin", "bald", "tta", "foreground"
#: Columns of a detection (tumorseg.active_learning.detection_scoring).
DETECTION_MARGIN, LOCALISATION = "detection_margin", "localisation"
#: Not a column of numbers but the vectors (tumorseg.active_learning.embedding).
EMBEDDING = "embedding"


@dataclass(frozen=True, eq=False)
class Candidates:
    """What could be labelled next. The arrays are seen through read-only views.

    Attributes:
        groups: N names, the patient of each candidate.
        positions: ``(N,)`` index of the slice in its volume; 0 for whole cases.
        scores: column -> ``(N,)``, higher is more worth labelling; NaN where there is none.
        embeddings: ``(N, D)`` vectors of the network's encoder, a row of NaN where there is none, or None.
        labelled: ``(M, D)`` vectors of what has a label already, or None.
        progress: part of the budget that is used, in [0, 1]; for strategies that change over the rounds.
    """

    groups: tuple[str, ...]
    positions: NDArray[np.intp]
    scores: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    embeddings: NDArray[np.float64] | None = None
    labelled: NDArray[np.float64] | None = None
    progress: float = 0.0

    def __post_init__(self) -> None:
        count = len(self.groups)
        columns = {name: _view(values, np.float64) for name, values in self.scores.items()}
        wrong = {name: column.shape for name, column in columns.items() if column.shape != (count,)}
        positions = _view(self.positions, np.intp)
        if wrong or positions.shape != (count,):
            raise InputError(
                f"expected ({count},) positions and scores, got {positions.shape} and {wrong or 'fitting'}"
            )
        if not 0 <= self.progress <= 1:
            raise InputError(f"expected a progress in [0, 1], got {self.progress}")
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "scores", MappingProxyType(columns))
        self._check_vectors(count)

    def _check_vectors(self, count: int) -> None:
        own = None if self.embeddings is None else _view(self.embeddings, np.float64)
        others = None if self.labelled is None else _view(self.labelled, np.float64)
        if own is not None and (own.ndim != 2 or len(own) != count):
            raise InputError(f"expected ({count}, D) embeddings, got {own.shape}")
        if own is not None and others is not None and (others.ndim != 2 or others.shape[1] != own.shape[1]):
            raise InputError(f"expected labelled embeddings (M, {own.shape[1]}), got {others.shape}")
        object.__setattr__(self, "embeddings", own)
        object.__setattr__(self, "labelled", others)

    def __len__(self) -> int:
        return len(self.groups)

    def column(self, name: str) -> NDArray[np.float64] | None:
        """Return the scores called ``name``; None where there are none, not even for one candidate."""
        column = self.scores.get(name)
        return None if column is None or np.isnan(column).all() else column


#: Takes the candidates, how many (1 to N), and the source of randomness; returns so many different indices, in order.
Rule = Callable[[Candidates, int, np.random.Generator], "NDArray[np.intp]"]


@dataclass(frozen=True)
class Strategy:
    """A way of choosing.

    Attributes:
        name: registry name.
        description: one sentence for a viewer's list.
        rule: chooses; pure, all randomness comes from the generator.
        needs: the columns, and :data:`EMBEDDING`, that it looks at.
    """

    name: str
    description: str
    rule: Rule
    needs: frozenset[str] = frozenset()

    def select(self, candidates: Candidates, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return ``(min(k, N),)`` different indices of the candidates, the one most worth labelling first.

        Raises:
            InputError: k is negative.
        """
        if k < 0:
            raise InputError(f"expected a number of candidates to choose of 0 or more, got {k}")
        count = min(k, len(candidates))
        return self.rule(candidates, count, rng) if count else np.empty(0, np.intp)


def _view(values: Any, kind: type) -> NDArray[Any]:
    view: NDArray[Any] = np.asarray(values, dtype=kind).view()
    view.flags.writeable = False
    return view
