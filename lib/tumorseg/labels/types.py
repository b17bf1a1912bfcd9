"""What a label is to the history: a version that is never changed, and where it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tumorseg.errors import InputError

#: Endings of label files, the one that is looked for first at the front.
LABEL_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd")
#: What a tag may look like: a name that is safe as a folder on every system.
SAFE_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
#: Bytes of the longest image id: file systems take 255 for a name, and an ending follows.
MAX_ID_BYTES = 230
_MAX_TEXT = 256

#: ``no_lesion``: somebody looked and there is nothing to mark. ``removed``: no label from here on (a tombstone).
Kind = Literal["label", "no_lesion", "removed"]


@dataclass(frozen=True)
class Provenance:
    """Who or what made a version.

    Attributes:
        author: who answers for it, as the server knows them.
        tool: the program that sent it.
        model: the model whose answer it is or began as, ``""`` where none.
        model_version: the version that the model said of itself.
        prompts: what was clicked or drawn to get it, as the client tells it.
        request_id: the request that brought it, to find it in logs.
    """

    author: str
    tool: str = ""
    model: str = ""
    model_version: str = ""
    prompts: Mapping[str, Any] | None = None
    request_id: str = ""

    def __post_init__(self) -> None:
        for name in ("author", "tool", "model", "model_version", "request_id"):
            object.__setattr__(self, name, _storable(getattr(self, name)))
        if not self.author:
            raise InputError("expected an author for every label, got an empty name")


@dataclass(frozen=True)
class LabelVersion:
    """One version of a label; rows of it are added and never changed.

    Attributes:
        uid: its name for clients, and what a parent refers to.
        seq: its place in the order of all versions; later is larger, whatever the clock said.
        image: id of the image.
        tag: ``final``, ``original`` or any other plain name.
        author: who answers for it.
        created: wall time in UTC, ISO 8601; for people only, see ``seq``.
        tool, model, model_version, prompts, request_id: see :class:`Provenance`.
        parent: uid of the version that it was made from, None for a first one.
        kind: see :data:`Kind`.
        sha256: digest of the file, ``""`` of a tombstone.
        suffix: ending of the file, one of :data:`LABEL_SUFFIXES`; ``""`` of a tombstone.
        size: bytes of the file.
        info: what the client said about it, JSON-able.
    """

    uid: str
    seq: int
    image: str
    tag: str
    author: str
    created: str
    tool: str
    model: str
    model_version: str
    prompts: Mapping[str, Any] | None
    parent: str | None
    kind: Kind
    sha256: str
    suffix: str
    size: int
    info: dict[str, Any] = field(default_factory=dict)
    request_id: str = ""

    @property
    def name(self) -> str:
        """File name of the label in the plain layout."""
        return f"{self.image}{self.suffix}"

    @property
    def no_lesion(self) -> bool:
        """Whether it says that there is nothing to mark."""
        return self.kind == "no_lesion"


def check_tag(tag: str) -> str:
    """Return a tag that is a plain name; anything else is refused."""
    if not SAFE_TAG.fullmatch(tag):
        raise InputError(f"expected letters, digits, '.', '-' and '_' as a tag, got {tag!r}")
    return tag


def check_image_id(image: str) -> str:
    """Return an image id that is a file name and no path; anything else is refused."""
    if not image or image.startswith(".") or any(sign in image for sign in "/\\\0") or image != _storable(image, None):
        raise InputError(f"expected an image id without '/', '\\' and leading '.', got {image!r}")
    if len(image.encode()) > MAX_ID_BYTES:
        raise InputError(f"expected an image id of at most {MAX_ID_BYTES} bytes, got {len(image.encode())}")
    return image


def _storable(text: str, limit: int | None = _MAX_TEXT) -> str:
    """Return text that UTF-8 can hold (a client may send half a surrogate pair), cut at a limit."""
    return str(text).encode("utf-8", "replace").decode()[:limit]
