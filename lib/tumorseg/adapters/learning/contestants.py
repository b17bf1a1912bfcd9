"""What can be compared: the model that serves, a version before it, and a candidate, each as the server makes it.

Where no version of this site serves, whatever the model's factory makes without being told serves: the weights that
come with the package or, of a site's own model, a file elsewhere. Only the factory knows, so it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.errors import UnavailableError
from tumorseg.registry import resolve
from tumorseg.versions.files import digest_of
from tumorseg.versions.types import SHIPPED

if TYPE_CHECKING:
    from tumorseg.config import AppConfig
    from tumorseg.models.base import Model
    from tumorseg.versions.store import VersionStore


@dataclass(frozen=True)
class Contestant:
    """A model that can be measured.

    Attributes:
        name: of its weights by their content, so that they are measured once; where the model does not say which they
            are, what it calls its version.
        weights: its file; None where it does not say.
        make: makes it as the server does.
    """

    name: str
    weights: Path | None
    make: Callable[[], Model]


class Contestants:
    """All that one model has been, and may become.

    Args:
        config: of the server.
        store: all versions.
        model: registry name.
    """

    def __init__(self, config: AppConfig, store: VersionStore, model: str) -> None:
        self._config, self._store, self._model = config, store, model

    def serving(self) -> Contestant | None:
        """Return what serves; None where nothing does, since the model cannot be made without weights of this site."""
        own = self._store.current(self._model)
        return self._without_version() if own is None else self.of(own)

    def version(self, version: str) -> Contestant | None:
        """Return a version before, None where its weights were removed to make room."""
        if version == SHIPPED:
            return self._without_version()
        file = self._store.weights(self._model, version)
        return self.of(file) if file.is_file() else None

    def of(self, file: Path) -> Contestant:
        """Return the model with the weights of a file."""
        return Contestant(digest_of(file), file, lambda: self._made(file))

    def _without_version(self) -> Contestant | None:
        try:
            model = self._made(None)
        except UnavailableError:  # there are no weights; whatever else is missing, the candidate misses it too
            return None
        said = getattr(model, "weights", None)
        if isinstance(said, str | Path) and (file := Path(said)).is_file():
            return Contestant(digest_of(file), file, lambda: self._made(None))
        return Contestant(f"version {model.version}", None, lambda: self._made(None))

    def _made(self, weights: Path | None) -> Model:
        factory = resolve(self._config.known_models, "model", self._model)
        model: Model = factory(weights=weights, device=self._config.device)
        return model
