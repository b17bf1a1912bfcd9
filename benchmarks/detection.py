"""Our detector against plain torchvision with the same weights: one slice, and a volume of 24, as ratios in one run.

Run ``python -m benchmarks.detection``. Plain torchvision is the same layers and weights under its own inference with
its own defaults: slices one by one, scaled to 800 pixels, 1000 proposals, masks of everything above 0.05. Because that
size is not ours to choose for somebody else, it is also measured on slices as they are ("same size"): what is left is
then the batching, the proposals, and masks only for what is kept. Ours is the model as it is served, its look at the
mirror image, its linking of slices and its reorientation included.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.report import BUSY
from tumorseg.errors import TumorSegError

if TYPE_CHECKING:
    from torchvision.models.detection import MaskRCNN

    from tumorseg.models.detector import DetectorModel
    from tumorseg.types import StudyImage

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "sample_data" / "lgg_dicom"
RESULT = ROOT / "benchmarks" / "results" / "detection.json"
MODEL = "maskrcnn_brain"
SLICES, SIDE = 24, 256
#: torchvision's own defaults (torchvision.models.detection.MaskRCNN).
PLAIN_MIN_SIZE, PLAIN_MAX_SIZE, PLAIN_PROPOSALS = 800, 1333, 1000
PLAIN_SCORE, PLAIN_NMS, PLAIN_DETECTIONS = 0.05, 0.5, 100

app = typer.Typer(add_completion=False)


@app.command()
def main(
    passes: Annotated[int, typer.Option(min=1, help="Timed passes of each; the median counts.")] = 3,
    json_path: Annotated[Path, typer.Option("--json", help="Where the numbers are written.")] = RESULT,
    weights: Annotated[
        Path | None, typer.Option(exists=True, help=f"Weights of {MODEL} (safetensors); those that ship by default.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of the processor.")] = os.cpu_count() or 1,
) -> None:
    """Measure our detector and plain torchvision with the same weights, slices, machine and threads."""
    console = Console(stderr=True)
    try:
        result = run(passes, threads, weights)
    except TumorSegError as error:
        console.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(2) from None
    _show(result, Console())
    if max(result["load_average"]) > BUSY + threads:
        console.print("the machine was busy: take the numbers again when it is not")
    json_path.parent.mkdir(parents=True, exist_ok=True)
    json_path.write_text(json.dumps(result, indent=1) + "\n")
    console.print(f"written to {json_path}")


def run(passes: int, threads: int, weights: Path | None) -> dict[str, Any]:
    """Take all measurements, on the processor."""
    import torch

    from tumorseg.registry import load_model

    load_before = machine.busy()
    torch.set_num_threads(threads)
    model: Any = load_model(MODEL, weights=weights, device="cpu")
    whole = volume()
    images = {"slice": part(whole, slice(SLICES // 2, SLICES // 2 + 1)), "volume": whole}
    subjects = _subjects(model)
    seconds: dict[str, dict[str, list[float]]] = {
        name: {size: _timed(subject, image, passes) for size, image in images.items()}
        for name, subject in subjects.items()
    }
    medians = {name: {size: median(some) for size, some in by.items()} for name, by in seconds.items()}
    ratios = {
        f"{size}{suffix}": round(medians[name][size] / medians["ours"][size], 2)
        for name, suffix in (("plain", ""), ("plain_same_size", "_same_size"))
        for size in images
    }
    return {
        "ratios": ratios,
        "seconds": seconds,
        "settings": {"passes": passes, "threads": threads, "slices": SLICES, "side": SIDE, "mirror": model.spec.mirror},
        "load_average": [load_before, machine.busy()],
        "machine": machine.machine(),
        "versions": machine.versions(),
        "weights": hashlib.sha256(model.weights.read_bytes()).hexdigest()[:12],
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def volume() -> StudyImage:
    """The sample study's FLAIR as 24 slices of 256 x 256; the last one is repeated where there are fewer."""
    from dataclasses import replace

    import numpy as np

    from tumorseg.geometry import Grid
    from tumorseg.io import read_study

    image = read_study(STUDY, channels=("FLAIR",))
    voxels = image.voxels[:, [min(k, image.grid.shape[0] - 1) for k in range(SLICES)]]
    assert voxels.shape == (1, SLICES, SIDE, SIDE), voxels.shape
    return replace(image, voxels=np.ascontiguousarray(voxels), grid=Grid(voxels.shape[1:], image.grid.affine))


