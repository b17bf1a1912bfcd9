"""``typiclust``: the most typical of each group of images that has no label yet; made for few labels.

Hacohen, Dekel, Weinshall: Active Learning on a Budget: Opposite Strategies Suit High and Low Budgets, ICML 2022,
algorithm 1: as many clusters as there will be labels; from the largest clusters with the fewest labels the point of
highest density is taken. The paper clusters self-supervised features; here they are the segmentation network's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tumorseg.active_learning.ranking import fill
from tumorseg.active_learning.types import EMBEDDING, Candidates, Strategy
from tumorseg.active_learning.vectors import clusters, finite_rows, known, typicality

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Both from the paper, section 4.1 and its appendix.
NEIGHBOURS, MOST_CLUSTERS = 20, 500


def select(candidates: Candidates, k: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return k indices, one cluster after the other; by lot without vectors."""
    rows, vectors = finite_rows(candidates.embeddings), candidates.embeddings
    if vectors is None or not len(rows):
        return fill([], len(candidates), k, rng)
    points = _unit(vectors[rows])
    labelled = _unit(known(candidates.labelled, points.shape[1]))
    everything = np.concatenate([points, labelled])
    label = clusters(everything, min(len(labelled) + k, MOST_CLUSTERS, len(everything)), rng)
    queues = _queues(points, label[: len(points)], label[len(points) :])
    chosen: list[int] = []
    while queues and len(chosen) < k:
        chosen += [int(rows[queue.pop(0)]) for queue in queues]
        queues = [queue for queue in queues if queue]
    return fill(chosen[:k], len(candidates), k, rng)


def _queues(points: NDArray[np.float64], label: NDArray[np.intp], taken: NDArray[np.intp]) -> list[list[int]]:
    """The points of each cluster, the most typical first; clusters with the fewest labels first, then the largest."""
    found = []
    for cluster in np.unique(label):
        members = np.flatnonzero(label == cluster)
        typical = np.argsort(-typicality(points[members], NEIGHBOURS), kind="stable")
        found.append((int((taken == cluster).sum()), -len(members), int(cluster), [int(m) for m in members[typical]]))
    return [queue for *_, queue in sorted(found)]


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))


def build() -> Strategy:
    """Return the strategy."""
    return Strategy("typiclust", "The most typical of what has no label yet", select, frozenset({EMBEDDING}))
