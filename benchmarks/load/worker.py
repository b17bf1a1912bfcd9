"""The process of the clients: ``python -m benchmarks.load.worker < plan.json``; one JSON line a second, then the sum.

It is a process of its own so that the clients' work is not the server's; that its event loop was never late is
measured beside the answers (``loop_late_ms``), because a client that is late sees slow answers.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

import aiohttp

from benchmarks.load.client import Client, Shared
from benchmarks.load.label_files import LabelFiles
from benchmarks.load.plan import Plan
from benchmarks.load.tally import Tally, quantile
from benchmarks.viewers import OHIF_PARAMS

# Below uvicorn's 5 s: a connection that the server is about to close is not used again.
_KEEP_ALIVE_S = 3.0
_LABELS_READY = 500
_LOOK_S = 0.02
_PREPARE_TIMEOUT_S = 300.0


@dataclass
class _Run:
    plan: Plan
    shared: Shared
    end: float
    sent: int = 0

    def goes_on(self) -> bool:
        """Whether another request is to be sent."""
        return time.perf_counter() < self.end and (not self.plan.requests or self.sent < self.plan.requests)


async def run(plan: Plan) -> dict[str, Any]:
    """Prepare, run all clients, and sum up."""
    shared = await _prepare(plan)
    begin = time.perf_counter()
    running = _Run(plan, shared, begin + plan.lead_in_s + plan.seconds)
    if plan.lead_in_s:
        asyncio.get_running_loop().call_later(plan.lead_in_s, shared.tally.begin)
    late: list[float] = []
    beside = [asyncio.create_task(_watch_loop(late)), asyncio.create_task(_tell(shared.tally, begin))]
    clients = [asyncio.create_task(_client(running, number)) for number in range(plan.clients)]
    _, pending = await asyncio.wait(clients, timeout=plan.lead_in_s + plan.seconds + plan.drain_s)
    took = time.perf_counter() - begin
    for task in (*pending, *beside):
        task.cancel()
    await asyncio.gather(*pending, *beside, return_exceptions=True)
    return {
        **shared.tally.as_json(),
        "seconds": round(took, 1),
        "loop_late_ms": {"p95": round(1000 * quantile(late, 0.95), 1), "max": round(1000 * quantile(late, 1), 1)},
    }


async def _prepare(plan: Plan) -> Shared:
    """Ask each thing once, so that models and modules are loaded; make label maps on the grid of the first answer."""
    async with _connection(plan) as http:
        said = {"params": json.dumps(OHIF_PARAMS)}
        wanted = {"image": plan.images[0], "output": "image"}
        async with http.post(f"/infer/{plan.model}", params=wanted, data=said) as answer:
            nrrd = await answer.read()
            if answer.status != 200:
                raise SystemExit(f"the first inference failed: {answer.status} {nrrd[:500]!r}")
        file = b""
        if "session" in plan.mix:
            async with http.get("/datastore/image", params={"image": plan.images[0]}) as answer:
                file = await answer.read()
        shared = Shared(plan.model, plan.images, LabelFiles.like(nrrd), file, Tally(), count(plan.first_label))
        for name in plan.mix:
            await Client(http, shared, Random(plan.seed)).act(name)
    warm = shared.tally
    if warm.errors:
        raise SystemExit(f"a first request failed: {'; '.join(warm.messages)}")
    shared.tally = Tally()
    ready = plan.requests // 4 or _LABELS_READY
    shared.ready = [shared.labels.make(next(shared.numbers)) for _ in range(ready)]
    return shared


async def _client(running: _Run, number: int) -> None:
    """Be one client until the run ends."""
    plan, rng = running.plan, Random(plan_seed(running.plan, number))
    names, parts = list(plan.mix), list(plan.mix.values())
    async with _connection(plan) as http:
        client = Client(http, running.shared, rng)
        await asyncio.sleep(rng.uniform(0, 2 * plan.pause_s))
        while running.goes_on():
            running.sent += 1
            await client.act(*rng.choices(names, parts))
            await asyncio.sleep(rng.uniform(0, 2 * plan.pause_s))


def plan_seed(plan: Plan, number: int) -> str:
    """Seed of one client."""
    return f"{plan.seed} {number}"


def _connection(plan: Plan) -> aiohttp.ClientSession:
    """Open what keeps one connection to the server."""
    connector = aiohttp.TCPConnector(limit=1, keepalive_timeout=_KEEP_ALIVE_S)
    timeout = aiohttp.ClientTimeout(total=_PREPARE_TIMEOUT_S)
    return aiohttp.ClientSession(plan.address, connector=connector, timeout=timeout)


async def _watch_loop(late: list[float]) -> None:
    """Note by how much this process's own event loop is late."""
    while True:
        begin = time.perf_counter()
        await asyncio.sleep(_LOOK_S)
        late.append(time.perf_counter() - begin - _LOOK_S)


async def _tell(tally: Tally, begin: float) -> None:
    """Say every second how far it is."""
    while True:
        await asyncio.sleep(1)
        print(json.dumps({"done": tally.total, "seconds": time.perf_counter() - begin}), flush=True)


if __name__ == "__main__":
    print(json.dumps({"sum": asyncio.run(run(Plan.from_json(sys.stdin.read())))}), flush=True)
