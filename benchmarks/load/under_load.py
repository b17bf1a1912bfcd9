"""Our server and stock MONAI Label, one after the other, under the same many clients."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.load.clients import run_clients
from benchmarks.load.plan import ANNOTATING, Plan
from benchmarks.load.studies import copy_study
from benchmarks.processes import MemoryWatch, cpu_seconds
from benchmarks.servers import ROOT, ours, running, stock
from benchmarks.stock.prepare import Stock

STUDY = ROOT / "sample_data" / "lgg_dicom"
STOCK_MODEL = "resunet"
STOCK_BATCH = 1
# Seconds that a person looks at an answer, on average. Less than any: fifty of these are hundreds at work.
PAUSE_S = 0.5
# In this time every study is opened for the first time; it counts for errors, and is timed apart.
LEAD_IN_S = 10.0

Step = Callable[[float, int], None]


def load_ours(scratch: Path, model: str, clients: int, seconds: float, threads: int, studies: int, step: Step) -> Any:
    """Load our server, with the default model on copies of the sample study."""
    images = copy_study(STUDY, scratch / "studies", studies)
    launch = ours("load", scratch / "studies", images[0], scratch, model, state=f"{scratch}/state")
    with running(launch, scratch, threads) as server, MemoryWatch(server.pid) as watch:
        plan = _plan(server.address, model, images, clients, seconds)
        before = cpu_seconds(server.pid)
        found = run_clients(plan, step)
        used = cpu_seconds(server.pid) - before
    return {**found, "processor_s": round(used, 1), "memory_mb": round(watch.peak, 1), "studies": studies}


def load_stock(scratch: Path, made: Stock, clients: int, seconds: float, threads: int, studies: int, step: Step) -> Any:
    """Load stock MONAI Label, with its network on copies of the study as one NIfTI each."""
    folder = scratch / "stock-studies"
    folder.mkdir()
    (image,) = made.studies.glob("*.nii")
    names = [f"case{number:04d}" for number in range(studies)]
    for name in names:
        shutil.copyfile(image, folder / f"{name}.nii")
    launch = stock("stock-load", replace(made, studies=folder), STOCK_MODEL, STOCK_BATCH)
    with running(launch, scratch, threads) as server, MemoryWatch(server.pid) as watch:
        plan = _plan(server.address, STOCK_MODEL, names, clients, seconds)
        found = run_clients(plan, step)
    return {**found, "memory_mb": round(watch.peak, 1), "studies": studies}


def _plan(address: str, model: str, images: list[str], clients: int, seconds: float) -> Plan:
    """The same for both: what is asked, how often, and what is timed."""
    return Plan(address, model, tuple(images), clients, ANNOTATING, seconds, pause_s=PAUSE_S, lead_in_s=LEAD_IN_S)
