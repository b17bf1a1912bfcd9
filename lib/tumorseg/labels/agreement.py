"""How far annotators of one image agree, and what they mean together.

Dice 1945, "Measures of the amount of ecologic association between species"; STAPLE after Warfield, Zou and Wells 2004,
"Simultaneous truth and performance level estimation" (several classes: Rohlfing, Russakoff and Maurer 2004), both as
SimpleITK has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.labels.checks import place_label, values_in
from tumorseg.labels.files import read_label
from tumorseg.labels.schema import HELPERS, said_names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.geometry import Grid
    from tumorseg.labels.history import LabelHistory
    from tumorseg.labels.types import LabelVersion

#: The author of what STAPLE makes of the others; it is not one of those who are compared.
CONSENSUS = "consensus"
#: A voxel belongs to the consensus where that is at least as likely as not (Warfield et al., section II).
_LIKELY = 0.5

#: class name -> ``(K, J, I)`` bool on the voxels of the image.
Masks = Mapping[str, "NDArray[np.bool_]"]


@dataclass(frozen=True, eq=False)
class Agreement:
    """The Dice coefficients of every two annotators.

    Attributes:
        annotators: N names.
        dice: class name -> ``(N, N)`` in [0, 1], symmetrical, 1 on the diagonal; empty where nobody marked anything.
        marked: the same of everything that is marked, whichever class.
    """

    annotators: tuple[str, ...]
    dice: Mapping[str, NDArray[np.float64]]
    marked: NDArray[np.float64]

    @property
    def means(self) -> dict[str, float]:
        """Return class name -> mean over the pairs of annotators."""
        return {name: mean_of_pairs(matrix) for name, matrix in self.dice.items()}


def dice_matrix(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Return ``(N, N)`` Dice coefficients 2 |A and B| / (|A| + |B|); two empty masks agree perfectly, 1.

    Args:
        masks: N arrays of one shape.
    """
    sizes = [int(np.count_nonzero(mask)) for mask in masks]
    matrix = np.eye(len(masks))
    for row, one in enumerate(masks):
        for column in range(row):
            total = sizes[row] + sizes[column]
            both = int(np.count_nonzero(one & masks[column]))
            matrix[row, column] = matrix[column, row] = 2 * both / total if total else 1.0
    return matrix


def mean_of_pairs(matrix: NDArray[np.float64]) -> float:
    """Return the mean of an ``(N, N)`` matrix over the pairs, N of at least two."""
    return float(matrix[np.triu_indices(len(matrix), 1)].mean())


def compare(by_annotator: Mapping[str, Masks]) -> Agreement:
    """Compare what several annotators marked, class by class; a class that somebody lacks is empty there.

    Raises:
        InputError: fewer than two annotators.
    """
    _require_several(list(by_annotator))
    masks, classes = _complete(by_annotator)
    dice = {name: dice_matrix([marked[name] for marked in masks.values()]) for name in classes}
    alone = np.ones((len(masks), len(masks)))
    if not classes:
        return Agreement(tuple(masks), {}, alone)
    anything = [np.logical_or.reduce(list(marked.values())) for marked in masks.values()]
    return Agreement(tuple(masks), dice, dice_matrix(anything))


def consensus(by_annotator: Mapping[str, Masks]) -> dict[str, NDArray[np.bool_]]:
    """Estimate what several annotators mean together, class name -> ``(K, J, I)`` bool; no class where none is known.

    One class is estimated by STAPLE, several by its extension to labels that exclude each other.

    Raises:
        InputError: fewer than two annotators, or classes that overlap.
    """
    _require_several(list(by_annotator))
    masks, classes = _complete(by_annotator)
    if not classes:
        return {}
    if len(classes) == 1:
        return {classes[0]: staple([marked[classes[0]] for marked in masks.values()])}
    label = multi_label_staple([_label_map(marked, classes) for marked in masks.values()])
    return {name: label == value for value, name in enumerate(classes, start=1)}


