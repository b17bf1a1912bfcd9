"""Many requests of all kinds to one server, which is looked at whenever it is at rest in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.load.clients import run_clients
from benchmarks.load.held import Held, excess, growth, look
from benchmarks.load.plan import LASTING, Plan
from benchmarks.servers import ROOT, Launch, ours, running

# Looks in all; those of the first part are the warm-up and do not count.
LOOKS = 20
WARM_UP = 0.3
# More than the server has threads, so that the first looks see them all with their connections to the index.
CLIENTS = 50
# Connections that nobody uses are gone after this.
REST_S = 2.0
_SHAPE = (22, 40, 36)
_IMAGES = 4


def lasting(scratch: Path, requests: int, seed: int, step: Callable[[int], None]) -> dict[str, Any]:
    """Send ``requests`` to a server of small images whose model only compares with a threshold.

    Args:
        scratch: folder for images, labels and whatever the server writes.
        requests: how many in all.
        seed: of the clients' choices.
        step: called with the number of requests so far.

    Returns:
        what was seen, what grew, and ``excess``: the numbers that grew too much, in words.
    """
    images = _write_images(scratch / "lasting-studies")
    launch = _launch(scratch, images[0])
    sums, seen = [], []
    cache = scratch / launch.name / "cache"
    temporary = (Path(launch.environment["TMPDIR"]), cache / "incoming", cache / "sessions")
    with running(launch, scratch, threads=1) as server:
        done = 0
        for number in range(LOOKS):
            plan = _plan(server.address, launch.model, images, requests // LOOKS, number, seed)
            sums.append(run_clients(plan, _counting(step, done)))
            done += sums[-1]["requests"]
            time.sleep(REST_S)
            seen.append(look(server.pid, done, temporary, cache))
            step(done)
    return _result(sums, seen)


def _counting(step: Callable[[int], None], before: int) -> Callable[[float, int], None]:
    """Pass on how many requests there were, those of earlier blocks included."""
    return lambda _, sent: step(before + sent)


def _result(sums: list[dict[str, Any]], seen: list[Held]) -> dict[str, Any]:
    warm = seen[round(WARM_UP * len(seen)) :]
    grown = growth(warm)
    return {
        "requests": sum(one["requests"] for one in sums),
        "errors": sum(one["errors"] for one in sums),
        "refused": sum(one["refused"] for one in sums),
        "messages": [message for one in sums for message in one["messages"]][:5],
        "growth_over_10000_requests": grown,
        "excess": excess(grown),
        "looks": [asdict(one) for one in seen],
    }


def _launch(scratch: Path, image: str) -> Launch:
    """Our server with a temporary folder of its own, so that everything in there is what it left behind."""
    temporary = scratch / "temporary"
    temporary.mkdir()
    standin = {"extra_models": "standin=benchmarks.load.standin:build", "state": str(scratch / "lasting-state")}
    launch = ours("lasting", scratch / "lasting-studies", image, scratch, "standin", **standin)
    path = f"{ROOT / 'lib'}:{launch.environment['PYTHONPATH']}"
    environment = {**launch.environment, "PYTHONPATH": path, "TMPDIR": str(temporary)}
    return Launch(launch.name, launch.command, launch.model, image, environment)


def _plan(address: str, model: str, images: list[str], requests: int, number: int, seed: int) -> Plan:
    """One block of requests; every block has label maps of its own."""
    return Plan(
        address,
        model,
        tuple(images),
        CLIENTS,
        LASTING,
        seconds=600,
        requests=requests,
        seed=1000 * seed + number,
        first_label=number * requests,
    )


def _write_images(folder: Path) -> list[str]:
    """Write small NIfTI images of noise."""
    import nibabel
    import numpy as np

    folder.mkdir()
    names = [f"case{number}" for number in range(_IMAGES)]
    rng = np.random.default_rng(0)
    for name in names:
        voxels = rng.integers(0, 1000, _SHAPE[::-1], dtype=np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([-3.5, -3.5, 5.0, 1.0])), folder / f"{name}.nii.gz")
    return names
