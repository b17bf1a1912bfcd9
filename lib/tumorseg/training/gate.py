"""Training of the gate: the loop of the segmentation networks, judged slice by slice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from tumorseg.io.kaggle_3m import Case
from tumorseg.metrics.roc import roc_auc
from tumorseg.models.classifier import SliceClassifier
from tumorseg.models.slice_classifier import DEFAULT_THRESHOLD
from tumorseg.training.data import Volume, in_order
from tumorseg.training.engine import VALIDATION_BATCH, Trainer

#: Of the tumours' volume, on the validation patients.
KEPT_VOLUME = 0.995
#: A few patients do not tell where exactly the last tumour slice lies: a lost slice is worse than one seen in vain.
MARGIN = 0.5


class GateTrainer(Trainer):
    """Keeps the weights whose slices' cross-entropy on the validation patients is lowest, and shows their AUC."""

    score = "valid_auc"

    def validate(self, volumes: Sequence[Volume], zoom: float = 1.0) -> tuple[float, float]:
        """Cross-entropy, both kinds of slices weighing the same, and AUC over the slices of all patients."""
        logits = np.concatenate([self.logits(volume, zoom) for volume in volumes])
        shown = np.concatenate([volume.mask.any(axis=(1, 2)) for volume in volumes])
        signed = np.where(shown, -logits, logits)
        losses = [
            float(np.logaddexp(0, signed[shown == kind]).mean()) for kind in (False, True) if (shown == kind).any()
        ]
        return float(np.mean(losses)), roc_auc(logits, shown)

    @torch.no_grad()
    def logits(self, volume: Volume, zoom: float = 1.0) -> NDArray[np.float64]:
        """Return what the averaged weights say of every slice, ``(K,)``."""
        self.average.eval()
        found = []
        for images, _ in in_order(volume, self.slices, VALIDATION_BATCH):
            if zoom < 1:
                images = F.avg_pool2d(images, round(1 / zoom))
            batch = images.to(self.device).contiguous(memory_format=torch.channels_last)
            found.append(self.average(batch).flatten().double().cpu().numpy())
        return np.concatenate(found)


def operating_point(classifier: SliceClassifier, cases: Iterable[Case]) -> float:
    """Choose the score from which on a slice counts: ``MARGIN`` times the largest that keeps ``KEPT_VOLUME``.

    What is lost is counted in voxels, patient by patient, so that a large tumour does not speak for a small one. On
    patients without any tumour there is nothing to choose by, and it is one half.
    """
    scores, shares = [], []
    for case in cases:
        area = np.zeros(0) if case.truth is None else case.truth.voxels.astype(bool)
        if not area.any():
            continue
        found = classifier.classify(case.image)
        area = area.sum(axis=tuple(axis for axis in range(3) if axis != found.axis))
        scores.append(found.scores)
        shares.append(area / area.sum())
    if not scores:
        return DEFAULT_THRESHOLD
    return MARGIN * _largest(np.concatenate(scores).astype(np.float64), np.concatenate(shares) / len(shares))


def _largest(scores: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    order = np.argsort(-scores, kind="stable")
    enough = int(np.searchsorted(np.cumsum(shares[order]), KEPT_VOLUME))
    return float(scores[order][min(enough, len(order) - 1)])
