"""The wire protocol of ``/infer``: what a viewer may ask for, parsed once, and the answer in its words.

Viewers send ``image`` and ``output`` in the query string and a form field ``params`` with JSON. Of the JSON only the
four result settings are read. What names an image, a model, a device or a path there is refused: in MONAI Label it
overrides the address that was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tumorseg.errors import InputError

EXTENSIONS = (".nrrd", ".nii.gz", ".nii", ".seg.nrrd")
#: result_dtype -> the largest label value that it holds.
DTYPES = {"uint8": 255, "uint16": 65535}
#: Settings that a request may not make.
FORBIDDEN = frozenset(
    {"model", "image", "images", "device", "label", "session", "session_id", "result_file", "save_label", "model_file"}
)


@dataclass(frozen=True)
class ResultFormat:
    """How the label map is wanted.

    Attributes:
        extension: one of :data:`EXTENSIONS`.
        dtype: one of :data:`DTYPES`.
        compress: whether an NRRD is compressed; the other formats go by their ending.
    """

    extension: str = ".nrrd"
    dtype: str = "uint8"
    compress: bool = True


@dataclass(frozen=True)
class InferResult:
    """The answer to one ``/infer``.

    Attributes:
        data: the label map as the content of a file.
        name: a file name with the right ending.
        params: label names, centroids, latencies (s), notes, model and version; JSON-able.
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
    return ResultFormat(extension, dtype, _flag(values.get("result_compress", True)))


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
