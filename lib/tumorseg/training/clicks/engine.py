"""The training loop of the click head.

One batch:
1. pieces of training patients are drawn and augmented, and go through the frozen trunk once;
2. every piece gets a mask with mistakes;
3. a simulated person clicks into a mistake; the head sees the window around the click, its answer is compared with the
   truth, and the optimiser steps; the mask changes as it would when the model serves
   (:func:`tumorseg.interactive.local.confined`);
4. 3 again, with the click remembered (iterative training, Mahadevan et al. 2018), a few times.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from tumorseg.interactive.clicks.guide import guide, newest
from tumorseg.interactive.local import confined
from tumorseg.interactive.prompts import Click
from tumorseg.networks.clicks import ClickHead
from tumorseg.training.averaged import AveragedRun
from tumorseg.training.clicks.config import ClickConfig, Stage
from tumorseg.training.clicks.loss import click_loss
from tumorseg.training.clicks.mistakes import contested, start, styled
from tumorseg.training.clicks.person import click
from tumorseg.training.clicks.pieces import Piece, PieceSampler
from tumorseg.training.schedule import rate

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from tumorseg.networks.clicks import Trunk
    from tumorseg.training.data import Volume

Report = Callable[[dict[str, float]], None]
#: Windows begin at multiples of this, where the trunk's coarse features have a pixel's corner.
ALIGN = 4
MAX_GRADIENT = 1.0


@dataclass(eq=False)
class _Scene:
    """A piece that is being clicked: its picture, what the trunk says of it, and how far the person has come."""

    piece: Piece
    fine: Tensor
    coarse: Tensor
    truth: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    blind: bool
    clicks: list[Click] = field(default_factory=list)


class ClickTrainer(AveragedRun[ClickHead]):
    """One run in one folder.

    Args:
        trunk: filled; it is not trained.
        head: to be trained.
        config: the recipe.
        out: folder for ``best.safetensors`` (the head's average, fp32), ``state.pt`` and ``history.jsonl``.
        device: torch device.
    """

    def __init__(self, trunk: Trunk, head: ClickHead, config: ClickConfig, out: Path, *, device: str = "cpu") -> None:
        self.config, self.device = config, torch.device(device)
        self.trunk = trunk.eval().requires_grad_(False).to(self.device)
        head = head.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(head.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        super().__init__(head, optimizer, out, seed=config.seed, decay=config.ema)

    def progress(self) -> float:
        """How far the run is, in [0, 1]."""
        return min(1.0, self.batches / (self.config.epochs * self.config.batches))

    def fit(self, volumes: Sequence[Volume], report: Report | None = None) -> list[dict[str, float]]:
        """Train for the recipe's epochs; return one row an epoch."""
        config = self.config
        sampler = PieceSampler(volumes, config.piece, config.augment, self.rng, self.torch_rng)
        while self.progress() < 1:
            row = self._epoch(sampler)
            if report:
                report(row)
        return self.history

    def _epoch(self, sampler: PieceSampler) -> dict[str, float]:
        losses: list[float] = []
        gains: list[list[float]] = [[] for _ in range(self.config.rounds)]
        began = time.monotonic()
        for _ in range(self.config.batches):
            self._batch(sampler, losses, gains)
            self.batches += 1
        self.seconds += time.monotonic() - began
        row = {
            "epoch": len(self.history),
            "minutes": round(self.seconds / 60, 2),
            "progress": round(self.progress(), 4),
            "depth": self.config.stage(self.progress()).depth,
            "loss": round(float(np.mean(losses)), 5),
        }
        row |= {f"gain_{n}": round(float(np.mean(found or [math.nan])), 4) for n, found in enumerate(gains, 1)}
        self.keep(row)
        return row

    def _batch(self, sampler: PieceSampler, losses: list[float], gains: list[list[float]]) -> None:
        stage = self.config.stage(self.progress())
        scenes = self._scenes([sampler.draw(stage.depth) for _ in range(stage.batch)], stage)
        for gained in gains:
            clicked = [scene for scene in scenes if self._click(scene)]
            if clicked:
                losses.append(self._step(clicked, stage, gained))

    @torch.no_grad()
    def _scenes(self, pieces: Sequence[Piece], stage: Stage) -> list[_Scene]:
        """Look at the pieces with the trunk, and give each a mask with mistakes."""
        self.trunk.eval()
        scenes = []
        for piece in pieces:
            fine, coarse, logits = self.trunk(piece.for_trunk().to(self.device))
            truth = styled(piece.truth, self.rng)
            if stage.contested and self.rng.random() < stage.contested:
                truth = contested(truth, piece.image[1:-1].numpy(), self.rng)
            mask = start(truth, torch.sigmoid(logits[:, 0]).cpu().numpy(), self.rng)
            blind = bool(self.rng.random() < self.config.blind)
            if blind:
                fine, coarse = torch.zeros_like(fine), torch.zeros_like(coarse)
            scenes.append(_Scene(piece, fine, coarse, truth, mask, blind))
        return scenes

    def _click(self, scene: _Scene) -> bool:
        """Let the person click; False where nothing is worth it."""
        found = click(scene.mask, scene.truth, self.rng)
        if found is not None:
            scene.clicks.append(found)
        return found is not None

    def _step(self, scenes: Sequence[_Scene], stage: Stage, gained: list[float]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * rate(self.progress(), self.config.warmup, self.config.final_rate)
        corners = [self._corner(scene) for scene in scenes]
        windows = [self._window(scene, corner) for scene, corner in zip(scenes, corners, strict=True)]
        fine, coarse, told = (
            torch.cat(parts).contiguous(memory_format=torch.channels_last) for parts in zip(*windows, strict=True)
        )
        masks, truths = (
            torch.from_numpy(
                np.stack([_cut(one, c, self.config.window) for one, c in zip(stacks, corners, strict=True)])
            )
            for stacks in ([scene.mask for scene in scenes], [scene.truth for scene in scenes])
        )
        positive = torch.tensor([scene.clicks[-1].positive for scene in scenes])
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.network(fine, coarse, told, stage.depth).reshape(masks.shape)
        weight = 1 + stage.near * newest(told).reshape(masks.shape) if stage.near else None
        loss = click_loss(logits, truths.to(self.device), masks.to(self.device), positive.to(self.device), weight)
        self.step(loss, MAX_GRADIENT)
        answers = (logits.detach() > 0).cpu().numpy()
        for scene, corner, answer in zip(scenes, corners, answers, strict=True):
            gained.append(_change(scene, corner, answer))
        return float(loss.detach())

    def _corner(self, scene: _Scene) -> tuple[int, int]:
        """Row and column where the window around the newest click begins."""
        i, j, _ = scene.clicks[-1].at
        last = self.config.piece - self.config.window
        row, column = (int(np.clip(at - self.config.window // 2, 0, last)) // ALIGN * ALIGN for at in (j, i))
        return row, column

    def _window(self, scene: _Scene, corner: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the head's three inputs."""
        (row, column), side = corner, self.config.window
        image = scene.piece.image[1:-1, :, row : row + side, column : column + side].numpy()
        clicks = [Click((c.at[0] - column, c.at[1] - row, c.at[2]), c.positive) for c in scene.clicks]
        told = torch.from_numpy(guide(image, _cut(scene.mask, corner, side), clicks)).to(self.device)
        fine, coarse = (
            t[..., row // f : (row + side) // f, column // f : (column + side) // f]
            for t, f in ((scene.fine, 2), (scene.coarse, 4))
        )
        return fine, coarse, told


def _cut(voxels: NDArray[np.bool_], corner: tuple[int, int], side: int) -> NDArray[np.bool_]:
    return voxels[:, corner[0] : corner[0] + side, corner[1] : corner[1] + side]


def _change(scene: _Scene, corner: tuple[int, int], answer: NDArray[np.bool_]) -> float:
    """Change the mask as serving would; return by how much its Dice rose."""
    before = _dice(scene.mask, scene.truth)
    edit = confined(scene.mask, (0, *corner), answer, scene.clicks[-1], scene.clicks[:-1])
    scene.mask = edit.applied(scene.mask)
    return _dice(scene.mask, scene.truth) - before


def _dice(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    marked = int(mask.sum()) + int(truth.sum())
    return 2 * int((mask & truth).sum()) / marked if marked else 1.0
