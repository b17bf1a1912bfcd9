"""One training from a folder of patients to a file of weights, for the command line and the server."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tumorseg.errors import InputError
from tumorseg.io.kaggle_3m import Kaggle3m
from tumorseg.models.engines.torch_engine import pick_device
from tumorseg.models.preparation import preprocess
from tumorseg.models.slicewise import SlicewiseSpec
from tumorseg.models.weights import load_into
from tumorseg.registry import MODELS, resolve
from tumorseg.training.checkpoint import save_weights
from tumorseg.training.data import load_volumes
from tumorseg.training.engine import FitResult, Report, Trainer
from tumorseg.training.recipes import recipe
from tumorseg.training.splits import Split, load_split, random_split


@dataclass(frozen=True)
class TrainOptions:
    """What a user may say about a run; None leaves the recipe's value.

    Attributes:
        split: name or path of a frozen split; ``"random"`` draws one by patient with ``seed``.
        minutes: time budget; the learning rate decays over it.
        init: weights to start from instead of random ones.
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
    init: Path | None = None
    resume: bool = True


def trainable(name: str) -> object:
    """Return the spec behind a registry entry; None where a model has none."""
    resolve(MODELS, "model", name)
    return getattr(import_module(MODELS[name].partition(":")[0]), "SPEC", None)


def model_spec(name: str) -> SlicewiseSpec:
    """Return the spec behind a registry entry; a model that cannot be trained by this engine is an error."""
    spec = trainable(name)
    if not isinstance(spec, SlicewiseSpec):
        raise InputError(f"{name} has nothing to train; choose one of the trainable models")
    return spec


def choose_split(data: Kaggle3m, name: str, seed: int) -> Split:
    """The named frozen split restricted to patients that are there, or a new random one by patient (70:15:15)."""
    if name != "random":
        split = load_split(name)
        there = set(data.patients)
        kept = [tuple(p for p in split.subset(s) if p in there) for s in ("train", "validation", "test")]
        if not kept[0] or not kept[1]:
            raise InputError(
                f"of split {name!r} {len(kept[0])} training and {len(kept[1])} validation patients are in {data.root}; "
                "both are needed. Pass --split random for a folder of other patients"
            )
        return Split(*kept)
    return random_split(data.patients, seed)


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
    _write_json(out / "config.json", {"model": model, **config.as_dict(), "minutes": options.minutes})
    _write_json(out / "split.json", dataclasses.asdict(split))
    torch.manual_seed(config.seed)  # initial weights and dropout; every other draw has its own generator
    network = spec.network()
    if options.init:
        load_into(network, options.init, model)
    device = str(pick_device(options.device))
    trainer = Trainer(network, config, out, slices=spec.slices, device=device, minutes=options.minutes)
    if options.resume and (out / "state.pt").exists():
        trainer.resume(out / "state.pt")
    volumes = [load_volumes(Kaggle3m(data, split.subset(name)), preprocess) for name in ("train", "validation")]
    result = trainer.fit(volumes[0], volumes[1], report)
    publish(result, out / f"{model}.safetensors", model)
    return result


def publish(result: FitResult, target: Path, model: str) -> None:
    """Write the best weights as fp16 for shipping."""
    best = [row for row in result.history if row["epoch"] == result.best_epoch]
    metadata: dict[str, Any] = {"model": model, **(best[0] if best else {})}
    state = load_file(result.weights)
    save_weights(state, target, half=True, metadata={k: str(v) for k, v in metadata.items()})


def _configure(model: str, options: TrainOptions) -> Any:
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
