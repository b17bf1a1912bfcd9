"""One strategy with one seed: train, measure, choose, label, and again.

1. the start: units with tumour two of three times, drawn by the seed alone, so that all strategies begin alike;
2. a network is trained on everything that is labelled, with a seed that does not depend on the strategy; the first
   round, which is the same for all strategies, is trained once;
3. it is measured on the held-out patients;
4. it scores what has no label, in the columns that the strategy looks at and no others; the strategy chooses;
5. the annotator labels what was chosen.

For :data:`tumorseg.active_learning.simulation.settings.BASELINE` the column that says where tumour is comes from the
truth, as in nnActive: it stands for an annotator who scrolls to the tumour, and is the stronger baseline. Every other
strategy gets it from the network.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.simulation.annotator import annotate
from tumorseg.active_learning.simulation.data import Patients
from tumorseg.active_learning.simulation.learner import Known, Learner, training_seed
from tumorseg.active_learning.simulation.records import Item, Record, Records
from tumorseg.active_learning.simulation.settings import BASELINE, Settings
from tumorseg.active_learning.types import EMBEDDING, FOREGROUND, Candidates, Strategy
from tumorseg.errors import InputError
from tumorseg.registry import load_strategy
from tumorseg.training.data import Volume

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

#: Not a strategy: the training on everything, which says what there is to reach.
FULL = "full"
#: Who owns the network of the first round.
START = "start"
CASE = -1


def rounds(name: str, settings: Settings) -> int:
    """Return how many rounds a strategy has; :data:`FULL` has one."""
    return 1 if name == FULL else settings.rounds


def run_round(
    name: str, seed: int, round_: int, settings: Settings, patients: Patients, learner: Learner, records: Records
) -> None:
    """Do one round and keep it, unless it is there already; the rounds before it must be."""
    if records.has(name, seed, round_):
        return
    started = time.monotonic()
    pool = Pool(patients.pool, settings)
    labelled = labelled_before(name, seed, round_, pool, records)
    network, dice = _Networks(name, seed, patients, pool, learner, records).after(round_)
    last = round_ == rounds(name, settings) - 1
    chosen = () if last else choose(load_strategy(name), seed, round_, pool, labelled, learner, network)
    volumes = pool.label(labelled)
    slices = sum(len(volume.mask) for volume in volumes)
    seconds = round(time.monotonic() - started, 2)
    records.put(name, seed, round_, Record(len(volumes), slices, len(labelled), dice, chosen, seconds))
    records.forget_network(name, seed, last_needed=settings.rounds if last else round_)


class _Networks:
    """The networks of one trajectory: read where they were kept, else trained."""

    def __init__(
        self, name: str, seed: int, patients: Patients, pool: Pool, learner: Learner, records: Records
    ) -> None:
        self.name, self.seed, self.held_out = name, seed, patients.held_out
        self.pool, self.learner, self.records = pool, learner, records

    def after(self, round_: int) -> tuple[nn.Module, dict[str, float]]:
        """Return the network of a round and its Dice of each held-out patient."""
        owner = START if round_ == 0 and self.name != FULL else self.name
        kept = self.records.network(owner, self.seed, round_)
        if kept is not None:
            return self.learner.read(kept[0]), kept[1]
        settings = self.learner.settings
        before = self.after(round_ - 1)[0] if settings.warm and round_ else None
        volumes = self.pool.label(labelled_before(self.name, self.seed, round_, self.pool, self.records))
        steps = settings.full_steps if self.name == FULL else settings.steps
        network, dice = self.learner.fit(
            volumes, self.held_out, training_seed(self.seed, round_), steps=steps, start=before
        )
        if self.name != FULL and (settings.warm or owner == START):
            self.records.put_network(owner, self.seed, round_, dice, partial(self.learner.write, network))
        return network, dice


def labelled_before(name: str, seed: int, round_: int, pool: Pool, records: Records) -> list[Item]:
    """Return what is labelled when a round begins: the start, and what the rounds before it chose."""
    if name == FULL:
        return pool.units
    labelled = pool.start(seed)
    for earlier in range(round_):
        record = records.get(name, seed, earlier)
        if record is None:
            raise InputError(f"{name}, seed {seed}: round {earlier} must be done before round {round_}")
        labelled += record.chosen
    return labelled


class Pool:
    """The patients to choose from, in units of slices or cases."""

    def __init__(self, volumes: Sequence[Volume], settings: Settings) -> None:
        self.volumes, self.settings = {volume.id: volume for volume in volumes}, settings
        if settings.unit == "case":
            self.units: list[Item] = [(volume.id, CASE) for volume in volumes]
        else:
            self.units = [(volume.id, k) for volume in volumes for k in range(len(volume.mask))]
        if settings.start > len(self.units):
            raise InputError(f"expected at most {len(self.units)} units to start with, got {settings.start}")

    def start(self, seed: int) -> list[Item]:
        """Return what is labelled before anything is chosen; at least one unit shows tumour."""
        rng = np.random.default_rng([seed, zlib.crc32(b"start")])
        drawn = load_strategy(BASELINE).select(
            candidates(self.units, {FOREGROUND: self.truth(self.units)}), self.settings.start, rng
        )
        return [self.units[index] for index in drawn]

    def truth(self, units: Sequence[Item]) -> NDArray[np.float64]:
        """Return ``(N,)`` 1 where a unit shows tumour, else 0."""
        return np.array([float(self._mask(unit).any()) for unit in units])

    def _mask(self, unit: Item) -> NDArray[np.uint8]:
        mask = self.volumes[unit[0]].mask
        return mask if unit[1] == CASE else mask[unit[1]]

    def label(self, units: Sequence[Item]) -> list[Volume]:
        """Return the labelled slices of each patient as the annotator drew them."""
        wanted: dict[str, set[int]] = {}
        for name, index in units:
            every = range(len(self.volumes[name].mask))
            wanted.setdefault(name, set()).update(every if index == CASE else (index,))
        return [self._drawn(self.volumes[name], sorted(slices)) for name, slices in sorted(wanted.items())]

    def _drawn(self, volume: Volume, slices: Sequence[int]) -> Volume:
        masks = [annotate(volume.mask[k], self.settings.noise, f"{volume.id} {k}") for k in slices]
        return Volume(volume.id, volume.image[np.asarray(slices)], np.stack(masks))


def choose(
    strategy: Strategy,
    seed: int,
    round_: int,
    pool: Pool,
    labelled: Sequence[Item],
    learner: Learner,
    network: nn.Module,
) -> tuple[Item, ...]:
    """Return the units that are labelled next."""
    there = set(labelled)
    free = [unit for unit in pool.units if unit not in there]
    rng = np.random.default_rng([seed, round_, zlib.crc32(strategy.name.encode())])
    drop_seed = training_seed(seed, round_)
    known = ask(learner, network, pool, free, strategy.needs, drop_seed)
    scores = {**known.scores}
    if strategy.name == BASELINE:
        scores[FOREGROUND] = pool.truth(free)
    vectors = known.embeddings
    of_labelled = None if vectors is None else ask(learner, network, pool, labelled, {EMBEDDING}, drop_seed).embeddings
    progress = round_ / max(1, learner.settings.rounds - 2)
    found = candidates(free, scores, vectors, of_labelled, min(1.0, progress))
    return tuple(free[index] for index in strategy.select(found, learner.settings.batch_of(round_), rng))


def ask(
    learner: Learner,
    network: nn.Module,
    pool: Pool,
    units: Sequence[Item],
    columns: Collection[str],
    seed: int,
) -> Known:
    """Return the columns of some units, in their order."""
    if not columns or not units:
        return Known({}, None)
    parts: list[tuple[list[int], Known]] = []
    by_patient: dict[str, list[int]] = {}
    for place, (name, _) in enumerate(units):
        by_patient.setdefault(name, []).append(place)
    for name, places in by_patient.items():
        volume = pool.volumes[name]
        positions = [units[place][1] for place in places]
        if positions == [CASE]:
            parts.append((places, learner.ask_case(network, volume, columns, seed)))
        else:
            parts.append((places, learner.ask(network, volume, positions, columns, seed)))
    back = np.argsort(np.concatenate([places for places, _ in parts]))
    scores = {name: np.concatenate([known.scores[name] for _, known in parts])[back] for name in parts[0][1].scores}
    vectors = [known.embeddings for _, known in parts if known.embeddings is not None]
    return Known(scores, np.concatenate(vectors)[back] if vectors else None)


def candidates(
    units: Sequence[Item],
    scores: dict[str, NDArray[np.float64]],
    embeddings: NDArray[np.float64] | None = None,
    labelled: NDArray[np.float64] | None = None,
    progress: float = 0.0,
) -> Candidates:
    """Return units as a strategy sees them."""
    positions = np.array([max(0, index) for _, index in units], np.intp)
    return Candidates(tuple(name for name, _ in units), positions, scores, embeddings, labelled, progress)
