"""Small masks made of a list of voxels."""

import numpy as np

from tumorseg.metrics.pair import Pair


def mask(voxels, shape=(3, 3, 3)):
    """Return a boolean mask with ``voxels`` (k, j, i) set."""
    result = np.zeros(shape, bool)
    for voxel in voxels:
        result[voxel] = True
    return result


def pair(truth, found, shape=(3, 3, 3), spacing=None):
    """Return truth and answer given as voxels."""
    return Pair(mask(truth, shape), mask(found, shape), spacing)
