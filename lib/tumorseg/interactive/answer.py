"""The one place that gives a prompt to what answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeGuard

from tumorseg.interactive.prompts import Prompt, Propagate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.interactive.base import Edit, Interactive
    from tumorseg.interactive.packed import Packed

    Mask = NDArray[np.bool_]


def answered(model: Interactive, encoded: Any, mask: Mask, before: Sequence[Prompt], prompt: Prompt) -> Edit:
    """Return what a prompt changes.

    Slices follow a corrected one in the same way for every model; one that names :class:`Propagate` among its kinds
    does that itself. Arguments and errors as of :meth:`tumorseg.interactive.base.Interactive.answer`.
    """
    if _follows(prompt, model):
        from tumorseg.interactive.propagate import propagate

        followed = propagate(encoded, mask, before, prompt)
        return replace(followed.edit, notes=(followed.note,))
    return model.answer(encoded, mask, before, prompt)


def method_of(model: Interactive, prompt: Prompt | Packed) -> str:
    """Return the version of what answers a prompt where that is not the model itself, else ""."""
    if not _follows(prompt, model):
        return ""
    from tumorseg.interactive.propagate import version

    return version()


def _follows(prompt: Prompt | Packed, model: Interactive) -> TypeGuard[Propagate]:
    return isinstance(prompt, Propagate) and Propagate not in model.kinds
