"""The wire protocol of ``/infer``: what a viewer may ask for, parsed once, and the answer in its words.

Viewers send ``image`` and ``output`` in the query string and a form field ``params`` with JSON. Of the JSON only the
result settings are read, and, by a model that finds objects, its thresholds. What names an image, a model, a device or
a path there is refused: in MONAI Label it overrides the address that was asked for.

3D Slicer's module asks for ``.nrrd`` whatever the model is, and sends back the model's whole ``config``. So that its
models of the type "detection" answer with boxes, ``boxes`` is part of their config: true puts the boxes (ROI markups)
in place of the label map, wherever not the label map alone was asked for (``output=image``, as OHIF does).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.params import DTYPES, EXTENSIONS, MARKUPS, DetectionParams, parse, read_object
from tumorseg.errors import InputError
from tumorseg.models.detection_options import RANGES, DetectionOptions

if TYPE_CHECKING:
    from tumorseg.types import Detections, Segmentation

__all__ = ["DTYPES", "EXTENSIONS", "FORBIDDEN", "MARKUPS", "InferResult", "ResultFormat", "parse_params", "settings"]
#: Settings that a request may not make.
FORBIDDEN = frozenset(
    {"model", "image", "images", "device", "label", "session", "session_id", "result_file", "save_label", "model_file"}
)


@dataclass(frozen=True)
class ResultFormat:
    """How the answer is wanted.

    Attributes:
        extension: one of :data:`EXTENSIONS`.
        dtype: one of :data:`DTYPES`.
        compress: whether an NRRD is compressed; the other formats go by their ending.
        boxes: whether a model that finds objects shall send boxes although the extension is that of a label map.
        thresholds: fields of :class:`DetectionOptions` that the request sets; for models that find objects.
        decided: whether objects that this person refused shall be missing in the answer; which the server looks up.
        leave_out: ids of these objects.
    """

    extension: str = ".nrrd"
    dtype: str = "uint8"
    compress: bool = True
    boxes: bool = False
    thresholds: Mapping[str, Any] = field(default_factory=dict)
    decided: bool = False
    leave_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class InferResult:
    """The answer to one ``/infer``.

    Attributes:
        data: the label map, or the boxes, as the content of a file.
        name: a file name with the right ending.
        params: label names, centroids, detections, latencies (s), notes, model and version; JSON-able.
        mask: the label map that the file holds; None where it holds boxes.
        detections: the objects, in the order of ``params["detections"]``; None of a model that finds none.
        key: the same for the same weights, content and thresholds; None where that is not known.
    """

    data: bytes
    name: str
    params: dict[str, Any]
    mask: Segmentation | None = None
    detections: Detections | None = None
    key: Hashable | None = None


def parse_params(params: str | Mapping[str, Any] | None, *, label_allowed: bool = False) -> ResultFormat:
    """Read the result settings of ``params``; what a viewer sends beyond them is dropped.

    Args:
        params: JSON, as text or read already.
        label_allowed: whether ``label`` may be said: to interactive models it names the segment.

    Raises:
        InputError: not a JSON object, a setting that a request may not make, or a value that is not offered.
    """
    values = read_object(params, "params")
    forbidden = sorted((FORBIDDEN & set(values)) - ({"label"} if label_allowed else set()))
    if forbidden:
        raise InputError(f"params may not set {', '.join(forbidden)}: name model and image in the address")
    said = parse(DetectionParams, values)
    return ResultFormat(
        said.result_extension,
        said.result_dtype,
        said.result_compress,
        said.boxes,
        said.thresholds,
        said.decided,
    )


def settings(options: DetectionOptions) -> dict[str, Any]:
    """List what a request may set of a model that finds objects, with the values taken where it does not."""
    return {"boxes": True, "decided": False, **{name: getattr(options, name) for name in RANGES}}
