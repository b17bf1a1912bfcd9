"""The training loop: random batches, cosine learning rate, averaged weights, validation, early stopping, resume.

One epoch:
1. draw ``steps_per_epoch`` batches, augment them at the stage's resolution, step the optimiser, move the average;
2. validate the average on whole volumes of the validation patients at the stage's resolution (loss, volume Dice);
3. keep the average as the best when its loss is the lowest of the stage; write the state, so that a stop costs one
   epoch. Losses at different resolutions do not compare, so each stage looks for its own best and early stopping
   waits for the last one.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tumorseg.training.checkpoint import RunState, save_weights
from tumorseg.training.config import TrainConfig
from tumorseg.training.data import SliceSampler, Volume, in_order
from tumorseg.training.losses import LOSSES
from tumorseg.training.schedule import follow, rate
from tumorseg.transforms.augment import augment

VALIDATION_BATCH = 8
Report = Callable[[dict[str, float]], None]
#: Called before every step and every volume that is validated; what it raises ends the run between two epochs' states.
Step = Callable[[], None]


@dataclass
class FitResult:
    """What a run left: the path of the best weights and one row an epoch."""

    weights: Path
    best_epoch: int
    best_loss: float
    history: list[dict[str, float]] = field(default_factory=list)
    stopped: str = ""


class Trainer:
    """One run in one folder.

    Args:
        network: the network to train, ``(B, slices * C, H, W)`` -> ``(B, 1, H, W)`` logits.
        config: the recipe.
        out: folder for ``best.safetensors``, ``state.pt`` and ``history.jsonl``.
        slices: neighbouring slices in one input.
        device: torch device.
        minutes: a time budget that the learning rate follows instead of the number of epochs.
    """

    #: What the history calls the figure that is shown beside the validation loss.
    score = "valid_dice"

    def __init__(
        self,
        network: nn.Module,
        config: TrainConfig,
        out: Path,
        *,
        slices: int = 1,
        device: str = "cpu",
        minutes: float | None = None,
    ) -> None:
        self.config, self.out, self.slices, self.device, self.minutes = (
            config,
            out,
            slices,
            torch.device(device),
            minutes,
        )
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.loss = LOSSES[config.loss]
        self.rng = np.random.default_rng(config.seed)
        self.torch_rng = torch.Generator().manual_seed(config.seed)
        self.epoch, self.steps, self.seconds = 0, 0, 0.0
        self.best_loss, self.best_epoch = math.inf, -1
        self.history: list[dict[str, float]] = []
        self.each_step: Step = lambda: None

    def fit(self, train: Sequence[Volume], validation: Sequence[Volume], report: Report | None = None) -> FitResult:
        """Train until the epochs, the minutes or the patience are used up."""
        sampler = SliceSampler(train, self.slices, self.config.tumour_fraction, self.rng)
        stopped = "all epochs done"
        while self.epoch < self.config.epochs:
            if self.minutes is not None and self.progress() >= 1:
                stopped = "time budget used"
                break
            if self._final_stage() and self.epoch - self.best_epoch > self.config.patience:
                stopped = f"no better validation loss for {self.config.patience} epochs"
                break
            row = self._epoch(sampler, validation)
            if report:
                report(row)
        return FitResult(self.out / "best.safetensors", self.best_epoch, self.best_loss, self.history, stopped)

    def progress(self) -> float:
        """How far the run is, in [0, 1]: by time where a budget was given, by steps otherwise."""
        if self.minutes is not None:
            return min(1.0, self.seconds / (60 * self.minutes))
        return min(1.0, self.steps / (self.config.epochs * self.config.steps_per_epoch))

    def _final_stage(self) -> bool:
        return bool(self.history) and self.history[-1]["zoom"] == self.config.stages[-1].zoom

    def _epoch(self, sampler: SliceSampler, validation: Sequence[Volume]) -> dict[str, float]:
        losses = []
        for _ in range(self.config.steps_per_epoch):
            self.each_step()
            started = time.monotonic()
            losses.append(self._step(sampler))
            self.seconds += time.monotonic() - started
            if self.progress() >= 1:
                break
        started = time.monotonic()
        zoom = self.config.stage(self.progress()).zoom
        valid_loss, score = self.validate(validation, zoom)
        self.seconds += time.monotonic() - started
        row = {
            "epoch": self.epoch,
            "minutes": round(self.seconds / 60, 2),
            "progress": round(self.progress(), 4),
            "zoom": zoom,
            "train_loss": round(float(np.mean(losses)), 5),
            "valid_loss": round(valid_loss, 5),
            self.score: round(score, 5),
        }
        self._keep(row)
        self.epoch += 1
        self._save()
        return row

    def _step(self, sampler: SliceSampler) -> float:
        stage = self.config.stage(self.progress())
        pace = rate(self.progress(), self.config.warmup, self.config.final_rate)
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * pace
        images, masks = (t.to(self.device) for t in sampler.draw(self.config.batch))
        channels = images.shape[1] // self.slices
        images, masks = augment(
            images,
            masks,
            stage.size,
            stage.zoom,
            self.config.augment,
            self.torch_rng,
            channels=channels,
            flair=min(1, channels - 1),
        )
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            logits = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = self.loss(logits, masks)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.steps += 1
        follow(self.average, self.network, self.steps, self.config.ema)
        return float(loss.detach())

    def _autocast(self) -> torch.autocast:
        fast = self.device.type == "cuda" or _cpu_has_bf16()
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=fast)

    @torch.no_grad()
    def validate(self, volumes: Sequence[Volume], zoom: float = 1.0) -> tuple[float, float]:
        """Mean loss and mean volume Dice over patients of the averaged weights, at ``zoom`` of the resolution."""
        losses, dices = [], []
        self.average.eval()
        for volume in volumes:
            self.each_step()
            logits, masks = [], []
            for images, truth in in_order(volume, self.slices, VALIDATION_BATCH):
                if zoom < 1:
                    images, truth = (F.avg_pool2d(t, round(1 / zoom)) for t in (images, truth))
                with self._autocast():
                    batch = images.to(self.device).contiguous(memory_format=torch.channels_last)
                    logits.append(self.average(batch).float().cpu())
                masks.append(truth)
            all_logits, all_masks = torch.cat(logits), torch.cat(masks)
            losses.append(float(self.loss(all_logits, all_masks)))
            found, all_masks = all_logits > 0, all_masks >= 0.5
            both = float((found & all_masks).sum())
            dices.append(2 * both / max(float(found.sum() + all_masks.sum()), 1.0))
        return float(np.mean(losses)), float(np.mean(dices))

    def _keep(self, row: dict[str, float]) -> None:
        if self.history and self.history[-1]["zoom"] != row["zoom"]:
            self.best_loss = math.inf
        self.history.append(row)
        if row["valid_loss"] < self.best_loss:
            self.best_loss, self.best_epoch = row["valid_loss"], self.epoch
            metadata = {"history": json.dumps(row)}
            save_weights(self.average.state_dict(), self.out / "best.safetensors", half=False, metadata=metadata)
        with (self.out / "history.jsonl").open("a") as lines:
            lines.write(json.dumps(row) + "\n")

    def _save(self) -> None:
        random: dict[str, Any] = {"numpy": self.rng.bit_generator.state, "torch": self.torch_rng.get_state()}
        random["dropout"] = torch.get_rng_state()
        RunState(
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizer=self.optimizer.state_dict(),
            epoch=self.epoch,
            seconds=self.seconds,
            best_loss=self.best_loss,
            best_epoch=self.best_epoch,
            history=self.history,
            random=random | {"steps": self.steps},
        ).save(self.out / "state.pt")

    def resume(self, path: Path) -> None:
        """Go on from a state that an earlier run wrote."""
        state = RunState.load(path)
        self.network.load_state_dict(state.network)
        self.average.load_state_dict(state.average)
        self.optimizer.load_state_dict(state.optimizer)
        self.epoch, self.seconds, self.history = state.epoch, state.seconds, state.history
        self.best_loss, self.best_epoch = state.best_loss, state.best_epoch
        self.steps = state.random["steps"]
        self.rng.bit_generator.state = state.random["numpy"]
        self.torch_rng.set_state(state.random["torch"])
        if "dropout" in state.random:  # states of before this release have none
            torch.set_rng_state(state.random["dropout"])


def _cpu_has_bf16() -> bool:
    """bf16 arithmetic without the CPU's own instructions is slower than fp32, so ask for them."""
    capability = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(capability.get("avx512_bf16") or capability.get("amx_bf16") or capability.get("amx_tile"))
