"""What a request may say in JSON, task by task: a typed list of what is known, and nothing else gets further.

Viewers send more than any server reads (3D Slicer its ``client_id``, a model's whole configuration and the points of
every tool, OHIF ``restore_label_idx``): what is not in the task's model is dropped here, and so never reaches a model,
a path or a log. What would override the address of the request is refused (:data:`tumorseg.adapters.wire.FORBIDDEN`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from tumorseg.errors import InputError
from tumorseg.models.detection_options import RANGES

#: Characters of JSON that a request may bring in a form field; Slicer's largest is a few thousand.
MAX_TEXT = 1 << 18
MAX_DEPTH = 32
_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no", "")
#: Endings of boxes as 3D Slicer's markups; answered by models that find objects only.
MARKUPS = (".json", ".mrk.json")
EXTENSIONS = (".nrrd", ".nii.gz", ".nii", ".seg.nrrd", *MARKUPS)
#: result_dtype -> the largest label value that it holds.
DTYPES = {"uint8": 255, "uint16": 65535}


def _flag(value: Any) -> bool:
    """Read a truth value as JSON or as the text that older clients send."""
    text = str(value).strip().lower() if isinstance(value, str | int) else ""
    if text not in _TRUE + _FALSE or not isinstance(value, str | int):
        raise ValueError(f"expected true or false, got {str(value)[:40]!r}")
    return text in _TRUE


def _extension(value: Any) -> str:
    text = str(value or ".nrrd")
    text = text if text.startswith(".") else f".{text}"
    if text not in EXTENSIONS:
        raise ValueError(f"expected result_extension to be one of {', '.join(EXTENSIONS)}, got {text[:40]!r}")
    return text


def _dtype(value: Any) -> str:
    text = str(value or "uint8")
    if text not in DTYPES:
        raise ValueError(f"expected result_dtype to be one of {', '.join(DTYPES)}, got {text[:40]!r}")
    return text


def _number(value: Any) -> float | int | None:
    """Read a number that came as text: a viewer's table of settings sends one, and an empty one for what is unset."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected a number, got {str(value)[:40]!r}")
    if not isinstance(value, str):
        return value
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"expected a number, got {value[:40]!r}") from None
    return int(number) if number.is_integer() else number


def _first(value: Any) -> Any:
    """Take the first of a list: some clients send the whole list of choices, the chosen one at the front."""
    return value[0] if isinstance(value, list) and value else value


def _text(value: Any) -> str | None:
    """Take a text; anything else says nothing."""
    return value if isinstance(value, str) else None


Flag = Annotated[bool, BeforeValidator(_flag)]
Number = Annotated[float | int | None, BeforeValidator(_number)]


class _Params(BaseModel):
    """What is known of one task; anything else is dropped."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class SegmentationParams(_Params):
    """Settings of a segmentation: how the answer is wanted."""

    result_extension: Annotated[
        str, BeforeValidator(_extension), Field(json_schema_extra={"enum": list(EXTENSIONS)})
    ] = ".nrrd"
    result_dtype: Annotated[str, BeforeValidator(_dtype), Field(json_schema_extra={"enum": list(DTYPES)})] = "uint8"
    result_compress: Flag = True


class DetectionParams(SegmentationParams):
    """Settings of a model that finds objects: how the answer is wanted, and its thresholds.

    With ``decided`` what this person refused before is left out (:mod:`tumorseg.adapters.detections`).
    """

    boxes: Flag = False
    decided: Flag = False
    score: Number = None
    nms: Number = None
    link: Number = None
    min_slices: Number = None
    max_instances: Number = None

    @property
    def thresholds(self) -> dict[str, Any]:
        """The thresholds that are set; their ranges are the model's affair."""
        return {name: getattr(self, name) for name in RANGES if getattr(self, name) is not None}


class NextSampleParams(_Params):
    """What is said when the next image is asked for."""

    client_id: Annotated[Annotated[str, Field(max_length=200)] | None, BeforeValidator(_text)] = None


class TrainParams(_Params):
    """Settings of a training; their ranges are the server's affair (:mod:`tumorseg.adapters.learning.train_params`).

    ``max_epochs`` and ``pretrained`` are MONAI Label's names, ``minutes`` and ``from`` ours; ``from`` counts before
    ``pretrained``.
    """

    max_epochs: Number = 0
    minutes: Number = None
    pretrained: Flag = True
    begin: Annotated[Literal["serving", "scratch"] | None, BeforeValidator(_first), Field(alias="from")] = None


Kind = TypeVar("Kind", bound=_Params)


def parse(kind: type[Kind], params: str | Mapping[str, Any] | None) -> Kind:
    """Read the settings of a task.

    Raises:
        InputError: no JSON object, or a value that is not offered.
    """
    try:
        return kind.model_validate(read_object(params, "params"))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name, why = ".".join(map(str, first["loc"])), str(first["msg"]).removeprefix("Value error, ")
        said = why.replace("expected a number", f"expected a number as {name}")
        raise InputError(said if name in said else f"{name}: {said}") from None


def read_object(text: str | Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """Read a JSON object of a request; nothing at all is an empty one.

    Raises:
        InputError: no JSON object, a very long or very deep one, numbers or letters that do not exist.
    """
    if text is None or isinstance(text, Mapping):
        return dict(text or {})
    if len(text) > MAX_TEXT:
        raise InputError(f"expected {what} of at most {MAX_TEXT} characters, got {len(text)}")
    try:
        value = json.loads(text or "{}", parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no letter, and cannot be stored
    except RecursionError:
        raise InputError(f"expected {what} nested at most {MAX_DEPTH} deep, got more") from None
    except ValueError as error:
        raise InputError(f"expected {what} to be a JSON object, got text that is no JSON ({error})") from None
    if not isinstance(value, dict):
        raise InputError(f"expected {what} to be a JSON object, got {type(value).__name__}")
    if _deeper(value, MAX_DEPTH):
        raise InputError(f"expected {what} nested at most {MAX_DEPTH} deep, got more")
    return value


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _deeper(value: Any, most: int) -> bool:
    """Whether there are more levels than ``most``."""
    level = [value]
    for _ in range(most):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def form_schema(*kinds: type[_Params]) -> dict[str, Any]:
    """Describe a form field with JSON of these models in OpenAPI."""
    schemas = [kind.model_json_schema() for kind in kinds]
    return {
        "contentMediaType": "application/json",
        "contentSchema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas},
    }
