"""The models of a server: loaded once, on first use, and described once.

Concurrency: a model is loaded under a lock of its own, so two first requests load it once. Another version of it is
built and warmed beside the one that serves, under a second lock that no request waits for, and switched in one step;
who was given the old one goes on with it. What runs models is the queue (:mod:`tumorseg.adapters.inference.queue`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.wire import settings
from tumorseg.errors import InputError, NotFoundError, TumorSegError
from tumorseg.models.base import DetectionModel
from tumorseg.registry import resolve
from tumorseg.versions.store import VersionStore
from tumorseg.versions.types import SHIPPED

if TYPE_CHECKING:
    from pathlib import Path

    from tumorseg.config import AppConfig
    from tumorseg.models.base import Model

logger = logging.getLogger(__name__)
#: Seconds until a version that could not be switched to is tried again, doubled each time up to the longest: a share
#: that was away or memory that was short must not keep it from serving for ever, nor a broken one the processor busy.
RETRY_S, LONGEST_RETRY_S = 30.0, 900.0


@dataclass(frozen=True)
class _Trouble:
    """Why a version could not be switched to, and when it is tried again (on the monotonic clock, s)."""

    error: TumorSegError
    pause: float
    again_at: float


@dataclass
class _Slot:
    """One served model, perhaps not loaded yet.

    Attributes:
        stamp: of the pointer to its version, as it was last looked at.
        loading: held while it is loaded for the first time.
        following: held while another version is made ready.
        model: once it was loaded.
        said: its description, once it was asked for.
        failed: whether it could not be loaded when its description was asked for.
        trouble: why the version that the pointer names now could not be switched to.
    """

    stamp: object
    loading: threading.Lock = field(default_factory=threading.Lock)
    following: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None
    said: dict[str, Any] | None = None
    failed: bool = False
    trouble: _Trouble | None = None


class ModelPool:
    """The configured models by name.

    Args:
        config: which ones, on which device, and where their versions lie.
        warm: lets a model look at something that means nothing, so that the first request does not pay for it; raises
            where the model cannot.

    Attributes:
        versions: the versions of their weights.
    """

    def __init__(self, config: AppConfig, warm: Callable[[str, Model], None] = lambda name, model: None) -> None:
        self._config, self._warm = config, warm
        self.versions = VersionStore(config.state / "weights")
        self._slots = {name: _Slot(self.versions.stamp(name)) for name in config.models}

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
                slot.stamp = self.versions.stamp(name)
                slot.model, slot.trouble = self.build(name, self.versions.current(name)), None
            model: Model = slot.model
            return model

    def usable(self, name: str) -> Model | None:
        """Return a model for who looks at it all the time, loading it where it is not.

        None for one that cannot be loaded: like :meth:`describe` this does not try it again and again.
        """
        return self.get(name) if self._said(name) is not None else None

    def answering(self, name: str) -> str:
        """Return the id of the version that answers here at this moment.

        That is the version that the pointer names, but for the second in which a new one is made ready, and where
        that one cannot be loaded.

        Raises:
            InputError: no model is loaded, and the pointer is damaged.
        """
        model, serving = self._slots[name].model, self.versions.serving(name)
        if model is None:
            return serving
        if serving != SHIPPED and self.versions.get(name, serving).sha256.startswith(model.version):
            return serving
        card = self.versions.by_weights(name, model.version)
        return card.id if card else SHIPPED

    def loaded(self, name: str) -> str:
        """Return what the model that answers calls its version, ``""`` while none is loaded."""
        model = self._slots[name].model
        return model.version if model else ""

    def build(self, name: str, weights: Path | None) -> Model:
        """Make a model that nobody is served by yet."""
        factory = resolve(self._config.known_models, "model", name)
        model: Model = factory(weights=weights, device=self._config.device)
        return model

    def follow(self, name: str) -> bool:
        """Serve the version that the pointer names now; True where another one was tried.

        The new version is built and warmed before it is switched to. One that cannot be is tried again when the pointer
        changes once more, and after :data:`RETRY_S`; what served goes on.

        Raises:
            TumorSegError: the version that the pointer names cannot be loaded; said to everybody who asks.
        """
        slot = self._slots[name]
        with slot.following:
            changed = False
            # Again and again: a first request may load what the pointer names while another version is made ready.
            while (stamp := self.versions.stamp(name)) != slot.stamp or _is_due(slot.trouble):
                changed = True
                known = slot.trouble if stamp == slot.stamp else None
                slot.stamp = stamp  # before the pointer is read: what changes meanwhile is seen the next time
                self._switch(name, slot, stamp, known)
            if (trouble := slot.trouble) is not None:
                raise trouble.error.with_traceback(None)  # its old ones would pile up
            return changed

    def _switch(self, name: str, slot: _Slot, stamp: object, known: _Trouble | None) -> None:
        """Put the new version in the place of the old one, or note why that cannot be.

        Neither where the slot was given another stamp meanwhile: a request loaded what is newer than this.

        Args:
            name: of the model.
            slot: its.
            stamp: with which this began.
            known: why it could not be when it was tried last.
        """
        ready = self._made_ready(name)
        with slot.loading:
            if slot.stamp != stamp:
                return
            if isinstance(ready, TumorSegError):
                slot.trouble = _again(ready, known)
                return
            (slot.model, slot.said), slot.failed, slot.trouble = ready, False, None
        logger.info("model %s is version %s now", name, ready[0].version)

    def _made_ready(self, name: str) -> tuple[Model, dict[str, Any]] | TumorSegError:
        """Return the version that the pointer names, warm, and what it says of itself; or why that cannot be."""
        try:
            model = self.build(name, self.versions.current(name))
            self._warm(name, model)
            return model, describe(model)
        except TumorSegError as error:
            return error.with_traceback(None)  # which would hold the network that failed
        except Exception as error:  # a network raises many kinds
            logger.warning("a version of %s failed when it was tried", name, exc_info=error)
            return InputError(f"the weights of {name} cannot be used ({type(error).__name__}): choose another version")

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


def _is_due(trouble: _Trouble | None) -> bool:
    return trouble is not None and time.monotonic() >= trouble.again_at


def _again(error: TumorSegError, known: _Trouble | None) -> _Trouble:
    """Note what went wrong: longer until the next try than before, and the same in the same words as the same error."""
    pause = min(2 * known.pause, LONGEST_RETRY_S) if known else RETRY_S
    same = known is not None and str(known.error) == str(error)
    return _Trouble(known.error if known and same else error, pause, time.monotonic() + pause)


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
