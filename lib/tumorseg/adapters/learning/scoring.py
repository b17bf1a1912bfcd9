"""When scores are computed: when a strategy misses some, when another version serves than the one that said them.

Nothing here computes anything: a job of the kind ``score`` does, and leaves out what is known already. Trainings go
first: while one waits or runs the server begins no scoring, and stops one that it began; what was wanted is computed
after it, by the version that serves then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from tumorseg.active_learning.store import ScoreStore
from tumorseg.adapters.jobs.types import ENDED
from tumorseg.adapters.learning.columns import DETECTION_COLUMNS, PLAIN_COLUMNS, SEGMENTATION_COLUMNS
from tumorseg.adapters.learning.score import scores_path
from tumorseg.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from tumorseg.adapters.jobs.types import Job, JobState
    from tumorseg.adapters.learning.job_desk import JobDesk
    from tumorseg.adapters.learning.pool import ScorePool
    from tumorseg.adapters.models import ModelPool
    from tumorseg.config import AppConfig

#: The one method that viewers may start: all scores that strategies asked for so far, or the plain ones.
METHOD = "scores"
_COLUMNS = "columns"
#: Who asks where nobody does.
SERVER = "server"
#: How long the same scores are not asked for again after a job failed, left images out, or found nothing to do, s.
_AFTER_FAILURE_S = 600.0
#: How long the server begins none after somebody stopped what was scored, s.
_AFTER_STOP_S = 600.0
#: How long columns are not asked for again that the network turned out not to give, s.
_AFTER_NONE_S = 3600.0


class Scoring:
    """The scores of the served models.

    Args:
        config: where the state lies.
        jobs: does the work.
        models: what serves.
        pool: says which model is asked for what.
        images: says how many images there are.
    """

    def __init__(
        self, config: AppConfig, jobs: JobDesk, models: ModelPool, pool: ScorePool, images: Callable[[], int]
    ) -> None:
        self._models, self._jobs, self._pool, self._images = models, jobs, pool, images
        self._store = ScoreStore(scores_path(config.state))
        self._wanted: set[frozenset[str]] = set()
        self._lock = threading.Lock()
        self._paused_until = 0.0
        # Of each model whose scores are used: its version, and since when this server knows it, s since 1970.
        self._seen: dict[str, tuple[str, float]] = {}

    def describe(self) -> dict[str, dict[str, Any]]:
        """Describe what can be started, as ``GET /info/`` does."""
        return {METHOD: {"description": "What the model says of every image without a label", "config": {}}}

    def start(self, method: str, who: str) -> Job:
        """Have everything scored that is not, in its turn.

        Raises:
            NotFoundError: no such method.
            InputError: no model can be asked for scores.
        """
        if method != METHOD:
            raise NotFoundError(f"unknown scoring method {method[:80]!r}; known: {METHOD}")
        model = self._pool.model_for(SEGMENTATION_COLUMNS | DETECTION_COLUMNS)
        if model is None:
            raise InputError("expected a model with weights that can be asked for scores, this server has none yet")
        self._paused_until = 0.0
        return self._submit(model, self._used(model) or self._plain(model), who)

    def stop(self, who: str) -> dict[str, Any]:
        """Stop what runs and what waits, for somebody; strategies have none begun again for a while."""
        self._paused_until = time.monotonic() + _AFTER_STOP_S
        return self._jobs.stop("score", who)

    def want(self, columns: Collection[str]) -> None:
        """Note that a strategy misses scores; the next :meth:`look` has them computed."""
        with self._lock:
            self._wanted.add(frozenset(columns))

    def make_way(self) -> None:
        """Stop what the server itself has scored, for a training; it goes on where it was after that."""
        for job, state in self._jobs.all():
            if job.kind == "score" and job.who == SERVER and state.status not in ENDED:
                self.want(job.request.get(_COLUMNS, ()))
                self._jobs.cancel(job.id)

    def look(self) -> None:
        """Have computed what is missing: what strategies want, and what the versions say that serve now."""
        if any(job.kind == "train" and state.status not in ENDED for job, state in self._jobs.all()):
            return
        if time.monotonic() < self._paused_until:
            return
        with self._lock:
            wanted, self._wanted = self._wanted, set()
        try:
            self._have_computed(wanted)
        except BaseException:
            with self._lock:
                self._wanted |= wanted  # the next look tries again
            raise

    def _have_computed(self, wanted: Collection[frozenset[str]]) -> None:
        due: dict[str, set[str]] = {}
        for columns in wanted:
            if (model := self._pool.model_for(columns)) is not None:
                due.setdefault(model, set()).update(columns & self._pool.available(model))
        for model in self._models.names:
            if self._store.stamp(model) and (stale := self._stale(model)):
                due.setdefault(model, set()).update(stale)
        for model, missing in due.items():
            if missing and not self._is_on_its_way(model, missing):
                self._submit(model, missing, SERVER)

    def close(self) -> None:
        """Give back what is open."""
        self._store.close()

    def _stale(self, model: str) -> set[str]:
        """Return the columns that were used, where another version serves than the one that said them."""
        served = self._models.usable(model)
        if served is None:
            return set()  # it cannot be asked; its first request says why
        version, before = served.version, self._seen.get(model)
        if before is not None and before[0] == version:
            return set()
        self._seen[model] = (version, time.time() if before else 0.0)
        return set() if self._store.known(model, version) else self._used(model) or self._plain(model)

    def _used(self, model: str) -> set[str]:
        """Return what was asked for lately."""
        asked = [job.request.get(_COLUMNS, ()) for job, _ in self._jobs.all() if _is_of(job, model)]
        return {column for columns in asked for column in columns}

    def _plain(self, model: str) -> set[str]:
        found = self._pool.available(model)
        return set(found & PLAIN_COLUMNS or found)

    def _is_on_its_way(self, model: str, wanted: set[str]) -> bool:
        """Whether a job is to compute these, or has shown that it cannot."""
        return any(
            state.status not in ENDED or self._was_in_vain(model, wanted, state)
            for job, state in self._jobs.all()
            if _is_of(job, model) and wanted <= set(job.request.get(_COLUMNS, ()))
        )

    def _was_in_vain(self, model: str, wanted: set[str], state: JobState) -> bool:
        """Whether a job that ended a while ago would end in the same way.

        Not one that computed all there was: what is missing now came since, such as an image that was replaced.
        """
        version, since = self._seen.get(model, ("", 0.0))
        ended = state.ended or 0.0
        age = time.time() - ended  # below 0 where the clock was put back: nobody knows then
        if state.status == "ERROR":
            return ended > since and 0 <= age < _AFTER_FAILURE_S
        said = state.result
        same = said.get("version") == version and said.get("images") == self._images()
        if state.status != "DONE" or not same or age < 0:
            return False
        if not wanted <= set(said.get("columns", ())):
            return age < _AFTER_NONE_S
        # What it found to be there may be a score that is no number: a strategy misses that for ever.
        return age < _AFTER_FAILURE_S and (said.get("skipped", 0) > 0 or said.get("scored", 0) == 0)

    def _submit(self, model: str, columns: Collection[str], who: str) -> Job:
        return self._jobs.submit("score", model, {_COLUMNS: sorted(columns)}, who)


def _is_of(job: Job, model: str) -> bool:
    return job.kind == "score" and job.model == model
