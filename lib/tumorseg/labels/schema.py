"""What the values of a label map are called, and whether a server knows such classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tumorseg.errors import InputError
from tumorseg.labels.files import LARGEST_VALUE, Segment

#: Segments that panels keep beside the classes; Slicer's saves them along and does not name them.
HELPERS = frozenset({"background", "foreground_scribbles", "background_scribbles"})

#: Characters of a class's name.
LONGEST_NAME = 256
#: value -> class name.
Names = dict[int, str]


def said_names(info: Mapping[str, Any]) -> Names:
    """Read ``label_info``, ``[{"name": …, "idx": …}]`` as Slicer's panel sends it; empty where nothing was said.

    Raises:
        InputError: a name or value twice, no name, or a value out of range.
    """
    said = info.get("label_info")
    if said is None:
        return {}
    if not isinstance(said, Sequence) or isinstance(said, str):
        raise InputError(f'expected label_info as [{{"name": …, "idx": …}}], got {type(said).__name__}')
    names: Names = {}
    for item in said:
        if not isinstance(item, Mapping) or "name" not in item:
            raise InputError(f'expected label_info as [{{"name": …, "idx": …}}], got {item!r:.80} in it')
        name, value = _name(item["name"]), _value(item.get("idx"))
        if name in names.values():
            raise InputError(f"expected every class of label_info once, got {name!r:.40} again")
        if value in names:
            raise InputError(f"label_info gives value {value} to {names[value]!r} and to {name!r}: choose one")
        names[value] = name
    return names


def _name(said: Any) -> str:
    name = said.strip() if isinstance(said, str) else ""
    if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
        raise InputError(f"expected a name of 1 to {LONGEST_NAME} printable characters in label_info, got {said!r:.40}")
    return name


def _value(said: Any) -> int:
    whole = isinstance(said, int) and not isinstance(said, bool)
    if isinstance(said, float) and said.is_integer():
        said, whole = int(said), True
    if not whole or not 0 <= said <= LARGEST_VALUE:
        raise InputError(f"expected idx in label_info as a whole number in 0..{LARGEST_VALUE}, got {said!r:.40}")
    return int(said)


def names_of_values(said: Names, values: Sequence[int]) -> Names:
    """Name every value of a plain label map.

    Slicer's panel counts the segments that it leaves out (``background``) when it numbers ``label_info``, but the map
    it exports is numbered without them: where the values only make sense that way, that is how they are read.

    Raises:
        InputError: a value has no name although names were sent.
    """
    unnamed = [value for value in values if value not in said]
    if not said or not unnamed:
        return said
    shifted = dict(enumerate((said[value] for value in sorted(said) if value), start=1))
    if max(values) <= len(shifted) and sorted(shifted) != sorted(value for value in said if value):
        return shifted
    known = ", ".join(f"{value} = {name}" for value, name in sorted(said.items()))
    raise InputError(f"the label holds {unnamed[:8]}, which label_info does not name ({known}): name every value")


def check_segments(segments: Sequence[Segment], found: Sequence[set[int]], said: Names) -> None:
    """Check what a ``.seg.nrrd`` says of its values against its voxels, and against ``label_info``.

    Args:
        segments: of the file.
        found: by layer, the values other than 0 in the voxels.
        said: what came with the file; its values are Slicer's numbering of segments and not the file's.

    Raises:
        InputError: two segments share voxels or a name, or voxels belong to none.
    """
    places = [(segment.layer, segment.value) for segment in segments]
    if len(set(places)) < len(places) or len({segment.name for segment in segments}) < len(segments):
        raise InputError("two segments of the .seg.nrrd have the same name, or the same layer and value: rename one")
    if any(not 0 <= segment.layer < len(found) or not 0 < segment.value <= LARGEST_VALUE for segment in segments):
        raise InputError(f"a segment names a layer or value that the .seg.nrrd does not have ({len(found)} layers)")
    stray = [(layer, value) for layer, values in enumerate(found) for value in values if (layer, value) not in places]
    if stray:
        raise InputError(f"voxels of layer {stray[0][0]} hold {stray[0][1]}, which no segment of the .seg.nrrd names")
    unknown = set(said.values()) - {segment.name for segment in segments}
    if unknown:
        raise InputError(f"label_info names {sorted(unknown)}, but the .seg.nrrd has no such segment")


def check_classes(names: Names, values: Sequence[int], schema: Mapping[str, int | None], *, numbered: bool) -> None:
    """Refuse classes that the server was not configured for.

    Args:
        names: value -> name, as far as it was said.
        values: in the voxels, other than 0.
        schema: class name -> its value, or None where any will do; an empty one admits everything.
        numbered: whether the values are the classes' own; those of a ``.seg.nrrd`` are the file's.

    Raises:
        InputError: an unknown class, or a known one under another value.
    """
    if not schema:
        return
    known = ", ".join(name if value is None else f"{name}={value}" for name, value in schema.items())
    for value, name in names.items():
        if name in HELPERS:
            continue
        if name not in schema:
            raise InputError(f"the class {name!r} is unknown here; expected one of {known}")
        if numbered and schema[name] not in (None, value):
            raise InputError(f"expected {name!r} as value {schema[name]}, got {value}; the classes are {known}")
    told = set(names) | {value for value in schema.values() if value is not None}
    unnamed = [value for value in values if value not in told]
    if unnamed:
        raise InputError(f"the label holds {unnamed[:8]}, which is none of {known}: send label_info, or these values")
