"""What a measurement was taken on and with."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

_DISTRIBUTIONS = (
    "tumorseg",
    "monailabel",
    "monai",
    "torch",
    "openvino",
    "numpy",
    "pydicom",
    "highdicom",
    "fastapi",
    "uvicorn",
)
# Whether these are there decides which kernels a network gets.
_FEATURES = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
_ASK = (
    "import json, sys, platform, importlib.metadata as m\n"
    "def v(n):\n"
    "    try: return m.version(n)\n"
    "    except m.PackageNotFoundError: return None\n"
    "print(json.dumps({'python': platform.python_version(), **{n: v(n) for n in sys.argv[1:]}}))"
)


def machine() -> dict[str, Any]:
    """Describe processor, memory and how busy the machine is; nothing that names it."""
    info = Path("/proc/cpuinfo").read_text()
    flags = info.partition("\nflags")[2].partition("\n")[0].split()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": info.partition("model name")[2].partition("\n")[0].lstrip("\t :") or platform.processor(),
        "cores": os.cpu_count(),
        "features": [name for name in _FEATURES if name in flags],
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def busy() -> float:
    """Processes that want to run, averaged over the last minute; near 0 on a machine fit for measuring."""
    return round(os.getloadavg()[0], 1)


def versions(python: str | Path = sys.executable) -> dict[str, str]:
    """Versions of what matters in the environment of an interpreter; what is not installed is left out."""
    command = [str(python), "-c", _ASK, *_DISTRIBUTIONS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name: version for name, version in json.loads(done.stdout).items() if version}
