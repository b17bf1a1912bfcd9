"""A training as one would start it by hand: every thread, usual priority.

``python -m benchmarks.plain_training MODEL`` trains on made-up patients until it is ended; it is what the server's own
trainings are compared with.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from tumorseg.training.data import Volume
from tumorseg.training.round import RoundOptions, train_round
from tumorseg.training.run import model_spec

#: Patients, and the slices and pixels of each; about the sample study.
PATIENTS, SLICES, SIDE = 4, 20, 192


def main(model: str) -> None:
    """Train a registry model for a day."""
    spec = model_spec(model)
    rng = np.random.default_rng(0)
    volumes = []
    for number in range(PATIENTS):
        image = rng.standard_normal((SLICES, len(spec.channels), SIDE, SIDE)).astype(np.float16)
        volumes.append(Volume(f"p{number}", image, (image[:, 0] > 2).astype(np.uint8)))
    with tempfile.TemporaryDirectory(prefix="tumorseg-benchmark-") as folder:
        options = RoundOptions(minutes=24 * 60, epochs=100_000)
        train_round(spec, spec.weights, volumes[1:], volumes[:1], Path(folder), options)


if __name__ == "__main__":
    main(sys.argv[1])
