"""Lesions in the words of the outside: JSON for programs, ROI markups for 3D Slicer, a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.errors import InputError
from tumorseg.io.files import check_target, write_atomically
from tumorseg.io.markups import Roi, markups_bytes

if TYPE_CHECKING:
    from tumorseg.models.lesions import Lesion

#: Endings in the order in which they are tried (the longer before the shorter), and what they are.
FORMATS: dict[str, str] = {
    ".mrk.json": "ROI markups of 3D Slicer",
    ".json": "a list of detections",
    ".csv": "a table",
}
_COLUMNS = ("label", "score", *("i0", "j0", "k0", "i1", "j1", "k1"), *("x_mm", "y_mm", "z_mm"))
_SIZES = ("slices", "voxels", "volume_ml", "longest_diameter_mm", "slice_diameter_mm")


def as_json(lesion: Lesion) -> dict[str, Any]:
    """Describe a lesion: class, score, both boxes and the measures; what needs a spacing is null without one.

    ``box`` is in LPS mm, ``orientation`` row by row with the box's axes as columns, as 3D Slicer has it;
    ``box_voxel`` holds the half-open corners ``(i0, j0, k0, i1, j1, k1)``.
    """
    return {
        "label": lesion.label,
        "value": lesion.value,
        "score": round(lesion.score, 4),
        "box": {
            "coordinate_system": "LPS",
            "center": _rounded(lesion.box.centre, 6),
            "size": _rounded(lesion.box.size, 6),
            "orientation": _rounded(lesion.box.axes.ravel(), 9),
        },
        "box_voxel": _rounded(lesion.voxel_box, 3),
        "slices": list(lesion.slices),
        "voxels": lesion.voxels,
        "volume_ml": _round(lesion.volume_ml, 4),
        "longest_diameter_mm": _round(lesion.longest_diameter_mm, 2),
        "slice_diameter_mm": _round(lesion.slice_diameter_mm, 2),
    }


def as_markups(lesions: Sequence[Lesion]) -> bytes:
    """Return the lesions' boxes as the content of a ``.mrk.json`` file, named by class and score."""
    return markups_bytes([_roi(lesion) for lesion in lesions])


def as_csv(lesions: Sequence[Lesion]) -> bytes:
    """Return one line a lesion: class, score, voxel corners (half-open), centre in LPS mm, measures."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow((*_COLUMNS, *_SIZES))
    for lesion in lesions:
        said = as_json(lesion)
        place = (*said["box_voxel"], *said["box"]["center"])
        sizes = (len(lesion.slices), *(said[name] for name in _SIZES[1:]))
        table.writerow((lesion.label, said["score"], *place, *("" if size is None else size for size in sizes)))
    return text.getvalue().encode()


def check_output(path: Path) -> str:
    """Return the ending (a key of FORMATS) that ``path`` will be written as.

    Raises:
        InputError: unknown ending, or a place that cannot be written.
    """
    ending = next((ending for ending in FORMATS if path.name.lower().endswith(ending)), None)
    if ending is None:
        known = ", ".join(f"{ending} ({what})" for ending, what in FORMATS.items())
        raise InputError(f"cannot tell from its name what {path.name!r} should be; the ending may be {known}")
    check_target(path)
    return ending


def write_findings(path: Path, lesions: Sequence[Lesion], **about: Any) -> Path:
    """Write lesions to ``path`` as its ending says, whole or not at all; a ``.json`` says ``about`` too."""
    ending = check_output(path)
    if ending == ".mrk.json":
        return write_atomically(path, as_markups(lesions))
    if ending == ".csv":
        return write_atomically(path, as_csv(lesions))
    document = {**about, "detections": [as_json(lesion) for lesion in lesions]}
    return write_atomically(path, json.dumps(document, indent=1).encode())


def _roi(lesion: Lesion) -> Roi:
    measured = (
        ("score", lesion.score, ""),
        ("lesion volume", lesion.volume_ml, "mL"),
        ("longest diameter", lesion.longest_diameter_mm, "mm"),
        ("diameter in a slice", lesion.slice_diameter_mm, "mm"),
    )
    kept = tuple((name, round(value, 4), unit) for name, value, unit in measured if value is not None)
    return Roi(f"{lesion.label} {lesion.score:.2f}", lesion.box, lesion.value, kept)


def _round(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _rounded(values: Any, digits: int) -> list[float]:
    return [round(float(value), digits) + 0.0 for value in values]
