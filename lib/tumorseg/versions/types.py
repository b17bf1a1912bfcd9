"""What is known of one version of a model's weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

How = Literal["uploaded", "trained"]
Status = Literal["published", "refused"]
#: Id of the weights that come with the package; they have no card.
SHIPPED = "shipped"


@dataclass(frozen=True)
class CaseUsed:
    """A labelled case that a version was trained or measured on.

    Attributes:
        image: id of the image.
        patient: the unit of the split; the image itself where no patient is known.
        part: whether it trained or validated.
        label: uid of the label version.
        sha256: digest of the label's file.
    """

    image: str
    patient: str
    part: Literal["train", "validation"]
    label: str
    sha256: str


@dataclass(frozen=True)
class VersionCard:
    """One version; written once and never changed.

    Attributes:
        id: unique within the model, increasing in time and fit for a file name, ``"0007-1f2e3d4c"``.
        model: registry name.
        sha256: of the safetensors file; of a refused version, whose file is not kept, all the same (``""`` where none
            was made).
        made_at: wall time in UTC, ISO 8601.
        made_by: who uploaded it, or asked for the training.
        how: where it comes from.
        parent: id of the version that served when it was made, which a training went on from or was compared with.
        status: whether it was let serve.
        cases: what it was trained and measured on.
        measured: figures, JSON-able: Dice of champion and candidate by patient, difference with interval, …
        why: one sentence for people: why it was published or refused.
    """

    id: str
    model: str
    sha256: str
    made_at: str
    made_by: str
    how: How
    parent: str | None
    status: Status
    cases: tuple[CaseUsed, ...] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
