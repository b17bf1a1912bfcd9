"""One training of the click head, from a folder of patients to a file of weights."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from safetensors.torch import load_file

from tumorseg.errors import InputError
from tumorseg.interactive.clicks.model import NAME, TRUNK_KEY
from tumorseg.io.kaggle_3m import Kaggle3m
from tumorseg.models.engines.torch_engine import pick_device
from tumorseg.models.metadata import identify
from tumorseg.models.preparation import preprocess
from tumorseg.models.resunet25d import SPEC as TRUNK_SPEC
from tumorseg.models.slicewise import CONTRAST_KEY
from tumorseg.models.weights import load_into
from tumorseg.networks.clicks import ClickHead, Trunk
from tumorseg.training.checkpoint import save_weights
from tumorseg.training.clicks.config import ClickConfig
from tumorseg.training.clicks.engine import ClickTrainer, Report
from tumorseg.training.data import load_volumes
from tumorseg.training.run import choose_split


@dataclass(frozen=True)
class ClickOptions:
    """What a user may say about a run; None leaves the recipe's value.

    Attributes:
        split: as of :class:`tumorseg.training.run.TrainOptions`.
        epochs: length of the run.
        resume: go on from the state in the output folder when there is one.
    """

    split: str = "lgg"
    epochs: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    resume: bool = True


def train_clicks(data: Path, out: Path, options: ClickOptions, report: Report | None = None) -> Path:
    """Train the head on the training patients of a kaggle_3m folder; return the weights that can serve (fp16)."""
    config = _configure(options)
    if options.threads:
        torch.set_num_threads(options.threads)
    split = choose_split(Kaggle3m(data), options.split, options.seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps({"model": NAME, **config.as_dict()}, indent=1) + "\n")
    (out / "split.json").write_text(json.dumps(dataclasses.asdict(split), indent=1) + "\n")
    trunk, version = load_trunk()
    torch.manual_seed(config.seed)
    trainer = ClickTrainer(trunk, ClickHead(), config, out, device=str(pick_device(options.device)))
    if options.resume and (out / "state.pt").exists():
        trainer.resume(out / "state.pt")
    volumes = load_volumes(Kaggle3m(data, split.train), partial(preprocess, contrast="none"))
    trainer.fit([volume for volume in volumes if volume.mask.any()], report)
    target = out / f"{NAME}.safetensors"
    about = {"model": NAME, TRUNK_KEY: version, CONTRAST_KEY: "none", "minutes": f"{trainer.seconds / 60:.1f}"}
    save_weights(load_file(out / "best.safetensors"), target, half=True, metadata=about)
    return target


def load_trunk() -> tuple[Trunk, str]:
    """Return the shipped default model as the trunk, and its version."""
    path, version = identify(TRUNK_SPEC.name, None, TRUNK_SPEC.weights)
    trunk = Trunk()
    load_into(trunk.network, path, TRUNK_SPEC.name)
    return trunk.eval(), version


def _configure(options: ClickOptions) -> ClickConfig:
    config = replace(ClickConfig(), seed=options.seed)
    for name in ("epochs", "learning_rate"):
        value = getattr(options, name)
        if value is not None:
            if not value > 0:
                raise InputError(f"expected a positive {name}, got {value}")
            config = replace(config, **{name: value})
    return config
