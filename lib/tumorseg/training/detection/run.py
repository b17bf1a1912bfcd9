"""One training of a detector from a folder of annotated pictures to a file of weights."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tumorseg.errors import InputError
from tumorseg.io.kaggle_3m import Kaggle3m
from tumorseg.models.detector import DetectorSpec
from tumorseg.models.engines.torch_engine import pick_device
from tumorseg.networks.maskrcnn import build_maskrcnn
from tumorseg.training.checkpoint import save_weights
from tumorseg.training.detection.config import DetectionConfig
from tumorseg.training.detection.data import Example, picture_examples, volume_examples
from tumorseg.training.detection.engine import DetectionTrainer, Report
from tumorseg.training.detection.start import start_from
from tumorseg.training.pretrained import read_state
from tumorseg.training.splits import Split, load_split, random_split
from tumorseg.transforms.augment_picture import PictureAugment

if TYPE_CHECKING:
    from tumorseg.annotations.types import PictureSet

RECIPES: dict[str, DetectionConfig] = {
    # Planes are mixed, so a head may lie on any side.
    "maskrcnn_brain": DetectionConfig(steps=1200, augment=PictureAugment(upside_down=0.5, invert=0.05)),
    # The transducer is always on top: no vertical flip, and little rotation.
    "maskrcnn_breast": DetectionConfig(steps=2000),
}
#: Slices of volumes as pictures: heads are upright and show the whole range of empty slices.
VOLUMES = DetectionConfig(steps=1300, steps_per_epoch=100)


@dataclass(frozen=True)
class DetectionRun:
    """What a user may say about a run; None leaves the recipe's value.

    Attributes:
        split: name or path of a frozen split of picture ids; ``"random"`` draws one; ``"all"`` trains on everything.
        start: ``imagenet``, ``coco``, ``none`` or a file, see :func:`tumorseg.training.detection.start.start_from`.
        backbone: instead of the model's own.
        also: patients in the kaggle_3m layout whose slices are mixed in, so that a detector of pictures is not at a
            loss before a volume, most of whose slices show nothing.
        blend: part of the trained weights in the result; the rest are those it started from, which must be a file.
            Between two trainings that share a start, weights in the middle keep most of what both know (Wortsman et
            al. 2022, robust fine-tuning of zero-shot models).
        resume: go on from the state in the output folder when there is one.
    """

    split: str | None = None
    steps: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    threads: int | None = None
    device: str = "auto"
    start: str = "imagenet"
    backbone: str | None = None
    also: Path | None = None
    blend: float = 1.0
    resume: bool = True


def train_detector(
    spec: DetectorSpec, data: Path, out: Path, options: DetectionRun, report: Report | None = None
) -> Path:
    """Train and return the file of weights (fp16, with what they are in its metadata).

    ``data`` is a folder of annotated pictures of any known format, or of patients in the kaggle_3m layout, whose
    slices then are the pictures (to train on before there are many annotated ones).
    """
    if not 0 < options.blend <= 1 or (options.blend < 1 and not Path(options.start).is_file()):
        raise InputError(f"expected a blend in (0, 1], below 1 with a file to start from; got {options.blend}")
    config, backbone = configure(spec, data, options), options.backbone or spec.backbone
    if options.threads:
        torch.set_num_threads(options.threads)
    examples, split = _examples(spec, data, options)
    also = _slices(spec, Kaggle3m(options.also), "lgg", options.seed)[0] if options.also else []
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    network = build_maskrcnn(backbone, len(spec.labels), side=spec.side, folded=False)
    started = start_from(network, backbone, options.start)
    told = {"model": spec.name, "backbone": backbone, "started_from": str(started or "random values")}
    if options.blend < 1:
        told["blend"] = f"{options.blend:.0%} of these weights, the rest those it started from"
    if options.also:
        told["also"] = f"slices of {options.also.name}, {config.also_share:.0%} of the pictures"
    _write_json(out / "config.json", {**told, **config.as_dict()})
    _write_json(out / "split.json", dataclasses.asdict(split))
    trainer = DetectionTrainer(network, config, out, side=spec.side, device=str(pick_device(options.device)))
    if options.resume and (out / "state.pt").exists():
        trainer.resume(out / "state.pt")
    trainer.fit(examples, report=report, also=also)
    target = out / f"{spec.name}.safetensors"
    state = read_state(out / "best.safetensors")
    if options.blend < 1:
        before = read_state(Path(options.start))
        state = {name: torch.lerp(before[name], value, options.blend) for name, value in state.items()}
    save_weights(state, target, half=True, metadata=told)
    return target


def _examples(spec: DetectorSpec, data: Path, options: DetectionRun) -> tuple[list[Example], Split]:
    from tumorseg.annotations import open_pictures

    volumes = _volumes(data)
    if volumes is None:
        pictures = open_pictures(data)
        split = _picture_split(pictures, options)
        wanted = set(split.train)
        return picture_examples([p for p in pictures if p.id in wanted], [name for name, _ in spec.labels]), split
    return _slices(spec, volumes, options.split or "lgg", options.seed)


def _slices(spec: DetectorSpec, volumes: Kaggle3m, split: str, seed: int) -> tuple[list[Example], Split]:
    """The slices of the training patients as pictures."""
    from tumorseg.training.run import choose_split

    if len(spec.labels) != 1:
        raise InputError(
            f"{spec.name} tells {len(spec.labels)} classes apart, but masks in {volumes.root} have only one"
        )
    chosen = choose_split(volumes, split, seed)
    return volume_examples(Kaggle3m(volumes.root, chosen.train)), chosen


def _picture_split(pictures: PictureSet, options: DetectionRun) -> Split:
    ids = [picture.id for picture in pictures if picture.labelled]
    if options.split == "all":
        return Split(tuple(ids), (), ())
    if options.split in (None, "random"):
        return random_split(ids, options.seed)
    frozen, there = load_split(options.split), set(ids)
    train, validation, test = (
        tuple(p for p in frozen.subset(name) if p in there) for name in ("train", "validation", "test")
    )
    if not train:
        raise InputError(f"no training picture of split {options.split!r} is in {pictures.root}; pass --split random")
    return Split(train, validation, test)


def configure(spec: DetectorSpec, data: Path, options: DetectionRun) -> DetectionConfig:
    """Return the recipe for this model and kind of data with the user's changes."""
    changes: dict[str, Any] = {"seed": options.seed}
    for name in ("steps", "batch", "learning_rate"):
        value = getattr(options, name)
        if value is not None:
            if value <= 0:
                raise InputError(f"expected a positive {name}, got {value}")
            changes[name] = value
    base = VOLUMES if _volumes(data) is not None else RECIPES.get(spec.name, DetectionConfig())
    return replace(base, **changes)


def _volumes(data: Path) -> Kaggle3m | None:
    """The folder as patients in the kaggle_3m layout; None where it holds something else."""
    try:
        return Kaggle3m(data)
    except InputError:
        return None


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")
