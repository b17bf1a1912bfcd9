"""``sam2``: Segment Anything 2 on the slice that was pointed at, with weights that the user has.

The way of a prompt:

1. its slice, along the image's most axial axis, as a picture; of a box through several slices the middle one;
2. the slice's embedding, computed when the slice is first pointed at (seconds) and kept (:data:`KEPT_BYTES`);
3. the decoder (a tenth of a second) with the prompt, the earlier prompts of the slice, and the mask so far;
4. a click changes what :mod:`tumorseg.interactive.local` lets it change, a box replaces what it holds in the slice.

Nothing is remembered between prompts but embeddings: what SAM 2 would pass on from its last answer, the logits, is made
from the mask as it is shown, so that an answer depends on its arguments alone and a prompt log replays.
"""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from tumorseg.errors import InputError, UnavailableError
from tumorseg.interactive.base import Edit, require_kind
from tumorseg.interactive.foundation.needs import readable, require_package, require_same, require_weights
from tumorseg.interactive.foundation.sam2_slices import Slices
from tumorseg.interactive.local import confined
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Prompt
from tumorseg.io.memory_cache import MemoryCache
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.interactive.foundation.sam2_network import Asked, Embedding, Sam2Network

    Mask = NDArray[np.bool_]

NAME, OPTION = "sam2", "--sam2-weights"
#: Counts up with every change of what the same weights answer.
METHOD = 1
#: Embeddings of all images together that are kept at most. One of a published network takes 16 MiB; a slice whose
#: embedding had to make way is encoded again when it is needed.
KEPT_BYTES = 512 * 2**20
#: After which it may be tried again where the GPU was full.
RETRY_S = 10


class Sam2:
    """An :class:`tumorseg.interactive.base.Interactive`; the network is loaded with the first prompt.

    Args:
        weights: checked file of a checkpoint.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    """

    name = NAME
    description = "Segment Anything 2: click on anything in a slice, or draw a box around it"
    channels: tuple[str, ...] = ()
    labels: Mapping[str, int] = MappingProxyType({})
    kinds: tuple[type[Any], ...] = (Click, Box, ExtremePoints)
    viewer_type = "deepgrow"
    slow = False  # encode only looks at grey values; the encoder runs with the first prompt in a slice

    def __init__(self, weights: Path, device: str) -> None:
        self._weights, self._device = weights, device
        self.version = _version(weights)
        self._loading = threading.Lock()
        self._loaded: Sam2Network | None = None
        self._embeddings: MemoryCache[Embedding] = MemoryCache(KEPT_BYTES, lambda embedding: embedding.nbytes)

    def encode(self, image: StudyImage) -> Slices:
        """Look at the grey values of an image; see :class:`tumorseg.interactive.base.Interactive`."""
        return Slices(image, self._embeddings)

    def answer(self, encoded: Slices, mask: Mask, before: Sequence[Prompt], prompt: Prompt) -> Edit:
        """Change the slice of a prompt; see :class:`tumorseg.interactive.base.Interactive`.

        Raises:
            InputError: a prompt of another kind, or the checkpoint is none of SAM 2.
            UnavailableError: the GPU has no memory left, or the weights were exchanged before they were loaded.
        """
        require_kind(self, prompt)
        if isinstance(prompt, Click):
            return self._click(encoded, mask, before, prompt)
        return self._box(encoded, mask, before, _boxes([prompt])[0])

    def _click(self, encoded: Slices, mask: Mask, before: Sequence[Prompt], click: Click) -> Edit:
        slice_ = encoded.place(click.at)[0]
        drawn = encoded.cut(mask, slice_)
        if not click.positive and not drawn.any():
            wanted = drawn  # nothing to take away, so nothing to look at
        else:
            wanted = self._wanted(encoded, slice_, _asked(encoded, mask, before, click))
        # As the slice lies in the picture, so that what is around the click is around it in the slice that is seen.
        *earlier, now = (
            Click((column, row, 0), one.positive) for one, column, row in _in(encoded, slice_, [*before, click])
        )
        changed = confined(drawn[None], (0, 0, 0), wanted[None], now, earlier).applied(drawn[None])[0]
        return Edit(_origin(encoded.region(slice_)), encoded.uncut(changed))

    def _box(self, encoded: Slices, mask: Mask, before: Sequence[Prompt], box: Box) -> Edit:
        slice_ = _middle(encoded, box)
        wanted = self._wanted(encoded, slice_, _asked(encoded, mask, before, box))
        for click, column, row in _in(encoded, slice_, before):
            wanted[row, column] = click.positive
        within = tuple(part if axis != encoded.axis else slice(None) for axis, part in enumerate(box.region))
        region = tuple(part if axis != encoded.axis else slice(slice_, None) for axis, part in enumerate(box.region))
        return Edit(_origin(region), encoded.uncut(wanted)[within])

    def _wanted(self, encoded: Slices, slice_: int, asked: Asked) -> Mask:
        """Return what SAM 2 would mark in a slice, ``(H, W)`` of its picture."""
        from tumorseg.models.engines.ladder import is_out_of_memory

        try:
            network = self._network()
            return network.decode(encoded.embedding(slice_, network), asked)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise UnavailableError(f"the GPU has no memory left for {NAME}: try again", retry_after=RETRY_S) from error

    def _network(self) -> Sam2Network:
        from tumorseg.interactive.foundation.sam2_network import Sam2Network

        with self._loading:
            if self._loaded is None:
                with readable(self._weights, NAME, OPTION):
                    require_same(_version(self._weights), self.version, NAME, self._weights)
                self._loaded = Sam2Network(self._weights, self._device)
            return self._loaded


