"""Running the process of the clients and hearing how far it is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.load.plan import Plan
from benchmarks.servers import ROOT
from tumorseg.errors import UnavailableError


def run_clients(plan: Plan, step: Callable[[float, int], None]) -> dict[str, Any]:
    """Carry out a plan in a process of its own.

    Args:
        plan: what to do.
        step: called about every second with the seconds since the start and the requests that ended.

    Raises:
        UnavailableError: the process ended without a result.
    """
    command = [sys.executable, "-m", "benchmarks.load.worker"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(plan.to_json())
            process.stdin.close()
            for line in process.stdout:
                said = json.loads(line)
                if "sum" in said:
                    found: dict[str, Any] = said["sum"]
                    return found
                step(said["seconds"], said["done"])
            raise UnavailableError(f"the clients ended without a result:\n{process.stderr.read()[-2000:]}")
        finally:
            process.kill()
