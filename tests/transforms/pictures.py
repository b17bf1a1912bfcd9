"""Pictures with a head in them, for the tests of this room."""

import numpy as np


def head(rows=96, columns=112, slices=3, seed=0):
    """``(slices, rows, columns)`` uint8: a noisy bright ellipse with an inner structure in dark, slightly noisy air.

    Its half axes are a quarter of the sides; the ellipse touches rows ``rows / 4`` and ``3 * rows / 4``.
    """
    rng = np.random.default_rng(seed)
    j, i = np.mgrid[:rows, :columns]
    radius = np.hypot((j - rows / 2) / (rows / 4), (i - columns / 2) / (columns / 4))
    plane = np.where(radius <= 1, 120.0, 4.0) + np.where(radius <= 0.5, 60.0, 0.0)
    noise = rng.normal(0, 2, (slices, rows, columns))
    return (plane + noise).clip(0, 255).astype(np.uint8)
