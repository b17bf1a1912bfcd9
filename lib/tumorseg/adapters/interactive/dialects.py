"""What viewers say when somebody clicked, in the dialects of MONAI Label's clients, read once into prompts.

- *deepgrow*: ``foreground`` and ``background``, lists of ``[i, j, k]``; ``label`` names the segment (3D Slicer does,
  OHIF does not). ``roi`` ``[i0, i1, j0, j1, k0, k1]`` is a box. Every request brings all points so far.
- *deepedit*: a list under the name of each label, and ``background``, which belongs to none of them.
- *scribbles*: a label map of all segments beside the form, whose layers ``foreground_scribbles`` and
  ``background_scribbles`` are found through ``label_info`` ``[{"name": …, "id": …}]``; ``selected_label_name`` is the
  segment that is meant (:mod:`tumorseg.adapters.interactive.layers` reads the file).

All are understood for every interactive model. A list of points under a name that no label has is an unknown label
where the model has labels; anything else that nobody knows is a viewer's own setting, which is dropped as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from tumorseg.errors import InputError
from tumorseg.interactive.prompt_json import index_from_json, shown
from tumorseg.interactive.prompts import MAX_PROMPTS, Box, Click, Index, Prompt
from tumorseg.labels.schema import HELPERS, LONGEST_NAME
from tumorseg.labels.types import check_tag

#: What a segment begins as: what the model itself would mark, an empty mask, or what was saved last.
Start: TypeAlias = Literal["auto", "nothing", "label"]
STARTS: tuple[Start, ...] = get_args(Start)
#: A segment that a viewer gives no name and a model has none for.
UNNAMED = "segment"
FOREGROUND, BACKGROUND = "foreground", "background"
FOREGROUND_LAYER, BACKGROUND_LAYER = "foreground_scribbles", "background_scribbles"
# Names of parameters that may hold lists of lists and are no labels.
_NO_LABELS = frozenset({FOREGROUND, BACKGROUND, "roi", "label_info", "points", "point_labels", "slice"})
_ROI_NUMBERS = 6
#: Segments of one request: every point is answered for each of them, and each is a mask as large as the image.
MOST_SEGMENTS = 32


@dataclass(frozen=True)
class Layers:
    """Which values of the label map beside the form are what.

    Attributes:
        names: value -> name of the segment.
    """

    names: Mapping[int, str]


@dataclass(frozen=True)
class Asked:
    """What one request asks of an interactive model.

    Attributes:
        segments: name -> its prompts; one segment at least. Of a box only the order of its ends is known to be right.
        start: what each segment begins as.
        tag: of the labels that ``start`` may mean.
        layers: how to read the label map beside the form, None where there is to be none.
    """

    segments: Mapping[str, tuple[Prompt, ...]]
    start: Start = "auto"
    tag: str = "final"
    layers: Layers | None = None


def parse(values: Mapping[str, Any], labels: Sequence[str]) -> Asked:
    """Read the parameters of a request.

    Args:
        values: the JSON object that the viewer sent.
        labels: that the model has names for; empty where any class will do.

    Raises:
        InputError: points that are none, an unknown label, two dialects or two places for one point, a name that is
            none.
    """
    single, lists = _single(values, labels), _lists(values, labels)
    clicked = points_in(values, FOREGROUND)
    if lists and clicked:
        raise InputError(f"expected points under foreground or under {', '.join(lists)}, got both: send one dialect")
    negative = points_in(values, BACKGROUND)
    box = _box(values)
    if lists:
        segments = {name: _clicks(box, own, (*negative, *_others(lists, name))) for name, own in lists.items()}
    else:
        segments = {single: _clicks(box, clicked, negative)}
    return Asked(segments, start_in(values), tag_in(values), _layers(values))


def start_in(values: Mapping[str, Any]) -> Start:
    """Read what a segment begins as; some clients send the whole list of choices, the chosen one at the front."""
    said = values.get("start")
    said = said[0] if isinstance(said, list) and said else said
    if said is None or said == "":
        return "auto"
    if said not in STARTS:
        raise InputError(f"expected start to be one of {', '.join(STARTS)}, got {shown(said)}")
    start: Start = said
    return start


def tag_in(values: Mapping[str, Any]) -> str:
    """Read of which tag a saved label is to be."""
    tag = values.get("tag", "final")
    if not isinstance(tag, str):
        raise InputError(f"expected tag as a text, got {shown(tag)}")
    return check_tag(tag)


def points_in(values: Mapping[str, Any], key: str) -> tuple[Index, ...]:
    """Read a list of points; the same one twice is one."""
    said = values.get(key)
    if said is None:
        return ()
    if not isinstance(said, list):
        raise InputError(f"expected {key} as a list of points [[i, j, k], …], got {shown(said)}")
    if len(said) > MAX_PROMPTS:
        raise InputError(f"expected at most {MAX_PROMPTS} points, got {len(said)} as {key}: send a scribble instead")
    return tuple(dict.fromkeys(index_from_json(point, f"a point of {key}") for point in said))


def _single(values: Mapping[str, Any], labels: Sequence[str]) -> str:
    """Return the segment that is meant where there is one: as it is said, else the model's only label."""
    said = [(key, values[key]) for key in ("label", "selected_label_name") if values.get(key) is not None]
    names = {segment_of(name, key) for key, name in said}
    if len(names) > 1:
        raise InputError(f"expected label and selected_label_name to name one segment, got {sorted(names)!r:.80}")
    if not names:
        return labels[0] if len(labels) == 1 else UNNAMED
    return names.pop()


