"""The loop: random batches, warm-up and half cosine, averaged weights, a state to go on from.

The number of steps is fixed beforehand and the average of the last weights is the result: with a few dozen held-out
pictures the best epoch would be the luckiest, and what is measured on them would no longer be unseen.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from tumorseg.training.checkpoint import RunState, save_weights
from tumorseg.training.detection.config import DetectionConfig
from tumorseg.training.detection.data import Example, PictureSampler
from tumorseg.training.schedule import follow, rate

if TYPE_CHECKING:
    from torchvision.models.detection import MaskRCNN

Report = Callable[[dict[str, float]], None]
#: Measures the averaged network; what it returns goes into the history.
Validate = Callable[["MaskRCNN"], dict[str, float]]
MAX_GRADIENT = 5.0


class DetectionTrainer:
    """One run in one folder.

    Args:
        network: Mask R-CNN, loaded with whatever it starts from.
        config: the recipe.
        out: folder for ``best.safetensors`` (the average, fp32), ``state.pt`` and ``history.jsonl``.
        side: pixels of the network's input.
        device: torch device.
    """

    def __init__(self, network: MaskRCNN, config: DetectionConfig, out: Path, *, side: int, device: str) -> None:
        self.config, self.out, self.side, self.device = config, out, side, torch.device(device)
        self.network = network.to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.backbone = list(_backbone(network).parameters())
        inner = {id(p) for p in self.backbone}
        groups = [
            {"params": [p for p in network.parameters() if id(p) not in inner], "scale": 1.0},
            {"params": self.backbone, "scale": config.backbone_rate},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, weight_decay=config.weight_decay)
        self.rng = np.random.default_rng(config.seed)
        self.torch_rng = torch.Generator().manual_seed(config.seed)
        self.step, self.seconds = 0, 0.0
        self.history: list[dict[str, float]] = []

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
        while self.step < config.steps:
            started = time.monotonic()
            sums: dict[str, float] = {}
            count = min(config.steps_per_epoch, config.steps - self.step)
            for _ in range(count):
                for name, value in self._train_step(sampler).items():
                    sums[name] = sums.get(name, 0.0) + value / count
            self.seconds += time.monotonic() - started
            row = {"step": self.step, "minutes": round(self.seconds / 60, 2)}
            row |= {name.removeprefix("loss_"): round(value, 4) for name, value in sums.items()}
            if validate is not None:
                row |= validate(self.average)
            self._keep(row)
            if report:
                report(row)
        return self.history

    def _train_step(self, sampler: PictureSampler) -> dict[str, float]:
        progress = self.step / self.config.steps
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
        total = torch.stack(list(losses.values())).sum()
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT)
        self.optimizer.step()
        self.step += 1
        follow(self.average, self.network, self.step, self.config.ema)
        return {name: float(value.detach()) for name, value in losses.items()}

    def _keep(self, row: dict[str, float]) -> None:
        self.history.append(row)
        save_weights(self.average.state_dict(), self.out / "best.safetensors", half=False, metadata={})
        with (self.out / "history.jsonl").open("a") as lines:
            lines.write(json.dumps(row) + "\n")
        random: dict[str, Any] = {"numpy": self.rng.bit_generator.state, "torch": self.torch_rng.get_state()}
        RunState(
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizer=self.optimizer.state_dict(),
            epoch=len(self.history),
            seconds=self.seconds,
            best_loss=math.inf,
            best_epoch=len(self.history),
            history=self.history,
            random=random | {"steps": self.step},
        ).save(self.out / "state.pt")

    def resume(self, path: Path) -> None:
        """Go on from a state that an earlier run wrote."""
        state = RunState.load(path)
        self.network.load_state_dict(state.network)
        self.average.load_state_dict(state.average)
        self.optimizer.load_state_dict(state.optimizer)
        self.seconds, self.history, self.step = state.seconds, state.history, state.random["steps"]
        self.rng.bit_generator.state = state.random["numpy"]
        self.torch_rng.set_state(state.random["torch"])


def _backbone(network: MaskRCNN) -> nn.Module:
    body: nn.Module = network.backbone.body
    return body
