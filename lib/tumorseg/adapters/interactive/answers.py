"""The masks of a request as one label map, in the form that the viewer asked for."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.inference.answer import centroids, encode
from tumorseg.adapters.wire import MARKUPS, InferResult, ResultFormat
from tumorseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.interactive.looks import Look
    from tumorseg.interactive.log import PromptLog

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


def encoded(
    title: str,
    look: Look,
    made: Sequence[Made],
    labels: Mapping[str, int],
    wanted: ResultFormat,
    steps: dict[str, float],
) -> InferResult:
    """Return the answer to one request.

    Args:
        title: names the file.
        look: the image; the label map lies on its grid.
        made: the segments; a voxel of several is the last one's.
        labels: of the model, name -> value.
        wanted: the form.
        steps: seconds by step so far.
    """
    import numpy as np

    from tumorseg.types import Segmentation

    begin = time.perf_counter()
    values = values_of([one.label for one in made], labels)
    voxels = np.zeros(look.place.grid.shape, np.uint8 if max(values.values()) < 256 else np.uint16)
    for one in made:
        voxels[one.mask] = values[one.label]
    segmentation = Segmentation(voxels, look.place.grid, values)
    data, params = encode(segmentation, wanted), _params(look, made, segmentation)
    taken = {"queued": 0.0, "encode": 0.0, "click": 0.0, **steps, "write": time.perf_counter() - begin}
    taken["total"] = sum(taken.values())
    latencies = {step: round(seconds, 4) for step, seconds in taken.items()}
    name = f"{_UNSAFE.sub('_', title)}{wanted.extension}"
    return InferResult(data, name, {**params, "latencies": latencies}, segmentation)


def values_of(names: Sequence[str], labels: Mapping[str, int]) -> dict[str, int]:
    """Give every segment its value: the model's where it has one, else the smallest that is free."""
    known = {name.casefold(): value for name, value in labels.items()}
    values = {name: known[name.casefold()] for name in names if name.casefold() in known}
    for name in names:
        if name not in values:
            values[name] = next(
                value for value in range(1, len(names) + len(values) + 2) if value not in values.values()
            )
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
