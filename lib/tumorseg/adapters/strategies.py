"""Which image an annotator is shown next, until the active-learning room has better advice.

``request["leave_out"]`` names the images that others work on: they are not chosen. MONAI Label's own ``random`` raises
once every image was shown (all its weights are 0 then); these do not.
"""

from __future__ import annotations

import random
import time
from typing import Any

from monailabel.interfaces.tasks.strategy import Strategy

from tumorseg.adapters.datastore import StudyDatastore


class First(Strategy):  # type: ignore[misc]
    """The first image without a final label, by id."""

    def __init__(self) -> None:
        super().__init__("The first image without a label")

    def __call__(self, request: dict[str, Any], datastore: StudyDatastore) -> dict[str, Any] | None:
        """Return ``{"id": …}``, or None where every image has a label or somebody who works on it."""
        images = sorted(_offered(request, datastore))
        return {"id": images[0]} if images else None


class Random(Strategy):  # type: ignore[misc]
    """Any image without a final label; those not shown for longest come more often."""

    def __init__(self, rng: random.Random | None = None) -> None:
        super().__init__("A random image without a label")
        self._rng = rng or random.Random()

    def __call__(self, request: dict[str, Any], datastore: StudyDatastore) -> dict[str, Any] | None:
        """Return ``{"id": …, "weight": …}``, or None where every image has a label or somebody who works on it."""
        images = _offered(request, datastore)
        if not images:
            return None
        # One second at least, so that images shown just now still have a chance when there is nothing else.
        weights = [max(1, int(time.time()) - self._shown(datastore, image)) for image in images]
        index = self._rng.choices(range(len(images)), weights=weights)[0]
        return {"id": images[index], "weight": weights[index]}

    @staticmethod
    def _shown(datastore: StudyDatastore, image_id: str) -> int:
        """Return when the image was last shown by this strategy, seconds since 1970; 0 for never."""
        said = datastore.get_image_info(image_id).get("strategy", {})
        return int(said.get("random", {}).get("ts", 0))


def _offered(request: dict[str, Any], datastore: StudyDatastore) -> list[str]:
    """List the images without a final label that nobody else works on."""
    taken = request.get("leave_out", ())
    return [image for image in datastore.get_unlabeled_images() if image not in taken]


def strategies() -> dict[str, Strategy]:
    """Return the strategies by the names that viewers show."""
    return {"random": Random(), "first": First()}