def staple(masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Return where the marked voxel is at least as likely as not, ``(K, J, I)``."""
    if all(np.array_equal(mask, masks[0]) for mask in masks[1:]):
        return masks[0].copy()  # an empty class has no prior, and nothing is to be estimated
    import SimpleITK as sitk

    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in masks]
    likely = sitk.GetArrayFromImage(sitk.STAPLE(images, 1.0))
    return np.asarray(likely >= _LIKELY)


def multi_label_staple(labels: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return the likeliest value of every voxel; 0 where two are equally likely."""
    if all(np.array_equal(label, labels[0]) for label in labels[1:]):
        return labels[0].copy()
    import SimpleITK as sitk

    undecided = 0
    images = [sitk.GetImageFromArray(label) for label in labels]
    found: NDArray[np.uint8] = sitk.GetArrayFromImage(sitk.MultiLabelSTAPLE(images, undecided)).astype(np.uint8)
    return found


def annotators_heads(history: LabelHistory, image: str, tag: str) -> dict[str, LabelVersion]:
    """Return annotator -> their newest version of an image's label.

    What was estimated is nobody's opinion, and neither is what somebody took over unchanged from another's version.
    """
    heads = {version.author: version for version in history.heads(image, tag) if version.author != CONSENSUS}
    if len(heads) < 2:
        return heads
    known = {version.uid: version for version in history.versions(image, tag)}
    return {author: version for author, version in heads.items() if _drawn_by(version, known) == author}


def _drawn_by(version: LabelVersion, known: Mapping[str, LabelVersion]) -> str:
    """Return the author of the first version with this content, going back from parent to parent."""
    parent = known.get(version.parent or "")
    while parent is not None and parent.sha256 == version.sha256:
        version, parent = parent, known.get(parent.parent or "")
    return version.author


def masks_of(
    file: Path, info: Mapping[str, Any], grid: Grid, *, placed: bool = True, names: Mapping[int, str] | None = None
) -> Masks:
    """Read what a label marks, by class, on the voxels of its image.

    Args:
        file: the label.
        info: what was said about it.
        grid: of the image.
        placed: see :func:`tumorseg.labels.checks.check_label`.
        names: value -> class, for values that ``info`` does not name.

    Raises:
        InputError: the file is damaged, or lies on other voxels.
    """
    label = read_label(file)
    layers = place_label(label, grid, placed)
    if label.segments:
        return {segment.name: layers[segment.layer] == segment.value for segment in label.segments}
    said = {**(names or {}), **said_names(info)}
    values = values_in(layers[0]) | {value for value in said_names(info) if value}
    return {said.get(value, f"label {value}"): layers[0] == value for value in sorted(values)}


def masks_by_annotator(
    history: LabelHistory, image: str, tag: str, grid: Grid, *, placed: bool = True
) -> dict[str, Masks]:
    """Read what every annotator of an image marked.

    Raises:
        InputError: there are fewer than two of them.
    """
    heads = annotators_heads(history, image, tag)
    _require_several(list(heads))
    names = _shared_names(list(heads.values()))
    return {
        author: masks_of(history.path(version), version.info, grid, placed=placed, names=names)
        for author, version in heads.items()
    }


def _shared_names(versions: Sequence[LabelVersion]) -> dict[int, str]:
    """Return value -> class as far as those who said it agree; for labels that came without names."""
    said: dict[int, set[str]] = {}
    for version in versions:
        for value, name in said_names(version.info).items():
            said.setdefault(value, set()).add(name)
    return {value: next(iter(names)) for value, names in said.items() if len(names) == 1}


def _require_several(annotators: Sequence[str]) -> None:
    if len(annotators) < 2:
        known = ", ".join(annotators) or "none"
        raise InputError(f"expected labels of at least two annotators to compare, got {len(annotators)} ({known})")


def _complete(by_annotator: Mapping[str, Masks]) -> tuple[dict[str, dict[str, NDArray[np.bool_]]], list[str]]:
    """Give every annotator every class, in one order; and return the classes."""
    shapes = {mask.shape for masks in by_annotator.values() for mask in masks.values()}
    if len(shapes) > 1:
        raise InputError(f"expected labels of one shape, got {sorted(shapes)}")
    classes = sorted({name for masks in by_annotator.values() for name in masks} - HELPERS)
    if not classes:
        return {who: {} for who in by_annotator}, []
    nothing: NDArray[np.bool_] = np.zeros(next(iter(shapes)), dtype=bool)
    return {who: {name: masks.get(name, nothing) for name in classes} for who, masks in by_annotator.items()}, classes


def _label_map(masks: Mapping[str, NDArray[Any]], classes: Sequence[str]) -> NDArray[np.uint8]:
    """Return the classes as the values 1, 2, … of one map."""
    label = np.zeros(masks[classes[0]].shape, np.uint8)
    for value, name in enumerate(classes, start=1):
        if (label[masks[name]] > 0).any():
            raise InputError("classes overlap: a consensus of several classes needs labels that exclude each other")
        label[masks[name]] = value
    return label
