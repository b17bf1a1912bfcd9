"""The models of a server: loaded once, on first use, and described once.

Concurrency: a model is loaded under a lock of its own, so two first requests load it once. What runs it is the queue
(:mod:`tumorseg.adapters.inference.queue`); nothing here does.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.weights import WeightsStore
from tumorseg.adapters.wire import settings
from tumorseg.errors import NotFoundError, TumorSegError
from tumorseg.models.base import DetectionModel
from tumorseg.registry import resolve

if TYPE_CHECKING:
    from pathlib import Path

    from tumorseg.config import AppConfig
    from tumorseg.models.base import Model

logger = logging.getLogger(__name__)


@dataclass
class _Slot:
    """One served model, perhaps not loaded yet.

    Attributes:
        loading: held while it is.
        model: once it was loaded.
        said: its description, once it was asked for.
        failed: whether it could not be loaded when its description was asked for.
    """

    loading: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None
    said: dict[str, Any] | None = None
    failed: bool = False


class ModelPool:
    """The configured models by name."""

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self.weights = WeightsStore(config.state / "weights")
        self._slots = {name: _Slot() for name in config.models}

    @property
    def names(self) -> tuple[str, ...]:
        """The served models, the default one first."""
        return tuple(self._slots)

    def get(self, name: str) -> Model:
        """Return a model, loading it where it is not; NotFoundError for a name that is not served."""
        if name not in self._slots:
            raise NotFoundError(f"unknown model {name!r}; served: {', '.join(self._slots)}")
        slot = self._slots[name]
        with slot.loading:
            if slot.model is None:
                slot.model = self.build(name, self.weights.current(name))
            model: Model = slot.model
            return model

    def build(self, name: str, weights: Path | None) -> Model:
        """Make a model that nobody is served by yet."""
        factory = resolve(self._config.known_models, "model", name)
        model: Model = factory(weights=weights, device=self._config.device)
        return model

    def replace(self, name: str, weights: Path) -> None:
        """Serve a model with other weights from now on; who was given it before goes on with the old ones."""
        model, slot = self.build(name, weights), self._slots[name]
        said = describe(model)
        with slot.loading:
            slot.model, slot.said, slot.failed = model, said, False

    def describe(self) -> dict[str, dict[str, Any]]:
        """Say what each model is, in MONAI Label's words.

        One that cannot be loaded is left out and logged, once: it is not tried again for a description, which is asked
        for all the time, but by the next request for the model itself.
        """
        return {name: said for name in self._slots if (said := self._said(name)) is not None}

    def _said(self, name: str) -> dict[str, Any] | None:
        slot = self._slots[name]
        if slot.said is None and (not slot.failed or slot.model is not None):
            try:
                slot.said = describe(self.get(name))
            except TumorSegError as error:
                slot.failed = True
                logger.warning("model %s is not offered: %s", name, error)
        return slot.said


def describe(model: Model) -> dict[str, Any]:
    """Describe a model as ``GET /info/`` does; config is what a request may set, nothing for most models."""
    config = settings(model.options) if isinstance(model, DetectionModel) else {}
    return {
        "type": "detection" if config else "segmentation",
        "labels": dict(model.labels),
        "dimension": model.dimension,
        "description": model.description,
        "version": model.version,
        "channels": list(model.channels),
        "config": config,
    }
