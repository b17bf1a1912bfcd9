"""How the images look now, as far as that can be told without reading them; looked up behind the requests.

A score counts only for the image that it was computed from. To look at the files of thousands of studies takes from
milliseconds to seconds, so a thread does it, at most every :data:`LOOK_AGAIN_S`, and requests use what it saw last;
the one image that is about to be given is looked at once more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tumorseg.errors import TumorSegError

if TYPE_CHECKING:
    from tumorseg.adapters.sources import ImageSource

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 30.0
#: How long the first request waits for the first look, s; without one no score counts.
FIRST_LOOK_S = 1.0


class ImageStates:
    """The states of a source's images.

    Args:
        source: where images come from.
    """

    def __init__(self, source: ImageSource) -> None:
        self._source = source
        self._states: Mapping[str, str] = {}
        self._looked = float("-inf")
        self._looking = threading.Lock()
        self._first = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def current(self) -> Mapping[str, str]:
        """Return image -> its state as of a while ago; an image that is not in it may be new or unreadable."""
        self.start()
        self._first.wait(FIRST_LOOK_S)
        return self._states

    def now(self, image: str) -> str | None:
        """Look at one image; None where it cannot be seen."""
        try:
            return self._source.states([image]).get(image)
        except (TumorSegError, OSError) as error:
            logger.warning("whether %s has changed cannot be seen: %s", image, error)
            return None

    def start(self) -> None:
        """Look again in a thread, if that is due and nobody does."""
        if self._closed or time.monotonic() - self._looked < LOOK_AGAIN_S:
            return
        if self._looking.acquire(blocking=False):
            thread = threading.Thread(target=self._look, name="image-states", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system has no thread left: what was seen last serves
                self._looking.release()
                logger.warning("whether images have changed is not looked at: %s", error)
                return
            self._thread = thread

    def close(self) -> None:
        """Wait for a look that is going on, and begin no other."""
        self._closed = True
        if self._thread is not None:
            self._thread.join(10)

    def _look(self) -> None:
        try:
            self._states = self._source.states(self._source.ids())
        except (TumorSegError, OSError) as error:
            logger.warning("whether images have changed cannot be seen: %s", error)
        finally:
            self._looked = time.monotonic()
            self._first.set()
            self._looking.release()
