"""``nninteractive``: the nnInteractive network on the whole volume, with weights that the user has.

Isensee et al. 2025, "nnInteractive: Redefining 3D Promptable Segmentation", arXiv 2503.08373. The package is no
dependency of ours, and its published weights must not be used commercially (CC BY-NC-SA 4.0). Loading a folder of
weights runs what its checkpoint says (it is a pickle): take it from nobody but its authors.

The package's session holds one image and everything that was ever clicked on it. To answer from its arguments alone,
each answer starts the session anew: the mask as it is shown, the earlier prompts without looking, then the new one. The
image stays set while it is the same one, which changes how long an answer takes and nothing else.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.geometry import to_axial
from tumorseg.interactive.base import Edit, require_kind
from tumorseg.interactive.classical.features import features
from tumorseg.interactive.foundation.grey import is_colour, sequence
from tumorseg.interactive.foundation.needs import readable, require_package, require_same, require_weights
from tumorseg.interactive.local import confined
from tumorseg.interactive.prompts import Box, Click, ExtremePoints, Prompt, Scribble
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

NAME, OPTION = "nninteractive", "--nninteractive-weights"
MODULE = "nnInteractive.inference.inference_session"
#: Counts up with every change of what the same weights answer.
METHOD = 1
#: What a folder of weights holds; beside it a ``fold_*`` folder with a checkpoint.
FILES = ("plans.json", "dataset.json")


@dataclass(frozen=True, eq=False)
class Seen:
    """What of an image is looked at.

    Attributes:
        voxels: ``(1, K, J, I)`` float32, one sequence as it is: the package normalises it itself.
        axis: along which the slices of a box are stacked.
    """

    voxels: NDArray[np.float32]
    axis: int
    proposal: Mask | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return ``(K, J, I)``."""
        k, j, i = self.voxels.shape[1:]
        return k, j, i

    @cached_property
    def evidence(self) -> NDArray[np.float16]:
        """See :class:`tumorseg.interactive.evidence.Shows`; made when slices are to follow for the first time."""
        return features(self.voxels)

    @property
    def nbytes(self) -> int:
        """Memory of the voxels and the evidence to come; what the package makes of them is held for one image alone."""
        return self.voxels.nbytes + self.voxels.size * np.dtype(np.float16).itemsize


