"""What a server does about learning: trainings that people ask for and those that enough labels start, and scores.

The work itself is done by jobs in processes of their own (:mod:`tumorseg.adapters.jobs`). Here is decided which jobs
there are to be, and what is said of them. A server that serves has two threads for it: one runs jobs, one looks once a
second whether labels or versions changed, by whatever server or tool. Neither exists in a program that only opens the
workplace.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.learning import statistics
from tumorseg.adapters.learning.again import Failed, failed, took
from tumorseg.adapters.learning.attendant import Attendant
from tumorseg.adapters.learning.enough import require_labels
from tumorseg.adapters.learning.job_desk import JobDesk
from tumorseg.adapters.learning.news import NewLabels
from tumorseg.adapters.learning.scoring import Scoring
from tumorseg.adapters.learning.train_params import train_config, train_request
from tumorseg.errors import InputError, NotFoundError, StorageError, TumorSegError

if TYPE_CHECKING:
    from tumorseg.adapters.jobs.types import Job, JobState
    from tumorseg.adapters.labels import LabelStore
    from tumorseg.adapters.learning.pool import ScorePool
    from tumorseg.adapters.models import ModelPool
    from tumorseg.adapters.sources import ImageSource
    from tumorseg.config import AppConfig
    from tumorseg.models.slicewise import SlicewiseSpec

logger = logging.getLogger(__name__)
_TELL_EVERY_S = 60.0
#: Of what came out of a job, what may stand in the server's log beside figures.
_PLAIN = ("version", "status")


class LearningDesk:
    """Trainings and scores of one server.

    Args:
        config: what is served.
        source: where images come from.
        labels: what is learned from.
        models: what serves.
        pool: the scores as strategies use them; it is told whom to ask for those that are missing.

    Attributes:
        jobs: those of the state folder, also of other servers that use it.
        scoring: what models say of images without a label.
    """

    def __init__(
        self, config: AppConfig, source: ImageSource, labels: LabelStore, models: ModelPool, pool: ScorePool
    ) -> None:
        from tumorseg.adapters.jobs.runner import JobRunner

        self._config, self._source, self._labels = config, source, labels
        self._models = models
        self.jobs = JobDesk(JobRunner(config, self._ended))
        self.scoring = Scoring(config, self.jobs, models, pool, lambda: len(source.ids()))
        self._news = NewLabels(labels.history.database)
        self._trainings_ended = 0
        # What was looked at: the newest label, up to which one the model has learned, and how many trainings had ended.
        self._seen = (-1, 0, 0)
        self._tell_at = 0.0
        self._attendant = Attendant(self._look, "learning")
        self._said: dict[str, tuple[object, dict[str, Any]]] = {}
        self._states = pool.states
        pool.want_scores = self.want_scores

    def start(self) -> None:
        """Run jobs, and look after labels and versions, from now on."""
        self._states.start()  # so that the first request need not wait for it
        self.jobs.runner.start()
        self._attendant.start()

    def close(self) -> None:
        """Stop both; a job that runs is put back and goes on with the next start."""
        self._attendant.close()
        self.jobs.runner.close()
        self.scoring.close()

    @cached_property
    def specs(self) -> dict[str, SlicewiseSpec]:
        """The served models that can be trained, the default one first; from then on the same."""
        from tumorseg.adapters.learning.trainers import trainable

        return trainable(self._config)

    def trainers(self) -> dict[str, dict[str, Any]]:
        """Describe what can be trained, as ``GET /info/`` does."""
        config = train_config(self._config)
        return {
            name: {
                "description": f"Learns from the final labels: {spec.description}",
                "labels": dict(spec.labels),
                "config": config,
            }
            for name, spec in self.specs.items()
        }

    def train(self, model: str, params: Mapping[str, Any] | None, who: str) -> Job:
        """Ask for a training on the labels that there will be when it begins.

        Raises:
            NotFoundError: no such model, or it cannot be trained here.
            InputError: settings that cannot be, or no labels that it could learn from.
            OSError: the state folder cannot be written.
        """
        return self._train({model: self._request(model, params)}, who)[model]

    def train_named(self, params: Mapping[str, Any] | None, who: str) -> dict[str, Job]:
        """Ask for a training of every model that has settings in ``params``, of the default one where none has.

        Raises:
            NotFoundError, InputError, OSError: as :meth:`train`; then none is asked for.
        """
        said = dict(params or {})
        for name in self.specs:
            if not isinstance(said.get(name, {}), Mapping):
                raise InputError(f"expected the settings of {name} as an object, got {type(said[name]).__name__}")
        names = [name for name, value in said.items() if isinstance(value, Mapping)] or list(self.specs)[:1]
        return self._train({name: self._request(name, said.get(name)) for name in names}, who)

    def label_saved(self) -> None:
        """Look soon whether there are enough new labels; returns at once."""
        self._attendant.call()

    def want_scores(self, columns: Collection[str]) -> None:
        """Have scores computed that a strategy misses; returns at once."""
        self.scoring.want(columns)
        self._attendant.call()

    def stats(self) -> dict[str, dict[str, Any]]:
        """Return ``train_stats`` of ``GET /info/``."""
        return statistics.train_stats(self.jobs.all(), time.time())

    def versions(self) -> dict[str, dict[str, Any]]:
        """Say of every served model which version answers and how many there are; read anew when one changed."""
        trained = tuple((job.id, state.status) for job, state in self.jobs.all() if job.kind == "train")
        return {name: self._versions(name, trained) for name in self._models.names}

    def new_labels(self) -> dict[str, int]:
        """Return how many labels each trainer has not learned from yet."""
        return {name: self._news.count(name) for name in self.specs}

    def _request(self, model: str, params: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return what a training is asked for, having refused what cannot be."""
        self._require_trainer(model)
        request = train_request(params, self._config)
        require_labels(self._labels.history, self._source)
        return request

    def _train(self, requests: Mapping[str, Mapping[str, Any]], who: str) -> dict[str, Job]:
        jobs = {model: self._submit(model, request, who) for model, request in requests.items()}
        try:
            for model in jobs:
                self._news.take_all(model)
        except StorageError as error:  # they are asked for by now; the labels count again, at worst for one more
            logger.warning("the labels of a training are not noted: %s", error)
        return jobs

    def _versions(self, model: str, trained: object) -> dict[str, Any]:
        store = self._models.versions
        stamp = (store.stamp(model), self._models.loaded(model), trained)
        known = self._said.get(model)
        if known is None or known[0] != stamp:
            try:
                known = (stamp, statistics.versions(self._models.answering(model), store.list(model)))
            except TumorSegError as error:  # of one model, which is no reason to say nothing of the others
                known = (stamp, {"serving": None, "published": 0, "refused": 0, "error": str(error)})
            self._said[model] = known
        return known[1]

    def _require_trainer(self, model: str) -> None:
        if model in self.specs:
            return
        known = ", ".join(self.specs) or "none"
        if model not in self._models.names:
            raise NotFoundError(f"unknown model {model[:80]!r}; trainers: {known}")
        raise NotFoundError(
            f"there is no trainer for {model!r} on this server: it is not a network that marks voxels slice by slice "
            f"(trainers: {known}); for others see `tumorseg train`"
        )

    def _look(self) -> None:
        """Start what is due, and say how far it is."""
        try:
            self._train_when_due()
        finally:
            self.scoring.look()
            self._tell_progress()

    def _train_when_due(self) -> None:
        """Train the default trainer where enough labels came since it last was, or where a training of them failed."""
        needed = self._config.train_after
        model = next(iter(self.specs), None) if needed else None
        if model is None:
            return
        seen = (self._news.newest(), self._news.learned(model), self._trainings_ended)
        if seen == self._seen:
            return
        if self.jobs.waiting("train", model):  # which learns from them too
            self._news.take_all(model)
        else:
            before = failed(self.jobs.runner.list(), model)
            if before is not None:
                self._news.give_back(model, before.since)
            if before is not None and before.rests():
                return  # looked at again
            if self._news.count(model) >= needed:
                self._train_on_new(model, needed, before)
        self._seen = seen

    def _tell_progress(self) -> None:
        """Say in the log how far the job is that runs, once a minute."""
        if time.monotonic() < self._tell_at:
            return
        self._tell_at = time.monotonic() + _TELL_EVERY_S
        for job, state in self.jobs.all():
            if state.status == "RUNNING":
                epochs = f", epoch {state.epoch} of {state.epochs}" if state.epochs else ""
                left = f", about {state.eta_s:.0f} s to go" if state.eta_s is not None else ""
                logger.info(
                    "job %s (%s %s): %.0f %%%s%s", job.id, job.kind, job.model, 100 * state.fraction, epochs, left
                )

    def _train_on_new(self, model: str, needed: int, before: Failed | None) -> None:
        try:
            require_labels(self._labels.history, self._source)
        except InputError as error:
            logger.info("%s is not trained yet: %s", model, error)
            return
        # Nothing comes between the two that takes time or may fail: who is killed there forgets the labels.
        if (since := self._news.claim(model, needed)) is None:
            return  # another server was first
        try:
            self._submit(model, took(train_request(None, self._config), since, before), f"after {needed} labels")
        except BaseException:
            self._news.give_back(model, since)
            raise

    def _submit(self, model: str, request: Mapping[str, Any], who: str) -> Job:
        job = self.jobs.submit("train", model, request, who)
        self.scoring.make_way()
        return job

    def _ended(self, job: Job, state: JobState) -> None:
        """Say in the server's log what came of a job, and look after what follows from it.

        Not in the job's own words: they name images and quote what stands in files.
        """
        told = [f"{name} {value}" for name, value in state.result.items() if _is_plain(name, value)]
        told += ["its log says why (/learning)"] if state.status == "ERROR" else []
        level = logging.ERROR if state.status == "ERROR" else logging.INFO
        what = (job.id, job.kind, job.model, state.status)
        logger.log(level, "job %s (%s %s) is %s%s", *what, f": {', '.join(told)}" if told else "")
        self.jobs.changed()
        self._trainings_ended += job.kind == "train"  # one that failed is perhaps to be begun again
        self._attendant.call()


def _is_plain(name: str, value: object) -> bool:
    """Whether what a job says came out of it is a figure, or which version there is now: no text of its own."""
    return name in _PLAIN or isinstance(value, int | float)
