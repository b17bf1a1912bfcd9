"""How long it takes to say which case comes next, of 2,000 images whose scores are stored. On one core.

Run ``python -m benchmarks.next_sample``. The images are one small volume under many names; their scores and vectors are
made up and lie in a real score store, as of the shipped ``unet``. Measured are, for every strategy,

- ``first``: the first answer of a server, which unpacks the store;
- ``warm``: later ones, each for another annotator, while nothing is written;
- ``written``: one after another process has scored an image, so that the store is unpacked again: what every answer
  would take if nothing were kept unpacked;
- ``post``: the whole request of a viewer, with sign-in, lease, audit record and checksum of the image.

The peer is MONAI Label's own epistemic strategy over its own data store, on the same folder with as many scores: the
choice alone, and with the note that its endpoint writes. It knows no vectors and reserves nothing; it is compared with
``entropy``, which also takes the highest of a column.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks import machine

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "next_sample.json"
#: What an answer may take, ms: ``coreset`` over 2,000 vectors of 256 numbers.
LIMIT_MS = 50.0
MODEL, SIZE, SHAPE = "unet", 256, (4, 32, 32)
STRATEGIES = ("random", "foreground_random", "entropy", "clasp_pe", "coreset", "hybrid", "typiclust")
_KEY = "epistemic_entropy"

app = typer.Typer(add_completion=False)


@app.command()
def main(
    images: Annotated[int, typer.Option(min=10, help="Images of the site.")] = 2000,
    labelled: Annotated[int, typer.Option(min=0, help="Of these, with a label.")] = 200,
    times: Annotated[int, typer.Option(min=3, help="Answers of each kind; the median counts.")] = 30,
    json_path: Annotated[Path, typer.Option("--json", help="Where the numbers are written.")] = RESULT,
) -> None:
    """Measure how long the next case takes to be chosen."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    busy = machine.busy()
    with tempfile.TemporaryDirectory(prefix="tumorseg-next-") as folder:
        root = Path(folder)
        _write_images(root / "studies", images)
        ours = _ours(root, images, labelled, times)
        peer = _peer(root / "studies", times)
    result = {
        "images": images,
        "labelled": labelled,
        "embedding": SIZE,
        "cores": 1,
        "limit_ms": LIMIT_MS,
        "tumorseg_ms": ours,
        "monailabel_epistemic_ms": peer,
        "ratio_to_peer": round(peer["with_note"] / ours["entropy"]["warm"], 1),
        "machine": machine.machine() | {"busy": busy},
        "versions": machine.versions(),
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    json_path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    warm = {name: said["warm"] for name, said in ours.items()}
    kept = {"warm_ms": warm, "peer_ms": peer, "ratio_to_peer": result["ratio_to_peer"]}
    typer.echo(json.dumps({**kept, "within_limit": warm["coreset"] <= LIMIT_MS}))


def _write_images(studies: Path, count: int) -> None:
    """Write one small volume, and links to it under the other names."""
    import nibabel

    studies.mkdir()
    voxels = np.random.default_rng(0).random(SHAPE[::-1], dtype=np.float32)
    first = studies / _name(0)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-0.9, -0.9, 3.0, 1.0])), first)
    for number in range(1, count):
        os.link(first, studies / _name(number))


def _name(number: int) -> str:
    return f"case{number:05}.nii.gz"


def _ours(root: Path, images: int, labelled: int, times: int) -> dict[str, dict[str, float]]:
    """Return ms by strategy and kind of answer."""
    from starlette.testclient import TestClient

    from tumorseg.config import AppConfig
    from tumorseg.server.app import create_app

    config = AppConfig(
        str(root / "studies"),
        models=(MODEL,),
        default_model=MODEL,
        device="cpu",
        cache=root / "cache",
        labels=root / "labels",
        state=root / "state",
        prewarm=False,
        allowed_hosts=("testserver",),
    )
    with TestClient(create_app(config)) as client:
        place = client.app.state.workplace  # type: ignore[attr-defined]
        _label(place, root, labelled)
        write = _score(place, images)
        found = {name: _choices(place, name, times, write) for name in STRATEGIES}
        for name, said in found.items():
            said["post"] = _median_ms(lambda n, s=name: _post(client, s, n), times)  # type: ignore[misc]
    return found


def _label(place: Any, root: Path, count: int) -> None:
    """Give the first images an empty final label."""
    import nibabel

    mask = root / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros(SHAPE[::-1], np.uint8), np.diag([-0.9, -0.9, 3.0, 1.0])), mask)
    for image in place.datastore.list_images()[:count]:
        place.datastore.save_label(image, str(mask), "final", {})


def _score(place: Any, images: int) -> Callable[[int], None]:
    """Fill the store as a scoring would; return what another process would do with one image."""
    from tumorseg.active_learning.store import ScoreStore
    from tumorseg.active_learning.types import ENTROPY, FOREGROUND
    from tumorseg.adapters.learning.score import scores_path

    rng = np.random.default_rng(0)
    version = place.engine.models.get(MODEL).version
    states = place.source.states(place.datastore.list_images())
    names = list(states)
    store = ScoreStore(scores_path(place.config.state))

    def write(number: int) -> None:
        image = names[number % images]
        columns = {ENTROPY: float(rng.random()), FOREGROUND: float(rng.random())}
        store.put(MODEL, version, image, states[image], columns, rng.standard_normal(SIZE).astype(np.float32))

    for number in range(images):
        write(number)
    return write


def _choices(place: Any, name: str, times: int, write: Callable[[int], None]) -> dict[str, float]:
    def choose(number: int) -> None:
        place.strategies[name]({"strategy": name, "who": f"{name} {number}"}, place.datastore)

    write(0)
    first = _median_ms(choose, 1)
    warm = _median_ms(choose, times)

    def after(number: int) -> float:
        write(number)
        return _median_ms(choose, 1)

    written = median(after(number) for number in range(max(3, times // 5)))
    return {"first": round(first, 2), "warm": round(warm, 2), "written": round(written, 2)}


def _post(client: Any, strategy: str, number: int) -> None:
    answer = client.post(f"/activelearning/{strategy}", json={"client_id": f"{strategy} {number}"})
    answer.raise_for_status()
    if not answer.json():
        raise RuntimeError(f"{strategy} gave no case: {answer.headers}")


def _peer(studies: Path, times: int) -> dict[str, float]:
    """Return ms of MONAI Label's own strategy, alone and with the note that its endpoint writes."""
    from monailabel.datastore.local import LocalDatastore
    from monailabel.tasks.activelearning.epistemic import Epistemic

    store = LocalDatastore(str(studies), extensions=["*.nii.gz"])
    rng = np.random.default_rng(0)
    for found in store._datastore.objects.values():
        found.image.info[_KEY] = float(rng.random())
    strategy = Epistemic()

    def choose(number: int) -> str:
        return str(strategy({"strategy": "epistemic"}, store)["id"])

    def answer(number: int) -> None:
        image = choose(number)
        store.update_image_info(image, {"strategy": {"epistemic": {"ts": int(time.time()), "client_id": "a"}}})

    return {"choice": round(_median_ms(choose, times), 2), "with_note": round(_median_ms(answer, times), 2)}


def _median_ms(ask: Callable[[int], object], times: int) -> float:
    seen = []
    for number in range(times):
        begin = time.perf_counter()
        ask(number)
        seen.append(1000 * (time.perf_counter() - begin))
    return _rounded(seen)


def _rounded(values: Sequence[float]) -> float:
    return round(median(values), 2)


if __name__ == "__main__":
    app()
