"""The interactive models of a server: each built once, when it is first asked for, and described once."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.interactive.dialects import STARTS
from tumorseg.errors import NotFoundError, TumorSegError
from tumorseg.registry import resolve

if TYPE_CHECKING:
    from tumorseg.config import AppConfig
    from tumorseg.interactive.base import Interactive

logger = logging.getLogger(__name__)
#: What viewers are told: a click is answered on the whole volume.
_DIMENSION = 3


class InteractiveModels:
    """The configured interactive models by name.

    Args:
        config: which ones, and on which device.
    """

    def __init__(self, config: AppConfig) -> None:
        self._config = config
        self._built: dict[str, Interactive] = {}
        self._failed: set[str] = set()
        self._locks = {name: threading.Lock() for name in config.interactive}

    def __contains__(self, name: str) -> bool:
        return name in self._locks

    @property
    def names(self) -> tuple[str, ...]:
        """The served models."""
        return tuple(self._locks)

    def get(self, name: str) -> Interactive:
        """Return a model, building it where that was not done yet.

        Raises:
            NotFoundError: it is not served.
            TumorSegError: it cannot be built here; says what is missing.
        """
        if name not in self._locks:
            raise NotFoundError(f"unknown interactive model {name!r}; served: {', '.join(self._locks) or 'none'}")
        with self._locks[name]:
            if name not in self._built:
                factory = resolve(self._config.known_interactive, "interactive model", name)
                self._built[name] = factory(
                    weights=self._config.interactive_weights.get(name), device=self._config.device
                )
            return self._built[name]

    def describe(self) -> dict[str, dict[str, Any]]:
        """Say what each model is, in MONAI Label's words.

        One that cannot be built (its weights are the user's own affair) is left out and logged, once: a description is
        asked for all the time.
        """
        return {name: _described(model) for name in self._locks if (model := self._offered(name)) is not None}

    def _offered(self, name: str) -> Interactive | None:
        if name in self._failed and name not in self._built:
            return None
        try:
            return self.get(name)
        except TumorSegError as error:
            self._failed.add(name)
            logger.warning("interactive model %s is not offered: %s", name, error)
        except Exception:  # a factory of the site's own must not take all other models away
            self._failed.add(name)
            logger.exception("interactive model %s is not offered: its factory failed", name)
        return None


def _described(model: Interactive) -> dict[str, Any]:
    """Describe a model as ``GET /info/`` does; viewers offer what config holds, a list as a choice."""
    return {
        "type": model.viewer_type,
        "labels": dict(model.labels),
        "dimension": _DIMENSION,
        "description": model.description,
        "version": model.version,
        "channels": list(model.channels),
        "prompts": [kind.__name__.lower() for kind in model.kinds],
        "config": {"start": list(STARTS)},
    }
