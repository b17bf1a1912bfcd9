"""One round of learning while a model serves: from the weights that serve to a candidate, in minutes.

The engine and the recipe are those of ``tumorseg train``; what differs is how long and how boldly:

- from weights that serve already the learning rate is :data:`WARM_RATE` of the recipe's and only its last resolution
  is trained; from scratch it is the recipe's. (A low resolution teaches what a tumour is, which is known by then.)
- the run is as long as there is something to see: every training slice about :data:`PASSES` times, at most as many
  epochs as asked for, and no longer than the minutes: what the first epochs took says how many fit.

The plan counts epochs and not seconds as long as the time suffices, so that a run that was killed and goes on from its
``state.pt`` ends with the same weights as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from tumorseg.errors import InputError
from tumorseg.models.engines.torch_engine import pick_device
from tumorseg.models.slicewise import CONTRAST_KEY
from tumorseg.models.weights import load_into
from tumorseg.training.checkpoint import save_weights
from tumorseg.training.config import Stage, TrainConfig
from tumorseg.training.engine import FitResult, Trainer
from tumorseg.training.recipes import recipe
from tumorseg.training.start import start_from

if TYPE_CHECKING:
    from torch import nn

    from tumorseg.models.slicewise import SlicewiseSpec
    from tumorseg.training.data import Volume

#: Of the recipe's learning rate, for weights that are good already.
WARM_RATE = 0.25
#: How often a training slice is seen, going on and from scratch.
PASSES = {True: 20, False: 60}
#: Few slices are seen more often: so many steps of the optimiser at least.
LEAST_STEPS = {True: 80, False: 240}
LEAST_EPOCHS = 3
WARMUP = 0.05
#: The averaged weights look back over about this part of the run.
LOOK_BACK = 0.1
#: Batch norm needs two values a channel, which one small slice may not have at the bottom of a network.
LEAST_BATCH, MOST_BATCH = 2, 64
CANDIDATE = "candidate.safetensors"

#: Told (part done in [0, 1], epoch, epochs, best validation Dice so far or None).
Report = Callable[[float, int, int, "float | None"], None]


class RoundStopped(Exception):
    """Somebody asked the round to stop; ``state.pt`` holds what it needs to go on."""


@dataclass(frozen=True)
class RoundOptions:
    """What may be said about a round.

    Attributes:
        minutes: that it may take.
        epochs: at most so many; None: as many as the data asks for.
        steps_per_epoch: None: so many that an epoch sees every slice about once.
        warm: go on from the weights that serve; False begins as the model's first training did.
        seed: of all that is drawn.
        threads: of the processor; None leaves them as they are.
        device: torch device, ``"auto"`` for a GPU where there is one.
        batch: slices a step; None: the recipe's.
        contrast: what was done to the contrast of the volumes; the candidate remembers it.
    """

    minutes: float = 30.0
    epochs: int | None = None
    steps_per_epoch: int | None = None
    warm: bool = True
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    batch: int | None = None
    contrast: str = "none"

    def __post_init__(self) -> None:
        if not 0 < self.minutes < math.inf:
            raise InputError(f"expected positive minutes for a round, got {self.minutes}")
        for name in ("epochs", "steps_per_epoch", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"expected {name} of at least 1, got {value}")
        if self.batch is not None and not LEAST_BATCH <= self.batch <= MOST_BATCH:
            raise InputError(f"expected a batch of {LEAST_BATCH} to {MOST_BATCH} slices, got {self.batch}")


def train_round(
    spec: SlicewiseSpec,
    start: Path | None,
    train: Sequence[Volume],
    validation: Sequence[Volume],
    out: Path,
    options: RoundOptions,
    report: Report | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Path:
    """Train a candidate; called again with the same arguments after a kill, it goes on.

    Args:
        spec: the model.
        start: weights that serve; None where there are none, then the round begins from scratch.
        train: patients to learn from, as :func:`tumorseg.training.data.as_volume` makes them.
        validation: patients whose Dice is told after every epoch. They choose nothing, not even an epoch: they are to
            judge the candidate, and whoever judges must not have chosen.
        out: folder of this round, kept by whoever wants to go on.
        options: how.
        report: hears of every step.
        stopped: asked before every step.

    Returns:
        The candidate: the average at the end as fp16 safetensors, with the metadata that a serving model reads.

    Raises:
        InputError: no patient to train or to validate on, no slice with tumour, or weights of another network.
        RoundStopped: ``stopped`` said so.
    """
    if not train or not validation:
        raise InputError(f"expected patients to train and to validate on, got {len(train)} and {len(validation)}")
    candidate = out / CANDIDATE
    if candidate.exists():  # written as the last thing; a second time it would have another digest
        return candidate
    out.mkdir(parents=True, exist_ok=True)
    warm = options.warm and start is not None
    state, config = out / "state.pt", plan(spec, train, options, warm=warm)
    with _set_up(options):
        network = spec.network()
        if not state.exists():
            _fill(network, spec, start if warm else None)
        trainer = _RoundTrainer(network, config, out, slices=spec.slices, device=str(pick_device(options.device)))
        trainer.allowed_s = 60 * options.minutes
        if state.exists():
            trainer.resume(state)
        trainer.each_step = lambda: _look_up(trainer, report, stopped)
        result = trainer.fit(train, validation, lambda row: trainer.keep_to_the_time())
    return _publish(result, candidate, {"model": spec.name, CONTRAST_KEY: options.contrast})


def multiple_for(spec: SlicewiseSpec, *, warm: bool) -> int:
    """Return what sides of volumes must be a multiple of, at every resolution that the round trains at."""
    return spec.stride * max(round(1 / stage.zoom) for stage in _stages(spec, warm=warm))


def _stages(spec: SlicewiseSpec, *, warm: bool) -> tuple[Stage, ...]:
    stages = recipe(spec.name).stages
    return stages[-1:] if warm else stages


def plan(spec: SlicewiseSpec, train: Sequence[Volume], options: RoundOptions, *, warm: bool) -> TrainConfig:
    """Return the recipe of a round over this data: how long, how fast, in pictures of which size."""
    base = recipe(spec.name)
    batch = options.batch or max(LEAST_BATCH, base.batch)
    slices = sum(len(volume.mask) for volume in train)
    steps = options.steps_per_epoch or min(base.steps_per_epoch, max(1, math.ceil(slices / batch)))
    wanted = max(math.ceil(PASSES[warm] * slices / batch), LEAST_STEPS[warm])
    epochs = min(options.epochs or base.epochs, max(LEAST_EPOCHS, math.ceil(wanted / steps)))
    side = max(max(volume.mask.shape[1:]) for volume in train)
    return replace(
        base,
        epochs=epochs,
        steps_per_epoch=steps,
        batch=batch,
        learning_rate=base.learning_rate * (WARM_RATE if warm else 1),
        warmup=max(base.warmup, WARMUP),
        ema=min(base.ema, 1 - 1 / max(2.0, LOOK_BACK * epochs * steps)),
        stages=tuple(_fitted(stage, side, spec.stride) for stage in _stages(spec, warm=warm)),
        seed=options.seed,
    )


def _fitted(stage: Stage, side: int, stride: int) -> Stage:
    """Crop no more than there is: around a small picture a large crop shows its repeated border and nothing else."""
    least = 2 * stride
    there = math.ceil(side * stage.zoom / stride) * stride
    return replace(stage, size=max(least, min(stage.size, there)))


class _RoundTrainer(Trainer):
    """A trainer that shortens its plan where the time does not suffice for all of it."""

    allowed_s = math.inf

    def _keep(self, row: dict[str, float]) -> None:
        """Keep the average of now, whatever the validation patients say of it; but never one that is no number."""
        self.best_loss = math.inf
        super()._keep(row)

    def progress(self) -> float:
        """How far the plan is, in [0, 1]; 1 where the time is over."""
        return 1.0 if self.seconds >= self.allowed_s else super().progress()

    def resume(self, path: Path) -> None:
        """Go on from a state, with the plan that it left."""
        super().resume(path)
        self.keep_to_the_time()

    def keep_to_the_time(self) -> None:
        """Plan for as many epochs as the time suffices for, going by those that are done."""
        fitting = math.floor(self.allowed_s / (self.seconds / self.epoch)) if self.epoch and self.seconds else math.inf
        if fitting < self.config.epochs:
            self.config = replace(self.config, epochs=max(self.epoch, int(fitting)))


def _look_up(trainer: Trainer, report: Report | None, stopped: Callable[[], bool]) -> None:
    """Say how far the training is, and end it where somebody wants that."""
    if stopped():
        raise RoundStopped
    if report:
        best = max((row[trainer.score] for row in trainer.history), default=None)
        epochs = trainer.config.epochs
        report(trainer.progress(), min(trainer.epoch + 1, epochs), epochs, best)


def _fill(network: nn.Module, spec: SlicewiseSpec, start: Path | None) -> None:
    if start is not None:
        load_into(network, start, spec.name)
    else:
        start_from(network, spec, None)


def _publish(result: FitResult, target: Path, metadata: Mapping[str, str]) -> Path:
    """Write the weights that were kept last as fp16, with what is known of them."""
    if result.best_epoch < 0:
        raise InputError("the training went wrong: the validation loss was never a number. Train from scratch?")
    last = next(row for row in result.history if row["epoch"] == result.best_epoch)
    about = {name: str(last[name]) for name in ("epoch", "valid_loss", Trainer.score)}
    save_weights(load_file(result.weights), target, half=True, metadata={**metadata, **about})
    return target


@contextmanager
def _set_up(options: RoundOptions) -> Iterator[None]:
    """Seed what has no generator of its own (first weights, dropout) and set the threads, as long as it takes."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        torch.set_num_threads(options.threads or threads)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
