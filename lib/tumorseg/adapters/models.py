"""The models of a server: loaded once, on first use, and used by one request at a time.

Concurrency: ``get`` loads a model under a lock of its own, so two first requests load it once. ``using`` lets one
thread at a time into a model; up to ``max_waiting`` others wait for their turn and further ones are refused, so that
a burst of requests cannot use up the server's threads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.wire import settings
from tumorseg.errors import NotFoundError, TumorSegError, UnavailableError
from tumorseg.models.base import DetectionModel
from tumorseg.registry import resolve

if TYPE_CHECKING:
    from tumorseg.config import AppConfig
    from tumorseg.models.base import Model

logger = logging.getLogger(__name__)


@dataclass
class _Slot:
    """One served model, perhaps not loaded yet."""

    loading: threading.Lock = field(default_factory=threading.Lock)
    busy: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None


class ModelPool:
    """The configured models by name."""

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._slots = {name: _Slot() for name in config.models}
        self._reported: set[str] = set()
        self._waiting = threading.BoundedSemaphore(config.max_waiting + len(self._slots))

    @property
    def names(self) -> tuple[str, ...]:
        """The served models, the default one first."""
        return tuple(self._slots)

    def get(self, name: str) -> Model:
        """Return a model, loading it where it is not; NotFoundError for a name that is not served."""
        slot = self._slot(name)
        with slot.loading:
            if slot.model is None:
                factory = resolve(self._config.known_models, "model", name)
                slot.model = factory(weights=None, device=self._config.device)
            model: Model = slot.model
            return model

    @contextmanager
    def using(self, name: str) -> Iterator[Model]:
        """Give a model to the calling thread alone.

        Raises:
            UnavailableError: too many others wait already.
        """
        model, slot = self.get(name), self._slot(name)
        if not self._waiting.acquire(blocking=False):
            raise UnavailableError(f"{self._config.max_waiting} inferences wait already: try again in a moment")
        try:
            with slot.busy:
                yield model
        finally:
            self._waiting.release()

    def describe(self) -> dict[str, dict[str, Any]]:
        """Say what each model is, in MONAI Label's words; one that cannot be loaded is left out, and logged once."""
        described = {}
        for name in self.names:
            try:
                described[name] = describe(self.get(name))
            except TumorSegError as error:
                if name not in self._reported:
                    logger.warning("model %s is not offered: %s", name, error)
                self._reported.add(name)
        return described

    def _slot(self, name: str) -> _Slot:
        if name not in self._slots:
            raise NotFoundError(f"unknown model {name!r}; served: {', '.join(self._slots)}")
        return self._slots[name]


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
