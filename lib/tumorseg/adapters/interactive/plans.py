"""What a viewer's request means for the mask that is kept for it: it goes on with that, or begins anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tumorseg.adapters.interactive.records import unpacked
from tumorseg.interactive.packed import pack
from tumorseg.interactive.prompts import Prompt, Scribble

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.interactive.dialects import Asked
    from tumorseg.adapters.interactive.layers import Drawn
    from tumorseg.adapters.interactive.sessions import Entry
    from tumorseg.interactive.session import PromptSession
    from tumorseg.labels.types import LabelVersion

    Mask = NDArray[np.bool_]


def is_made(session: PromptSession, prompts: Sequence[Prompt]) -> bool:
    """Whether a mask is that of exactly these prompts."""
    return {pack(prompt) for prompt in session.prompts} == {pack(prompt) for prompt in prompts}


def begins_anew(
    entry: Entry, asked: Asked, prompts: Sequence[Prompt], drawn: Drawn, newest: Callable[[], LabelVersion | None]
) -> bool:
    """Whether a request is about another start than the mask that is kept.

    Args:
        entry: the mask.
        asked: the request.
        prompts: those of it that are about this mask.
        drawn: the label map that came along.
        newest: looks up the label that a mask may begin with.
    """
    if asked.start == "auto" and drawn.shown is not None:
        return not _is_shown(entry, drawn.shown, drawn.scribble)
    if asked.start == "label":
        known = {pack(prompt) for prompt in entry.session.prompts}
        if any(pack(prompt) in known for prompt in prompts):
            return False  # somebody is at it: what they click goes onto what they see
        version = newest()
        return version is None or version.uid != entry.session.start_name
    return False


def _is_shown(entry: Entry, shown: Mask, scribble: Scribble | None) -> bool:
    """Whether a viewer shows the mask as it was answered, or what that began with; else it was changed by hand.

    A label map has no room for a segment below a stroke, so that only the rest is compared. New strokes that leave out
    one of those before were drawn after those had been cleared: they change what is shown, which they must not undo.
    """
    if not shown.any():
        return entry.start is None
    seen = shown | True if scribble is None else scribble.marks == 0
    if entry.start is not None and not ((shown ^ unpacked(entry.start, entry.look.encoded.shape)) & seen).any():
        return True
    return not ((shown ^ entry.session.mask) & seen).any() and _drawn_on(entry.session.prompts, scribble)


def _drawn_on(before: Sequence[Prompt], scribble: Scribble | None) -> bool:
    """Whether strokes hold all of those before."""
    earlier = [prompt.marks for prompt in before if isinstance(prompt, Scribble)]
    if scribble is None:
        return not earlier
    return all(bool((scribble.marks[marks != 0] == marks[marks != 0]).all()) for marks in earlier)
