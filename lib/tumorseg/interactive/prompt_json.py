"""Prompts as JSON, for the log and for requests; what comes in is checked here and nowhere else.

- ``{"click": [i, j, k], "positive": true}``; positive where it says nothing
- ``{"box": [[i, j, k], [i, j, k]]}``, the smallest and the largest index in it
- ``{"extreme": [[i, j, k], ...]}``
- ``{"scribble": {"runs": [[mark, voxels], ...]}}``: runs of equal marks (1 belongs to it, -1 does not, 0 says nothing)
  over the whole volume, slice by slice, row by row
- ``{"propagate": {"slice": k, "axis": 0, "first": null, "last": null}}``; only the slice must be there

Places are voxel indices ``(i, j, k)`` = column, row, slice of the image's own grid. ``12.0`` is a whole number and
``12.5`` is not: who clicks knows the voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from math import prod
from operator import itemgetter
from typing import Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.interactive.packed import MARKS, MAX_RUNS, Packed, Runs, pack, unpack
from tumorseg.interactive.prompts import AXES, Box, Click, ExtremePoints, Index, Prompt, Propagate

#: Extreme points of one prompt; three dimensions have six.
MAX_EXTREME_POINTS = 64
# No image has more voxels along an axis.
_FAR = 1 << 31
# What a message repeats of what came, characters.
_SHOWN = 40
_SLICES = ("slice", "axis", "first", "last")
Shape = tuple[int, int, int]


def prompt_to_json(prompt: Prompt | Packed) -> dict[str, Any]:
    """Return a prompt as a JSON object.

    Raises:
        InputError: a scribble that cannot be kept (:func:`tumorseg.interactive.packed.pack`).
    """
    packed = prompt if isinstance(prompt, Runs) else pack(prompt)
    if isinstance(packed, Click):
        return {"click": _plain(packed.at), "positive": bool(packed.positive)}
    if isinstance(packed, Box):
        return {"box": [_plain(packed.first), _plain(packed.last)]}
    if isinstance(packed, ExtremePoints):
        return {"extreme": [_plain(at) for at in packed.at]}
    if isinstance(packed, Propagate):
        return {"propagate": {name: _number(getattr(packed, name)) for name in _SLICES}}
    return {"scribble": {"runs": packed.pairs()}}


def prompt_from_json(value: Any, shape: Shape) -> Prompt:
    """Read a prompt on an image of ``shape`` (K, J, I); whether it lies inside is for ``prompts.check`` to say.

    Raises:
        InputError: not one of the forms above.
    """
    return unpack(packed_from_json(value, shape))


def packed_from_json(value: Any, shape: Shape) -> Packed:
    """Do the same without making an array of a scribble, so that nothing large is made of a small text."""
    said = value if isinstance(value, Mapping) else {}
    found = [form for form in _FORMS if form in said]
    if len(found) != 1:
        raise InputError(f"expected a prompt as an object with one of {', '.join(_FORMS)}, got {shown(value)}")
    unknown = sorted(map(str, set(said) - {found[0], *(["positive"] if found == ["click"] else [])}))
    if unknown:
        raise InputError(f"expected nothing beside {found[0]} in a prompt, got {shown(', '.join(unknown))}")
    return _FORMS[found[0]](said, shape)


def index_from_json(value: Any, what: str = "a point") -> Index:
    """Read a voxel index ``[i, j, k]``.

    Raises:
        InputError: not three whole numbers.
    """
    if not isinstance(value, list | tuple) or len(value) != len(AXES):
        got = f"{len(value)} values" if isinstance(value, list | tuple) else shown(value)
        raise InputError(f"expected {what} as a voxel index [i, j, k] of three whole numbers, got {got}")
    i, j, k = (_whole(number, f"{axis} of {what}") for axis, number in zip(AXES, value, strict=True))
    return i, j, k


def shown(value: Any) -> str:
    """Return the beginning of what came, for a message: short also where that is long, deep or huge, and always text.

    Half a letter (a lone surrogate, which JSON can hold) and control characters are spelt out: an answer with the first
    could not be sent.
    """
    if isinstance(value, bool | float | None):
        return repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**_SHOWN else f"a number of {value.bit_length()} bits"
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "…")
    if isinstance(value, Mapping):
        keys = ", ".join(sorted(repr(str(key)[:_SHOWN])[1:-1] for key in list(value)[:5]))
        return f"an object with {keys}" if keys else "an empty object"
    return f"a list of {len(value)}" if isinstance(value, list | tuple) else type(value).__name__


def _plain(at: Index) -> list[int]:
    """Return an index without NumPy's own integers, which JSON does not know."""
    return [int(number) for number in at]


