"""What a server works with, put together in one place: configuration, images, labels, models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.datastore import StudyDatastore
from tumorseg.adapters.detections import DetectionDesk
from tumorseg.adapters.engine import Engine
from tumorseg.adapters.interactive.desk import InteractiveDesk
from tumorseg.adapters.label_desk import LabelDesk
from tumorseg.adapters.labels import LabelStore, labels_root
from tumorseg.adapters.learning.desk import LearningDesk
from tumorseg.adapters.learning.effort import EffortDesk
from tumorseg.adapters.learning.proposals import Proposals
from tumorseg.adapters.sources import ImageSource, open_source
from tumorseg.adapters.strategies import Strategies
from tumorseg.errors import StorageError

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

APP_NAME = "tumorseg"
#: Below the state folder: the answers that people were given and may correct.
PROPOSALS = Path("learning") / "proposals"
APP_DESCRIPTION = "Brain tumour segmentation for 3D Slicer and OHIF"


@dataclass(frozen=True)
class Workplace:
    """The parts of a server.

    Attributes:
        config: what was configured.
        source: where images come from.
        datastore: images and labels in MONAI Label's words.
        desk: what people do together with labels.
        engine: models over the images.
        detections: what people decided about objects that a model found.
        interactive: models that answer clicks, and the masks in the making.
        strategies: what suggests the next image, by name.
        effort: finds out what the labels cost those who make them.
        learning: trainings, scores, and what follows from labels; does nothing until it is started.
    """

    config: AppConfig
    source: ImageSource
    datastore: StudyDatastore
    desk: LabelDesk
    engine: Engine
    detections: DetectionDesk
    interactive: InteractiveDesk
    strategies: Strategies
    effort: EffortDesk
    learning: LearningDesk

    @classmethod
    def open(cls, config: AppConfig) -> Workplace:
        """Open the studies; no model is loaded yet.

        Raises:
            InputError: the studies cannot be used.
        """
        source = open_source(config)
        labels = LabelStore(labels_root(config), config.label_classes)
        labels.watch()
        datastore = StudyDatastore(source, labels)
        desk = LabelDesk(source, labels, datastore.places, config.lease_minutes)
        proposals = Proposals(config.state / PROPOSALS, str(labels.root))
        effort = EffortDesk(labels.history, datastore.places, desk.leases, proposals)
        engine = Engine(config, source)
        interactive = InteractiveDesk(config, engine, labels.history)
        strategies = Strategies.open(config, source, engine.models)
        learning = LearningDesk(config, source, labels, engine.models, strategies.pool)
        detections = DetectionDesk(engine, desk)
        return cls(config, source, datastore, desk, engine, detections, interactive, strategies, effort, learning)

    def info(self) -> dict[str, Any]:
        """Answer ``GET /info/``: what the viewers' selectors show."""
        from tumorseg import __version__

        models = {**self.engine.models.describe(), **self.interactive.models.describe()}
        trainers = self.learning.trainers()
        # What is to be learned has a name before there is a model that answers it.
        labels = sorted({label for said in (*models.values(), *trainers.values()) for label in said["labels"]})
        return {
            "name": APP_NAME,
            "description": APP_DESCRIPTION,
            "version": __version__,
            "labels": labels,
            "models": models,
            "trainers": trainers,
            "strategies": {name: strategy.info() for name, strategy in self.strategies.items()},
            "scoring": self.learning.scoring.describe(),
            "train_stats": _unless_the_disk_fails(self.learning.stats),
            "versions": _unless_the_disk_fails(self.learning.versions),
            "datastore": self._counts(),
        }

    def _counts(self) -> dict[str, Any]:
        """Count images and labels; a failing disk of labels is no reason not to say which models there are."""
        try:
            return self.datastore.status()
        except StorageError as error:
            total = len(self.datastore.list_images())
            return {"total": total, "completed": 0, "label_tags": {}, "train": [], "error": str(error)}

    def close(self) -> None:
        """Give back what is open, inferences that still run first."""
        self.engine.close()
        self.interactive.close()
        self.learning.close()
        self.strategies.close()
        self.effort.close()
        self.source.close()
        self.datastore.close()


def _unless_the_disk_fails(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return nothing about trainings that cannot be read: no viewer connects without the rest of what is served."""
    try:
        return ask()
    except OSError:  # said in the log by who looks after them
        return {}
