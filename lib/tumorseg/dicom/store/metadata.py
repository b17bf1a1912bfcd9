"""A DICOM file's header in the DICOM JSON model, large values by reference (PS3.18 annex F)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tumorseg.dicom.store.entries import Attributes
from tumorseg.errors import InputError, NotFoundError

# pydicom compares the length in base64; binary values up to so many bytes travel inside the JSON.
_BASE64_LENGTH = 1368
INLINE_BYTES = _BASE64_LENGTH // 4 * 3
_BINARY_VRS = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "UN"])
_PIXEL_DATA = 0x7FE00010
_UTF8 = {"vr": "CS", "Value": ["ISO_IR 192"]}


def read_metadata(path: Path, address: str) -> bytes:
    """Return the header of one file as a JSON object.

    ``address`` is the instance's own; every ``BulkDataURI`` lies below it: ``bulkdata/<tag>`` or, inside
    sequences, ``bulkdata/<tag>/<item from 0>/<tag>``; pixel data is ``frames``.

    Raises:
        InputError: the file cannot be parsed any more.
    """
    dataset = read_dataset(path)
    addresses = {id(element): f"{address}/bulkdata/{inner}" for inner, element in _large_elements(dataset)}
    attributes: Attributes = dataset.to_json_dict(
        bulk_data_threshold=_BASE64_LENGTH,
        bulk_data_element_handler=lambda element: addresses[id(element)],
        suppress_invalid_tags=True,
    )
    if "00080005" in attributes:
        attributes["00080005"] = dict(_UTF8)
    if "Rows" in dataset and "BitsAllocated" in dataset:
        attributes[f"{_PIXEL_DATA:08X}"] = {"vr": "OW", "BulkDataURI": f"{address}/frames"}
    return json.dumps(attributes, allow_nan=False, separators=(",", ":")).encode()


def read_bulkdata(path: Path, address: str) -> bytes:
    """Return the value at ``address`` (as in :func:`read_metadata`, after ``bulkdata/``)."""
    dataset = read_dataset(path)
    for found, element in _large_elements(dataset):
        if found == address:
            return bytes(element.value)
    raise NotFoundError(f"no bulk data at {address[:80]!r} in this instance")


def read_dataset(path: Path) -> Any:
    """Parse one file without its pixels; raise InputError when it is unreadable."""
    from pydicom import dcmread

    try:
        return dcmread(path, stop_before_pixels=True, force=True)
    except Exception as error:  # pydicom raises nearly anything on a corrupt file
        raise InputError(f"{path.name} cannot be read as DICOM: {error}") from error


def _large_elements(dataset: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (address, element) of every binary value too large to be inlined, depth first."""
    for element in dataset:
        address = f"{prefix}{int(element.tag):08X}"
        if element.VR == "SQ":
            for number, item in enumerate(element.value):
                yield from _large_elements(item, f"{address}/{number}/")
        elif element.VR in _BINARY_VRS and element.value is not None and len(element.value) > INLINE_BYTES:
            yield address, element
