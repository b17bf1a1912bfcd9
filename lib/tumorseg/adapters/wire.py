"""The wire protocol of ``/infer``: what a viewer may ask for, parsed once, and the answer in its words.

Viewers send ``image`` and ``output`` in the query string and a form field ``params`` with JSON. Of the JSON only the
result settings are read, and, by a model that finds objects, its thresholds. What names an image, a model, a device or
a path there is refused: in MONAI Label it overrides the address that was asked for.

3D Slicer's module asks for ``.nrrd`` whatever the model is, and sends back the model's whole ``config``. So that its
models of the type "detection" answer with boxes, ``boxes`` is part of their config: true puts the boxes (ROI markups)
in place of the label map, wherever not the label map alone was asked for (``output=image``, as OHIF does).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tumorseg.errors import InputError
from tumorseg.models.detection_options import RANGES, DetectionOptions

#: Endings of boxes as 3D Slicer's markups; answered by models that find objects only.
MARKUPS = (".json", ".mrk.json")
EXTENSIONS = (".nrrd", ".nii.gz", ".nii", ".seg.nrrd", *MARKUPS)
#: result_dtype -> the largest label value that it holds.
DTYPES = {"uint8": 255, "uint16": 65535}
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
    """

    extension: str = ".nrrd"
    dtype: str = "uint8"
    compress: bool = True
    boxes: bool = False
    thresholds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class InferResult:
    """The answer to one ``/infer``.

    Attributes:
        data: the label map, or the boxes, as the content of a file.
        name: a file name with the right ending.
        params: label names, centroids, detections, latencies (s), notes, model and version; JSON-able.
    """

    data: bytes
    name: str
    params: dict[str, Any]


def parse_params(params: str | Mapping[str, Any] | None) -> ResultFormat:
    """Read the result settings of ``params``.

    Raises:
        InputError: not a JSON object, a setting that a request may not make, or a value that is not offered.
    """
    values = _object(params)
    forbidden = sorted(FORBIDDEN & set(values))
    if forbidden:
        raise InputError(f"params may not set {', '.join(forbidden)}: name model and image in the address")
    extension = str(values.get("result_extension") or ".nrrd")
    extension = extension if extension.startswith(".") else f".{extension}"
    dtype = str(values.get("result_dtype") or "uint8")
    if extension not in EXTENSIONS:
        raise InputError(f"expected result_extension to be one of {', '.join(EXTENSIONS)}, got {extension!r}")
    if dtype not in DTYPES:
        raise InputError(f"expected result_dtype to be one of {', '.join(DTYPES)}, got {dtype!r}")
    compress, boxes = _flag(values.get("result_compress", True)), _flag(values.get("boxes", False))
    return ResultFormat(extension, dtype, compress, boxes, _thresholds(values))


def settings(options: DetectionOptions) -> dict[str, Any]:
    """List what a request may set of a model that finds objects, with the values taken where it does not."""
    return {"boxes": True, **{name: getattr(options, name) for name in RANGES}}


def _thresholds(values: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the thresholds that are set. A viewer's table of settings sends text, and an empty one for what is unset."""
    given = {name: values[name] for name in RANGES if values.get(name) not in (None, "")}
    return {name: _number(name, value) for name, value in given.items()}


def _number(name: str, value: Any) -> Any:
    """Read a number that came as text; what else it may be is checked with its range."""
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        raise InputError(f"expected a number as {name}, got {value[:40]!r}") from None
    return int(number) if number.is_integer() else number


def _object(params: str | Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Read a JSON object; nothing at all is an empty one."""
    if params is None or isinstance(params, Mapping):
        return params or {}
    try:
        values = json.loads(params or "{}")
    except ValueError as error:
        raise InputError(f"expected params to be a JSON object, got text that is no JSON ({error})") from None
    if not isinstance(values, dict):
        raise InputError(f"expected params to be a JSON object, got {type(values).__name__}")
    return values


def _flag(value: Any) -> bool:
    """Read a truth value as JSON or as the text that older clients send."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "1", "yes")
    return bool(value)
