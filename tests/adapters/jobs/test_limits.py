from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tumorseg.adapters.jobs import limits
from tumorseg.config import AppConfig

#: Applies the limits, asks for more memory than they allow, takes them back and asks again.
MEMORY = """
import sys
from tumorseg.adapters.jobs import limits
from tumorseg.config import AppConfig
sys.stdout.write(limits.apply(AppConfig("studies", train_memory_mb=int(sys.argv[1]), train_threads=3)) + "\\n")
try:
    bytearray(1 << 30)
    sys.stdout.write("had it\\n")
except MemoryError:
    limits.lift_memory()
    bytearray(1 << 30)
    sys.stdout.write("refused, then had it\\n")
"""


def test_half_of_the_processors_compute_unless_said_otherwise() -> None:
    available = limits.processors()
    assert 1 <= available <= (os.cpu_count() or 1)
    assert limits.threads(AppConfig("studies")) == max(1, available // 2)
    assert limits.threads(AppConfig("studies", train_threads=7)) == 7
    assert set(limits.environment(AppConfig("studies", train_threads=7)).values()) == {"7"}


@pytest.mark.parametrize(
    ("megabytes", "limit", "outcome"),
    [("512", "at most 512 MB of memory", "refused, then had it"), ("0", "no limit of memory", "had it")],
)
def test_memory_is_limited_until_the_error_is_written(megabytes: str, limit: str, outcome: str) -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY, megabytes], capture_output=True, text=True, check=True)
    said, came = done.stdout.splitlines()
    assert said == f"priority 19 (nice), 3 threads, {limit}"
    assert came == outcome


def test_torch_computes_with_the_threads_it_was_given() -> None:
    environment = {**os.environ, **limits.environment(AppConfig("studies", train_threads=1))}
    program = [sys.executable, "-c", "import torch; print(torch.get_num_threads())"]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_where_there_is_no_gpu_none_is_limited() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this computer has a GPU")
    assert limits.limit_gpu(AppConfig("studies", device="auto")) == ""
    assert limits.limit_gpu(AppConfig("studies", device="cpu")) == ""
    assert limits.limit_gpu(AppConfig("studies", device="cuda:9")) == ""
