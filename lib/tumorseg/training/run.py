"""One training from a folder of patients to a file of weights, for the command line and the server."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tumorseg.errors import InputError
from tumorseg.io.kaggle_3m import Kaggle3m
from tumorseg.models.engines.torch_engine import pick_device
from tumorseg.models.preparation import preprocess
from tumorseg.models.slice_classifier import SlicewiseClassifier
from tumorseg.models.slicewise import CONTRAST_KEY, SlicewiseSpec
from tumorseg.registry import CLASSIFIERS, MODELS, resolve
from tumorseg.training.checkpoint import save_weights
from tumorseg.training.config import TrainConfig
from tumorseg.training.data import Volume, load_volumes, tumour_slices
from tumorseg.training.engine import FitResult, Report, Trainer
from tumorseg.training.gate import GateTrainer, operating_point
from tumorseg.training.recipes import recipe
from tumorseg.training.splits import DEFAULT_PARTS, Split, load_split, random_split, split_parts
from tumorseg.training.start import start_from


@dataclass(frozen=True)
class TrainOptions:
    """What a user may say about a run; None leaves the recipe's value.

    Attributes:
        split: name or path of a frozen split; ``"random"`` draws one by patient with ``seed``, 70:15:15 or as in
            ``"random:85/7.5/7.5"``.
        minutes: time budget; the learning rate decays over it.
        init: a file of weights to start from, ``"none"`` for random ones, None for what the model usually starts from.
        preprocess: what is done to the contrast of every slice, one of :data:`tumorseg.models.preparation.CONTRASTS`;
            the weights remember it.
        resume: go on from the state in the output folder when there is one.
    """

    split: str = "lgg"
    epochs: int | None = None
    minutes: float | None = None
    batch: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    init: Path | str | None = None
    preprocess: str = "none"
    resume: bool = True


def trainable(name: str) -> object:
    """Return the spec behind a registry entry, of a model or a classifier; None where it has none."""
    table = CLASSIFIERS if name in CLASSIFIERS else MODELS
    resolve(table, "model", name)
    return getattr(import_module(table[name].partition(":")[0]), "SPEC", None)


def model_spec(name: str) -> SlicewiseSpec:
    """Return the spec behind a registry entry; a model that cannot be trained by this engine is an error."""
    spec = trainable(name)
    if not isinstance(spec, SlicewiseSpec):
        raise InputError(f"{name} has nothing to train; choose one of the trainable models")
    return spec


def choose_split(data: Kaggle3m, name: str, seed: int) -> Split:
    """The named frozen split restricted to patients that are there, or a new random one by patient."""
    drawn, _, parts = name.partition(":")
    if drawn != "random":
        split = load_split(name)
        there = set(data.patients)
        kept = [tuple(p for p in split.subset(s) if p in there) for s in ("train", "validation", "test")]
        if not kept[0] or not kept[1]:
            raise InputError(
                f"of split {name!r} {len(kept[0])} training and {len(kept[1])} validation patients are in {data.root}; "
                "both are needed. Pass --split random for a folder of other patients"
            )
        return Split(*kept)
    return random_split(data.patients, seed, split_parts(parts) if parts else DEFAULT_PARTS)


def train(model: str, data: Path, out: Path, options: TrainOptions, report: Report | None = None) -> FitResult:
    """Train ``model`` on the kaggle_3m folder ``data``; write everything to ``out``.

    ``out`` then holds ``best.safetensors`` (fp32), ``<model>.safetensors`` (fp16, what ships), ``state.pt`` (to go on
    from), ``history.jsonl``, ``config.json`` and ``split.json``.
    """
    spec, config = model_spec(model), _configure(model, options)
    if options.threads:
        torch.set_num_threads(options.threads)
    dataset = Kaggle3m(data)
    split = choose_split(dataset, options.split, options.seed)
    out.mkdir(parents=True, exist_ok=True)
    about = {"minutes": options.minutes, "preprocess": options.preprocess}
    _write_json(out / "config.json", {"model": model, **config.as_dict(), **about})
    _write_json(out / "split.json", dataclasses.asdict(split))
    torch.manual_seed(config.seed)  # initial weights and dropout; every other draw has its own generator
    network = spec.network()
    resumed = options.resume and (out / "state.pt").exists()
    if not resumed:
        start_from(network, spec, options.init)
    device = str(pick_device(options.device))
    kind = GateTrainer if model in CLASSIFIERS else Trainer
    trainer = kind(network, config, out, slices=spec.slices, device=device, minutes=options.minutes)
    if resumed:
        trainer.resume(out / "state.pt")
    volumes = [_volumes(data, patients, config, options) for patients in (split.train, split.validation)]
    result = trainer.fit(volumes[0], volumes[1], report)
    metadata = {"model": model, CONTRAST_KEY: options.preprocess}
    publish(result, out / f"{model}.safetensors", metadata)
    if model in CLASSIFIERS:
        classifier = SlicewiseClassifier(spec, out / f"{model}.safetensors", options.device)
        threshold = operating_point(classifier, Kaggle3m(data, split.validation))
        publish(result, out / f"{model}.safetensors", metadata | {"threshold": str(threshold)})
    return result


def publish(result: FitResult, target: Path, metadata: Mapping[str, str]) -> None:
    """Write the best weights as fp16 for shipping."""
    best = next((row for row in result.history if row["epoch"] == result.best_epoch), {})
    about = {**metadata, **{name: str(value) for name, value in best.items()}}
    save_weights(load_file(result.weights), target, half=True, metadata=about)


def _volumes(data: Path, patients: Sequence[str], config: TrainConfig, options: TrainOptions) -> list[Volume]:
    volumes = load_volumes(Kaggle3m(data, patients), partial(preprocess, contrast=options.preprocess))
    if config.tumour_fraction < 1:
        return volumes
    return [volume for volume in map(tumour_slices, volumes) if len(volume.mask)]


def _configure(model: str, options: TrainOptions) -> TrainConfig:
    changes: dict[str, Any] = {"seed": options.seed}
    for name in ("epochs", "batch", "learning_rate"):
        value = getattr(options, name)
        if value is not None:
            if value <= 0 or not math.isfinite(value):
                raise InputError(f"expected a positive {name}, got {value}")
            changes[name] = value
    if options.minutes is not None and options.epochs is None:
        changes["epochs"] = 100_000  # the clock ends the run
    return replace(recipe(model), **changes)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
