"""What the product knows by name. Entries are strings, so that looking at the list imports nothing.

Adding a model or a data set is one new file and one line here; the contract tests then run over it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tumorseg.errors import NotFoundError

if TYPE_CHECKING:
    from tumorseg.active_learning.types import Strategy
    from tumorseg.interactive.base import Interactive
    from tumorseg.models.base import Model
    from tumorseg.models.classifier import SliceClassifier

#: name -> "module:factory"; a factory takes (weights: Path | None, device: str) and returns a Model.
MODELS: dict[str, str] = {
    "resunet": "tumorseg.models.resunet:build",
    "resunet25d": "tumorseg.models.resunet25d:build",
    "unet": "tumorseg.models.unet:build",
    "fcn32s": "tumorseg.models.fcn32s:build",
    "cascade": "tumorseg.models.cascade:build",
    "maskrcnn_brain": "tumorseg.models.maskrcnn_brain:build",
    "maskrcnn_breast": "tumorseg.models.maskrcnn_breast:build",
}
#: The model that is taken where none is named: the best on the frozen validation patients.
DEFAULT_MODEL = "resunet25d"

#: name -> "module:factory"; a factory takes (weights: Path | None, device: str) and returns a SliceClassifier.
CLASSIFIERS: dict[str, str] = {
    "gate": "tumorseg.models.gate:build",
    "gate_resnet50": "tumorseg.models.gate_resnet50:build",
}

#: name -> "module:factory"; a factory takes (weights: Path | None, device: str) and returns an Interactive.
INTERACTIVE: dict[str, str] = {
    "clicks": "tumorseg.interactive.clicks.model:build",
    "scribbles": "tumorseg.interactive.classical.model:build_scribbles",
    "clicks_any": "tumorseg.interactive.classical.model:build_clicks",
    "sam2": "tumorseg.interactive.foundation.sam2:build",
    "nninteractive": "tumorseg.interactive.foundation.nninteractive:build",
}
#: Those of them that have no weights but those that a user brings, and are served only with them.
FOUNDATION = ("sam2", "nninteractive")

#: name -> "module:factory"; a factory takes (root: Path, patients: Sequence[str] | None) and returns a sequence of
#: cases with ``patients``, or raises InputError when the folder is of another kind. They are tried in this order.
DATASETS: dict[str, str] = {
    "kaggle_3m": "tumorseg.io.kaggle_3m:Kaggle3m",
    "nifti_pairs": "tumorseg.io.pairs:NiftiPairs",
}

#: name -> "module:constant"; a tumorseg.annotations.format.AnnotationFormat. The first that fits a folder reads it.
ANNOTATIONS: dict[str, str] = {
    "datastore": "tumorseg.adapters.picture_format:DATASTORE",
    "kaggle_3m": "tumorseg.annotations.formats:KAGGLE_3M",
    "mask_folders": "tumorseg.annotations.formats:MASK_FOLDERS",
    "coco": "tumorseg.annotations.formats:COCO",
    "voc": "tumorseg.annotations.formats:VOC",
    "via": "tumorseg.annotations.formats:VIA",
}

#: name -> "module:factory"; a factory takes nothing and returns a tumorseg.active_learning.types.Strategy.
STRATEGIES: dict[str, str] = {
    "random": "tumorseg.active_learning.strategies.random:build",
    "foreground_random": "tumorseg.active_learning.strategies.foreground_random:build",
    "strided": "tumorseg.active_learning.strategies.strided:build",
    "in_order": "tumorseg.active_learning.strategies.in_order:build",
    "entropy": "tumorseg.active_learning.strategies.entropy:build",
    "margin": "tumorseg.active_learning.strategies.margin:build",
    "bald": "tumorseg.active_learning.strategies.bald:build",
    "tta": "tumorseg.active_learning.strategies.tta:build",
    "coreset": "tumorseg.active_learning.strategies.coreset:build",
    "typiclust": "tumorseg.active_learning.strategies.typiclust:build",
    "clasp_pe": "tumorseg.active_learning.strategies.clasp_pe:build",
    "hybrid": "tumorseg.active_learning.strategies.hybrid:build",
    "detection_score": "tumorseg.active_learning.strategies.detection_score:build",
    "localisation": "tumorseg.active_learning.strategies.localisation:build",
}
#: The strategy that is taken where none is named, and that viewers are shown first.
DEFAULT_STRATEGY = "random"

#: name -> "module:function"; a function takes a tumorseg.metrics.pair.Pair and returns a number, NaN where undefined.
METRICS: dict[str, str] = {
    "dice": "tumorseg.metrics.overlap:dice",
    "iou": "tumorseg.metrics.overlap:iou",
    "sensitivity": "tumorseg.metrics.overlap:sensitivity",
    "precision": "tumorseg.metrics.overlap:precision",
    "hd95_mm": "tumorseg.metrics.surface:hd95_mm",
    "surface_dice": "tumorseg.metrics.surface:surface_dice",
    "lesion_dice": "tumorseg.metrics.lesions:lesion_dice",
}


def resolve(table: Mapping[str, str], kind: str, name: str) -> Any:
    """Import and return what ``name`` stands for in ``table``; an unknown name lists the known ones."""
    if name not in table:
        raise NotFoundError(f"unknown {kind} {name!r}; known: {', '.join(sorted(table))}")
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


def load_model(name: str | None = None, *, weights: Any = None, device: str = "auto") -> Model:
    """Build the model called ``name`` (the default one for None) with its shipped or the given weights."""
    factory = resolve(MODELS, "model", name or DEFAULT_MODEL)
    model: Model = factory(weights=weights, device=device)
    return model


def load_classifier(name: str, *, weights: Any = None, device: str = "auto") -> SliceClassifier:
    """Build the classifier called ``name`` with its shipped or the given weights."""
    factory = resolve(CLASSIFIERS, "classifier", name)
    classifier: SliceClassifier = factory(weights=weights, device=device)
    return classifier


def load_interactive(name: str, *, weights: Any = None, device: str = "auto") -> Interactive:
    """Build what answers prompts and is called ``name``, with its shipped or the given weights."""
    factory = resolve(INTERACTIVE, "interactive model", name)
    model: Interactive = factory(weights=weights, device=device)
    return model


def load_strategy(name: str) -> Strategy:
    """Build the way of choosing what is labelled next that is called ``name``."""
    strategy: Strategy = resolve(STRATEGIES, "strategy", name)()
    return strategy
