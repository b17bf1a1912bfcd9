"""Which image an annotator is shown next: the strategies of :mod:`tumorseg.active_learning` over whole cases.

A strategy chooses one case from those that nobody else works on and that have no final label, or rejected ones alone,
by what the score store holds for the version that serves. It computes nothing and waits for nothing: where scores are
missing it asks for them and chooses as it does on the first day. What is labelled, and what others are labelling now,
is what diversity looks away from. MONAI Label's own ``random`` raises once every image was shown (all its weights are 0
then); these do not.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from monailabel.interfaces.tasks.strategy import Strategy as MonaiStrategy

from tumorseg.active_learning.store import ScoreStore
from tumorseg.active_learning.strategies.foreground_random import SHARE
from tumorseg.active_learning.types import EMBEDDING, FOREGROUND, Candidates, Strategy
from tumorseg.adapters.datastore import FINAL
from tumorseg.adapters.learning.ahead import SLOW, Ahead
from tumorseg.adapters.learning.columns import DETECTION_COLUMNS
from tumorseg.adapters.learning.pool import Scored, ScorePool
from tumorseg.adapters.learning.score import scores_path
from tumorseg.adapters.learning.shown import Shown
from tumorseg.adapters.learning.states import ImageStates
from tumorseg.registry import DEFAULT_STRATEGY, STRATEGIES, load_strategy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.adapters.datastore import StudyDatastore
    from tumorseg.adapters.models import ModelPool
    from tumorseg.adapters.sources import ImageSource
    from tumorseg.config import AppConfig

#: What ``in_order`` was called before there were others.
OLD_NAMES = {"first": "in_order"}
#: Who asks again is given the same case again: their place in the list is where they were.
_IN_ORDER = "in_order"
#: How often another case is chosen because the one chosen has changed since it was scored.
_MOST_CHANGED = 8


class CaseStrategy(MonaiStrategy):  # type: ignore[misc]
    """A strategy of the registry, over whole cases.

    Args:
        strategy: chooses.
        pool: the scores.
        shown: who was shown what.
        seeds: of what is drawn; each request has a generator of its own.
    """

    def __init__(self, strategy: Strategy, pool: ScorePool, shown: Shown, seeds: np.random.SeedSequence) -> None:
        super().__init__(strategy.description)
        self._strategy, self._pool, self._shown = strategy, pool, shown
        self._seeds, self._drawing = seeds, threading.Lock()
        self._ahead = Ahead(strategy) if strategy.name in SLOW else None

    def __call__(self, request: dict[str, Any], datastore: StudyDatastore) -> dict[str, Any] | None:
        """Choose one case.

        Args:
            request: ``leave_out`` names the images that others work on, ``who`` the one who asks.
            datastore: images and labels.

        Returns:
            ``id``, ``score`` (None where it was not chosen by one) and ``scoring``, which says by what version of which
            model it was chosen, and how many of how many cases it has scored; None where no case is left.
        """
        taken, who = frozenset(request.get("leave_out", ())), str(request.get("who") or "")
        images, labelled = datastore.list_images(), datastore.labels.done(FINAL)
        free = [image for image in images if image not in labelled and image not in taken]
        if not free:
            return None
        if self._strategy.name != _IN_ORDER:
            free = self._shown.others(free, who)
        done = [image for image in images if image in labelled or image in taken]
        chosen = self._chosen(free, done, len(labelled.intersection(images)), len(images))
        self._shown.show(chosen["id"], who)
        return chosen

    def _chosen(self, free: list[str], done: list[str], labelled: int, images: int) -> dict[str, Any]:
        progress = labelled / images
        scored = self._pool.scored(self._strategy.needs) if self._strategy.needs else None
        rng = self._generator()
        if scored is None:
            index = self._strategy.select(_candidates(free, {}, None, None, progress), 1, rng)[0]
            return {"id": free[index], "score": None, "scoring": {}}
        rows, others = self._pool.fresh(scored, free), self._pool.fresh(scored, done)
        for _ in range(_MOST_CHANGED):
            known = self._known(free, scored, rows, others, progress, rng)
            if self._ahead is None:
                index = int(self._strategy.select(known, 1, rng)[0])
            else:
                now = (scored.stamp, frozenset(done))
                index = self._ahead.choose(free, known, (scored.model, scored.version), now, rng)
            if rows[index] < 0 or self._is_as_scored(scored, free[index], rows[index]):
                break
            rows[index] = -1
        self._ask_for_missing(scored, rows, others, images)
        return {
            "id": free[index],
            "score": self._score(scored, rows[index : index + 1]),
            "scoring": {
                "model": scored.model,
                "version": scored.version,
                "scored": int((rows >= 0).sum()),
                "total": len(free),
            },
        }

    def _known(
        self,
        free: list[str],
        scored: Scored,
        rows: NDArray[np.intp],
        others: NDArray[np.intp],
        progress: float,
        rng: np.random.Generator,
    ) -> Candidates:
        """Return the candidates with what is known of them."""
        needs = self._strategy.needs
        columns = needs - {EMBEDDING}
        if FOREGROUND in columns and rng.random() >= SHARE:
            columns -= {FOREGROUND}  # one case cannot be two thirds tumour: of three requests two look for it
        scores = {name: scored.table.column(name, rows) for name in columns}
        if EMBEDDING not in needs:
            return _candidates(free, scores, None, None, progress)
        return _candidates(free, scores, scored.table.vectors(rows), scored.table.vectors(others), progress)

    def _is_as_scored(self, scored: Scored, image: str, row: int) -> bool:
        return self._pool.states.now(image) == scored.table.fingerprints[row]

    def _ask_for_missing(self, scored: Scored, rows: NDArray[np.intp], others: NDArray[np.intp], images: int) -> None:
        """Ask for what the candidates lack, and for the vectors of the labelled where diversity needs them."""
        wanted = self._strategy.needs & scored.available
        if scored.table.lacks(wanted, rows) or (EMBEDDING in wanted and scored.table.lacks({EMBEDDING}, others)):
            self._pool.want(scored, wanted, images)

    def _score(self, scored: Scored, row: NDArray[np.intp]) -> float | None:
        """Return the number that the case was chosen by, where that is one number."""
        columns = sorted(self._strategy.needs - {EMBEDDING, FOREGROUND})
        value = float(scored.table.column(columns[0], row)[0]) if len(columns) == 1 else np.nan
        return None if np.isnan(value) else round(value, 6)

    def close(self) -> None:
        """Wait for what is chosen ahead."""
        if self._ahead is not None:
            self._ahead.close()

    def _generator(self) -> np.random.Generator:
        with self._drawing:
            return np.random.default_rng(self._seeds.spawn(1)[0])


class Strategies(Mapping[str, CaseStrategy]):
    """The strategies of a server by the names that viewers show, the default one first.

    Those that ask a detector are offered where one is served, which is known once the models are loaded.

    Attributes:
        pool: the scores that they go by.
    """

    def __init__(self, pool: ScorePool, lease_minutes: float = 30, seed: int | None = None) -> None:
        self.pool = pool
        shown = Shown(60 * lease_minutes)
        names = dict.fromkeys((DEFAULT_STRATEGY, *STRATEGIES))
        made = {name: load_strategy(name) for name in names}
        seeds = np.random.SeedSequence(seed).spawn(len(made))
        by_name = {
            name: CaseStrategy(strategy, pool, shown, own)
            for (name, strategy), own in zip(made.items(), seeds, strict=True)
        }
        self._all = by_name | {old: by_name[new] for old, new in OLD_NAMES.items()}
        self._of_detectors = {name for name, one in made.items() if one.needs and one.needs <= DETECTION_COLUMNS}

    @classmethod
    def open(cls, config: AppConfig, source: ImageSource, models: ModelPool) -> Strategies:
        """Open the scores of a server's state folder; nothing is looked at yet."""
        return cls(ScorePool(ScoreStore(scores_path(config.state)), ImageStates(source), models), config.lease_minutes)

    def __getitem__(self, name: str) -> CaseStrategy:
        if name in self._of_detectors and self.pool.model_for(DETECTION_COLUMNS) is None:
            raise KeyError(name)
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._all if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def close(self) -> None:
        """Give back what is open."""
        for strategy in self._all.values():
            strategy.close()
        self.pool.close()


def _candidates(
    images: Collection[str],
    scores: Mapping[str, NDArray[np.float64]],
    embeddings: NDArray[np.float64] | None,
    labelled: NDArray[np.float64] | None,
    progress: float,
) -> Candidates:
    """Whole cases: each is a patient of its own here, and has no neighbours."""
    positions = np.zeros(len(images), np.intp)
    return Candidates(tuple(images), positions, scores, embeddings, labelled, min(max(progress, 0.0), 1.0))
