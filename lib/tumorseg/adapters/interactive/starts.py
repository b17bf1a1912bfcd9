"""The mask that a segment begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorseg.errors import NotFoundError
from tumorseg.labels.types import LabelVersion

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.interactive.looks import Look
    from tumorseg.interactive.base import Interactive
    from tumorseg.labels.history import LabelHistory

    Mask = NDArray[np.bool_]

#: Names of starts in logs, beside the uid of a label version. ``SHOWN``: the segment as the viewer sent it along.
AUTO, NOTHING, SHOWN = "auto", "nothing", "shown"


def proposed(model: Interactive, look: Look, label: str) -> tuple[Mask, str]:
    """Return what the model itself would mark as ``label``, and the name of that start; nothing where it cannot."""
    import numpy as np

    proposal = look.encoded.proposal
    known = {name.casefold() for name in model.labels}
    if proposal is None or (known and label.casefold() not in known):
        return np.zeros(look.encoded.shape, bool), NOTHING
    return proposal, AUTO


def nothing(look: Look) -> tuple[Mask, str]:
    """Return an empty mask, and the name of that start."""
    import numpy as np

    return np.zeros(look.encoded.shape, bool), NOTHING


def newest(history: LabelHistory, image: str, tag: str) -> LabelVersion | None:
    """Return the newest saved label of an image; None where there is none, or no such image ("")."""
    return history.head(image, tag) if image else None


def saved(
    history: LabelHistory, image: str, tag: str, label: str, look: Look, labels: Mapping[str, int]
) -> tuple[Mask, str]:
    """Return what the newest saved label of an image marks as ``label``, and the uid of that version.

    Raises:
        NotFoundError: nothing is saved under this tag.
        InputError: the file is damaged, or lies on other voxels.
    """
    head = newest(history, image, tag)
    if head is None:
        raise NotFoundError(f"there is no saved label tagged {tag!r} to begin with: begin with auto or nothing")
    return mask_of(history, head, label, look, labels), head.uid


def mask_of(history: LabelHistory, version: LabelVersion, label: str, look: Look, labels: Mapping[str, int]) -> Mask:
    """Return what a label version marks as ``label``, ``(K, J, I)``; a class of another case is the same one."""
    import numpy as np

    masks = segments_of(history, version, look, labels)
    found: Mask = np.zeros(look.encoded.shape, bool)
    for name, mask in masks.items():
        if name.casefold() == label.casefold():
            found |= mask
    return found


def segments_of(history: LabelHistory, version: LabelVersion, look: Look, labels: Mapping[str, int]) -> dict[str, Mask]:
    """Return what a label version marks, name -> ``(K, J, I)``; values without a name are those of ``labels``."""
    from tumorseg.labels.agreement import masks_of

    names, place = {value: name for name, value in labels.items()}, look.place
    return dict(masks_of(history.path(version), version.info, place.grid, placed=place.placed, names=names))
