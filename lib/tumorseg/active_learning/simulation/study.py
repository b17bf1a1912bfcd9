"""All trajectories of a simulation, in one process or several. What is stored already is not done again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from tumorseg.active_learning.simulation.data import Patients
from tumorseg.active_learning.simulation.learner import Learner, scoreable
from tumorseg.active_learning.simulation.records import Records
from tumorseg.active_learning.simulation.settings import BASELINE, Settings
from tumorseg.active_learning.simulation.trajectory import FULL, Pool, rounds, run_round
from tumorseg.errors import InputError
from tumorseg.registry import STRATEGIES, load_strategy

#: Told (done, total) rounds.
Progress = Callable[[int, int], None]


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


def check_size(patients: Patients, settings: Settings) -> None:
    """Refuse a loop that would have labelled everything before its end, now and not after hours.

    Raises:
        InputError: it says how many rounds fit.
    """
    there = len(Pool(patients.pool, settings).units)
    if settings.last_units <= there:
        return
    fits = [n for n in range(2, settings.rounds) if replace(settings, rounds=n).last_units <= there]
    advice = f"--rounds {fits[-1]}, or a smaller --batch" if fits else "a smaller --start and --batch"
    raise InputError(
        f"expected at least {settings.last_units} {settings.unit}s to choose from, so many are labelled in the last of "
        f"{settings.rounds} rounds; got {there}: take {advice}"
    )


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
    check_size(patients, settings)
    learner = Learner(settings, device)
    stamp = f" {patients.digest} {learner.recipe}"
    records = Records(folder, settings, patients.name, stamp)
    trajectories = [(name, seed) for seed in seeds for name in (FULL, *strategies)]
    total = sum(rounds(name, settings) for name, _ in trajectories)

    def report() -> None:
        if progress:
            progress(sum(records.has(n, s, r) for n, s in trajectories for r in range(rounds(n, settings))), total)

    if workers == 1:
        for name, seed in trajectories:
            for round_ in range(rounds(name, settings)):
                run_round(name, seed, round_, settings, patients, learner, records)
                report()
    else:
        with ProcessPoolExecutor(
            workers, get_context("spawn"), _begin, (settings, patients, folder, stamp, device)
        ) as pool:
            _spread(pool, trajectories, settings, report)
    return records


def _spread(
    pool: ProcessPoolExecutor, trajectories: Sequence[tuple[str, int]], settings: Settings, report: Callable[[], None]
) -> None:
    """Have every trajectory done, one round after the other; an error stops what has not begun."""

    def submit(name: str, seed: int, round_: int) -> None:
        pending[pool.submit(_work, name, seed, round_)] = (name, seed, round_)

    pending: dict[Future[None], tuple[str, int, int]] = {}
    for name, seed in trajectories:
        submit(name, seed, 0)
    try:
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                name, seed, round_ = pending.pop(future)
                future.result()
                if round_ + 1 < rounds(name, settings):
                    submit(name, seed, round_ + 1)
            report()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


_worker: list[tuple[Settings, Patients, Learner, Records]] = []


def _begin(settings: Settings, patients: Patients, folder: Path, stamp: str, device: str) -> None:
    """Make a process ready. Ctrl-C is for the first process; this one ends its round, which is kept."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    _worker.append((settings, patients, Learner(settings, device), Records(folder, settings, patients.name, stamp)))


def _work(name: str, seed: int, round_: int) -> None:
    settings, patients, learner, records = _worker[0]
    run_round(name, seed, round_, settings, patients, learner, records)
