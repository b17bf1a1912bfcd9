"""What ``/interactive`` takes and answers, as programs see it in ``/openapi.json``."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tumorseg.adapters.datastore import FINAL
from tumorseg.adapters.interactive.dialects import Start
from tumorseg.adapters.interactive.sessions import Entry
from tumorseg.adapters.interactive.steps import Moment


class Changed(StrEnum):
    """Which part of the mask is sent."""

    all = "all"
    box = "box"


class _Strict(BaseModel):
    """Refuses what it does not know: a misspelt "label" would begin another segment."""

    model_config = ConfigDict(extra="forbid")


class OpenIn(_Strict):
    """What is to be clicked on."""

    image: str = Field("", description="id of an image")
    session_id: str = Field("", description="of an image that was sent to /session/, instead of an id")
    model: str = Field(description="an interactive model of /info/")
    label: str | None = Field(None, description="name of the segment; by default the model's only label")
    start: Start = Field("auto", description="what it begins as: the model's proposal, nothing, or the saved label")
    tag: str = Field(FINAL, description="of the saved label")


class PromptsIn(_Strict):
    """Prompts, answered one after the other."""

    prompts: Any = Field(description='list of {"click": [i, j, k], "positive": true}, {"box": …}, … (docs)')


class PropagateIn(_Strict):
    """Which slices follow a corrected one; read as the prompt of that name, which takes whole numbers alone."""

    slice: Any = Field(description="index of the slice that is right", json_schema_extra={"type": "integer"})
    axis: Any = Field(
        0,
        description="0, 1 or 2 of (K, J, I): along which the slices are stacked",
        json_schema_extra={"type": "integer"},
    )
    first: Any = Field(None, description="smallest index that may follow; null lets it end by itself")
    last: Any = Field(None, description="largest index that may follow")


class MaskOut(BaseModel):
    """A mask in the making."""

    id: str
    image: str
    model: str
    version: str
    label: str
    start: str = Field(description="auto, nothing, or the uid of the label version")
    shape: tuple[int, int, int] = Field(description="voxels along i, j, k")
    prompts: int = Field(description="in effect")
    undo: bool
    redo: bool
    sha256: str = Field(description="of the mask")

    @classmethod
    def of(cls, entry: Entry, moment: Moment | None = None) -> MaskOut:
        """Describe it as it was at a moment; None means now."""
        at = moment or Moment.of(entry)
        log = at.log
        k, j, i = log.shape
        return cls(
            id=entry.id,
            image=entry.image,
            model=log.model,
            version=log.version,
            label=entry.label,
            start=log.start,
            shape=(i, j, k),
            prompts=len(log.steps),
            undo=bool(log.steps),
            redo=at.redo,
            sha256=log.sha256,
        )
