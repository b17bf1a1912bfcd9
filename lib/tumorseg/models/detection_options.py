"""What a request may ask of a model that finds objects."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite
from typing import Any

from tumorseg.errors import InputError

#: name -> (lowest, highest) value that makes sense.
RANGES: dict[str, tuple[float, float]] = {
    "score": (0.0, 1.0),
    "nms": (0.0, 1.0),
    "link": (0.0, 1.0),
    "min_slices": (1, 1000),
    "max_instances": (1, 1000),
}


@dataclass(frozen=True)
class DetectionOptions:
    """Thresholds of one request.

    Attributes:
        score: detections that are less certain are dropped, in [0, 1].
        nms: of two boxes of one class in one slice with a higher IoU only the more certain one stays, in [0, 1].
        link: detections of neighbouring slices with at least this mask IoU are one lesion, in [0, 1].
        min_slices: a lesion seen in fewer slices of a volume is dropped; pictures are not concerned.
        max_instances: the most certain ones of a slice.
    """

    score: float = 0.5
    nms: float = 0.5
    link: float = 0.1
    min_slices: int = 1
    max_instances: int = 20

    def __post_init__(self) -> None:
        for field in fields(self):
            value, (low, high) = getattr(self, field.name), RANGES[field.name]
            whole = field.type == "int"
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)) or not isfinite(value):
                raise InputError(f"expected a {'whole ' * whole}number as {field.name}, got {value!r}")
            if not low <= value <= high:
                raise InputError(f"expected {field.name} from {low:g} to {high:g}, got {value:g}")

    def with_values(self, **changes: Any) -> DetectionOptions:
        """Return these options with some replaced; an unknown name lists the known ones."""
        unknown = sorted(set(changes) - set(RANGES))
        if unknown:
            raise InputError(f"unknown detection option {', '.join(unknown)}; known: {', '.join(RANGES)}")
        return DetectionOptions(**{name: changes.get(name, getattr(self, name)) for name in RANGES})