def _lists(values: Mapping[str, Any], labels: Sequence[str]) -> dict[str, tuple[Index, ...]]:
    """Return label -> its points, as deepedit sends them; those without any are left out.

    Slicer sends an empty list for every label of the server, whether this model has it or not.
    """
    found = {}
    for key, said in values.items():
        if (key in labels or (not labels and key == values.get("label"))) and key not in _NO_LABELS:
            found[key] = points_in(values, key)
        elif _looks_like_points(said) and key not in _NO_LABELS:
            if labels:
                raise InputError(f"unknown label {key!r:.60}: expected points under one of {', '.join(labels)}")
            found[segment_of(key, "label")] = points_in(values, key)
    named = {name: points for name, points in found.items() if points}
    if len(named) > MOST_SEGMENTS:
        raise InputError(f"expected points of at most {MOST_SEGMENTS} segments in one request, got {len(named)}")
    return named


def _looks_like_points(said: Any) -> bool:
    return isinstance(said, list) and bool(said) and isinstance(said[0], list)


def _others(lists: Mapping[str, tuple[Index, ...]], name: str) -> tuple[Index, ...]:
    """Return the points of every other label: a voxel is of one."""
    return tuple(at for other, points in lists.items() if other != name for at in points)


def _clicks(box: tuple[Box, ...], positive: Sequence[Index], negative: Sequence[Index]) -> tuple[Prompt, ...]:
    both = sorted(set(positive) & set(negative))
    if both:
        raise InputError(
            f"the point {list(both[0])} is said to belong to the segment and not to belong to it: take one away, and "
            "choose the segment (not the background) before running the model"
        )
    return (*box, *(Click(at) for at in positive), *(Click(at, positive=False) for at in dict.fromkeys(negative)))


def _box(values: Mapping[str, Any]) -> tuple[Box, ...]:
    """Read ``roi``; where an axis of the image runs against the patient's, its ends come the other way round."""
    said = values.get("roi")
    if said is None or said == []:
        return ()
    if not isinstance(said, list) or len(said) != _ROI_NUMBERS:
        raise InputError(f"expected roi as [i0, i1, j0, j1, k0, k1], got {shown(said)}")
    ends = [index_from_json(said[start::2], "a corner of roi") for start in (0, 1)]
    low, high = (tuple(pick(pair) for pair in zip(*ends, strict=True)) for pick in (min, max))
    return (Box((low[0], low[1], low[2]), (high[0], high[1], high[2])),)


def _layers(values: Mapping[str, Any]) -> Layers | None:
    """Read ``label_info``; numbers under ``id``, or under ``idx`` as where labels are saved."""
    said = values.get("label_info")
    if said is None:
        return None
    if not isinstance(said, list) or not all(isinstance(item, Mapping) for item in said):
        raise InputError(f'expected label_info as [{{"name": …, "id": …}}], got {shown(said)}')
    names: dict[int, str] = {}
    for item in said:
        value, name = item.get("id", item.get("idx")), name_of(item.get("name"), "label_info")
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InputError(f"expected id in label_info as a whole number, got {shown(value)}")
        if value in names or name in names.values():
            raise InputError(f"label_info names {name!r:.60} or the value {value} twice: choose one")
        names[value] = name
    return Layers(names)


def segment_of(said: Any, where: str) -> str:
    """Read the name of a segment that somebody marks.

    Raises:
        InputError: as of :func:`name_of`, or the name of what panels keep beside the segments.
    """
    name = name_of(said, where)
    if name in HELPERS:
        raise InputError(f"expected the name of a segment, got {name!r}: choose the segment before running the model")
    return name


def name_of(said: Any, where: str) -> str:
    """Read the name of a segment or of a layer of strokes.

    Raises:
        InputError: no text, an empty or a very long one, or one with signs that nobody can see.
    """
    name = said.strip() if isinstance(said, str) else ""
    if not name.isprintable() or not 0 < len(name) <= LONGEST_NAME:
        raise InputError(f"expected {where} as a name of 1 to {LONGEST_NAME} printable characters, got {shown(said)}")
    return name
