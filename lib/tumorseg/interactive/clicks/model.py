"""``clicks``: a mask of the default model, or an empty one, corrected where it is clicked.

A further click costs one run of the head over a window of :data:`SIDE` pixels and :data:`DEPTH` slices around it; the
trunk's features of the study are kept (:class:`tumorseg.io.memory_cache.MemoryCache`). The proposal is what the shipped
default model marks, voxel for voxel: the trunk is that model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.interactive.base import Edit, require_kind
from tumorseg.interactive.classical.features import features
from tumorseg.interactive.clicks.engine import ClickEngine, make_engine
from tumorseg.interactive.clicks.frame import Frame, Window, cut
from tumorseg.interactive.clicks.guide import guide
from tumorseg.interactive.local import confined
from tumorseg.interactive.pause import pause
from tumorseg.interactive.prompts import Click, Prompt
from tumorseg.models.engines.base import Look
from tumorseg.models.metadata import identify, read_metadata
from tumorseg.models.preparation import prepare
from tumorseg.models.resunet25d import SPEC
from tumorseg.models.slicewise import THRESHOLD, WEIGHTS
from tumorseg.transforms.components import specks
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAME = "clicks"
#: Slices and pixels of the window around a click, as in training: 160 pixels cost twice as much for the same Dice.
DEPTH, SIDE = 9, 128
#: Metadata of the weights that says which trunk they were trained on.
TRUNK_KEY = "trunk"
#: Clicks further from the window than this many pixels or slices are not seen in it.
FAR_PIXELS, FAR_SLICES = 48, 6


@dataclass(frozen=True, eq=False)
class EncodedStudy:
    """See :class:`tumorseg.interactive.base.Encoded`; features are of the padded slices.

    Attributes:
        image: ``(K, 3, H, W)`` float16, normalised.
        fine: ``(K, 24, H / 2, W / 2)`` float16.
        coarse: ``(K, 48, H / 4, W / 4)`` float16.
        frame: the way from the image's own grid to the padded voxels.
        proposal: ``(K, J, I)`` bool.
        notes: of the image, and of the choice of sequences.
        voxels: ``(C, K, J, I)`` of the image itself.
    """

    image: NDArray[np.float16]
    fine: NDArray[np.float16]
    coarse: NDArray[np.float16]
    frame: Frame
    proposal: NDArray[np.bool_]
    notes: tuple[str, ...]
    voxels: NDArray[Any]

    @cached_property
    def evidence(self) -> NDArray[np.float16]:
        """See :class:`tumorseg.interactive.evidence.Shows`; made when slices are to follow for the first time."""
        return features(self.voxels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(K, J, I)`` of the image's own grid."""
        return self.frame.target.shape

    @property
    def nbytes(self) -> int:
        """Memory that it holds, the evidence to come included."""
        kept = sum(part.nbytes for part in (self.image, self.fine, self.coarse, self.proposal, self.voxels))
        return kept + self.voxels.size * np.dtype(np.float16).itemsize


class ClickModel:
    """See :class:`tumorseg.interactive.base.Interactive`.

    Args:
        weights: safetensors of the head; the shipped ones by default.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises:
        UnavailableError: there are no weights.
        InputError: the head was trained on another trunk than the default model that ships.
    """

    name = NAME
    description = "Corrects a tumour mask where it is clicked: lower-grade glioma on T1, FLAIR and post-contrast T1"
    channels = SPEC.channels
    kinds: tuple[type[Any], ...] = (Click,)
    viewer_type = "deepgrow"
    slow = True

    def __init__(self, weights: Path | None = None, device: str = "auto") -> None:
        self.weights, self.version = identify(NAME, weights, WEIGHTS / f"{NAME}.safetensors")
        self.device = device
        self.labels: Mapping[str, int] = dict(SPEC.labels)
        self._trunk, version = identify(SPEC.name, None, SPEC.weights)
        wanted = read_metadata(self.weights).get(TRUNK_KEY, "none")
        if wanted != version:
            raise InputError(
                f"{self.weights} was trained on version {wanted} of {SPEC.name}, this release ships {version}: "
                "train the head anew with tumorseg train clicks"
            )

    @cached_property
    def _engine(self) -> ClickEngine:
        return make_engine(self._trunk, self.weights, self.device)

    def encode(self, image: StudyImage) -> EncodedStudy:
        """See :class:`Interactive`: one run of the trunk over every slice and its mirror image."""
        contrast: Mapping[str, str] = read_metadata(self.weights)
        prepared = prepare(image, self.channels, SPEC.stride, contrast.get("preprocess", "none"))
        look = Look(SPEC, prepared.slices)
        count, (height, width) = look.size, look.shape
        padded = np.empty((count, len(self.channels), height, width), np.float16)
        features: list[tuple[NDArray[np.float16], NDArray[np.float16]]] = []
        for k, (fine, coarse, probability) in enumerate(self._engine.look(_inputs(look, padded))):
            features.append((fine.astype(np.float16), coarse.astype(np.float16)))
            look.keep(k, probability)
            pause()
        found = prepared.uncut(look.probability)
        found[specks(found >= THRESHOLD, SPEC.min_part)] = 0
        pads = ((height - prepared.slices.shape[2]) // 2, (width - prepared.slices.shape[3]) // 2)
        return EncodedStudy(
            padded,
            np.stack([fine for fine, _ in features]),
            np.stack([coarse for _, coarse in features]),
            Frame.of(prepared, pads),
            prepared.restore(found) >= THRESHOLD,
            prepared.notes,
            image.voxels,
        )

    def answer(self, encoded: EncodedStudy, mask: NDArray[np.bool_], before: Sequence[Prompt], prompt: Prompt) -> Edit:
        """See :class:`Interactive`."""
        require_kind(self, prompt)
        assert isinstance(prompt, Click)
        frame = encoded.frame
        window = frame.around(prompt.at, DEPTH, SIDE)
        told = guide(cut(encoded.image, window, 1), frame.take(mask, window), _seen(frame, window, before, prompt))
        probability = self._engine.answer(cut(encoded.fine, window, 2), cut(encoded.coarse, window, 4), told)
        origin, wanted = frame.give(probability, window, prompt.at)
        return confined(mask, origin, wanted, prompt, before)


def build(weights: Path | None = None, device: str = "auto") -> ClickModel:
    """Return the model with its shipped weights or those in ``weights``."""
    return ClickModel(weights, device)


def _inputs(look: Look, padded: NDArray[np.float16]) -> Any:
    """Yield what the trunk is given of each slice, and keep the slice itself as the head sees it."""
    for k in range(look.size):
        one = look.input(k)
        channels = padded.shape[1]
        padded[k] = one[0, channels : 2 * channels]  # below, middle, above
        yield one


def _seen(frame: Frame, window: Window, before: Sequence[Prompt], newest: Click) -> list[Click]:
    """Return the clicks in and near the window, at their places in it, the newest last."""
    clicks = [Click(window.index(frame.place(c.at)), c.positive) for c in before if isinstance(c, Click)]
    near = [click for click in clicks if _is_near(click, window.shape)]
    return [*near, Click(window.index(frame.place(newest.at)), newest.positive)]


def _is_near(click: Click, shape: tuple[int, int, int]) -> bool:
    far = (FAR_PIXELS, FAR_PIXELS, FAR_SLICES)
    return all(-f <= at < n + f for at, n, f in zip(click.at, shape[::-1], far, strict=True))