class NnInteractive:
    """An :class:`tumorseg.interactive.base.Interactive`; the network is loaded with the first prompt.

    Args:
        weights: checked folder.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    """

    name = NAME
    description = "nnInteractive: clicks, boxes and scribbles on anything, answered in the whole volume"
    channels: tuple[str, ...] = ()
    labels: Mapping[str, int] = MappingProxyType({})
    kinds: tuple[type[Any], ...] = (Click, Box, ExtremePoints, Scribble)
    viewer_type = "deepgrow"
    slow = False  # encode only takes a sequence; the network runs with every prompt

    def __init__(self, weights: Path, device: str) -> None:
        self._weights, self._device = weights, device
        self.version = _version(weights)
        self._lock = threading.Lock()
        self._session: Any = None
        self._set: Seen | None = None

    def encode(self, image: StudyImage) -> Seen:
        """Take the sequence that is looked at; of a colour picture the mean of its colours."""
        voxels = image.voxels.mean(axis=0) if is_colour(image) else sequence(image)
        finite = np.nan_to_num(voxels[None].astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
        return Seen(np.ascontiguousarray(finite), to_axial(image.grid).order[0])

    def answer(self, encoded: Seen, mask: Mask, before: Sequence[Prompt], prompt: Prompt) -> Edit:
        """Change a mask as a prompt asks; see :class:`tumorseg.interactive.base.Interactive`.

        A click changes what :mod:`tumorseg.interactive.local` lets it change, any other prompt the whole mask; the
        voxels of earlier clicks stay what those said.

        Raises:
            InputError: a prompt of another kind, a scribble without a stroke, or the weights cannot be read.
            UnavailableError: the weights were exchanged before they were loaded.
        """
        require_kind(self, prompt)
        if isinstance(prompt, Scribble) and not prompt.marks.any():
            raise InputError("expected a scribble with at least one marked voxel, got an empty one: draw before asking")
        with self._lock, _same_draws():
            wanted = self._wanted(encoded, mask, before, prompt)
        if isinstance(prompt, Click):
            return confined(mask, (0, 0, 0), wanted, prompt, before)
        for click in before:
            if isinstance(click, Click):
                wanted[click.at[::-1]] = click.positive
        return Edit((0, 0, 0), wanted)

    def _wanted(self, encoded: Seen, mask: Mask, before: Sequence[Prompt], prompt: Prompt) -> Mask:
        """Return what the network would mark, ``(K, J, I)``."""
        if not encoded.voxels.any():
            raise InputError("the image is empty: nnInteractive cannot tell its grey values apart")
        session = self._loaded()
        known, self._set = self._set, None  # an image is set in a thread of the package, and fails with the first verb
        if known is not encoded:
            session.set_image(encoded.voxels)
        marked = np.zeros(encoded.shape, np.uint8)
        session.set_target_buffer(marked)
        session.add_initial_seg_interaction(mask.astype(np.uint8), run_prediction=False)
        told = [*(one for earlier in before for one in _told(encoded, earlier)), *_told(encoded, prompt)]
        for n, (verb, what, positive) in enumerate(told, 1):
            getattr(session, verb)(what, include_interaction=positive, run_prediction=n == len(told))
        self._set = encoded
        return marked > 0

    def _loaded(self) -> Any:
        """Return the session, reading the weights where that was not done yet."""
        if self._session is None:
            with readable(self._weights, NAME, OPTION):
                require_same(_version(self._weights), self.version, NAME, self._weights)
            self._session = _session(self._weights, self._device)
        return self._session


def _told(encoded: Seen, prompt: Prompt) -> list[tuple[str, Any, bool]]:
    """Return the session's verbs for a prompt, what each is told, and whether that belongs to the object.

    The published weights know boxes in one slice only: of a box through several, the middle one is told.
    """
    if isinstance(prompt, Click):
        return [("add_point_interaction", prompt.at[::-1], prompt.positive)]
    if isinstance(prompt, Scribble):
        strokes = [(prompt.marks == said, said > 0) for said in (-1, 1)]
        told = [("add_scribble_interaction", drawn.astype(np.uint8), said) for drawn, said in strokes if drawn.any()]
        return list(told)
    if not isinstance(prompt, Box | ExtremePoints):
        return []
    box = prompt.box if isinstance(prompt, ExtremePoints) else prompt
    ends = [[part.start, part.stop] for part in box.region]
    middle = (ends[encoded.axis][0] + ends[encoded.axis][1] - 1) // 2
    ends[encoded.axis] = [middle, middle + 1]
    return [("add_bbox_interaction", ends, True)]


def _session(weights: Path, device: str) -> Any:
    """Return the package's session with the weights in a folder, leaving PyTorch's settings as they were."""
    import torch
    from nnInteractive.inference.inference_session import nnInteractiveInferenceSession

    from tumorseg.models.engines.torch_engine import pick_device

    benchmark = torch.backends.cudnn.benchmark
    session = nnInteractiveInferenceSession(device=pick_device(device), torch_n_threads=torch.get_num_threads())
    torch.backends.cudnn.benchmark = benchmark
    try:
        session.initialize_from_trained_model_folder(str(weights))
    except Exception as error:  # whatever a pickle, a JSON file or the network's builder raise
        raise _no_weights(weights, f"{type(error).__name__}: {error}") from error
    return session


@contextmanager
def _same_draws() -> Iterator[None]:
    """Let the package draw the same numbers each time: it covers objects larger than its window by chance.

    It draws from NumPy's global generator, which is put back as it was.
    """
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _version(weights: Path) -> str:
    """Return a version of the weights, of the package that uses them, and of what is done here."""
    from importlib.metadata import version

    checkpoints = sorted(weights.glob("fold_*/checkpoint_final.pth"))
    with (checkpoints or [weights / "fold_0" / "checkpoint_final.pth"])[0].open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:12]
    return f"{digest}-{version('nnInteractive')}-{METHOD}"


def _no_weights(path: Path, said: str) -> InputError:
    lines = said.strip().splitlines()
    return InputError(f"expected a folder of weights as nnInteractive's authors publish it, got {path}: {lines[0]}")


def build(weights: Path | None = None, device: str = "auto") -> NnInteractive:
    """Return the model with the weights in a folder; it has none of its own.

    Raises:
        UnavailableError: no weights were named, or the package is not installed.
        InputError: there is no such folder, it lacks a file, or one cannot be read. Whether it holds nnInteractive is
            seen when it is loaded, with the first prompt.
    """
    what = "a folder such as nnInteractive_v1.0 (its licence forbids commercial use)"
    path = require_weights(weights, NAME, OPTION, what, folder=True)
    with readable(path, NAME, OPTION):
        missing = [name for name in FILES if not (path / name).is_file()]
        for checkpoint in (checkpoints := [*path.glob("fold_*/checkpoint_final.pth")]):
            checkpoint.open("rb").close()
        if not checkpoints:
            missing.append("fold_*/checkpoint_final.pth")
        if missing:
            raise _no_weights(path, f"it has no {', '.join(missing)}")
        require_package(MODULE, "nninteractive", NAME)
        return NnInteractive(path, device)
