"""What a model's weights say of one image: columns of scores, and a vector of the network's encoder.

The slices are those that the serving model sees, prepared by the same functions. The network is PyTorch's own and no
faster engine: dropout is put into it, and the encoder is listened to (:mod:`tumorseg.active_learning.looks`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.active_learning.case_scores import CaseScores
from tumorseg.active_learning.detection_scoring import detection_margin, localisation_instability
from tumorseg.active_learning.types import BALD, DETECTION_MARGIN, EMBEDDING, LOCALISATION
from tumorseg.adapters.learning.columns import DETECTION_COLUMNS, SEGMENTATION_COLUMNS, columns_of
from tumorseg.errors import InputError
from tumorseg.models.base import DetectionModel
from tumorseg.models.cascade import Cascade
from tumorseg.models.engines.base import Look
from tumorseg.models.preparation import Prepared, prepare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.models.base import Model
    from tumorseg.models.slicewise import SlicewiseModel
    from tumorseg.types import StudyImage

#: Slices looked at together; of these all looks are in memory.
CHUNK = 16
#: Findings are taken down to this score: what is just missed is as uncertain as what is just found.
LOWEST_FINDING = 0.05
#: Standard deviations of the noise that boxes should bear, parts of the image's range (Kao et al. 2018, section 3.2:
#: 8, 16 and 24 of 255 grey values).
NOISE = (8 / 255, 16 / 255, 24 / 255)
_RANGE = (0.5, 99.5)


@dataclass(frozen=True, eq=False)
class Said:
    """What was said of an image.

    Attributes:
        columns: score by name.
        embedding: ``(D,)`` mean over the slices, None where nobody asked for it.
    """

    columns: dict[str, float]
    embedding: NDArray[np.float32] | None = None


class SliceScorer:
    """Asks a slice-wise model, or the second stage of a cascade where the first one lets it look.

    Args:
        model: as it serves.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Attributes:
        columns: what can be asked for.
    """

    def __init__(self, model: SlicewiseModel | Cascade, device: str) -> None:
        import torch

        from tumorseg.active_learning.looks import dropout
        from tumorseg.models.engines.torch_engine import pick_device
        from tumorseg.models.weights import load_into

        self._gate = model.gate if isinstance(model, Cascade) else None
        self._marker = model.marker if isinstance(model, Cascade) else model
        network = self._marker.spec.network()
        load_into(network, self._marker.weights, self._marker.name)
        self._network = network.eval().requires_grad_(False).to(pick_device(device))
        self.columns = SEGMENTATION_COLUMNS
        try:
            with dropout(network, 0.0, torch.Generator()):
                pass
        except InputError:  # no stages that channels could be dropped after, or that vectors could be taken from
            self.columns -= {BALD, EMBEDDING}

    def __call__(self, image: StudyImage, columns: Collection[str]) -> Said:
        """Return the wanted columns of a whole image; memory is that of the image and of :data:`CHUNK` slices."""
        from tumorseg.active_learning.looks import LOOKS, embed, look

        prepared = prepare(image, self._marker.channels, self._marker.spec.stride, self._marker.contrast)
        kinds = {name: LOOKS[name] for name in columns if name in LOOKS}
        scores, vectors = CaseScores(kinds), []
        passed = self._passed(image, prepared)
        for chosen, slices, inner in _chunks(Look(self._marker.spec, prepared.slices)):
            if EMBEDDING in columns:
                vectors.append(embed(self._network, slices))
            seen = slices[passed[chosen]]
            if kinds and len(seen):
                looks = {kind: look(self._network, seen, kind)[inner] for kind in sorted(set(kinds.values()))}
                scores.add({name: looks[kind] for name, kind in kinds.items()})
            scores.add_nothing((len(chosen) - len(seen)) * prepared.slices[0, 0].size)
        return Said(scores.result(), np.concatenate(vectors).mean(axis=0) if vectors else None)

    def _passed(self, image: StudyImage, prepared: Prepared) -> NDArray[np.bool_]:
        """Return ``(K,)`` which slices the network looks at, in its own order."""
        if self._gate is None:
            return np.ones(prepared.slices.shape[1], bool)
        return prepared.along(self._gate.classify(image).scores >= self._gate.threshold)


def _chunks(whole: Look) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32], Any]]:
    """Give the network's inputs ``(N, slices * C, H, W)``, which slices they are, and where they are no padding."""
    height, width = whole.probability.shape[1:]
    top, left = ((padded - side) // 2 for padded, side in zip(whole.shape, (height, width), strict=True))
    inner = (..., slice(top, top + height), slice(left, left + width))
    for start in range(0, whole.size, CHUNK):
        chosen = whole.chosen[start : start + CHUNK]
        yield chosen, np.concatenate([whole.input(int(k)) for k in chosen]), inner


class DetectionScorer:
    """Asks a detector for its findings, once more in noisy pictures where wanted.

    Args:
        model: as it serves.
    """

    columns = DETECTION_COLUMNS

    def __init__(self, model: DetectionModel) -> None:
        self._model = model

    def __call__(self, image: StudyImage, columns: Collection[str]) -> Said:
        """Return the wanted columns of a whole image."""
        boxes, scores = self._found(image)
        said = {}
        if DETECTION_MARGIN in columns:
            said[DETECTION_MARGIN] = detection_margin(scores, self._threshold)
        if LOCALISATION in columns:
            rng = np.random.default_rng(0)  # the same noise for all models and images, so that scores compare
            others = [self._found(_noisy(image, level, rng))[0] for level in NOISE] if len(boxes) else []
            said[LOCALISATION] = localisation_instability(boxes, scores, others)
        return Said(said)

    @property
    def _threshold(self) -> float:
        return min(max(self._model.options.score, LOWEST_FINDING), 1 - LOWEST_FINDING)

    def _found(self, image: StudyImage) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return ``(N, 6)`` boxes and ``(N,)`` scores of all findings, also of those that are not shown."""
        options = replace(self._model.options, score=min(LOWEST_FINDING, self._model.options.score))
        detections = self._model.predict(image, options=options).detections
        found = detections.instances if detections is not None else ()
        return np.array([one.box for one in found]).reshape(-1, 6), np.array([one.score for one in found])


def _noisy(image: StudyImage, level: float, rng: np.random.Generator) -> StudyImage:
    """Add Gaussian noise, of a part of each channel's range, within what its kind of numbers can hold."""
    noisy = np.empty_like(image.voxels)
    for channel, voxels in enumerate(image.voxels):
        low, high = np.percentile(voxels, _RANGE)
        changed = voxels + (rng.standard_normal(voxels.shape, np.float32) * np.float32(level * (high - low)))
        if voxels.dtype.kind in "ui":
            most = np.iinfo(voxels.dtype)
            changed = np.rint(changed).clip(most.min, most.max)
        noisy[channel] = changed.astype(voxels.dtype)
    return replace(image, voxels=noisy)


def scorer_of(model: Model, device: str) -> SliceScorer | DetectionScorer | None:
    """Return what asks this model, None for one that cannot be asked (:func:`columns_of`)."""
    if isinstance(model, DetectionModel):
        return DetectionScorer(model)
    if not columns_of(model):
        return None
    return SliceScorer(model, device)  # type: ignore[arg-type]