def part(image: StudyImage, slices: slice) -> StudyImage:
    """Some slices of an image from the first one's place on."""
    from dataclasses import replace

    from tumorseg.geometry import Grid

    voxels = image.voxels[:, slices]
    return replace(image, voxels=voxels, grid=Grid(voxels.shape[1:], image.grid.affine))


def plain(model: DetectorModel, min_size: int, max_size: int) -> MaskRCNN:
    """The same layers and weights with torchvision's own settings, in its usual memory layout."""
    from torchvision.models.detection.transform import GeneralizedRCNNTransform

    from tumorseg.models.metadata import read_metadata
    from tumorseg.models.weights import load_into
    from tumorseg.networks.maskrcnn import IMAGENET_MEAN, IMAGENET_STD, Proposals, build_maskrcnn

    backbone = read_metadata(model.weights).get("backbone", model.spec.backbone)
    many = Proposals(before=PLAIN_PROPOSALS, after=PLAIN_PROPOSALS)
    network = build_maskrcnn(backbone, len(model.labels), proposals=many)
    load_into(network, model.weights, model.name)
    network.transform = GeneralizedRCNNTransform(min_size, max_size, list(IMAGENET_MEAN), list(IMAGENET_STD))
    heads = network.roi_heads
    heads.score_thresh, heads.nms_thresh, heads.detections_per_img = PLAIN_SCORE, PLAIN_NMS, PLAIN_DETECTIONS
    return network.eval()


def _subjects(model: DetectorModel) -> dict[str, Callable[[StudyImage], object]]:
    """Name what is compared: each takes an image to its detections."""
    default = plain(model, PLAIN_MIN_SIZE, PLAIN_MAX_SIZE)
    same_size = plain(model, SIDE, SIDE)
    return {
        "ours": model.predict,
        "plain": lambda image: _slice_by_slice(default, image, model),
        "plain_same_size": lambda image: _slice_by_slice(same_size, image, model),
    }


def _slice_by_slice(network: MaskRCNN, image: StudyImage, model: DetectorModel) -> list[Any]:
    """What a script on torchvision does: normalise, repeat grey to three channels, one slice after the other."""
    import torch

    from tumorseg.models.grey import grey_slices

    grey, _ = grey_slices(image, model.channels)
    with torch.inference_mode():
        return [network([torch.from_numpy(one).expand(3, -1, -1)]) for one in grey]


def _timed(subject: Callable[[StudyImage], object], image: StudyImage, passes: int) -> list[float]:
    """Seconds of each pass after one that is not counted."""
    subject(part(image, slice(0, 1)))
    seconds = []
    for _ in range(passes):
        begin = time.perf_counter()
        subject(image)
        seconds.append(round(time.perf_counter() - begin, 4))
    return seconds


def _show(result: dict[str, Any], console: Console) -> None:
    """Print seconds and ratios."""
    table = Table("", "one slice", f"{SLICES} slices", title=f"{MODEL}, {result['settings']['threads']} threads")
    for name, title in (
        ("ours", "ours"),
        ("plain", "plain torchvision"),
        ("plain_same_size", "plain, slices as they are"),
    ):
        suffix = {"plain": "", "plain_same_size": "_same_size"}.get(name)
        cells = []
        for size in ("slice", "volume"):
            ratio = "" if suffix is None else f" ({result['ratios'][size + suffix]:.1f} times ours)"
            cells.append(f"{median(result['seconds'][name][size]):.2f} s{ratio}")
        table.add_row(title, *cells)
    console.print(table)


if __name__ == "__main__":
    app()
