"""Training of the gate: the loop of the segmentation networks, judged slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from tumorseg.metrics.ranking import auc
from tumorseg.networks.gate import widen_stem
from tumorseg.training.data import Volume, in_order
from tumorseg.training.engine import VALIDATION_BATCH, Trainer
from tumorseg.training.pretrained import Loaded, load_matching, read_state

STEM = "trunk.conv_stem.weight"


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
        return float(np.mean(losses)), auc(logits, shown)

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


def start_from(network: nn.Module, path: Path, slices: int) -> Loaded:
    """Give the gate weights to start from: of an earlier gate, or of its trunk as ImageNet trained it."""
    state = read_state(path)
    if STEM not in state:
        state = {f"trunk.{name}": value for name, value in state.items()}
        state[STEM] = widen_stem(state[STEM], slices)
    return load_matching(network, state, path.name)
