"""The network of a simulation: trained by the engine that trains the product's, measured, and asked what it knows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file

from tumorseg.active_learning.looks import LOOKS, dropout, embed, look
from tumorseg.active_learning.scoring import LEAST_REGION, case_score, slice_scores
from tumorseg.active_learning.simulation.settings import MULTIPLE, TINY, Settings
from tumorseg.active_learning.types import EMBEDDING
from tumorseg.errors import InputError
from tumorseg.metrics.overlap import dice
from tumorseg.metrics.pair import Pair
from tumorseg.networks.tiny import TinyUNet
from tumorseg.training.checkpoint import save_weights
from tumorseg.training.config import TrainConfig
from tumorseg.training.data import Volume
from tumorseg.training.engine import Trainer
from tumorseg.training.recipes import recipe
from tumorseg.training.run import model_spec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn


class RoundTrainer(Trainer):
    """One training of fixed length; it ends with the Dice of every held-out patient and stops for nothing."""

    dices: dict[str, float]

    def validate(self, volumes: Sequence[Volume], zoom: float = 1.0) -> tuple[float, float]:
        """Return 1 - Dice and the mean Dice of the averaged weights, always at the data's resolution."""
        self.dices = {volume.id: volume_dice(self.average, volume) for volume in volumes}
        mean = float(np.mean(list(self.dices.values())))
        return 1 - mean, mean

    def _keep(self, row: dict[str, float]) -> None:
        self.history.append(row)  # the averaged weights at the end are what is wanted, and they are in memory

    def _save(self) -> None:
        """Write nothing: a round is done again as a whole."""


@dataclass(frozen=True)
class Known:
    """What a network says of some slices or cases: ``(N,)`` by column, and ``(N, D)`` vectors where asked for."""

    scores: dict[str, NDArray[np.float64]]
    embeddings: NDArray[np.float64] | None


class Learner:
    """Trains and asks networks of one kind.

    Args:
        settings: says which.
        device: torch device.
    """

    def __init__(self, settings: Settings, device: str = "cpu") -> None:
        self.settings, self.device = settings, device
        self.network, base = _kind(settings)
        self.config = replace(base, epochs=1)

    @property
    def recipe(self) -> str:
        """What tells this way of training from others."""
        return hashlib.sha256(repr(self.config).encode()).hexdigest()[:12]

    def fit(
        self,
        labelled: Sequence[Volume],
        held_out: Sequence[Volume],
        seed: int,
        *,
        steps: int | None = None,
        start: nn.Module | None = None,
    ) -> tuple[nn.Module, dict[str, float]]:
        """Train a network and return it with the Dice of each held-out patient; a seed gives the same again.

        Args:
            labelled: to train on.
            held_out: to measure on.
            seed: of all that is drawn.
            steps: of the optimiser, those of the settings for None.
            start: a network to go on from, which stays as it is; None begins with random values.
        """
        config = replace(self.config, seed=seed, steps_per_epoch=steps or self.settings.steps)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # initial weights; the block gives the former state back
            network = self.network()
            if start is not None:
                network.load_state_dict(start.state_dict())
            trainer = RoundTrainer(network, config, Path(), device=self.device)
            trainer.fit(labelled, held_out)  # within the block too, for the dropout of the network
        return trainer.average, trainer.dices

    def read(self, path: Path) -> nn.Module:
        """Return the network of a file that :meth:`write` made."""
        network = self.network()
        network.load_state_dict(load_file(path))
        return network.to(self.device).eval().requires_grad_(False)

    def write(self, network: nn.Module, path: Path) -> None:
        """Keep a network, whole or not at all."""
        save_weights(network.state_dict(), path, half=False, metadata={})

    def ask(
        self, network: nn.Module, volume: Volume, positions: Sequence[int], columns: Collection[str], seed: int
    ) -> Known:
        """Return the columns of some slices of a volume.

        Args:
            network: as :meth:`fit` returned it.
            volume: the patient.
            positions: N indices of slices.
            columns: names of scores, and :data:`tumorseg.active_learning.types.EMBEDDING`.
            seed: of the dropped channels.
        """
        slices = volume.image[np.asarray(positions)]
        looks = self._looks(network, slices, columns, seed)
        scores = {name: slice_scores(name, looks[LOOKS[name]], least=self._least) for name in columns if name in LOOKS}
        return Known(scores, embed(network, slices).astype(np.float64) if EMBEDDING in columns else None)

    def ask_case(self, network: nn.Module, volume: Volume, columns: Collection[str], seed: int) -> Known:
        """Return the columns ``(1,)`` of a whole volume; its vector is the mean of its slices'."""
        looks = self._looks(network, volume.image, columns, seed)
        scores = {
            name: np.array([case_score(name, looks[LOOKS[name]], least=self._least)])
            for name in columns
            if name in LOOKS
        }
        vectors = embed(network, volume.image).astype(np.float64) if EMBEDDING in columns else None
        return Known(scores, None if vectors is None else vectors.mean(axis=0, keepdims=True))

    @property
    def _least(self) -> float:
        """The smallest region in the pixels of this resolution."""
        return LEAST_REGION / self.settings.shrink**2

    def _looks(
        self, network: nn.Module, slices: NDArray[np.float16], columns: Collection[str], seed: int
    ) -> dict[str, NDArray[np.float32]]:
        kinds = {LOOKS[name] for name in columns if name in LOOKS}
        return {kind: look(network, slices, kind, passes=self.settings.passes, seed=seed) for kind in sorted(kinds)}


def volume_dice(network: nn.Module, volume: Volume) -> float:
    """Return Dice over all slices of a patient together."""
    found = look(network, volume.image, "plain")[0] >= 0.5
    return dice(Pair(volume.mask > 0, found))


def scoreable() -> frozenset[str]:
    """Return the columns that a learner can fill, :data:`EMBEDDING` included."""
    return frozenset(LOOKS) | {EMBEDDING}


def _kind(settings: Settings) -> tuple[Callable[[], nn.Module], TrainConfig]:
    model = settings.model
    if model == TINY:
        return TinyUNet, recipe(TINY)
    spec = model_spec(model)
    if spec.slices != 1:
        raise InputError(f"{model} sees {spec.slices} slices at once: simulate with a model that sees one, as resunet")
    if spec.stride > MULTIPLE:
        raise InputError(
            f"{model} needs sides that are multiples of {spec.stride}, pictures are cut to {MULTIPLE} here"
        )
    with dropout(spec.network(), 0.0, torch.Generator()):
        pass  # a network without the stages that scores are read from is refused now and not after hours
    own = recipe(model)
    stages = tuple(replace(stage, size=max(MULTIPLE, stage.size // settings.shrink)) for stage in own.stages)
    return spec.network, replace(own, stages=stages)


def training_seed(seed: int, round_: int) -> int:
    """Return the seed of a training: the same for every strategy, so that their comparison is paired."""
    return int(np.random.SeedSequence([seed, round_]).generate_state(1)[0] >> 1)
