"""The job of kind ``train``: from the labels there are to a version that serves, or one that was refused and why.

1. the labels that count are gathered and kept (``cases.json``), and every patient has a part for good;
2. a round whose new masks are mostly implausible is refused as a whole;
3. a candidate is trained, from the weights that serve or from scratch;
4. it and the champion, the model that serves, answer for the validation patients' images;
5. where the candidate is not worse it is published, else refused; either way a card says what and why.

Killed at any moment the job goes on in its folder: with the same labels, at the last epoch, with the figures that it
had; and a version that it made already is not made twice.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.jobs.limits import threads
from tumorseg.adapters.labels import LabelStore, labels_root
from tumorseg.adapters.learning.cases import gather
from tumorseg.adapters.learning.measure import Measurements
from tumorseg.adapters.learning.parts import FrozenParts
from tumorseg.adapters.learning.publishing import Publishing
from tumorseg.adapters.learning.shelf import Shelf
from tumorseg.adapters.learning.snapshot import Snapshot, read_snapshot
from tumorseg.adapters.learning.trainers import trainable
from tumorseg.adapters.learning.volumes import CaseReader
from tumorseg.adapters.sources import open_source
from tumorseg.errors import InputError, NotFoundError
from tumorseg.models.metadata import read_metadata
from tumorseg.models.slicewise import CONTRAST_KEY
from tumorseg.versions.types import CaseUsed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tumorseg.active_learning.frozen import Part
    from tumorseg.adapters.jobs.types import Job, Reporter
    from tumorseg.adapters.learning.types import LabelledCase
    from tumorseg.config import AppConfig
    from tumorseg.models.slicewise import SlicewiseSpec
    from tumorseg.training.data import Volume
    from tumorseg.versions.types import VersionCard

SCRATCH = "scratch"
PARTS: tuple[Part, ...] = ("train", "validation")
#: Where in a job's progress the training begins and ends; reading and measuring take the rest.
BEGIN, END = 0.05, 0.85


def run(job: Job, config: AppConfig, reporter: Reporter) -> None:
    """Train the job's model on the labels there are.

    ``job.request`` may hold ``from`` (``"serving"`` or ``"scratch"``), ``minutes`` and ``epochs``.

    Raises:
        NotFoundError: the model is not served, or cannot be trained here.
        InputError: there is nothing to learn from, or nobody to measure on; nothing was trained.
    """
    specs = trainable(config)
    if job.model not in specs:
        raise NotFoundError(f"{job.model[:80]!r} cannot be trained here; trainable: {', '.join(specs) or 'none'}")
    labels = LabelStore(labels_root(config), config.label_classes)
    with closing(open_source(config)) as source, closing(labels):
        reader = CaseReader(source, labels.history, job.model, specs[job.model])
        Training(job, config, reporter, reader).run()


class Training:
    """One training; see the module.

    Args:
        job: what is asked for.
        config: of the server.
        reporter: hears of it; its folder keeps what the training needs to go on.
        reader: of cases.
    """

    def __init__(self, job: Job, config: AppConfig, reporter: Reporter, reader: CaseReader) -> None:
        self._job, self._config, self._reporter, self._reader = job, config, reporter, reader
        self._spec: SlicewiseSpec = reader.spec
        self._publishing = Publishing(config, job)
        self._epoch = 1

    def run(self) -> None:
        """Do what is left to be done."""
        from tumorseg.training.round import RoundStopped

        card = self._publishing.made()
        try:
            card = card or self._version()
        except RoundStopped:
            self._reporter.line("stopped: nothing was published, and what was trained so far is kept with the job")
            return
        self._reporter.line(f"version {card.id} is {card.why}")
        self._reporter.result(told(card))

    def _version(self) -> VersionCard:
        """Make a version, published or refused."""
        snapshot = read_snapshot(self._reporter.folder) or self._begin()
        self._say(snapshot.lines())
        if (refused := self._publishing.refuse_poisoned(snapshot)) is not None:
            return refused
        require_enough(snapshot)
        snapshot, candidate = self._train(snapshot)
        return self._publishing.challenge(snapshot, candidate, self._measurements(snapshot), self._reporter.line)

    def _begin(self) -> Snapshot:
        """Decide what is learned from, once for all attempts."""
        history = self._reader.history
        ticks = self._ticks(0.0, 0.0, 0)
        found = gather(history, self._reader.source, dict(self._spec.labels), self._job.model, ticks)
        parts = self._parts(found.cases)
        cases = (
            CaseUsed(case.image, case.patient, parts[case.patient], case.version.uid, case.version.sha256)
            for case in found.cases
        )
        empty = tuple(case.image for case in found.cases if case.version.no_lesion)
        snapshot = Snapshot(tuple(cases), found.left_out, empty)
        snapshot.write(self._reporter.folder)
        self._say(snapshot.grouping())
        return snapshot

    def _parts(self, cases: Sequence[LabelledCase]) -> Mapping[str, Part]:
        """Return who trains and who validates, also by what the cards of all models say of their images."""
        frozen, store = FrozenParts(self._reader.history.database), self._publishing.store
        frozen.remember(case for model in store.models() for card in store.list(model) for case in card.cases)
        assigned = frozen.assign({case.image: case.patient for case in cases})
        for patient in assigned.moved:
            self._reporter.line(f"{patient} was taken for several patients before: all their images train from now on")
        return assigned.parts

    def _train(self, snapshot: Snapshot) -> tuple[Snapshot, Path]:
        """Return what was learned from, less the images that turned out to be of no use, and the candidate."""
        from tumorseg.training.round import RoundOptions, multiple_for, train_round

        request, config = self._job.request, self._config
        start = self._publishing.start()
        warm = start is not None and request.get("from") != SCRATCH
        contrast = read_metadata(start).get(CONTRAST_KEY, "none") if start is not None else "none"
        options = RoundOptions(
            minutes=float(request.get("minutes") or config.train_minutes),
            epochs=request.get("epochs"),
            warm=warm,
            seed=len(self._publishing.store.list(self._job.model)),  # after a refusal other dice are thrown
            threads=threads(config),
            device=config.device,
            contrast=contrast,
        )
        multiple = multiple_for(self._spec, warm=warm)
        snapshot, train, validation = self._volumes(snapshot, contrast, multiple)
        begins = f"going on from {self._publishing.store.serving(self._job.model)}" if warm else "from scratch"
        self._reporter.line(f"training {begins}, {options.minutes:g} minutes at most")
        folder = self._reporter.folder / "round"
        stopped = self._reporter.stopped
        return snapshot, train_round(self._spec, start, train, validation, folder, options, self._report, stopped)

    def _volumes(self, snapshot: Snapshot, contrast: str, multiple: int) -> tuple[Snapshot, list[Volume], list[Volume]]:
        shelf = Shelf(self._reporter.folder / "volumes", self._config.min_free_mb)
        ticks = self._ticks(0.0, BEGIN, len(snapshot.cases))
        volumes, unfit = self._reader.volumes(snapshot.cases, contrast, multiple, shelf, ticks)
        if unfit:
            snapshot = snapshot.without(unfit)
            snapshot.write(self._reporter.folder)
            self._say(snapshot.lines())
            require_enough(snapshot)
        train, validation = ([volumes[case] for case in snapshot.of(part)] for part in PARTS)
        if not any(volume.mask.any() for volume in train):
            raise InputError(
                f"none of the {len(train)} images to learn from shows a {'/'.join(dict(self._spec.labels))}: label one "
                "that does. Nothing was trained"
            )
        return snapshot, train, validation

    def _say(self, lines: list[str]) -> None:
        for line in lines:
            self._reporter.line(line)

    def _measurements(self, snapshot: Snapshot) -> Measurements:
        looks = 2 * len(snapshot.of("validation"))  # champion and candidate look at every image
        return Measurements(self._reporter.folder, self._reader, self._ticks(END, 1.0, looks))

    def _report(self, part: float, epoch: int, epochs: int, metric: float | None) -> None:
        self._reporter.progress(BEGIN + (END - BEGIN) * part, epoch=epoch, epochs=epochs, metric=metric)
        if epoch > self._epoch:
            best = "" if metric is None else f", the best validation Dice so far is {metric:.3f}"
            self._reporter.line(f"epoch {epoch} of {epochs} begins{best}")
            self._epoch = epoch

    def _ticks(self, begin: float, end: float, count: int) -> Callable[[], None]:
        """Return what is called before each of ``count`` images: it says how far that is, and stops where asked to."""
        from tumorseg.training.round import RoundStopped

        done = 0

        def tick() -> None:
            nonlocal done
            if self._reporter.stopped():
                raise RoundStopped
            self._reporter.progress(min(end, begin + (end - begin) * done / max(1, count)))
            done += 1

        return tick


def require_enough(snapshot: Snapshot) -> None:
    """Raise InputError where there is nothing to learn from, or nobody to measure on."""
    if not snapshot.cases and not snapshot.left_out:
        raise InputError("expected labels tagged 'final' to learn from, there are none: save some. Nothing was trained")
    if not snapshot.cases:
        first = snapshot.left_out[0]
        raise InputError(
            f"none of the {len(snapshot.left_out)} labels can be learned from; the first, of {first.image}: "
            f"{first.why}. Nothing was trained"
        )
    for part in PARTS:
        if not snapshot.of(part):
            raise InputError(
                f"expected labels of at least two patients, one to learn from and one to measure on, got "
                f"{len({case.patient for case in snapshot.cases})} with nobody to {_PURPOSE[part]}: label another "
                "patient. Nothing was trained"
            )
    if not snapshot.lesions("validation"):
        raise InputError(
            f"none of the {len(snapshot.of('validation'))} images to measure on shows a lesion, so that a model that "
            "finds nothing would seem the best one: label another patient who has one. Nothing was trained"
        )


_PURPOSE = {"train": "learn from", "validation": "measure on"}


def told(card: VersionCard) -> dict[str, Any]:
    """Return what a job says came out of it."""
    said = card.measured
    return {
        "version": card.id,
        "status": card.status,
        "why": card.why,
        **{name: said.get(name, {}).get("mean") for name in ("champion", "candidate")},
        **{name: said.get(name) for name in ("difference", "low", "high")},
        "cases": len(card.cases),
        "left_out": len(said.get("left_out", ())),
    }
