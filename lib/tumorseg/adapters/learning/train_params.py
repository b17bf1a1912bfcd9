"""What may be said of a training: by viewers, which send back the trainer's table of settings, and by scripts.

The names are MONAI Label's where it has one (``max_epochs``, ``pretrained``), so that its scripts work; ``minutes`` and
``from`` are ours. Devices, paths and batch sizes are the server's affair: what else comes along is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.params import TrainParams, parse
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

MOST_EPOCHS = 10_000
_SERVING, _SCRATCH = "serving", "scratch"


def train_request(params: Mapping[str, Any] | None, config: AppConfig) -> dict[str, Any]:
    """Return what a training is asked for: ``from``, ``minutes`` and ``epochs`` (None for as many as fit).

    Raises:
        InputError: a value that cannot be, or more time than the server gives.
    """
    said = parse(TrainParams, params)
    minutes = config.train_minutes if said.minutes is None else said.minutes
    if not 0 < minutes <= config.train_minutes:  # compared as it came: a number may be too large for a float
        limit = f"{config.train_minutes:g}, this server's train_minutes"
        raise InputError(f"expected minutes above 0 and up to {limit}, got {str(minutes)[:40]}")
    epochs = said.max_epochs or 0
    if not isinstance(epochs, int) or not 0 <= epochs <= MOST_EPOCHS:
        raise InputError(
            f"expected max_epochs as a whole number in 0..{MOST_EPOCHS} (0: what fits), got {str(epochs)[:40]}"
        )
    begin = said.begin or (_SERVING if said.pretrained else _SCRATCH)
    return {"from": begin, "minutes": float(minutes), "epochs": epochs or None}


def train_config(config: AppConfig) -> dict[str, Any]:
    """Return the settings as the viewers' tables show and edit them: plain values of the type that is sent back."""
    return {"max_epochs": 0, "minutes": float(config.train_minutes), "pretrained": True}
