"""What our app adds to MONAI Label's; mixed into the direct subclass that its loader looks for in ``main.py``.

Under MONAI Label's own server the routes are MONAI Label's, with what is said of them in its documentation (it
listens on every address and asks for no password). ``tumorseg serve`` is the server to leave running.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from tumorseg.adapters.infer import ModelTask
from tumorseg.adapters.workplace import APP_DESCRIPTION, APP_NAME, Workplace
from tumorseg.config import AppConfig
from tumorseg.errors import TumorSegError

logger = logging.getLogger(__name__)

_TRACKING = "MONAI_LABEL_TRACKING_URI"


class AppLogic:
    """The hooks of a MONAILabelApp, answered by a :class:`Workplace`."""

    app_dir: str
    _sessions: Any
    _infers: dict[str, ModelTask]

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.workplace = Workplace.open(AppConfig.parse(studies, conf))
        _choose_tracking(self.workplace.config.cache)
        super().__init__(app_dir, studies, conf, name=APP_NAME, description=APP_DESCRIPTION)  # type: ignore[call-arg]

    def init_datastore(self) -> Any:
        """Serve our data store, for a folder as for an address."""
        return self.workplace.datastore

    def init_infers(self) -> dict[str, ModelTask]:
        """Turn the configured models into tasks; one that cannot be loaded is left out and logged."""
        names = self.workplace.engine.models.describe()
        return {name: ModelTask(self.workplace.engine, name) for name in names}

    def init_strategies(self) -> dict[str, Any]:
        """Offer our strategies."""
        return dict(self.workplace.strategies)

    def infer(self, request: dict[str, Any], datastore: Any = None) -> dict[str, Any]:
        """Answer an inference; ``image`` is an id of the data store or a session's image, never another path."""
        with _spoken_errors():
            task = self._infers.get(str(request.get("model")))
            if task is None:
                raise HTTPException(404, f"unknown model {request.get('model')!r}; served: {', '.join(self._infers)}")
            if request.get("session") is not None:
                self._check_session(request)
            file, params = task(request)
            label = file
            if request.get("save_label") and not request.get("session"):
                tag = str(request.get("label_tag") or "original")
                label = self.workplace.datastore.save_label(str(request["image"]), file, tag, {"params": params})
            return {"label": label, "tag": "original", "file": file, "params": params}

    def _check_session(self, request: dict[str, Any]) -> None:
        """Refuse an image that does not lie in the folder of sessions, whatever the request calls it."""
        root = Path(self._sessions.store_path).resolve()
        if not Path(str(request["image"])).resolve().is_relative_to(root):
            raise HTTPException(422, "the image is not part of a session")


@contextmanager
def _spoken_errors() -> Iterator[None]:
    """Give our errors the status that MONAI Label's server passes on."""
    try:
        yield
    except TumorSegError as error:
        raise HTTPException(error.status, str(error)) from None


def _choose_tracking(cache: Path) -> None:
    """Point MLflow at a file of its own: its version 3 refuses MONAI Label's default, and a training would die."""
    from monailabel.config import settings

    if not settings.MONAI_LABEL_TRACKING_URI:
        cache.mkdir(parents=True, exist_ok=True)
        settings.MONAI_LABEL_TRACKING_URI = f"sqlite:///{cache / 'mlflow.db'}"
        # A training runs in a process of its own, which reads the environment.
        os.environ[_TRACKING] = settings.MONAI_LABEL_TRACKING_URI
