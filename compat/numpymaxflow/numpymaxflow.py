"""The functions of ``numpymaxflow`` that MONAI Label's scribbles use, on SciPy's maximum flow.

The published wheel is built for numpy 1. This module has the same name and call signature and shares no code with it.

Energy, minimised exactly over all binary label maps (Wang et al. 2018, IEEE TMI 37(7), equation 5)::

    E(l) = sum_p -log prob[l_p](p)  +  lamda * sum_{p~q, l_p != l_q} exp(-|I_p - I_q|^2 / (2 sigma^2))

where p~q are neighbours that share an edge (2-D) or a face (3-D). The minimum is a minimum cut
(Boykov and Jolly 2001, ICCV).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

# A probability of exactly 0 would cost infinity: it costs -log of this instead (about 16).
SMALLEST_PROBABILITY = 1e-7
# SciPy's flow has 32-bit integer capacities: the largest one is scaled to this, an error of 2e-8 of it at most.
LARGEST_CAPACITY = 2**25

_Array = NDArray[np.float64]


def maxflow(image: NDArray[Any], prob: NDArray[Any], lamda: float = 5.0, sigma: float = 0.1) -> NDArray[np.float32]:
    """Segment an image into background and foreground.

    Args:
        image: ``(C, H, W)`` or ``(C, D, H, W)``; all channels count in the difference of neighbours.
        prob: ``(2, H, W)`` or ``(2, D, H, W)``, probability of background and of foreground.
        lamda: weight of the smoothness.
        sigma: difference of intensity (in the units of ``image``) that counts as an edge.

    Returns:
        ``(1, H, W)`` or ``(1, D, H, W)`` labels, 0 background and 1 foreground. Ties are 0.

    Raises:
        ValueError: wrong shapes, or a sigma or lamda that is out of range.
    """
    image, prob = np.asarray(image, dtype=np.float64), np.asarray(prob, dtype=np.float64)
    _check(image, prob, lamda, sigma)
    unary = -np.log(np.clip(prob, SMALLEST_PROBABILITY, 1.0))
    labels = _minimum_cut((unary[0] - unary[1]).ravel(), *_neighbours(image, lamda, sigma))
    return labels.reshape((1, *image.shape[1:])).astype(np.float32)


def maxflow_interactive(
    image: NDArray[Any], prob: NDArray[Any], seed: NDArray[Any], lamda: float = 5.0, sigma: float = 0.1
) -> NDArray[np.float32]:
    """Segment as :func:`maxflow` does, with voxels whose label the user has given.

    Args:
        image: as in :func:`maxflow`.
        prob: as in :func:`maxflow`.
        seed: like ``prob``; positive where the user marked background (0) or foreground (1).
        lamda: as in :func:`maxflow`.
        sigma: as in :func:`maxflow`.
    """
    prob, seed = np.asarray(prob, dtype=np.float64), np.asarray(seed) > 0
    if seed.shape != prob.shape:
        raise ValueError(f"expected seeds like the probabilities {prob.shape}, got {seed.shape}")
    if (seed[0] & seed[1]).any():
        raise ValueError("a voxel is marked both as background and as foreground")
    image = np.asarray(image, dtype=np.float64)
    _check(image, prob, lamda, sigma)
    unary = -np.log(np.clip(prob, SMALLEST_PROBABILITY, 1.0))
    preference = unary[0] - unary[1]
    # More than all neighbours of a voxel together can weigh, so that no cut goes against a seed.
    certain = 2 * lamda * 2 * (image.ndim - 1) + np.abs(preference).max() + 1
    preference = np.where(seed[1], certain, np.where(seed[0], -certain, preference))
    labels = _minimum_cut(preference.ravel(), *_neighbours(image, lamda, sigma))
    return labels.reshape((1, *image.shape[1:])).astype(np.float32)


def _check(image: _Array, prob: _Array, lamda: float, sigma: float) -> None:
    if image.ndim not in (3, 4):
        raise ValueError(f"expected an image (C, H, W) or (C, D, H, W), got {image.shape}")
    if prob.shape != (2, *image.shape[1:]):
        raise ValueError(f"expected probabilities {(2, *image.shape[1:])}, got {prob.shape}")
    if not (sigma > 0 and lamda >= 0):
        raise ValueError(f"expected sigma > 0 and lamda >= 0, got sigma {sigma} and lamda {lamda}")
    if not (np.isfinite(image).all() and np.isfinite(prob).all()):
        raise ValueError("expected finite intensities and probabilities, got NaN or infinity")


def _neighbours(image: _Array, lamda: float, sigma: float) -> tuple[NDArray[np.intp], NDArray[np.intp], _Array]:
    """Return every pair of neighbours once: two ``(E,)`` indices into the flat image, and what cutting it costs."""
    index = np.arange(image[0].size).reshape(image.shape[1:])
    first, second, cost = [], [], []
    for axis in range(index.ndim):
        difference = np.diff(image, axis=axis + 1)
        count = index.shape[axis] - 1
        first.append(np.take(index, range(count), axis).ravel())
        second.append(np.take(index, range(1, count + 1), axis).ravel())
        cost.append(lamda * np.exp(-np.square(difference).sum(0) / (2 * sigma**2)).ravel())
    return np.concatenate(first), np.concatenate(second), np.concatenate(cost)


def _minimum_cut(
    preference: _Array, first: NDArray[np.intp], second: NDArray[np.intp], cost: _Array
) -> NDArray[np.bool_]:
    """Return the ``(N,)`` foreground of least energy; ``preference`` is the cost of background minus foreground."""
    preference, labels, free = _decide_certain(preference, first, second, cost)
    inner = free[first] & free[second]
    number = np.cumsum(free) - 1
    if free.any():
        labels[free] = _cut(preference[free], number[first[inner]], number[second[inner]], cost[inner])
    return labels


def _decide_certain(
    preference: _Array, first: NDArray[np.intp], second: NDArray[np.intp], cost: _Array
) -> tuple[_Array, NDArray[np.bool_], NDArray[np.bool_]]:
    """Decide the voxels whose own preference outweighs all neighbours, again and again: exact, and most of a scan.

    Returns:
        the preference with the decided neighbours' costs added, the labels, and which voxels are still free.
    """
    count = preference.size
    labels, free = np.zeros(count, bool), np.ones(count, bool)
    base = preference
    while True:
        both = free[first] & free[second]
        undecided = np.bincount(first[both], cost[both], count) + np.bincount(second[both], cost[both], count)
        newly = free & (np.abs(preference) > undecided)
        if not newly.any():
            return preference, labels, free
        labels[newly] = preference[newly] > 0
        free &= ~newly
        toward = np.where(labels, 1.0, -1.0) * ~free
        pull = np.bincount(first, cost * toward[second], count) + np.bincount(second, cost * toward[first], count)
        preference = base + pull


def _cut(preference: _Array, first: NDArray[np.intp], second: NDArray[np.intp], cost: _Array) -> NDArray[np.bool_]:
    """Cut the graph of the undecided voxels; source and sink are its last two nodes."""
    count = preference.size
    source, sink = count, count + 1
    nodes = np.arange(count)
    wants, resists = preference > 0, preference < 0
    rows = np.concatenate([first, second, np.full(wants.sum(), source), nodes[resists]])
    columns = np.concatenate([second, first, nodes[wants], np.full(resists.sum(), sink)])
    capacity = np.concatenate([cost, cost, preference[wants], -preference[resists]])
    scale = LARGEST_CAPACITY / max(float(capacity.max(initial=0.0)), np.finfo(float).tiny)
    integer = np.round(capacity * scale).astype(np.int32)
    graph = sparse.csr_array((integer, (rows, columns)), shape=(count + 2, count + 2))
    residual = graph - csgraph.maximum_flow(graph, source, sink).flow
    residual.data[residual.data < 0] = 0
    residual.eliminate_zeros()
    reached = csgraph.breadth_first_order(residual, source, return_predecessors=False)
    labels = np.zeros(count + 2, bool)
    labels[reached] = True
    return np.asarray(labels[:count])
