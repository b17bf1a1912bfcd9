"""What the tests of trainings share: small studies, annotators who save masks, and trainings in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from tests import tiny
from tumorseg.adapters.jobs.reporter import Reporter
from tumorseg.adapters.jobs.store import JobStore
from tumorseg.adapters.jobs.types import Job, JobState
from tumorseg.adapters.labels import LabelStore, labels_root
from tumorseg.adapters.learning import train
from tumorseg.adapters.learning.cases import gather
from tumorseg.adapters.learning.types import Gathered
from tumorseg.adapters.sources import FileSource
from tumorseg.config import AppConfig
from tumorseg.labels.types import LabelVersion, Provenance
from tumorseg.versions.store import VersionStore

Mask = NDArray[Any]


class Room:
    """One server's folders, without the server.

    Args:
        root: empty folder.
        names: of the studies.
        shape: ``(K, J, I)`` of the studies.
        conf: settings.
    """

    def __init__(
        self,
        root: Path,
        names: Sequence[str] = tiny.PATIENTS,
        shape: tuple[int, int, int] = tiny.SHAPE,
        **conf: Any,
    ) -> None:
        self.root = root
        self.studies = tiny.write_studies(root / "studies", names, shape=shape)
        given = {"models": "tiny,untrained", "extra_models": tiny.EXTRA_MODELS, "device": "cpu", "train_threads": "1"}
        given |= {"state": root / "state", "cache": root / "cache", **conf}
        self.config = AppConfig.parse(root / "studies", given, environ={})
        self.labels = LabelStore(labels_root(self.config))
        self.source = FileSource(root / "studies")
        self.jobs = JobStore(self.config.state / "jobs")
        self.versions = VersionStore(self.config.state / "weights")
        self._files = 0

    def save(self, name: str, mask: Mask | None = None, author: str = "anna", **info: Any) -> LabelVersion:
        """Save the true mask of a study, or another one, as an annotator does."""
        self._files += 1
        file = tiny.write_mask(self.root / f"drawn-{self._files}.nii.gz", self.studies[name], mask)
        said = info or {"label_info": [{"name": "tumour", "idx": 1}]}
        return self.labels.save(name, "final", file, said, Provenance(author))

    def save_all(self, change: Callable[[Mask], Mask] | None = None) -> None:
        """Save every study's mask, changed in some way."""
        for name, study in self.studies.items():
            self.save(name, None if change is None else change(study.mask))

    def gathered(self) -> Gathered:
        """Say what a training would learn from."""
        return gather(self.labels.history, self.source, {"tumour": 1}, "tiny")

    def ask(self, model: str = "tiny", **request: Any) -> Job:
        """Put a training into the queue."""
        return self.jobs.submit("train", model, request, "anna")

    def reporter(self, job: Job) -> Reporter:
        """Return what a worker's work talks to."""
        return Reporter(self.jobs.path(job.id))

    def train(self, job: Job | None = None, **request: Any) -> JobState:
        """Do a training in this process, as a worker would, and return its last state."""
        job = job or self.ask(**request)
        reporter = self.reporter(job)
        train.run(job, self.config, reporter)
        return reporter.finish()

    def log(self, job: Job) -> str:
        """Return a job's log."""
        return "\n".join(self.jobs.log(job.id))

    def close(self) -> None:
        """Give back what is open."""
        with closing(self.source), closing(self.labels):
            pass


def inverted(mask: Mask) -> Mask:
    """Mark everything but the tumour."""
    return 1 - mask


def around(mask: Mask) -> Mask:
    """Mark what lies around the tumour instead of it: wrong, and not so much that it shows."""
    cross = ndimage.generate_binary_structure(2, 1)[None]
    return ndimage.binary_dilation(mask, cross, iterations=4).astype(np.uint8) - mask
