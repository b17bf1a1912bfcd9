"""A server's state after some rounds of the learning loop, as its own parts write it: versions, efforts, jobs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from tests.tiny import first_weights
from tumorseg.labels.effort import Edit
from tumorseg.labels.efforts import Effort, Efforts
from tumorseg.labels.history import LabelHistory
from tumorseg.versions.store import VersionStore
from tumorseg.versions.types import CaseUsed, Status, VersionCard

#: An author's name that a page must not run.
SCRIPT = "<img src=x onerror=document.title='broken'>"
#: Mean Dice of each round's candidate on the validation patients, and whether it was let serve.
ROUNDS: tuple[tuple[float, Status], ...] = (
    (0.52, "published"),
    (0.64, "published"),
    (0.31, "refused"),
    (0.71, "published"),
    (0.745, "published"),
    (0.765, "published"),
)
_LABELS_A_ROUND = 8
_FIRST = 1_800_000_000.0


def write_versions(state: Path, scratch: Path, rounds: tuple[tuple[float, Status], ...] = ROUNDS) -> list[VersionCard]:
    """Publish and refuse versions of ``tiny`` with figures; return the cards, the oldest first."""
    store, cards = VersionStore(state / "weights"), []
    scratch.mkdir(parents=True, exist_ok=True)
    served = rounds[0][0] - 0.2
    for number, (dice, status) in enumerate(rounds, 1):
        file = first_weights(scratch / f"{number}.safetensors", seed=number)
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        card = VersionCard(
            id=store.new_id("tiny", sha256),
            model="tiny",
            sha256=sha256,
            made_at=f"2026-11-21T{8 + number:02}:00:00+00:00",
            made_by="rita",
            how="trained",
            parent=store.serving("tiny"),
            status=status,
            cases=tuple(
                CaseUsed(f"c{case}", f"c{case}", "validation" if case % 4 == 0 else "train", "", "")
                for case in range(number * _LABELS_A_ROUND)
            ),
            measured=_figures(dice, served, number * _LABELS_A_ROUND),
            why=f"{status}: Dice changes by {dice - served:+.3f} on 4 validation patients",
        )
        cards.append(store.publish(card, file) if status == "published" else store.refuse(card))
        served = dice if status == "published" else served
    return cards


def _figures(candidate: float, champion: float, labels: int) -> dict[str, Any]:
    patients = {
        whose: {f"p{number}": mean + offset for number, offset in enumerate((-0.09, -0.02, 0.04, 0.07))}
        for whose, mean in (("candidate", candidate), ("champion", champion))
    }
    said = {whose: {"mean": float(np.mean(list(each.values()))), "patients": each} for whose, each in patients.items()}
    gain = candidate - champion
    return {**said, "difference": gain, "low": gain - 0.03, "high": gain + 0.03, "labelled_cases": labels}


def write_efforts(labels: Path, cards: list[VersionCard], author: str = SCRIPT) -> None:
    """Keep efforts of cases whose proposals each published version made, better from version to version."""
    history = LabelHistory(labels)
    efforts = Efforts(history.database)
    rng = np.random.default_rng(0)
    for number, card in enumerate(card for card in cards if card.status == "published"):
        for case in range(_LABELS_A_ROUND):
            changed = 0 if case < number else int(rng.integers(200, 400)) // (number + 1)
            edit = Edit(
                1 - changed / 1000, changed, changed // 2, changed - changed // 2, 500, changed // 3, changed / 1e3
            )
            seconds = float(400 / (number + 1) + rng.integers(0, 60))
            who = author if case % 2 else "ann"
            uid, saved = f"{number}-{case}", _FIRST + 3600 * number + 60 * case
            efforts.add(Effort(uid, f"c{uid}", who, saved, seconds, "answer", "tiny", card.sha256[:12], edit))
    history.close()
