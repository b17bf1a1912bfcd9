"""What is kept with a label version of the clicks behind it: the log of every segment, and starts that nobody else has.

A record says how the masks came about that a person had been given when they saved. What they then changed by hand in
their viewer is not in it: whether the saved label is what the prompts led to is found out by replaying.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tumorseg.errors import InputError
from tumorseg.interactive.log import PromptLog

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.interactive.sessions import Entry

    Mask = NDArray[np.bool_]

#: Version of the JSON form; another one is refused.
SCHEMA = 1
#: Characters of the longest record that is kept.
MOST_CHARACTERS = 32 << 20


@dataclass(frozen=True)
class Segment:
    """One segment of a label version.

    Attributes:
        log: how it came about.
        start: the mask that it began with, packed (:func:`packed`); None where it can be made again.
    """

    log: PromptLog
    start: bytes | None = None


def packed(mask: Mask) -> bytes:
    """Return a mask ``(K, J, I)`` as a few bytes."""
    import numpy as np

    return zlib.compress(np.packbits(mask).tobytes(), 1)


def unpacked(data: bytes, shape: tuple[int, int, int]) -> Mask:
    """Return the mask of :func:`packed`.

    Raises:
        InputError: it is damaged, or of another size.
    """
    import numpy as np

    count = int(np.prod(shape))
    size = (count + 7) // 8
    unpacker = zlib.decompressobj()
    try:
        bits = unpacker.decompress(data, size + 1)  # no more than is wanted, whatever it promises
    except zlib.error:
        bits = b""
    if len(bits) != size or not unpacker.eof:
        raise InputError(f"expected a packed mask of {shape} (K, J, I), got one that is damaged or of another size")
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).reshape(shape).astype(bool)


def record_of(entries: Sequence[Entry]) -> str | None:
    """Write down how the masks of these entries came about; None where nobody asked for anything."""
    segments = [Segment(log, entry.start) for entry in entries if (log := entry.session.log()).steps]
    return write(segments) if segments else None


def write(segments: Sequence[Segment]) -> str:
    """Return a record as JSON."""
    return json.dumps({"schema": SCHEMA, "segments": [_plain(segment) for segment in segments]}, sort_keys=True)


def read(text: str) -> list[Segment]:
    """Read a record.

    Raises:
        InputError: it is none, or one of a later release.
    """
    try:
        said: Any = json.loads(text)
        if said["schema"] != SCHEMA:
            raise InputError(
                f"expected a prompt record of schema {SCHEMA}, got {said['schema']!r:.20}: update tumorseg"
            )
        return [_segment(one) for one in said["segments"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"expected a prompt record, got something else ({type(error).__name__})") from None


def _plain(segment: Segment) -> dict[str, Any]:
    log = {"log": json.loads(segment.log.to_json())}
    return log if segment.start is None else {**log, "start": base64.b64encode(segment.start).decode()}


def _segment(said: Any) -> Segment:
    start = said.get("start")
    log = PromptLog.from_json(json.dumps(said["log"]))
    return Segment(log, None if start is None else base64.b64decode(start, validate=True))
