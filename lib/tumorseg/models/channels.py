"""From the sequences a study has to the channels a network wants, with the fallback of the LGG data set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tumorseg.errors import InputError
from tumorseg.types import FLAIR, StudyImage


def select_channels(image: StudyImage, wanted: tuple[str, ...]) -> StudyImage:
    """Return ``image`` with exactly the channels ``wanted``, in that order.

    1. Every wanted sequence that is there is taken by name.
    2. A missing one is replaced by FLAIR, as in the LGG data set the shipped weights were trained on
       (Buda et al. 2019); without FLAIR by the first sequence there is. The result's notes say so.
    3. Channels without names (pictures, NIfTI) are taken by position when there are as many as wanted;
       a single one stands in for all.

    Raises:
        InputError: the channels have no names and are neither one nor ``len(wanted)``, or the modality is not MR.
    """
    if image.modality not in ("", "MR"):
        raise InputError(f"expected MR ({', '.join(wanted)}), got modality {image.modality}; choose an MR study")
    named = [name for name in image.channels if name]
    if not any(name in wanted for name in named):
        return _by_position(image, wanted)
    fallback = FLAIR if FLAIR in named else next(name for name in image.channels if name in wanted)
    taken = [name if name in image.channels else fallback for name in wanted]
    missing = [name for name in wanted if name not in image.channels]
    notes = (f"no {' and no '.join(missing)} in this study: {fallback} stands in, expect less",) if missing else ()
    return _take(image, [image.channels.index(name) for name in taken], wanted, notes)


def _by_position(image: StudyImage, wanted: tuple[str, ...]) -> StudyImage:
    count, order = len(image.channels), ", ".join(wanted)
    if count == 1:
        what = image.channels[0] or "a single unnamed sequence"
        return _take(image, [0] * len(wanted), wanted, (f"only {what} here: it stands in for {order}, expect less",))
    if count == len(wanted) and not any(image.channels):
        return _take(image, list(range(count)), wanted, (f"unnamed channels taken in the order {order}",))
    have = ", ".join(name or "unnamed" for name in image.channels)
    raise InputError(
        f"expected the sequences {order}, or {len(wanted)} unnamed channels in that order, or one; got {have}"
    )


def _take(image: StudyImage, indices: list[int], names: tuple[str, ...], notes: tuple[str, ...]) -> StudyImage:
    if indices == list(range(len(image.channels))):
        return replace(image, channels=names, notes=image.notes + notes)
    return replace(image, voxels=np.ascontiguousarray(image.voxels[indices]), channels=names, notes=image.notes + notes)
