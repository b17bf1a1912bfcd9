"""How a mask came about, so that it can be made again: what it began with, every prompt, and what each led to.

Two lists that say different things:

- ``steps`` is the way to the mask and the whole of it: the prompts that are in effect, in the order in which they were
  answered. Replaying looks at nothing else.
- ``events`` is what a person did, in the order of time, also what was undone later: for looking at effort. A step that
  a session had to answer anew because an earlier prompt was taken away is no event.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from tumorseg.errors import ConflictError, InputError
from tumorseg.interactive.answer import answered, method_of
from tumorseg.interactive.base import Encoded, Interactive
from tumorseg.interactive.packed import Packed, Unpacked, unpack
from tumorseg.interactive.prompts import Prompt, check

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

#: Version of the JSON form; another one is refused.
SCHEMA = 1
#: Attributes of a log that are names or ids, and how long one may be, characters.
NAMES, MAX_NAME = ("image", "state", "model", "version", "label", "start"), 1024
#: Events of a log; of more the first are forgotten.
MAX_EVENTS = 10_000
Action: TypeAlias = Literal["add", "undo", "redo"]
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True)
class LogStep:
    """One prompt that is in effect.

    Attributes:
        time: when it was answered, ISO 8601, UTC.
        packed: the prompt as it is kept.
        sha256: of the mask that it led to (:func:`mask_sha256`).
        seconds: that the answer took.
        method: version of what answered where that was not the model (:func:`tumorseg.interactive.answer.method_of`).
    """

    time: str
    packed: Packed
    sha256: str
    seconds: float
    method: str = ""

    @property
    def prompt(self) -> Prompt:
        """The prompt itself."""
        return unpack(self.packed)


@dataclass(frozen=True)
class LogEvent:
    """Something that a person did.

    Attributes:
        time: ISO 8601, UTC.
        action: what was done.
        kind: of the prompt it was done with: click+, click-, box, extremepoints, scribble, propagate.
    """

    time: str
    action: Action
    kind: str


@dataclass(frozen=True)
class PromptLog:
    """Everything that is needed to make a mask again.

    Attributes:
        image: id of the image.
        state: fingerprint of the image's content as text; "" where nobody told it.
        model, version: of what answered.
        label: name of what was segmented.
        start: what it began with: ``auto``, ``nothing`` or the id of a label version.
        start_sha256: of that mask.
        shape: ``(K, J, I)`` of the masks.
        steps: the way from the start to the mask.
        events: what was done meanwhile, also what is undone; for effort, never for replaying.
    """

    image: str
    state: str
    model: str
    version: str
    label: str
    start: str
    start_sha256: str
    shape: tuple[int, int, int]
    steps: tuple[LogStep, ...] = ()
    events: tuple[LogEvent, ...] = ()

    def __post_init__(self) -> None:
        for name in NAMES:
            text = getattr(self, name)
            whole = text.encode(errors="ignore").decode() == text  # half a surrogate pair cannot be stored
            if len(text) > MAX_NAME or not whole:
                raise InputError(f"expected {name} as a text of at most {MAX_NAME} letters, got {text[:40]!r}")

    @property
    def sha256(self) -> str:
        """Digest of the mask at the end."""
        return self.steps[-1].sha256 if self.steps else self.start_sha256

    def to_json(self) -> str:
        """Return it as JSON, the same text for equal logs."""
        from tumorseg.interactive.log_json import write

        return write(self)

    @staticmethod
    def from_json(text: str | bytes) -> PromptLog:
        """Read what :meth:`to_json` wrote.

        Raises:
            InputError: too long, no JSON, of another version, or something in it is missing or of another type.
        """
        from tumorseg.interactive.log_json import read

        return read(text)


def mask_sha256(mask: Mask) -> str:
    """Return the SHA-256 of a mask ``(K, J, I)``: of its shape as text and its voxels, eight a byte, row by row."""
    digest = hashlib.sha256(" ".join(map(str, mask.shape)).encode() + b"\n")
    digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()


def kind_of(packed: Packed | Prompt) -> str:
    """Return in one word what a prompt is, as events call it."""
    name = type(packed).__name__.lower()
    if name == "click":
        return "click+" if getattr(packed, "positive", True) else "click-"
    return "scribble" if name == "runs" else name


def replay(log: PromptLog, model: Interactive, encoded: Encoded, start: Mask) -> Mask:
    """Make the mask of a log again, and look at every step whether it is the same.

    Args:
        log: what was done.
        model: of the name and version that the log names.
        encoded: what the model knows of the log's image.
        start: ``(K, J, I)`` bool, what the log began with.

    Returns:
        ``(K, J, I)`` bool, the mask that the log led to.

    Raises:
        ConflictError: another model, version or start, or a step that leads to another mask now.
        InputError: the start or a prompt does not lie on the image's grid.
    """
    _check_same(log, model, encoded, start)
    mask = start
    for number, step in enumerate(log.steps, 1):
        prompt, before = step.prompt, Unpacked([earlier.packed for earlier in log.steps[: number - 1]])
        check([prompt], encoded.shape)
        mask = answered(model, encoded, mask, before, prompt).applied(mask)
        if mask_sha256(mask) != step.sha256:
            raise ConflictError(
                f"step {number} of {len(log.steps)} ({kind_of(prompt)}) leads to another mask now than when it was "
                f"recorded: {_reason(step.method, method_of(model, prompt), model)}"
            )
    return mask


def _reason(then: str, now: str, model: Interactive) -> str:
    """Say why a step leads elsewhere: the way in which slices follow is of the release, not of a model."""
    if then != now:
        return f"slices followed by {then or 'another way'} then, and by {now or model.name} now"
    return f"the image or {model.name} {model.version} is not what it was"


def _check_same(log: PromptLog, model: Interactive, encoded: Encoded, start: Mask) -> None:
    if (log.model, log.version) != (model.name, model.version):
        raise ConflictError(
            f"expected {log.model} {log.version}, which answered these prompts, got {model.name} {model.version}: "
            "publish that version again or begin anew"
        )
    if not log.shape == encoded.shape == start.shape:
        raise InputError(
            f"expected an image and a start {log.shape} (K, J, I) as in the log, got {encoded.shape} and {start.shape}"
        )
    if mask_sha256(start) != log.start_sha256:
        raise ConflictError(f"expected the mask {log.start!r} that the log began with, got another: its digest differs")
