"""A model as MONAI Label's InferTask, for its own server; ours calls the engine without this detour."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from tumorseg.adapters.engine import Engine
from tumorseg.adapters.models import describe
from tumorseg.adapters.sources import suffix_of
from tumorseg.adapters.wire import FORBIDDEN, InferResult, parse_params


class ModelTask(InferTask):  # type: ignore[misc]
    """One model of the engine, called with MONAI Label's request dictionary.

    The request holds what the route was asked (``image``: an id of the data store) mixed with the form's ``params``;
    only the result settings of the latter are used.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine, self._model_name = engine, name
        said = describe(engine.models.get(name))
        super().__init__(InferType(said["type"]), said["labels"], said["dimension"], said["description"])
        self._said = said

    def info(self) -> dict[str, Any]:
        """Describe the model for ``GET /info/``."""
        return self._said

    def is_valid(self) -> bool:
        """A task exists only where its model could be loaded."""
        return True

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Segment ``request["image"]`` and return a temporary file, which the route sends and deletes, and its JSON."""
        wanted = parse_params({key: value for key, value in request.items() if key not in FORBIDDEN})
        if isinstance(request.get("session"), dict):
            result = self._engine.infer_file(self._model_name, Path(request["image"]), wanted)
        else:
            result = self._engine.infer(self._model_name, str(request["image"]), wanted)
        return _keep(result), result.params


def _keep(result: InferResult) -> str:
    """Write the answer where the route looks for it."""
    suffix = suffix_of(Path(result.name))
    with tempfile.NamedTemporaryFile(prefix="tumorseg-", suffix=suffix, delete=False) as file:
        file.write(result.data)
        return file.name
