"""The job of kind ``score``: ask the model that serves about every image, and keep what it says.

What is stored is not done again, so a job that was stopped or killed goes on where it was. Images without a label come
first: they are what can be chosen. A model that is replaced while the job runs is followed: what the old one said is
stale from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.active_learning.store import ScoreStore
from tumorseg.active_learning.types import EMBEDDING
from tumorseg.adapters.learning.columns import PLAIN_COLUMNS
from tumorseg.adapters.learning.scorers import DetectionScorer, SliceScorer, scorer_of
from tumorseg.adapters.sources import ImageSource, open_source
from tumorseg.errors import InputError, StorageError

if TYPE_CHECKING:
    from tumorseg.adapters.jobs.types import Job, Reporter
    from tumorseg.config import AppConfig
    from tumorseg.models.base import Model

_ONE_LOOK = PLAIN_COLUMNS - {EMBEDDING}


def scores_path(state: Path) -> Path:
    """Return where the scores lie within a server's state folder."""
    return state / "learning" / "scores.sqlite"


def run(job: Job, config: AppConfig, reporter: Reporter) -> None:
    """Score all images with the model's serving version.

    ``job.request`` may hold ``columns``, names of scores; all that one plain look gives by default.

    Raises:
        InputError: not one image could be scored, or a column is asked for that nobody knows.
        StorageError: scores cannot be kept.
    """
    wanted = frozenset(map(str, job.request.get("columns") or ()))
    source, store = open_source(config), ScoreStore(scores_path(config.state))
    try:
        while not _Pass(job.model, config, source, store, reporter).run(wanted):
            reporter.line(f"{job.model} was replaced meanwhile: what it said counts no longer, all is asked again")
    finally:
        store.close()
        source.close()


@dataclass
class _Pass:
    """One version of a model over all images."""

    name: str
    config: AppConfig
    source: ImageSource
    store: ScoreStore
    reporter: Reporter
    scored: int = 0
    skipped: int = 0
    first_error: str = ""

    def run(self, wanted: frozenset[str]) -> bool:
        """Score what is missing until it is told to stop; False where the model was replaced meanwhile."""
        from tumorseg.adapters.models import ModelPool

        pool = ModelPool(self.config)
        stamp = pool.versions.stamp(self.name)
        model = pool.get(self.name)
        scorer = scorer_of(model, self.config.device)
        columns = self._columns(scorer, wanted)
        if scorer is None or not columns:
            self.reporter.line(f"{self.name} cannot be asked for scores: strategies that need them choose by lot")
            self._tell(model, frozenset(), 0)
            return True
        images = self._images()
        missing = self._missing(model, images, columns)
        asks = ", ".join(sorted(columns))
        self.reporter.line(f"{self.name} {model.version}: {len(missing)} of {len(images)} images to score ({asks})")
        for number, (image, asked) in enumerate(missing.items()):
            if self.reporter.stopped():
                self.reporter.line(f"stopped after {self.scored} images; what is stored is not done again")
                return True  # and no result: the job is not done
            if pool.versions.stamp(self.name) != stamp:
                return False
            self._score(model, scorer, image, asked)
            self.reporter.progress((number + 1) / len(missing))
        self._tell(model, columns, len(images))
        return True

    def _columns(self, scorer: SliceScorer | DetectionScorer | None, wanted: frozenset[str]) -> frozenset[str]:
        if scorer is None:
            return frozenset()
        unable = wanted - scorer.columns
        if unable:
            self.reporter.line(f"{self.name} gives no {', '.join(sorted(unable))}: left out")
        if not wanted:
            return (PLAIN_COLUMNS & scorer.columns) or scorer.columns
        # All that one look gives costs no more than one column of it.
        more = _ONE_LOOK if wanted & _ONE_LOOK else frozenset()
        return (wanted | more) & scorer.columns

    def _images(self) -> dict[str, bool]:
        """Return image -> whether it has a label, those without one first."""
        from tumorseg.adapters.datastore import FINAL
        from tumorseg.adapters.labels import LabelStore, labels_root

        labels = LabelStore(labels_root(self.config), self.config.label_classes)
        try:
            labelled = labels.done(FINAL)
        finally:
            labels.close()
        return dict(sorted(((image, image in labelled) for image in self.source.ids()), key=lambda pair: pair[1]))

    def _missing(self, model: Model, images: Mapping[str, bool], columns: frozenset[str]) -> dict[str, frozenset[str]]:
        """Return image -> what to ask, where there is no fresh row; of a labelled one only its vector counts."""
        states = self.source.states(list(images))
        found: dict[str, frozenset[str]] = {}
        for labelled, asked in ((False, columns), (True, columns & {EMBEDDING})):
            some = {image: states.get(image, "") for image, has in images.items() if has == labelled}
            if asked:
                found |= dict.fromkeys(self.store.missing(self.name, model.version, some, asked), asked)
        return found

    def _score(self, model: Model, scorer: SliceScorer | DetectionScorer, image: str, columns: frozenset[str]) -> None:
        """Ask about one image; one that cannot be read or looked at is left out."""
        try:
            # Looked at before it is read: an image that changes meanwhile has a row that does not count.
            state = self.source.states([image])[image]
            said = scorer(self.source.read(image, model.channels)[0], columns)
            self.store.put(self.name, model.version, image, state, said.columns, said.embedding)
            self.scored += 1
        except StorageError:
            raise
        except Exception as error:  # whatever a file makes a reader say: the other images are worth scoring
            self.skipped += 1
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            self.first_error = self.first_error or f"{image}: {why}"
            self.reporter.line(f"{image} is left out ({type(error).__name__}): {why}")

    def _tell(self, model: Model, columns: frozenset[str], total: int) -> None:
        """Say what came out.

        Raises:
            InputError: every image failed, and none of before has a score.
        """
        if self.skipped and not self.scored and not self.store.known(self.name, model.version):
            raise InputError(f"none of {self.skipped} images could be scored; the first: {self.first_error}")
        told = {"model": self.name, "version": model.version, "columns": sorted(columns), "images": total}
        self.reporter.result({**told, "scored": self.scored, "skipped": self.skipped})
