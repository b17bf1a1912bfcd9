"""What is done is kept: one small file for each strategy, seed and round, so that a stopped simulation goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tumorseg.active_learning.simulation.settings import Settings
from tumorseg.errors import InputError
from tumorseg.io.files import write_atomically

SETTINGS = "settings.json"
WEIGHTS = ".safetensors"
#: A slice, by patient and index; a case has the index -1.
Item = tuple[str, int]


@dataclass(frozen=True)
class Record:
    """One round of one trajectory.

    Attributes:
        patients: that have at least one labelled slice.
        slices: that are labelled.
        units: that were chosen so far, the start included.
        dice: of each held-out patient.
        chosen: what was labelled after this round, for the next one; empty after the last.
        seconds: that the round took.
    """

    patients: int
    slices: int
    units: int
    dice: Mapping[str, float]
    chosen: tuple[Item, ...]
    seconds: float


class Records:
    """The files of one simulation.

    Args:
        folder: is made where it is not there.
        settings: a folder with results of others is refused.
        data: which data it is, in words.
        stamp: what else tells these results from others: of the voxels, and of how the network is trained.

    Raises:
        InputError: the folder holds results of other settings or data.
    """

    def __init__(self, folder: Path, settings: Settings, data: str, stamp: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        mine = {**settings.as_dict(), "data": data, "fingerprint": settings.fingerprint(data + stamp)}
        path = folder / SETTINGS
        if path.exists():
            there = json.loads(path.read_text())
            if there.get("fingerprint") != mine["fingerprint"]:
                known = [name for name in mine if name != "fingerprint"]
                differ = [f"{n}: {there.get(n)!r}, now {mine[n]!r}" for n in known if there.get(n) != mine[n]]
                raise InputError(
                    f"{folder} holds a simulation of other settings "
                    f"({'; '.join(differ) or 'other images or masks, or another way of training'}): name another --out"
                )
            return
        write_atomically(path, (json.dumps(mine, indent=1) + "\n").encode())

    def get(self, strategy: str, seed: int, round_: int) -> Record | None:
        """Return a stored round, None where it is not done."""
        path = self._path(strategy, seed, round_)
        if not path.exists():
            return None
        stored = json.loads(path.read_text())
        return Record(**{**stored, "chosen": tuple((group, index) for group, index in stored["chosen"])})

    def put(self, strategy: str, seed: int, round_: int, record: Record) -> None:
        """Keep a round."""
        path = self._path(strategy, seed, round_)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(asdict(record)) + "\n").encode())

    def has(self, strategy: str, seed: int, round_: int) -> bool:
        """Whether a round is stored."""
        return self._path(strategy, seed, round_).exists()

    def complete(self, names: Iterable[str], seeds: Iterable[int], rounds: int) -> list[str]:
        """Return those of ``names`` of which every round with every seed is stored."""
        every = [(seed, round_) for seed in seeds for round_ in range(rounds)]
        return [name for name in names if all(self.has(name, seed, round_) for seed, round_ in every)]

    def network(self, owner: str, seed: int, round_: int) -> tuple[Path, dict[str, float]] | None:
        """Return the file of a kept network and its Dice of each held-out patient; None where none is kept."""
        about = self._path(owner, seed, round_).with_suffix(".dice.json")
        weights = _weights_beside(about)
        return (weights, json.loads(about.read_text())) if about.exists() and weights.exists() else None

    def put_network(
        self, owner: str, seed: int, round_: int, dice: Mapping[str, float], write: Callable[[Path], None]
    ) -> None:
        """Keep a network for the round after it; ``write`` puts its weights into a file."""
        about = self._path(owner, seed, round_).with_suffix(".dice.json")
        about.parent.mkdir(parents=True, exist_ok=True)
        write(_weights_beside(about))
        write_atomically(about, (json.dumps(dice) + "\n").encode())

    def forget_network(self, owner: str, seed: int, last_needed: int) -> None:
        """Remove the networks of the rounds before one."""
        for weights in self._path(owner, seed, 0).parent.glob(f"round-*{WEIGHTS}"):
            if int(weights.name.removeprefix("round-").removesuffix(WEIGHTS)) < last_needed:
                weights.unlink(missing_ok=True)

    def _path(self, strategy: str, seed: int, round_: int) -> Path:
        return self.folder / strategy / f"seed-{seed}" / f"round-{round_:02d}.json"


def _weights_beside(about: Path) -> Path:
    return about.with_name(about.name.removesuffix(".dice.json") + WEIGHTS)
