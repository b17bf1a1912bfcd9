"""A server follows the versions of its models: whoever published or rolled back, in whichever process.

One thread looks at the pointers, a file of each model, and does all the work of a switch; no request waits for it.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from tumorseg.errors import TumorSegError

if TYPE_CHECKING:
    from tumorseg.adapters.models import ModelPool

logger = logging.getLogger(__name__)

THREAD = "weights-watch"
#: Seconds between two looks: one ``stat`` a model.
PERIOD_S = 0.5
#: How long the end waits for a model that is being loaded.
_LAST_MODEL_S = 10.0


class WeightsWatch:
    """See the module.

    Args:
        models: what follows.
    """

    def __init__(self, models: ModelPool) -> None:
        self._models = models
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._troubles: dict[str, Exception] = {}

    def start(self) -> None:
        """Begin to look; only the first call does."""
        if self._thread is None and not self._ending.is_set():
            self._thread = threading.Thread(target=self._look_on, name=THREAD, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Begin no further switch; may be called more than once."""
        self._ending.set()

    def join(self) -> None:
        """Wait for the end of the thread."""
        if self._thread is not None:
            self._thread.join(_LAST_MODEL_S)

    def _look_on(self) -> None:
        while not self._ending.wait(PERIOD_S):
            for name in self._models.names:
                self._look(name)

    def _look(self, name: str) -> None:
        """Follow one model; where that fails, what served goes on."""
        try:
            self._models.follow(name)
            self._troubles.pop(name, None)
        except (TumorSegError, OSError) as error:
            self._tell(name, error)
        except Exception:  # a fault of ours: the other models are followed all the same
            logger.exception("following the versions of %s failed", name)

    def _tell(self, name: str, error: Exception) -> None:
        """Log what is wrong, once as long as it stays the same."""
        known, self._troubles[name] = self._troubles.get(name), error
        same = known is error or (isinstance(error, OSError) and str(known) == str(error))
        if not same and not self._ending.is_set():
            logger.warning("the version chosen for %s cannot be used, the one before goes on: %s", name, error)
