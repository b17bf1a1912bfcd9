"""Strategies that think for longer than a request should take: they choose a few cases ahead, behind the requests.

The next batch is chosen in a thread, from what was known when it began; requests take its cases one after the other,
as far as nobody else has them. Each request that finds the state of things changed has the batch chosen anew. Before
the first batch is there a case is given by lot, as on the first day. Few enough cases are chosen from at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.vectors import finite_rows

if TYPE_CHECKING:
    from tumorseg.active_learning.types import Candidates, Strategy

logger = logging.getLogger(__name__)

#: Strategies of the registry that are too slow to choose while somebody waits: they cluster all vectors.
SLOW = frozenset({"typiclust"})
#: Cases that are chosen at once.
AHEAD = 16
#: Up to this many distances between candidates and what is labelled a choice takes a few milliseconds.
AT_ONCE = 5_000
#: And up to so many candidates: before there are labels the neighbours of each are sought among all of them.
FEW = 500


@dataclass(frozen=True)
class _Plan:
    """Cases in the order in which they are to be given.

    Attributes:
        version: of the model whose vectors it was made from.
        state: of things when it was begun.
        images: the cases.
    """

    version: Hashable
    state: Hashable
    images: tuple[str, ...]


class Ahead:
    """A slow strategy, asked for one case at a time.

    Args:
        strategy: chooses.
        at_once: see :data:`AT_ONCE`.
    """

    def __init__(self, strategy: Strategy, at_once: int = AT_ONCE) -> None:
        self._strategy, self._at_once = strategy, at_once
        self._plan: _Plan | None = None
        self._thinking = threading.Lock()
        self._thread: threading.Thread | None = None

    def choose(
        self,
        images: Sequence[str],
        candidates: Candidates,
        version: Hashable,
        state: Hashable,
        rng: np.random.Generator,
    ) -> int:
        """Return the index of one candidate, at once.

        Args:
            images: N ids of the candidates.
            candidates: what is known of them.
            version: of the model; cases chosen by another one's vectors are not given.
            state: differs once another choice might be better.
            rng: of this request.
        """
        labelled = 0 if candidates.labelled is None else len(candidates.labelled)
        is_soon_done = len(images) <= FEW and len(images) * (labelled + 1) <= self._at_once
        if is_soon_done or candidates.embeddings is None:
            return int(self._strategy.select(candidates, 1, rng)[0])
        plan = self._plan
        if plan is not None and plan.version != version:
            plan = None
        if plan is None or plan.state != state:
            self._think(tuple(images), candidates, version, state, rng.spawn(1)[0])
        places = {image: place for place, image in enumerate(images)}
        known = set(finite_rows(candidates.embeddings).tolist())
        wanted = (places[image] for image in (plan.images if plan else ()) if image in places)
        found = next((place for place in wanted if place in known), None)
        return int(rng.integers(len(images))) if found is None else found

    def close(self) -> None:
        """Wait for what is being thought of."""
        if self._thread is not None:
            self._thread.join(10)

    def _think(
        self,
        images: tuple[str, ...],
        candidates: Candidates,
        version: Hashable,
        state: Hashable,
        rng: np.random.Generator,
    ) -> None:
        """Choose the next batch in a thread, unless one does already."""
        if not self._thinking.acquire(blocking=False):
            return

        def think() -> None:
            try:
                chosen = self._strategy.select(candidates, AHEAD, rng)
                self._plan = _Plan(version, state, tuple(images[place] for place in chosen))
            except Exception:  # nobody waits for this thread: without a word the strategy would choose by lot for ever
                logger.exception("%s could not choose ahead", self._strategy.name)
            finally:
                self._thinking.release()

        thread = threading.Thread(target=think, name=f"choose-{self._strategy.name}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread left: the next request tries again
            self._thinking.release()
            logger.warning("%s does not choose ahead: %s", self._strategy.name, error)
            return
        self._thread = thread
