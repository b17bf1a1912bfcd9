"""The contract of what turns prompts into masks, whether a network does it, a classical method or a user's own model.

Two steps, so that a further prompt costs only what depends on it:

1. :meth:`Interactive.encode`: everything that depends on the image alone, once for each image and version of the
   weights; the result is kept (:class:`tumorseg.io.memory_cache.MemoryCache`) and never changed.
2. :meth:`Interactive.answer`: one more prompt to a mask. It depends on its arguments and on nothing else, so that the
   same prompts on the same start give the same mask, voxel for voxel, whenever they are replayed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from tumorseg.errors import InputError
from tumorseg.interactive.prompts import Prompt
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]


class Encoded(Protocol):
    """What is known of an image before anybody pointed at anything; frozen, shared by everybody who looks at it.

    Attributes:
        shape: ``(K, J, I)`` of the image's own grid.
        nbytes: memory that it holds.
        proposal: ``(K, J, I)`` bool, what the model itself would mark; None where it knows of nothing to mark.
    """

    @property
    def shape(self) -> tuple[int, int, int]: ...  # noqa: D102

    @property
    def nbytes(self) -> int: ...  # noqa: D102

    @property
    def proposal(self) -> Mask | None: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Edit:
    """How a mask changes: the new content of a box of it.

    Attributes:
        origin: ``(k, j, i)`` index of the box's first voxel.
        voxels: ``(k, j, i)`` bool, the box's new content; a box without extent changes nothing.
        notes: what who asked for it should know; no part of the mask, and not logged.
    """

    origin: tuple[int, int, int]
    voxels: Mask
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or self.voxels.dtype.kind != "b":
            raise InputError(f"expected voxels (k, j, i) of bool, got {self.voxels.shape} {self.voxels.dtype}")

    @property
    def region(self) -> tuple[slice, slice, slice]:
        """Where the box lies in the mask, ``(k, j, i)``."""
        k, j, i = (slice(start, start + size) for start, size in zip(self.origin, self.voxels.shape, strict=True))
        return k, j, i

    def applied(self, mask: Mask) -> Mask:
        """Return the changed copy of ``mask`` ``(K, J, I)``."""
        changed = mask.copy()
        changed[self.region] = self.voxels
        return changed


@runtime_checkable
class Interactive(Protocol):
    """Something that answers prompts.

    Attributes:
        name: registry name.
        version: identifies weights and method: the same version gives the same mask.
        description: one sentence for a viewer's list.
        channels: names of the sequences it looks at, in order; empty where it takes whatever there is.
        labels: name -> value of what it knows how to propose; empty where any class will do.
        kinds: the classes of :data:`tumorseg.interactive.prompts.Prompt` that it takes.
        viewer_type: under which of MONAI Label's types viewers find it: ``deepgrow`` or ``scribbles``.
        slow: whether ``encode`` runs a network and belongs into the device's queue.
    """

    name: str
    version: str
    description: str
    channels: tuple[str, ...]
    labels: Mapping[str, int]
    kinds: tuple[type[Any], ...]
    viewer_type: str
    slow: bool

    def encode(self, image: StudyImage) -> Encoded:
        """Look at an image for the first time."""
        ...

    def answer(self, encoded: Any, mask: Mask, before: Sequence[Prompt], prompt: Prompt) -> Edit:
        """Change a mask as a prompt asks.

        Args:
            encoded: of :meth:`encode`.
            mask: ``(K, J, I)`` on the image's own grid, as it is shown; not changed.
            before: the prompts that led to it, the oldest first.
            prompt: the new one, on the grid (:func:`tumorseg.interactive.prompts.check`).

        Returns:
            What changes. A click's own voxel is what the click says it is.

        Raises:
            InputError: a prompt of a kind that it does not take.
        """
        ...


def require_kind(model: Interactive, prompt: Prompt) -> None:
    """Refuse a prompt that a model does not take."""
    if not isinstance(prompt, model.kinds):
        takes = ", ".join(kind.__name__.lower() for kind in model.kinds)
        raise InputError(f"{model.name} takes prompts of the kind {takes}, got {type(prompt).__name__.lower()}")
