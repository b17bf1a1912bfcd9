"""The measurements. Each takes servers and gives plain numbers: seconds, megabytes, label maps.

Fairness: all servers of a measurement run on the same machine at the same time, each idle while another is asked;
requests alternate between them, so that whatever else the machine does falls on all; every request is a new
connection; nothing is measured before the warm-up requests are over.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.processes import MemoryWatch, cpu_seconds
from benchmarks.servers import Launch, Running, running
from benchmarks.viewers import Answer, ask_info, ask_ohif, ask_slicer

WARM_UPS = 2
# OpenMP threads spin for a moment after their work; the next server should not have to share the cores with them.
SETTLE_S = 0.2
# How far into an inference /info/ is asked, as a part of the inference's usual time.
INTO_INFERENCE = 0.2

Ask = Callable[[str, str, str], Answer]
VIEWERS: dict[str, Ask] = {"ohif": ask_ohif, "slicer": ask_slicer}


@dataclass
class Samples:
    """What was seen of one server and one viewer's way to ask.

    Attributes:
        wall_s: seconds of each request, as the viewer sees it.
        cpu_s: processor seconds that the server used for each (to 10 ms); steadier than ``wall_s`` on a busy machine.
        latencies: what the server itself said of each (Slicer's answers only).
        nrrd: the last answer.
    """

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    latencies: list[dict[str, Any]] = field(default_factory=list)
    nrrd: bytes = b""


@dataclass(frozen=True)
class Subject:
    """A running server and the viewers (keys of :data:`VIEWERS`) that it is asked as."""

    server: Running
    viewers: tuple[str, ...]


def first_mask(launch: Launch, logs: Path, threads: int) -> tuple[float, float]:
    """Seconds from the start of a server's process to its first mask, and the memory at its peak until then, MB."""
    with running(launch, logs, threads) as server, MemoryWatch(server.pid) as watch:
        ask_ohif(server.address, launch.model, launch.image)
        seconds = time.perf_counter() - server.begun
    return seconds, watch.peak


def warm_requests(
    subjects: Sequence[Subject], requests: int, step: Callable[[], None]
) -> dict[str, dict[str, Samples]]:
    """Ask every subject ``requests`` times after the warm-ups, taking turns.

    Returns:
        server -> viewer -> what was seen.
    """
    seen = {one.server.launch.name: {viewer: Samples() for viewer in one.viewers} for one in subjects}
    for number in range(-WARM_UPS, requests):
        for one in subjects:
            for viewer in one.viewers:
                sample = seen[one.server.launch.name][viewer] if number >= 0 else Samples()
                _ask_once(one.server, VIEWERS[viewer], sample)
        step()
    return seen


def _ask_once(server: Running, ask: Ask, sample: Samples) -> None:
    """Send one request and note what it took."""
    time.sleep(SETTLE_S)
    before = cpu_seconds(server.pid)
    answer = ask(server.address, server.launch.model, server.launch.image)
    sample.cpu_s.append(cpu_seconds(server.pid) - before)
    sample.wall_s.append(answer.seconds)
    if answer.latencies:
        sample.latencies.append(answer.latencies)
    sample.nrrd = answer.nrrd


def info_latency(server: Running, usual_s: float, times: int) -> dict[str, list[float]]:
    """Seconds that ``/info/`` takes of an idle server, and asked while an inference runs.

    Args:
        server: the server.
        usual_s: what an inference usually takes, to ask well inside it.
        times: how often.
    """
    idle = [ask_info(server.address) for _ in range(times)]
    busy = []
    for _ in range(times):
        other = threading.Thread(target=ask_ohif, args=(server.address, server.launch.model, server.launch.image))
        other.start()
        time.sleep(INTO_INFERENCE * usual_s)
        busy.append(ask_info(server.address))
        other.join()
    return {"idle": idle, "busy": busy}


def network_seconds(weights: Path, prepared: Any, threads: int, batches: Iterable[int], times: int) -> dict[str, float]:
    """Fewest seconds of the bare network over all slices once, PyTorch eager float32, by batch size.

    Args:
        weights: safetensors of the ResUNet.
        prepared: ``(C, K, H, W)`` float32 normalised voxels.
        threads: PyTorch threads.
        batches: slices in one forward pass.
        times: how often each is tried.
    """
    import torch

    from tumorseg.models.weights import load_into
    from tumorseg.networks.resunet import ResUNet

    network = ResUNet(in_channels=3).eval()
    load_into(network, weights, "resunet")
    slices = torch.from_numpy(prepared).transpose(0, 1).contiguous()
    torch.set_num_threads(threads)
    best = {}
    with torch.inference_mode():
        for batch in batches:
            seen = []
            for _ in range(times):
                begin = time.perf_counter()
                for start in range(0, len(slices), batch):
                    network(slices[start : start + batch])
                seen.append(time.perf_counter() - begin)
            best[str(batch)] = min(seen)
    return best
