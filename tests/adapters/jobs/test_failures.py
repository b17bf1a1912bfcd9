from __future__ import annotations

import signal

import pytest

from tumorseg.adapters.jobs.failures import death, is_final, summary
from tumorseg.config import AppConfig
from tumorseg.errors import InputError, NotFoundError, StorageError, UnavailableError

CONFIG = AppConfig("studies", train_memory_mb=300, train_gpu_fraction=0.25)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InputError("expected a\n label"), "expected a label"),
        (ValueError("a\nb"), "b"),
        (ZeroDivisionError(), "ZeroDivisionError"),
        (RuntimeError("shapes differ"), "RuntimeError: shapes differ"),
    ],
)
def test_an_error_in_one_line(error: Exception, expected: str) -> None:
    assert summary(error, CONFIG) == expected


@pytest.mark.parametrize(
    ("error", "final"),
    [
        (InputError("no tumour in any label"), True),
        (NotFoundError("no such model"), True),
        (UnavailableError("the archive does not answer"), False),
        (StorageError("no space"), False),
        (OSError("the share"), False),
        (MemoryError(), False),
    ],
)
def test_what_other_labels_alone_can_mend_is_told_from_what_passes(error: Exception, final: bool) -> None:
    assert is_final(error) == final


def test_what_torch_raises_when_memory_is_out_is_recognised() -> None:
    """The real one: no computer has an exabyte."""
    import torch

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert "train_memory_mb" in summary(caught.value, CONFIG)
    assert "300 MB" in summary(caught.value, CONFIG)


def test_what_numpy_raises_when_memory_is_out_is_recognised_behind_another_error() -> None:
    import numpy as np

    def step() -> None:
        try:
            np.empty(1 << 60, np.uint8)
        except MemoryError as error:
            raise ValueError("a step failed") from error

    with pytest.raises(ValueError, match="a step failed") as caught:
        step()
    assert "train_memory_mb" in summary(caught.value, CONFIG)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("torch/_C.so: failed to map segment from shared object"),
        ImportError("libtorch.so: cannot allocate memory in static TLS block"),
        RuntimeError("Resource temporarily unavailable"),
        RuntimeError("can't start new thread"),
    ],
)
def test_a_limit_below_what_the_libraries_take_is_no_riddle(error: Exception) -> None:
    assert "train_memory_mb" in summary(error, CONFIG)


def test_a_file_that_somebody_else_holds_is_no_lack_of_memory() -> None:
    assert "train_memory_mb" not in summary(BlockingIOError(11, "Resource temporarily unavailable"), CONFIG)


def test_a_full_gpu_names_the_other_setting() -> None:
    said = summary(RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), CONFIG)
    assert "25%" in said
    assert "train_gpu_fraction" in said


def test_no_limit_is_not_said_to_be_one() -> None:
    assert "0 MB" not in summary(MemoryError(), AppConfig("studies", train_memory_mb=0))


@pytest.mark.parametrize(
    ("code", "lines", "expected"),
    [
        (-signal.SIGKILL, [], "out of memory"),
        (-signal.SIGSEGV, ["x"], "SIGSEGV"),
        (-250, [], "signal 250"),
        (1, ["No space left on device"], "exit status 1 and without a result; its log ends with: No space left"),
        (0, [], "exit status 0"),
    ],
)
def test_a_death_is_named(code: int, lines: list[str], expected: str) -> None:
    assert expected in death(code, lines)
