"""What went wrong, in one line that says what to do."""

from __future__ import annotations

import signal
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tumorseg.errors import InputError, NotFoundError, TumorSegError

if TYPE_CHECKING:
    from tumorseg.config import AppConfig

#: How libraries say that memory could not be had; they raise plain RuntimeErrors.
_NO_MEMORY = ("can't allocate memory", "not enough memory", "cannot allocate memory", "bad_alloc", "out of memory")
#: How the system says so of libraries to load and threads to start; they need memory too.
_NO_ROOM = ("failed to map segment", "resource temporarily unavailable", "can't start new thread")
_GPU = ("cuda", "gpu", "cublas", "cudnn")


def summary(error: BaseException, config: AppConfig) -> str:
    """Return one line about an error that ended a job."""
    if isinstance(error, TumorSegError):
        return " ".join(str(error).split())
    if said := out_of_memory(error, config):
        return said
    return " ".join("".join(traceback.format_exception_only(error)).strip().splitlines()[-1:]) or repr(error)


def is_final(error: BaseException) -> bool:
    """Whether the same would come of it again: what was asked for cannot be done with what there is.

    Not so where an archive was away, a disk full, or memory short, nor where nobody foresaw what happened.
    """
    return isinstance(error, InputError | NotFoundError)


def out_of_memory(error: BaseException, config: AppConfig) -> str:
    """Return what to do where memory was missing, of the GPU or of the process; else an empty text."""
    for cause in _causes(error):
        text = f"{type(cause).__name__} {cause}".casefold()
        said = isinstance(cause, RuntimeError | OSError | ImportError) and any(words in text for words in _NO_MEMORY)
        said = said or (isinstance(cause, RuntimeError | ImportError) and any(words in text for words in _NO_ROOM))
        if said and any(word in text for word in _GPU):
            return (
                f"out of memory on the GPU: this job may take {config.train_gpu_fraction:.0%} of it "
                "(train_gpu_fraction); give it more, or train where less else runs"
            )
        if said or isinstance(cause, MemoryError):
            limit = f"{config.train_memory_mb} MB" if config.train_memory_mb else "all that the machine has"
            return (
                f"out of memory: this job may take {limit} (train_memory_mb); give it more, "
                "or train with fewer or smaller images"
            )
    return ""


def death(code: int, last_lines: list[str]) -> str:
    """Say how a process ended that did not say so itself.

    Args:
        code: exit status, or the negative number of the signal that ended it.
        last_lines: of its log.
    """
    if code == -signal.SIGKILL:
        return (
            "killed by the system (SIGKILL), most likely because the machine ran out of memory: lower "
            "train_memory_mb, or free memory"
        )
    if code < 0:
        return f"ended by {_signal_name(-code)}; its log shows where"
    tail = f"; its log ends with: {last_lines[-1]}" if last_lines else ""
    return f"ended with exit status {code} and without a result{tail}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and what led to it."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__
