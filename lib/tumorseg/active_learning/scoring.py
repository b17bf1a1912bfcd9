"""How uncertain a model is of a slice or of a case, from the probabilities of one or several looks.

A look gives ``(K, J, I)`` probabilities of tumour, T looks ``(T, K, J, I)``. Each measure is a map over voxels in
[0, 1]; one number comes of it by :func:`over_region`: the mean over the *region* where the model sees anything, which
is where the mean probability reaches :data:`SEEN`. A lesion twice as large with the same picture has the same score,
and a border as sharp around a larger lesion has a lower one: nothing wins by size. The region is taken to be
:data:`LEAST_REGION` voxels larger than it is, so that a speck of three voxels does not win either.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.active_learning.types import BALD, ENTROPY, FOREGROUND, MARGIN, TTA
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEEN = 0.05
LEAST_REGION = 16.0
THRESHOLD = 0.5


def entropy_map(looks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Entropy in bits of the mean probability, ``(T, …)`` -> ``(…)`` in [0, 1]."""
    return _bits(np.asarray(looks, np.float64).mean(axis=0))


def margin_map(looks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """1 minus the difference of the mean probabilities of tumour and background, ``(T, …)`` -> ``(…)`` in [0, 1]."""
    return np.asarray(1 - np.abs(2 * np.asarray(looks, np.float64).mean(axis=0) - 1))


def bald_map(looks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Entropy of the mean minus mean of the entropies, in bits (Houlsby et al. 2011, eq. 2), ``(T, …)`` -> ``(…)``."""
    values = np.asarray(looks, np.float64)
    return np.asarray(np.maximum(_bits(values.mean(axis=0)) - _bits(values).mean(axis=0), 0.0))


def disagreement_map(looks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Twice the mean distance from the mean probability, ``(T, …)`` -> ``(…)``: 1 where half say 0 and half say 1."""
    values = np.asarray(looks, np.float64)
    return np.asarray(2 * np.abs(values - values.mean(axis=0)).mean(axis=0))


#: Column -> map; the looks are one plain one, dropout passes or changed pictures (tumorseg.active_learning.looks).
MAPS: Mapping[str, Callable[[NDArray[np.floating[Any]]], NDArray[np.float64]]] = MappingProxyType(
    {ENTROPY: entropy_map, MARGIN: margin_map, BALD: bald_map, TTA: disagreement_map}
)


def over_region(
    values: NDArray[np.float64], mean: NDArray[np.floating[Any]], *, least: float = LEAST_REGION
) -> NDArray[np.float64]:
    """Mean of ``values`` over the region where ``mean`` reaches :data:`SEEN`, over the last two or three axes.

    Args:
        values: ``(N, J, I)`` for N slices or ``(N, K, J, I)`` for N cases.
        mean: the same shape, mean probability of the looks.
        least: voxels that are added to every region.

    Returns:
        ``(N,)`` in [0, 1]; 0 where nothing is seen.
    """
    axes = tuple(range(1, values.ndim))
    region = np.asarray(mean) >= SEEN
    return np.asarray((values * region).sum(axis=axes) / (region.sum(axis=axes) + least))


def slice_scores(column: str, looks: NDArray[np.floating[Any]], *, least: float = LEAST_REGION) -> NDArray[np.float64]:
    """Return ``(K,)`` one score of each slice.

    Args:
        column: one of :data:`MAPS`, or :data:`tumorseg.active_learning.types.FOREGROUND`.
        looks: ``(T, K, J, I)`` probabilities.
        least: see :func:`over_region`.
    """
    values = _checked(looks)
    if column == FOREGROUND:
        return np.asarray((values.mean(axis=0) >= THRESHOLD).mean(axis=(1, 2)))
    return over_region(_map(column)(values), values.mean(axis=0), least=least)


def case_score(column: str, looks: NDArray[np.floating[Any]], *, least: float = LEAST_REGION) -> float:
    """Return one score of the whole case, over all its slices together; the arguments are those of slices."""
    values = _checked(looks)
    if column == FOREGROUND:
        return float((values.mean(axis=0) >= THRESHOLD).mean())
    return float(over_region(_map(column)(values)[None], values.mean(axis=0)[None], least=least)[0])


def _map(column: str) -> Callable[[NDArray[np.floating[Any]]], NDArray[np.float64]]:
    if column not in MAPS:
        raise InputError(f"expected a score of {', '.join((*MAPS, FOREGROUND))}, got {column!r}")
    return MAPS[column]


def _checked(looks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    values = np.asarray(looks, np.float64)
    if values.ndim != 4 or not len(values):
        raise InputError(f"expected probabilities (T, K, J, I) of at least one look, got {values.shape}")
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("expected probabilities in [0, 1], got others or NaN")
    return values


def _bits(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Binary entropy in bits, 0 at 0 and at 1."""
    inside = np.clip(p, 1e-12, 1 - 1e-12)
    return np.asarray(-(inside * np.log2(inside) + (1 - inside) * np.log2(1 - inside)))
