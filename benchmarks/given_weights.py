"""A model for our server that is the registry's but for the file of weights, which the environment names.

Only for measuring before weights ship, or other weights; a request cannot choose any of this.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tumorseg.models.base import Model

VARIABLE = "TUMORSEG_BENCHMARK_WEIGHTS"


def build(weights: Path | None = None, device: str = "auto") -> Model:
    """Return ``resunet`` with the weights in the file that the environment names."""
    from tumorseg.models import resunet

    return resunet.build(weights or Path(os.environ[VARIABLE]), device)
