"""Many pictures of one slice at once: what it brings to run them through the network together. Ratios in one run.

Run ``python -m benchmarks.batching``. The same pictures, slices of the sample study, wait in the same queue of the same
server, once with runs of one picture and once with shared runs; everything around the network is the same, and so are
the answers (a test holds them bit for bit equal on OpenVINO).
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import machine
from tumorseg.adapters.inference import InferenceQueue, Subject
from tumorseg.adapters.inference.queue import TOGETHER
from tumorseg.adapters.inference.task import ModelTask
from tumorseg.adapters.wire import ResultFormat
from tumorseg.geometry import Grid
from tumorseg.io import read_study
from tumorseg.models.base import DetectionModel, Model
from tumorseg.registry import load_model
from tumorseg.types import StudyImage

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "sample_data" / "lgg_dicom"
RESULT = ROOT / "benchmarks" / "results" / "batching.json"
MODELS = ("unet", "resunet25d", "maskrcnn_brain")
WAYS = {"alone": 1, "together": TOGETHER}

app = typer.Typer(add_completion=False)


@app.command()
def main(
    passes: Annotated[int, typer.Option(min=1, help="Timed passes of each; the median counts.")] = 5,
    pictures: Annotated[int, typer.Option(min=2, help="Pictures that are asked for at once.")] = 32,
    json_path: Annotated[Path, typer.Option("--json", help="Where the numbers are written.")] = RESULT,
) -> None:
    """Measure shared runs of the network against runs of one picture."""
    result = {
        "pictures": pictures,
        "together": TOGETHER,
        "models": {name: _measured(load_model(name), pictures, passes) for name in MODELS},
        "machine": machine.machine() | {"busy": machine.busy()},
        "versions": machine.versions(),
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    json_path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    typer.echo(json.dumps({name: said["speedup"] for name, said in result["models"].items()}))


def _measured(model: Model, count: int, passes: int) -> dict[str, Any]:
    """Return the seconds of every pass of each way and the speed-up of the medians."""
    images = _pictures(model, count)
    _ask(model, images[:2], TOGETHER)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(passes):
        for way, together in WAYS.items():
            seconds[way].append(round(_ask(model, images, together), 4))
    speedup = median(seconds["alone"]) / median(seconds["together"])
    return {"seconds": seconds, "speedup": round(speedup, 2)}


def _pictures(model: Model, count: int) -> list[StudyImage]:
    """Slices of the sample study, each a picture of its own."""
    study = read_study(STUDY, channels=model.channels)
    middle = study.voxels.shape[1] // 2
    around = [middle + (n % 8) - 4 for n in range(count)]
    shape = (1, *study.grid.shape[1:])
    return [
        StudyImage(np.ascontiguousarray(study.voxels[:, k : k + 1]), Grid(shape, study.grid.affine), study.channels)
        for k in around
    ]


def _ask(model: Model, images: list[StudyImage], together: int) -> float:
    """Seconds until all pictures, asked for at once, are answered."""
    queue = InferenceQueue(len(images), together=together)
    options = model.options if isinstance(model, DetectionModel) else None
    begin = time.perf_counter()
    tickets = [
        queue.submit(ModelTask(model.name, model, "cpu", _subject(image), options), ResultFormat(compress=False))
        for image in images
    ]
    for ticket in tickets:
        ticket.result()
    taken = time.perf_counter() - begin
    queue.close()
    return taken


def _subject(image: StudyImage) -> Subject:
    return Subject("picture", None, lambda _: (image, image.grid))


if __name__ == "__main__":
    app()
