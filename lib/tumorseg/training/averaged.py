"""A run of fixed length whose result is the moving average of its weights; it is written after every part."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import nn

from tumorseg.training.checkpoint import RunState, save_weights
from tumorseg.training.schedule import follow

N = TypeVar("N", bound=nn.Module)


class AveragedRun(Generic[N]):
    """What such trainers share; each brings its own loop.

    Args:
        network: on its device.
        optimizer: of what is trained in it.
        out: folder for ``best.safetensors`` (the average, fp32), ``state.pt`` and ``history.jsonl``.
        seed: of everything that is drawn.
        decay: of the moving average.

    Attributes:
        average: the moving average of the network.
        steps: of the optimiser so far.
        batches: drawn so far; one may be worth several steps.
        history: a row for each part of the run.
    """

    def __init__(self, network: N, optimizer: torch.optim.Optimizer, out: Path, *, seed: int, decay: float) -> None:
        self.network, self.optimizer, self.out, self._decay = network, optimizer, out, decay
        self.average = copy.deepcopy(network).eval().requires_grad_(False)
        self.rng = np.random.default_rng(seed)
        self.torch_rng = torch.Generator().manual_seed(seed)
        self.steps, self.batches, self.seconds = 0, 0, 0.0
        self.history: list[dict[str, float]] = []

    def step(self, loss: torch.Tensor, most: float) -> None:
        """Take one step of the optimiser, with gradients of a norm of at most ``most``; the average follows."""
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), most)
        self.optimizer.step()
        self.steps += 1
        follow(self.average, self.network, self.steps, self._decay)

    def keep(self, row: dict[str, float]) -> None:
        """Write the average, the row and the state."""
        self.history.append(row)
        save_weights(self.average.state_dict(), self.out / "best.safetensors", half=False, metadata={})
        with (self.out / "history.jsonl").open("a") as lines:
            lines.write(json.dumps(row) + "\n")
        RunState(
            network=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizer=self.optimizer.state_dict(),
            epoch=len(self.history),
            seconds=self.seconds,
            best_loss=math.inf,
            best_epoch=len(self.history),
            history=self.history,
            random={
                "numpy": self.rng.bit_generator.state,
                "torch": self.torch_rng.get_state(),
                "steps": self.steps,
                "batches": self.batches,
            },
        ).save(self.out / "state.pt")

    def resume(self, path: Path) -> None:
        """Go on from a state that an earlier run wrote."""
        state = RunState.load(path)
        self.network.load_state_dict(state.network)
        self.average.load_state_dict(state.average)
        self.optimizer.load_state_dict(state.optimizer)
        self.seconds, self.history = state.seconds, state.history
        self.steps = state.random["steps"]
        self.batches = state.random.get("batches", self.steps)
        self.rng.bit_generator.state = state.random["numpy"]
        self.torch_rng.set_state(state.random["torch"])
