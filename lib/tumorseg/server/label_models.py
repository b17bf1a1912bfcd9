"""What ``/labels`` answers and takes, as programs see it in ``/openapi.json``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, Field

from tumorseg.adapters.label_desk import Reviewed
from tumorseg.labels.agreement import Agreement, mean_of_pairs
from tumorseg.labels.leases import Lease
from tumorseg.labels.reviews import Review
from tumorseg.labels.types import LabelVersion

StateWord = Literal["open", "approved", "rejected"]
CaseState = Literal["unlabelled", "open", "approved", "rejected"]


class VersionOut(BaseModel):
    """One version of a label."""

    uid: str
    seq: int = Field(description="its place in the order of all versions; later is larger")
    image: str
    tag: str
    author: str
    created: str = Field(description="UTC, ISO 8601; for people, the order is seq")
    tool: str
    model: str
    model_version: str
    prompts: dict[str, Any] | None
    parent: str | None = Field(description="uid of the version that it was made from")
    kind: Literal["label", "no_lesion", "removed"]
    sha256: str
    suffix: str
    size: int
    info: dict[str, Any] = Field(description="what the client said about it")
    state: StateWord = Field(description="the last verdict on it")
    newest: bool = Field(description="whether it is what counts under its tag now")

    @classmethod
    def of(cls, reviewed: Reviewed, newest: bool) -> VersionOut:
        """Describe a version."""
        return cls(**_plain(reviewed.version), state=reviewed.state, newest=newest)


class ReviewOut(BaseModel):
    """What somebody said of a version."""

    verdict: Literal["approve", "reject", "comment"]
    reviewer: str
    comment: str
    created: str

    @classmethod
    def of(cls, review: Review) -> ReviewOut:
        """Describe a review."""
        return cls(verdict=review.verdict, reviewer=review.reviewer, comment=review.comment, created=review.created)


class VersionDetail(VersionOut):
    """One version with everything that was said of it, oldest first."""

    reviews: list[ReviewOut]

    @classmethod
    def with_reviews(cls, reviewed: Reviewed, newest: bool, said: list[Review]) -> VersionDetail:
        """Describe a version and what was said of it."""
        shown = VersionOut.of(reviewed, newest)
        return cls(**shown.model_dump(), reviews=[ReviewOut.of(review) for review in said])


class LeaseOut(BaseModel):
    """A case that somebody works on."""

    image: str
    holder: str
    until: str = Field(description="UTC, ISO 8601")

    @classmethod
    def of(cls, lease: Lease) -> LeaseOut:
        """Describe a lease."""
        return cls(image=lease.image, holder=lease.holder, until=lease.until_text)


class ImageLabels(BaseModel):
    """Every version of an image's labels, newest first."""

    image: str
    title: str = Field(description="what people call the image, empty where nothing is known of it")
    study: str = Field(description="StudyInstanceUID, empty for a file")
    versions: list[VersionDetail]
    annotators: list[str] = Field(description="who has a label that counts under the tag final, by name")
    lease: LeaseOut | None


class CaseOut(BaseModel):
    """An image, its newest label of each tag, and the state of the one that was asked for."""

    image: str
    title: str = Field(description="what people call the image, empty where nothing is known of it")
    state: CaseState
    heads: list[VersionOut]
    lease: LeaseOut | None


class Overview(BaseModel):
    """A page of the images, and how many there are of each kind."""

    tag: str
    counts: dict[str, int] = Field(description="images by state, and of the labelled ones those without lesion")
    total: int = Field(description="images of the wanted state")
    offset: int
    limit: int
    images: list[CaseOut]
    leases: list[LeaseOut]


class AgreementOut(BaseModel):
    """Dice coefficients of every two annotators."""

    annotators: list[str]
    dice: dict[str, list[list[float]]] = Field(description="class -> matrix in the order of the annotators")
    mean: dict[str, float] = Field(description="class -> mean over the pairs")
    marked: list[list[float]] = Field(description="the same of everything that is marked, whichever class")
    marked_mean: float

    @classmethod
    def of(cls, found: Agreement) -> AgreementOut:
        """Describe an agreement."""
        return cls(
            annotators=list(found.annotators),
            dice={name: matrix.tolist() for name, matrix in found.dice.items()},
            mean=found.means,
            marked=found.marked.tolist(),
            marked_mean=mean_of_pairs(found.marked),
        )


class ReviewIn(BaseModel):
    """What a reviewer says."""

    verdict: Literal["approve", "reject", "comment"]
    comment: str = ""


def _plain(version: LabelVersion) -> dict[str, Any]:
    said = asdict(version)
    said.pop("request_id")
    return said
