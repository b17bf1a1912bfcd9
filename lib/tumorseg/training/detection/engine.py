"""The loop: random batches, warm-up and half cosine, averaged weights, a state to go on from.

The number of steps is fixed beforehand and the average of the last weights is the result: with a few dozen held-out
pictures the best epoch would be the luckiest, and what is measured on them would no longer be unseen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from tumorseg.training.averaged import AveragedRun
from tumorseg.training.detection.config import DetectionConfig
from tumorseg.training.detection.data import Example, PictureSampler
from tumorseg.training.schedule import rate

if TYPE_CHECKING:
    from torchvision.models.detection import MaskRCNN

Report = Callable[[dict[str, float]], None]
#: Measures the averaged network; what it returns goes into the history.
Validate = Callable[["MaskRCNN"], dict[str, float]]
MAX_GRADIENT = 5.0


class DetectionTrainer(AveragedRun["MaskRCNN"]):
    """One run in one folder.

    Args:
        network: Mask R-CNN, loaded with whatever it starts from.
        config: the recipe.
        out: folder for ``best.safetensors`` (the average, fp32), ``state.pt`` and ``history.jsonl``.
        side: pixels of the network's input.
        device: torch device.
    """

    def __init__(self, network: MaskRCNN, config: DetectionConfig, out: Path, *, side: int, device: str) -> None:
        self.config, self.side, self.device = config, side, torch.device(device)
        network = network.to(self.device, memory_format=torch.channels_last)
        self.backbone = list(_backbone(network).parameters())
        inner = {id(p) for p in self.backbone}
        groups = [
            {"params": [p for p in network.parameters() if id(p) not in inner], "scale": 1.0},
            {"params": self.backbone, "scale": config.backbone_rate},
        ]
        optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
        super().__init__(network, optimizer, out, seed=config.seed, decay=config.ema)

    def fit(
        self,
        examples: Sequence[Example],
        validate: Validate | None = None,
        report: Report | None = None,
        also: Sequence[Example] = (),
    ) -> list[dict[str, float]]:
        """Train for the recipe's steps, on ``also`` with the recipe's share; return one row an epoch."""
        config = self.config
        sampler = PictureSampler(
            examples,
            self.side,
            config.empty_fraction,
            config.augment,
            self.rng,
            self.torch_rng,
            also=also,
            share=config.also_share,
        )
        while self.steps < config.steps:
            started = time.monotonic()
            sums: dict[str, float] = {}
            count = min(config.steps_per_epoch, config.steps - self.steps)
            for _ in range(count):
                for name, value in self._train_step(sampler).items():
                    sums[name] = sums.get(name, 0.0) + value / count
            self.seconds += time.monotonic() - started
            row = {"step": self.steps, "minutes": round(self.seconds / 60, 2)}
            row |= {name.removeprefix("loss_"): round(value, 4) for name, value in sums.items()}
            if validate is not None:
                row |= validate(self.average)
            self.keep(row)
            if report:
                report(row)
        return self.history

    def _train_step(self, sampler: PictureSampler) -> dict[str, float]:
        progress = self.steps / self.config.steps
        for group in self.optimizer.param_groups:
            group["lr"] = (
                self.config.learning_rate * group["scale"] * rate(progress, self.config.warmup, self.config.final_rate)
            )
        moving = progress >= self.config.heads_first
        for parameter in self.backbone:
            parameter.requires_grad_(moving)
        images, targets = sampler.draw(self.config.batch)
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.network(
            [image.to(self.device) for image in images],
            [{name: value.to(self.device) for name, value in target.items()} for target in targets],
        )
        self.batches += 1
        self.step(torch.stack(list(losses.values())).sum(), MAX_GRADIENT)
        return {name: float(value.detach()) for name, value in losses.items()}


def _backbone(network: MaskRCNN) -> nn.Module:
    body: nn.Module = network.backbone.body
    return body
