"""What a job's process may take, so that it cannot starve the server beside it.

- *Processor*: the lowest priority (nice 19, and SCHED_BATCH, which never interrupts another process), and threads. Not
  SCHED_IDLE: a process that gets nothing at all while the server is busy would hold database locks meanwhile.
  Linux gives every terminal session a share of its own (autogroup), within which alone nice counts: therefore the
  process stays in the server's session.
- *Memory*: ``RLIMIT_DATA``, what is allocated; not ``RLIMIT_AS``, since CUDA maps far more addresses than it uses.
  And if the machine runs out of it all the same, this process is the first that the kernel ends.
- *GPU*: a part of its memory.
"""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

#: Read by OpenMP, MKL, OpenBLAS and others when they are loaded; torch takes OpenMP's.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_FIRST_TO_GO = "1000"


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads(config: AppConfig) -> int:
    """Return how many threads a job computes with: those of the configuration, else half the processors."""
    return config.train_threads or max(1, processors() // 2)


def environment(config: AppConfig) -> dict[str, str]:
    """Return what the process must find in its environment before it loads anything."""
    return dict.fromkeys(THREAD_VARIABLES, str(threads(config)))


def apply(config: AppConfig) -> str:
    """Limit this process, before it loads anything large.

    Returns:
        one line that says which limits hold.
    """
    with suppress(OSError):
        os.nice(config.train_nice)
    with suppress(AttributeError, OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    memory = "no limit of memory"
    if config.train_memory_mb:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = config.train_memory_mb << 20
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
            memory = f"at most {limit >> 20} MB of memory"
    return f"priority {os.getpriority(os.PRIO_PROCESS, 0)} (nice), {threads(config)} threads, {memory}"


def lift_memory() -> None:
    """Take the limit of memory back, so that what went wrong can be written down."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def limit_gpu(config: AppConfig) -> str:
    """Limit this process on the GPU that it will use; loads torch unless the configuration says that there is none.

    Returns:
        one line that says which limit holds; empty where there is no such GPU.
    """
    if config.device != "auto" and not config.device.startswith("cuda"):
        return ""
    import torch

    if not torch.cuda.is_available():
        return ""
    index = torch.device("cuda" if config.device == "auto" else config.device).index or 0
    if index >= torch.cuda.device_count():
        return ""  # the work itself says so, as the server does
    torch.cuda.set_per_process_memory_fraction(config.train_gpu_fraction, index)
    return f"at most {config.train_gpu_fraction:.0%} of the memory of GPU {index}"
