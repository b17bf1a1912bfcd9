"""The masks of a request as one label map, in the form that the viewer asked for."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tumorseg.adapters.inference.answer import centroids, encode
from tumorseg.adapters.wire import MARKUPS, InferResult, ResultFormat
from tumorseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.interactive.looks import Look
    from tumorseg.geometry import Grid
    from tumorseg.interactive.log import PromptLog

    Mask = NDArray[np.bool_]

Box: TypeAlias = tuple[slice, slice, slice]
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-]+")


@dataclass(frozen=True, eq=False)
class Made:
    """One segment of an answer.

    Attributes:
        label: its name.
        mask: ``(K, J, I)`` bool.
        log: how it came about.
    """

    label: str
    mask: NDArray[np.bool_]
    log: PromptLog


def require_label_map(wanted: ResultFormat) -> None:
    """Refuse a form that is none of a mask's."""
    if wanted.extension in MARKUPS:
        raise InputError(f"an interactive model answers with a mask: ask for .nrrd, not {wanted.extension}")


def changed_box(before: Mask, after: Mask) -> Box | None:
    """Return the smallest box ``(k, j, i)`` in which two masks differ, None where they are the same."""
    import numpy as np

    differs, box = before ^ after, []
    for axis in range(3):
        hit = np.flatnonzero(differs.any(axis=tuple({0, 1, 2} - {axis})))
        if not len(hit):
            return None
        box.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return box[0], box[1], box[2]


def encoded(
    title: str,
    look: Look,
    made: Sequence[Made],
    labels: Mapping[str, int],
    wanted: ResultFormat,
    steps: dict[str, float],
    box: Box | None = None,
    notes: Sequence[str] = (),
) -> InferResult:
    """Return the answer to one request.

    Args:
        title: names the file.
        look: the image; the label map lies on its grid.
        made: the segments; a voxel of several is the last one's.
        labels: of the model, name -> value.
        wanted: the form.
        steps: seconds by step so far.
        box: send this part ``(k, j, i)`` alone, on a grid of its own; None sends all.
        notes: what who asked should know, beside what is to be known of the image.
    """
    import numpy as np

    from tumorseg.types import Segmentation

    begin = time.perf_counter()
    values = values_of([one.label for one in made], labels)
    voxels = np.zeros(look.place.grid.shape, np.uint8 if max(values.values()) < 256 else np.uint16)
    for one in made:
        voxels[one.mask] = values[one.label]
    segmentation = Segmentation(voxels, look.place.grid, values)
    params, sent = _params(look, made, segmentation), segmentation
    if box is not None:
        sent = Segmentation(np.ascontiguousarray(voxels[box]), _part(segmentation.grid, box), values)
        first, size = [part.start for part in box], [part.stop - part.start for part in box]
        params["box"] = {"origin": first[::-1], "size": size[::-1]}
    params["notes"] += notes
    data = encode(sent, wanted)
    taken = {"queued": 0.0, "encode": 0.0, "click": 0.0, **steps, "write": time.perf_counter() - begin}
    taken["total"] = sum(taken.values())
    latencies = {step: round(seconds, 4) for step, seconds in taken.items()}
    name = f"{_UNSAFE.sub('_', title)}{wanted.extension}"
    return InferResult(data, name, {**params, "latencies": latencies}, segmentation)


def _part(grid: Grid, box: Box) -> Grid:
    """Return where the voxels of a box lie."""
    import numpy as np

    affine = np.array(grid.affine)
    affine[:3, 3] = grid.points(np.array([[part.start for part in box[::-1]]], float))[0]
    k, j, i = (part.stop - part.start for part in box)
    return type(grid)((k, j, i), affine)


def values_of(names: Sequence[str], labels: Mapping[str, int]) -> dict[str, int]:
    """Give every segment its value: the known one where it has one and none before it does, else the smallest free."""
    known = {name.casefold(): value for name, value in labels.items()}
    values: dict[str, int] = {}
    for name in names:
        value = known.get(name.casefold())
        if value is not None and value not in values.values():
            values[name] = value
    for name in names:
        if name not in values:
            values[name] = next(value for value in range(1, len(names) + 1) if value not in values.values())
    return values


def _params(look: Look, made: Sequence[Made], segmentation: Any) -> dict[str, Any]:
    """Say what the answer is, in the words that MONAI Label's clients look for, and what a reader should know."""
    first = made[0].log
    said = {
        one.label: {"prompts": len(one.log.steps), "sha256": one.log.sha256, "start": one.log.start} for one in made
    }
    return {
        "label_names": dict(segmentation.labels),
        "centroids": centroids(segmentation),
        "model": first.model,
        "version": first.version,
        "notes": list(look.notes),
        "prompts": sum(len(one.log.steps) for one in made),
        "sha256": first.sha256 if len(made) == 1 else "",
        "segments": said,
    }
