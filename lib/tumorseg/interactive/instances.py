"""A click on a detected object: which one is meant, by what it is known again, and how it is kept when it was refused.

An object is known by a digest of its mask, its class and the model that found it: what another version of the model
finds is another object, however similar, and no decision about the one is applied to the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np

from tumorseg.annotations import rle
from tumorseg.errors import InputError
from tumorseg.types import Detections, Instance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tumorseg.interactive.prompts import Index

#: ``keep``: it is what it says it is; ``drop``: it is not.
Verdict: TypeAlias = Literal["keep", "drop"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
_DIGITS = 20


def pick(detections: Detections, at: Index) -> int | None:
    """Return the index of the object that a click on a voxel means, None where there is none.

    The smallest one whose mask contains the voxel: of two that lie within each other the inner one can be clicked, and
    the outer one beside it. Where no mask does, the smallest box. Of equally large ones the more certain one.

    Args:
        detections: what was found.
        at: voxel index ``(i, j, k)``, on the grid.
    """
    masks = [(int(one.mask.sum()), n) for n, one in enumerate(detections.instances) if _covers(one, at)]
    if masks:
        return min(masks)[1]
    boxes = [(_extent(one), n) for n, one in enumerate(detections.instances) if _encloses(one, at)]
    return min(boxes)[1] if boxes else None


def instance_id(instance: Instance, model: str, version: str) -> str:
    """Return by what an object is known: the same voxels, class, model and version give the same digits."""
    (k, j, i), mask = _tight(instance)
    digest = hashlib.sha256(f"{model}\0{version}\0{instance.label}\0{(k, j, i)} {mask.shape}".encode())
    digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()[:_DIGITS]


def instance_to_json(instance: Instance) -> dict[str, Any]:
    """Describe an object so that it can be made again.

    ``mask`` holds its voxels as COCO's run lengths, the slices of its box one below the other: ``size`` is
    ``[slices * rows, columns]``; ``origin`` and ``shape`` of the box are ``[k, j, i]``.
    """
    origin, mask = _tight(instance)
    return {
        "label": instance.label,
        "score": round(float(instance.score), 4),
        "box_voxel": [round(float(corner), 3) for corner in instance.box],
        "origin": [int(at) for at in origin],
        "shape": [int(size) for size in mask.shape],
        "mask": rle.encode(mask.reshape(-1, mask.shape[2])),
    }


def instance_from_json(said: Mapping[str, Any]) -> Instance:
    """Make an object of what :func:`instance_to_json` returned.

    Raises:
        InputError: something is missing or of another kind.
    """
    try:
        depth, rows, columns = (int(size) for size in said["shape"])
        k, j, i = (int(at) for at in said["origin"])
        mask = rle.decode(said["mask"], (depth * rows, columns)).reshape(depth, rows, columns)
        box = np.asarray(said["box_voxel"], np.float64)
        return Instance(str(said["label"]), float(said["score"]), box, mask, (k, j, i))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"expected an object with label, score, box_voxel, origin, shape and mask: {error}") from error


def _covers(instance: Instance, at: Index) -> bool:
    index = [place - start for place, start in zip(at[::-1], instance.origin, strict=True)]
    inside = all(0 <= place < size for place, size in zip(index, instance.mask.shape, strict=True))
    return inside and bool(instance.mask[tuple(index)])


def _encloses(instance: Instance, at: Index) -> bool:
    """Whether the voxel's centre lies in the box, whose corners are voxel edges."""
    centre = np.asarray(at, np.float64) + 0.5
    return bool((instance.box[:3] <= centre).all() and (centre < instance.box[3:]).all())


def _extent(instance: Instance) -> float:
    return float(np.prod(instance.box[3:] - instance.box[:3]))


def _tight(instance: Instance) -> tuple[tuple[int, ...], NDArray[np.bool_]]:
    """Return mask and origin without empty sides: how it was cut out of the grid is no part of what it is."""
    from scipy import ndimage

    found: list[Any] = ndimage.find_objects(instance.mask.astype(np.int8))
    if not found:
        return instance.origin, instance.mask
    origin = tuple(start + part.start for start, part in zip(instance.origin, found[0], strict=True))
    return origin, np.ascontiguousarray(instance.mask[found[0]])
