"""Which of the served models learn here."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING

from tumorseg.models.slicewise import SlicewiseSpec

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

logger = logging.getLogger(__name__)


def trainable(config: AppConfig) -> dict[str, SlicewiseSpec]:
    """Return the specs of the served models that can be trained, by registry name, the default model first.

    These are the models whose module has a ``SPEC`` of a slice-wise network that sees every slice. ``cascade`` marks
    only what its gate passes and is trained on that alone, detectors find objects: neither learns from masks of whole
    images by this engine.
    """
    specs = {name: spec_of(factory) for name in config.models if (factory := config.known_models[name])}
    return {name: spec for name, spec in specs.items() if spec is not None}


def spec_of(factory: str) -> SlicewiseSpec | None:
    """Return the spec of a model that learns here; None of any other.

    Args:
        factory: ``module:factory``.
    """
    from tumorseg.training.recipes import recipe

    try:
        spec = getattr(import_module(factory.partition(":")[0]), "SPEC", None)
    except ImportError as error:  # a site's own model; whoever asks it for an answer is told
        logger.warning("%s cannot be imported and is not offered for training: %s", factory, error)
        return None
    if not isinstance(spec, SlicewiseSpec) or recipe(spec.name).tumour_fraction >= 1:
        return None
    return spec