def _number(value: int | None) -> int | None:
    return None if value is None else int(value)


def _whole(value: Any, what: str) -> int:
    """Take a whole number that some voxel may have as its index."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (isinstance(value, float) and not value.is_integer()) or abs(value) >= _FAR:
        raise InputError(f"expected {what} as a whole number, got {shown(value)}")
    return int(value)


def _list(value: Any, what: str, least: int, most: int) -> list[Any]:
    if not isinstance(value, list) or not least <= len(value) <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise InputError(f"expected {what} as a list of {wanted}, got {shown(value)}")
    return value


def _click(said: Mapping[str, Any], shape: Shape) -> Click:
    positive = said.get("positive", True)
    if not isinstance(positive, bool):
        raise InputError(f"expected positive as true or false, got {shown(positive)}")
    return Click(index_from_json(said["click"], "click"), positive)


def _box(said: Mapping[str, Any], shape: Shape) -> Box:
    first, last = (index_from_json(at, "a corner of box") for at in _list(said["box"], "box", 2, 2))
    return Box(first, last)


def _extreme(said: Mapping[str, Any], shape: Shape) -> ExtremePoints:
    points = _list(said["extreme"], "extreme", 2, MAX_EXTREME_POINTS)
    return ExtremePoints(tuple(index_from_json(at, "an extreme point") for at in points))


def _scribble(said: Mapping[str, Any], shape: Shape) -> Runs:
    scribble = said["scribble"]
    if not isinstance(scribble, Mapping) or set(scribble) != {"runs"}:
        raise InputError(f'expected scribble as {{"runs": [[mark, voxels], ...]}}, got {shown(scribble)}')
    runs = [_run(run) for run in _list(scribble["runs"], "runs of a scribble", 1, MAX_RUNS)]
    total = sum(length for _, length in runs)
    if total != prod(shape):
        raise InputError(f"expected runs over the {prod(shape)} voxels of {shape} (K, J, I), got {shown(total)}")
    joined = [(mark, sum(length for _, length in equal)) for mark, equal in groupby(runs, key=itemgetter(0))]
    values, lengths = zip(*joined, strict=True)
    return Runs(shape, np.array(values, np.int8).tobytes(), np.array(lengths, "<i8").tobytes())


def _propagate(said: Mapping[str, Any], shape: Shape) -> Propagate:
    slices = said["propagate"]
    if not isinstance(slices, Mapping) or "slice" not in slices or set(slices) - set(_SLICES):
        raise InputError(f"expected propagate as an object with slice, and axis, first and last, got {shown(slices)}")
    first, last = (
        None if slices.get(end) is None else _whole(slices[end], f"{end} of propagate") for end in ("first", "last")
    )
    axis = _whole(slices.get("axis", 0), "axis of propagate")
    return Propagate(_whole(slices["slice"], "slice of propagate"), axis, first, last)


def _run(value: Any) -> tuple[int, int]:
    mark, length = _list(value, "a run of a scribble", 2, 2)
    if isinstance(mark, bool) or mark not in MARKS:
        raise InputError(f"expected the mark of a run as 1, 0 or -1, got {shown(mark)}")
    if isinstance(length, bool) or not isinstance(length, int) or length < 1:
        raise InputError(f"expected the length of a run as a number of voxels from 1, got {shown(length)}")
    return int(mark), length


_FORMS: dict[str, Callable[[Mapping[str, Any], Shape], Packed]] = {
    "click": _click,
    "box": _box,
    "extreme": _extreme,
    "scribble": _scribble,
    "propagate": _propagate,
}
