"""The few elements that every file of a series is asked for, decoded without pydicom's detour through its own types.

A series is hundreds of files of two dozen such elements each; this is what reading headers costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.dataset import Dataset

_NUMBERS_AS_TEXT = frozenset({"DS", "IS"})
_PLAIN_TEXT = frozenset({"CS", "UI", "LO", "SH"})
_BINARY = {"US": "u2", "SS": "i2", "UL": "u4", "SL": "i4", "FL": "f4", "FD": "f8"}


def tags_of(keywords: Iterable[str]) -> dict[str, BaseTag]:
    """Return keyword -> tag, looked up once and for all files."""
    return {keyword: BaseTag(tag_for_keyword(keyword) or 0) for keyword in keywords}


def read_values(ds: Dataset, tags: dict[str, BaseTag]) -> dict[str, Any]:
    """Return keyword -> value of the elements that are there and not empty.

    Numbers come as float, text as str, several of either as a list. Text is decoded as Latin-1, which is exact for
    identifiers and codes; names for people are read through pydicom.
    """
    present = set(ds.keys())
    values = {keyword: _value(ds, tag) for keyword, tag in tags.items() if tag in present}
    return {keyword: value for keyword, value in values.items() if value is not None and value != ""}


def _value(ds: Dataset, tag: BaseTag) -> Any:
    element = ds.get_item(tag)
    if not isinstance(element, RawDataElement) or element.value is None:
        return None if element is None else ds[tag].value
    vr = element.VR or dictionary_VR(tag)
    if vr in _NUMBERS_AS_TEXT:
        return _one_or_list([float(part) for part in _parts(element.value) if part])
    if vr in _PLAIN_TEXT:
        return _one_or_list(_parts(element.value))
    if vr in _BINARY:
        order = "<" if element.is_little_endian else ">"
        return _one_or_list(np.frombuffer(element.value, order + _BINARY[vr]).astype(float).tolist())
    return ds[tag].value


def _parts(raw: bytes) -> list[str]:
    return [part.strip(" \0") for part in raw.decode("latin-1").split("\\")]


def _one_or_list(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values or None
