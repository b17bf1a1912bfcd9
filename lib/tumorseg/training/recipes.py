"""The recipe of each model that ships; a model without one trains by the default."""

from __future__ import annotations

from tumorseg.training.config import Stage, TrainConfig

RECIPES: dict[str, TrainConfig] = {
    "resunet": TrainConfig(loss="focal_tversky", stages=(Stage(0.6, 0.5, 96), Stage(1.0, 1.0, 192))),
    "resunet25d": TrainConfig(loss="dice_bce", stages=(Stage(0.55, 0.5, 96), Stage(1.0, 1.0, 192)), weight_decay=1e-2),
    # The same as resunet, so that the three networks are compared and not their recipes.
    "unet": TrainConfig(loss="focal_tversky", stages=(Stage(0.6, 0.5, 96), Stage(1.0, 1.0, 192))),
    "gate": TrainConfig(
        loss="gate_bce",
        tumour_fraction=0.5,
        learning_rate=6e-4,
        weight_decay=1e-2,
        stages=(Stage(0.4, 0.5, 96), Stage(1.0, 1.0, 192)),
    ),
    "gate_resnet50": TrainConfig(loss="slice_bce", tumour_fraction=0.5, learning_rate=3e-4, weight_decay=1e-2),
    # The second stage: from the shipped resunet on, and only on what the gate is meant to pass.
    "cascade": TrainConfig(
        loss="focal_tversky", tumour_fraction=1.0, learning_rate=5e-4, stages=(Stage(1.0, 1.0, 192),)
    ),
    "fcn32s": TrainConfig(loss="focal_tversky", stages=(Stage(0.6, 0.5, 96), Stage(1.0, 1.0, 192))),
    # Of simulations, see tumorseg.networks.tiny. Tried at three seeds: at half the width one training in three had
    # found nothing after 300 steps.
    "tiny": TrainConfig(loss="dice_bce", batch=8, learning_rate=4e-3, ema=0.98, stages=(Stage(1.0, 1.0, 64),)),
}


def recipe(model: str) -> TrainConfig:
    """Return the recipe of ``model``."""
    return RECIPES.get(model, TrainConfig())
