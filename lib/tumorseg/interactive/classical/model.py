"""``scribbles`` and ``clicks_any``: one method without weights, offered under the two types that viewers ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tumorseg.errors import InputError
from tumorseg.interactive.base import Edit, require_kind
from tumorseg.interactive.classical.encoded import EncodedImage, encode
from tumorseg.interactive.method import numbers_of, version_of
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Prompt, Scribble
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Grows with every change of the method that its numbers (:func:`parameters`) do not show.
METHOD = "randomwalk2"


class ClassicalModel:
    """See :class:`tumorseg.interactive.base.Interactive`: any image, any class, every kind of prompt, no network.

    Args:
        name: registry name.
        viewer_type: ``deepgrow`` or ``scribbles``.
        description: one sentence for a viewer's list.
    """

    channels: tuple[str, ...] = ()
    labels: Mapping[str, int] = MappingProxyType({})
    kinds: tuple[type[Any], ...] = (Click, Box, ExtremePoints, Scribble)
    slow = False

    def __init__(self, name: str, viewer_type: str, description: str) -> None:
        self.name = name
        self.viewer_type = viewer_type
        self.description = description
        self.version = version_of(METHOD, parameters())

    def encode(self, image: StudyImage) -> EncodedImage:
        """Look at an image for the first time.

        Raises:
            InputError: a voxel that is no number.
        """
        return encode(image)

    def answer(self, encoded: EncodedImage, mask: NDArray[np.bool_], before: Sequence[Prompt], prompt: Prompt) -> Edit:
        """Change a mask as a prompt asks.

        Raises:
            InputError: a prompt of another kind, or a scribble without a stroke.
        """
        from tumorseg.interactive.classical.boxes import answer_box
        from tumorseg.interactive.classical.strokes import answer_click, answer_scribble

        require_kind(self, prompt)
        if isinstance(prompt, Click):
            return answer_click(encoded, mask, before, prompt)
        if isinstance(prompt, Scribble):
            return answer_scribble(encoded, mask, before, prompt)
        if isinstance(prompt, Box | ExtremePoints):
            return answer_box(encoded, mask, before, prompt)
        raise InputError(f"expected a click, a box, extreme points or a scribble, got {type(prompt).__name__}")


def parameters() -> dict[str, Any]:
    """Return every number that the method depends on, by module and name."""
    from tumorseg.interactive import local
    from tumorseg.interactive.classical import appearance, belief, boxes, encoded, features, strokes, walker, window

    return numbers_of((local, appearance, belief, boxes, encoded, features, strokes, walker, window))


def build_scribbles(weights: Path | str | None = None, device: str = "auto") -> ClassicalModel:
    """Build what answers strokes; it has no weights, and needs no device."""
    _no_weights("scribbles", weights)
    return ClassicalModel(
        "scribbles", "scribbles", "Segments what is scribbled on, in any image and for any class, without a network"
    )


def build_clicks(weights: Path | str | None = None, device: str = "auto") -> ClassicalModel:
    """Build what answers clicks and boxes; it has no weights, and needs no device."""
    _no_weights("clicks_any", weights)
    return ClassicalModel(
        "clicks_any",
        "deepgrow",
        "Segments what is clicked on or boxed, in any image and for any class, without a network",
    )


def _no_weights(name: str, weights: Path | str | None) -> None:
    if weights is not None:
        raise InputError(f"{name} has no weights, got {str(weights)!r}: leave them out, or choose another model")
