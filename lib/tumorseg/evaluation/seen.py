"""Which pictures trained a model: known by their content where the split says it, else by their ids.

Pictures of public sets are renamed and moved between folders, so a split may hold, beside its lists of ids, a table
``content`` of id -> :func:`picture_digest`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.training.splits import Split, load_split

if TYPE_CHECKING:
    from tumorseg.annotations import Picture

DIGITS = 16


@dataclass(frozen=True)
class PictureSplit:
    """A split of pictures.

    Attributes:
        split: ids.
        content: id -> digest of the decoded pixels, for those of which it is known.
    """

    split: Split
    content: Mapping[str, str] = field(default_factory=dict)

    def choose(self, pictures: Iterable[Picture], subset: str) -> tuple[Picture, ...]:
        """Return the pictures of a subset, in their own order.

        A picture whose content is in the split belongs where the split says, whatever it is called here; one that is
        not is another picture even under the same id. Without digests the id decides.
        """
        ids = self.split.subset(subset)
        if not self.content:
            return tuple(picture for picture in pictures if picture.id in set(ids))
        digests = {self.content[name] for name in ids if name in self.content}
        return tuple(picture for picture in pictures if picture_digest(picture) in digests)


def read_picture_split(name: str | Path) -> PictureSplit:
    """Read a split by its name or path.

    Raises:
        NotFoundError: there is no such file.
    """
    split, file = load_split(name), _file(name)
    return PictureSplit(split, json.loads(file.read_text(encoding="utf-8")).get("content", {}))


def content_table(pictures: Sequence[Picture]) -> dict[str, str]:
    """Return id -> digest, for the ``content`` of a split file."""
    return {picture.id: picture_digest(picture) for picture in pictures}


def picture_digest(picture: Picture) -> str:
    """Return hex digits of the SHA-256 of size and decoded pixels: the same for a copy under another name."""
    pixels = picture.pixels()
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:DIGITS]


def _file(name: str | Path) -> Path:
    from tumorseg.training import splits

    path = Path(name)
    named = "/" not in str(name) and path.suffix != ".json"
    return Path(splits.__file__).parent / f"{name}.json" if named else path