def _version(weights: Path) -> str:
    with weights.open("rb") as file:
        return f"{hashlib.file_digest(file, 'sha256').hexdigest()[:12]}-{METHOD}"


def _asked(encoded: Slices, mask: Mask, before: Sequence[Prompt], prompt: Click | Box) -> Asked:
    """Put a prompt and the earlier ones of its slice into the decoder's words.

    A click comes with all clicks of the slice, the newest box in it that holds the click, and the mask so far. A box is
    a new question: of the clicks it takes those that it holds, and of the mask nothing.
    """
    from tumorseg.interactive.foundation.sam2_network import Asked

    if isinstance(prompt, Click):
        slice_ = encoded.place(prompt.at)[0]
        boxes = [box for box in _boxes(before) if _middle(encoded, box) == slice_ and _holds(box, prompt, encoded.axis)]
        drawn = encoded.cut(mask, slice_)
        return Asked(
            _points(encoded, slice_, [*before, prompt]),
            _corners(encoded, boxes[-1]) if boxes else None,
            drawn if drawn.any() else None,
        )
    held = [click for click in before if isinstance(click, Click) and _holds(prompt, click, encoded.axis)]
    return Asked(_points(encoded, _middle(encoded, prompt), held), _corners(encoded, prompt))


def _in(encoded: Slices, slice_: int, prompts: Sequence[Prompt]) -> list[tuple[Click, int, int]]:
    """Return the clicks in a slice, each with its column and row in the picture."""
    placed = ((click, *encoded.place(click.at)) for click in prompts if isinstance(click, Click))
    return [(click, column, row) for click, at, column, row in placed if at == slice_]


def _boxes(prompts: Sequence[Prompt]) -> list[Box]:
    drawn = (prompt for prompt in prompts if isinstance(prompt, Box | ExtremePoints))
    return [prompt.box if isinstance(prompt, ExtremePoints) else prompt for prompt in drawn]


def _points(encoded: Slices, slice_: int, prompts: Sequence[Prompt]) -> tuple[tuple[tuple[float, float], bool], ...]:
    """Return the centres of the pixels that were clicked in a slice, and what was said of each of them last."""
    return tuple(
        {(column + 0.5, row + 0.5): one.positive for one, column, row in _in(encoded, slice_, prompts)}.items()
    )


def _corners(encoded: Slices, box: Box) -> tuple[float, float, float, float]:
    """Return the edges of a box in its slice's picture, x before y."""
    _, x0, y0 = encoded.place(box.first)
    _, x1, y1 = encoded.place(box.last)
    return min(x0, x1), min(y0, y1), max(x0, x1) + 1, max(y0, y1) + 1


def _middle(encoded: Slices, box: Box) -> int:
    """Return the slice of a box; the lower one where two are in the middle."""
    return (encoded.place(box.first)[0] + encoded.place(box.last)[0]) // 2


def _holds(box: Box, click: Click, axis: int) -> bool:
    """Whether a click lies in a box, seen along an axis of ``(K, J, I)``."""
    ends = zip(box.first[::-1], click.at[::-1], box.last[::-1], strict=True)
    return all(low <= at <= high for n, (low, at, high) in enumerate(ends) if n != axis)


def _origin(region: Sequence[slice]) -> tuple[int, int, int]:
    k, j, i = (part.start or 0 for part in region)
    return k, j, i


def build(weights: Path | None = None, device: str = "auto") -> Sam2:
    """Return the model with the weights in a file; it has none of its own.

    Raises:
        UnavailableError: no weights were named, or the package is not installed.
        InputError: there is no such file, it cannot be read, or it is no checkpoint of PyTorch. Whether it holds SAM 2
            is seen when it is loaded, with the first prompt.
    """
    path = require_weights(weights, NAME, OPTION, "a checkpoint such as sam2.1_hiera_tiny.pt")
    require_package("sam2", "sam2", NAME)
    if not zipfile.is_zipfile(path):  # what torch.save writes
        raise InputError(f"expected a checkpoint of SAM 2 or 2.1 as Meta publishes them, got {path}, which is damaged")
    with readable(path, NAME, OPTION):
        return Sam2(path, device)
