"""The scores as requests use them: of the version that serves, of images as they are now, unpacked once.

A request costs a look at the store's stamp; rows are read and unpacked again only after something was written. Who
finds scores missing says so to :attr:`ScorePool.want_scores` and goes on without: nothing is computed here.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.table import ScoreTable
from tumorseg.adapters.learning.columns import PLAIN_COLUMNS, columns_of
from tumorseg.errors import StorageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.active_learning.store import ScoreStore
    from tumorseg.adapters.learning.states import ImageStates
    from tumorseg.adapters.models import ModelPool

logger = logging.getLogger(__name__)
#: How long what is missing is not asked for again while nothing changed, s: the first time nothing may have come of it.
ASK_AGAIN_S = 60.0
#: While a scoring runs a row comes every moment. So many of them are unpacked anew at most this often, s: of 2,000 that
#: takes a tenth of a second, for which every request would wait.
MANY, REREAD_S = 500, 2.0


@dataclass(frozen=True, eq=False)
class Scored:
    """What the serving version of a model said.

    Attributes:
        model: registry name.
        version: of its weights.
        available: the columns that it can be asked for.
        table: its rows.
        stamp: differs once a row does.
    """

    model: str
    version: str
    available: frozenset[str]
    table: ScoreTable
    stamp: str


class ScorePool:
    """The scores of a server's models.

    Args:
        store: where they lie.
        states: how the images look now.
        models: what is served.

    Attributes:
        want_scores: told which columns are missing; returns at once.
    """

    def __init__(self, store: ScoreStore, states: ImageStates, models: ModelPool) -> None:
        self.want_scores: Callable[[frozenset[str]], object] | None = None
        self.states = states
        self._store, self._models = store, models
        self._available: dict[str, frozenset[str]] = {}
        self._known: dict[str, Scored] = {}
        self._read_at: dict[str, float] = {}
        self._asked: dict[frozenset[str], tuple[tuple[object, ...], float]] = {}
        self._lock = threading.Lock()

    def model_for(self, columns: Collection[str]) -> str | None:
        """Return the first served model that can be asked for one of these columns, None where there is none."""
        wanted = frozenset(columns)
        return next((name for name in self._models.names if wanted & self.available(name)), None)

    def available(self, name: str) -> frozenset[str]:
        """Return what a served model can be asked for; nothing while it cannot be loaded."""
        if name not in self._available:
            model = self._models.usable(name)
            if model is None:
                return frozenset()
            self._available[name] = columns_of(model)
        return self._available[name]

    def scored(self, columns: Collection[str]) -> Scored | None:
        """Return what the model that can be asked for these columns said; None where no model can.

        A store that cannot be read is said in the log and counts as empty: the next case is given all the same.
        """
        name = self.model_for(columns)
        if name is None:
            return None
        version = self._models.get(name).version
        try:
            stamp = self._store.stamp(name)
            with self._lock:
                known = self._known.get(name)
                if known is None or known.version != version or (known.stamp != stamp and self._is_due(known)):
                    table = ScoreTable.of(self._store.known(name, version))
                    known = self._known[name] = Scored(name, version, self.available(name), table, stamp)
                    self._read_at[name] = time.monotonic()
                return known
        except StorageError as error:
            logger.warning("strategies choose without scores: %s", error)
            return Scored(name, version, self.available(name), ScoreTable.of({}), "")

    def _is_due(self, known: Scored) -> bool:
        return len(known.table.places) < MANY or time.monotonic() - self._read_at[known.model] >= REREAD_S

    def fresh(self, scored: Scored, images: Sequence[str]) -> NDArray[np.intp]:
        """Return ``(N,)`` the row of each image in the table, -1 where it has none that counts."""
        return scored.table.fresh(images, self.states.current())

    def want(self, scored: Scored, columns: frozenset[str], images: int) -> None:
        """Ask for columns that are missing; seldom while nothing changed, as an image may never get any."""
        asked, now = (scored.model, scored.version, scored.stamp, images), time.monotonic()
        before, at = self._asked.get(columns, ((), 0.0))
        if self.want_scores is None or not columns or (before == asked and now - at < ASK_AGAIN_S):
            return
        self._asked[columns] = (asked, now)
        self.want_scores(columns)

    def progress(self, images: Sequence[str], columns: Collection[str] = PLAIN_COLUMNS) -> Mapping[str, object]:
        """Say of how many of the images there are scores, for ``/info/``; empty where no model can be asked."""
        scored = self.scored(columns)
        if scored is None:
            return {}
        done = int((self.fresh(scored, images) >= 0).sum())
        return {"model": scored.model, "version": scored.version, "scored": done, "total": len(images)}

    def close(self) -> None:
        """Give back what is open."""
        self.states.close()
        self._store.close()
