"""All trajectories of a simulation, in one process or several. What is stored already is not done again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

from tumorseg.active_learning.simulation.data import Patients
from tumorseg.active_learning.simulation.learner import Learner, scoreable
from tumorseg.active_learning.simulation.records import Records
from tumorseg.active_learning.simulation.settings import BASELINE, Settings
from tumorseg.active_learning.simulation.trajectory import FULL, run
from tumorseg.errors import InputError
from tumorseg.registry import STRATEGIES, load_strategy

#: Told (done, total) rounds.
Progress = Callable[[int, int], None]
_POLL_SECONDS = 0.5


def simulated() -> tuple[str, ...]:
    """Return the strategies whose columns a segmentation network can fill."""
    return tuple(name for name in STRATEGIES if load_strategy(name).needs <= scoreable())


def checked(strategies: Iterable[str]) -> tuple[str, ...]:
    """Return the wanted strategies, or all for none, with the baseline that they are compared with.

    Raises:
        NotFoundError: no such strategy.
        InputError: one that looks at what only a detector tells.
    """
    wanted = tuple(strategies) or simulated()
    for name in wanted:
        missing = load_strategy(name).needs - scoreable()
        if missing:
            raise InputError(
                f"{name} needs {', '.join(sorted(missing))} of a detector: choose of {', '.join(simulated())}"
            )
    return tuple(dict.fromkeys((BASELINE, *wanted)))


def simulate(
    strategies: Sequence[str],
    seeds: Sequence[int],
    settings: Settings,
    patients: Patients,
    folder: Path,
    *,
    workers: int = 1,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Records:
    """Run every strategy with every seed, and the training on everything.

    Args:
        strategies: of :func:`checked`.
        seeds: of everything that is drawn.
        settings: of the loop.
        patients: to choose from and to measure on.
        folder: of the records.
        workers: processes, each with one thread; 1 works in this one.
        device: torch device.
        progress: told about rounds.
    """
    records = Records(folder, settings, patients.name)
    jobs = [(name, seed) for seed in seeds for name in (FULL, *strategies)]
    total = len(seeds) * (1 + len(strategies) * settings.rounds)

    def report() -> None:
        if progress:
            rounds = {FULL: 1}
            done = sum(records.has(n, s, r) for n, s in jobs for r in range(rounds.get(n, settings.rounds)))
            progress(done, total)

    if workers == 1:
        learner = Learner(settings, device)
        for name, seed in jobs:
            run(name, seed, settings, patients, learner, records)
            report()
        return records
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, _begin, (settings, patients, folder, device)) as pool:
        pending = {pool.submit(_work, name, seed) for name, seed in jobs}
        try:
            while pending:
                done, pending = wait(pending, _POLL_SECONDS, FIRST_EXCEPTION)
                for future in done:
                    future.result()
                report()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return records


_worker: list[tuple[Settings, Patients, Learner, Records]] = []


def _begin(settings: Settings, patients: Patients, folder: Path, device: str) -> None:
    import torch

    torch.set_num_threads(1)
    _worker.append((settings, patients, Learner(settings, device), Records(folder, settings, patients.name)))


def _work(name: str, seed: int) -> None:
    settings, patients, learner, records = _worker[0]
    run(name, seed, settings, patients, learner, records)
