"""``/labels/``: versions, review, agreement and who works on what. MONAI Label has no such addresses.

Reading needs a viewer; saving, restoring one's own and leasing an annotator; a verdict and a consensus a reviewer.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response

from tumorseg.access.errors import ForbiddenError
from tumorseg.access.types import LOCAL, Principal, Role
from tumorseg.adapters.datastore import FINAL
from tumorseg.adapters.label_desk import LabelDesk, Reviewed
from tumorseg.adapters.label_picture import title_of
from tumorseg.errors import NotFoundError
from tumorseg.labels.agreement import annotators_heads
from tumorseg.labels.types import LabelVersion, check_tag
from tumorseg.server.audit import note
from tumorseg.server.common import Place
from tumorseg.server.datastore import holder, made_by
from tumorseg.server.label_models import (
    AgreementOut,
    CaseOut,
    CaseState,
    ImageLabels,
    LeaseOut,
    Overview,
    ReviewIn,
    ReviewOut,
    VersionDetail,
    VersionOut,
)
from tumorseg.server.rules import Caller, rule

router = APIRouter(prefix="/labels", tags=["labels among people"])
_LONGEST_PAGE = 500


@router.get("/", summary="List the images with the state of their labels, a page at a time")
@rule(Role.VIEWER, "label.list")
def overview(
    place: Place,
    tag: str = FINAL,
    state: CaseState | None = None,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=_LONGEST_PAGE)] = 100,
) -> Overview:
    """Count the images by the state of their label under ``tag``; ``state`` lists only those of one."""
    check_tag(tag)
    heads = place.desk.heads()
    offered = place.datastore.list_images()
    # A series that is not the one offered of its study may have been labelled too.
    images = [*offered, *sorted(heads.keys() - set(offered))]
    current = {image: _of_tag(heads.get(image, []), tag) for image in images}
    states: dict[str, CaseState] = {image: found.state if found else "unlabelled" for image, found in current.items()}
    leases = {lease.image: LeaseOut.of(lease) for lease in place.desk.leases.list()}
    wanted = [image for image in images if state in (None, states[image])]
    return Overview(
        tag=tag,
        counts=_counts(states, current),
        total=len(wanted),
        offset=offset,
        limit=limit,
        images=[
            CaseOut(
                image=image,
                title=title_of(place.source, image)[0],
                state=states[image],
                heads=[VersionOut.of(head, newest=True) for head in heads.get(image, [])],
                lease=leases.get(image),
            )
            for image in wanted[offset : offset + limit]
        ],
        leases=list(leases.values()),
    )


@router.get("/{image}", summary="Every version of an image's labels, newest first")
@rule(Role.VIEWER, "label.list")
def versions(place: Place, image: str, tag: str | None = None) -> ImageLabels:
    """List versions of all tags and authors, tombstones too, each with its state."""
    found = place.desk.versions(image, check_tag(tag) if tag is not None else None)
    history = place.datastore.labels.history
    heads = [history.head(image, name) for name in {reviewed.version.tag for reviewed in found}]
    newest = {head.uid for head in heads if head is not None}
    lease = place.desk.leases.get(image)
    said = place.desk.reviews.of_each(reviewed.version.uid for reviewed in found)
    title, study = title_of(place.source, image)
    return ImageLabels(
        image=image,
        title=title,
        study=study,
        versions=[
            VersionDetail.with_reviews(reviewed, reviewed.version.uid in newest, said[reviewed.version.uid])
            for reviewed in found
        ],
        annotators=sorted(annotators_heads(history, image, tag or FINAL)),
        lease=LeaseOut.of(lease) if lease else None,
    )


@router.get("/{image}/versions/{uid}", summary="One version, with what was said of it")
@rule(Role.VIEWER, "label.read")
def version(place: Place, image: str, uid: str) -> VersionDetail:
    """Return where a version comes from and its reviews."""
    found = place.desk.version(image, uid)
    reviewed = Reviewed(found, place.desk.reviews.state(uid))
    return VersionDetail.with_reviews(reviewed, _is_newest(place.desk, found), place.desk.reviews.of(uid))


@router.get("/{image}/versions/{uid}/file", summary="The file of a version", response_class=FileResponse)
@rule(Role.VIEWER, "label.read")
def version_file(place: Place, image: str, uid: str) -> FileResponse:
    """Send a label as it was saved; the ``ETag`` is its uid."""
    found = place.desk.version(image, uid)
    path = place.datastore.labels.history.path(found)
    return FileResponse(path, filename=found.name, headers={"ETag": f'"{found.uid}"'})


@router.get("/{image}/versions/{uid}/prompts", summary="What was clicked to make a version")
@rule(Role.VIEWER, "label.read")
def version_prompts(place: Place, image: str, uid: str) -> Response:
    """Send the prompts of every segment, with their times and the digests of the masks; 404 where none were kept."""
    text = place.interactive.prompts.logs.of(place.desk.version(image, uid).uid)
    if text is None:
        raise NotFoundError(f"label version {uid} has no prompts: it was drawn, or made by a model alone")
    return Response(text, media_type="application/json")


@router.get("/{image}/versions/{uid}/picture", summary="A version drawn on the slices of its image, as PNG")
@rule(Role.VIEWER, "label.read")
def version_picture(place: Place, image: str, uid: str) -> Response:
    """Draw the slices that the label touches; of an empty one evenly spaced slices."""
    return Response(place.desk.picture(image, uid), media_type="image/png")


@router.post("/{image}/versions/{uid}/restore", summary="Make an earlier version the newest one again")
@rule(Role.ANNOTATOR, "label.restore")
def restore(request: Request, place: Place, who: Caller, image: str, uid: str) -> VersionOut:
    """Add the content of an earlier version as a new one; of somebody else's only for reviewers."""
    earlier = place.desk.version(image, uid)
    if earlier.author != who.name:
        _require_reviewer(who, f"restore a version of {earlier.author}")
    kept = place.datastore.labels.history.restore(uid, made_by(request, who)[0])
    return _shown(request, place.desk, kept)


@router.post("/{image}/versions/{uid}/review", summary="Approve, reject or comment on a version")
@rule(Role.ANNOTATOR, "label.review")
def review(request: Request, place: Place, who: Caller, image: str, uid: str, said: ReviewIn) -> ReviewOut:
    """Keep what is said of a version. A verdict takes a reviewer, and somebody else than its author."""
    found = place.desk.version(image, uid)
    if said.verdict != "comment":
        _require_reviewer(who, f"{said.verdict} a label")
    note(request, verdict=said.verdict)
    return ReviewOut.of(place.desk.reviews.add(found, said.verdict, who, said.comment))


@router.put("/{image}/no-lesion", summary="Say that an image was looked at and shows no lesion")
@rule(Role.ANNOTATOR, "label.save")
def no_lesion(request: Request, place: Place, who: Caller, image: str, tag: str = FINAL) -> VersionOut:
    """Keep an empty mask on the image's own voxels; it counts as a label."""
    kept = place.desk.no_lesion(image, check_tag(tag), made_by(request, who)[0])
    if kept.tag == FINAL:
        place.effort.saved(kept, holder(who), anyone=who.how == LOCAL.how)
        place.desk.is_done(kept.image, None if who.how == LOCAL.how else who.name)
    return _shown(request, place.desk, kept)


@router.get("/{image}/agreement", summary="How far the annotators of an image agree")
@rule(Role.VIEWER, "label.read")
def agreement(place: Place, image: str, tag: str = FINAL) -> AgreementOut:
    """Compare the newest labels of every two annotators, class by class (Dice)."""
    return AgreementOut.of(place.desk.agreement(image, tag))


@router.post("/{image}/consensus", summary="Estimate what the annotators of an image mean together, and keep it")
@rule(Role.REVIEWER, "label.consensus")
def make_consensus(request: Request, place: Place, who: Caller, image: str, tag: str = FINAL) -> VersionOut:
    """Save the STAPLE estimate as a version by ``consensus``; ``info.parents`` says whose labels it is of."""
    return _shown(request, place.desk, place.desk.consensus(image, tag, made_by(request, who)[0]))


@router.get("/{image}/lease", summary="Who works on an image")
@rule(Role.VIEWER)
def lease(place: Place, image: str) -> LeaseOut | None:
    """Return the lease, null where nobody has one."""
    found = place.desk.leases.get(place.source.entry(image).id)
    return LeaseOut.of(found) if found else None


@router.put("/{image}/lease", summary="Take an image, or keep it for longer")
@rule(Role.ANNOTATOR, "case.lease")
def take_lease(place: Place, who: Caller, image: str, client_id: str = "") -> LeaseOut:
    """Give the image to who asks; 409 while somebody else has it."""
    name = holder(who, {"client_id": client_id})
    taken = place.desk.leases.acquire(place.source.entry(image).id, name)
    place.effort.looked(taken.image, name)
    return LeaseOut.of(taken)


@router.delete("/{image}/lease", summary="Give an image back")
@rule(Role.ANNOTATOR, "case.release")
def end_lease(place: Place, who: Caller, image: str, client_id: str = "") -> None:
    """End one's own lease; a reviewer may end anybody's."""
    name = None if who.role >= Role.REVIEWER and not client_id else holder(who, {"client_id": client_id})
    place.desk.leases.release(place.source.entry(image).id, name)


def _of_tag(heads: list[Reviewed], tag: str) -> Reviewed | None:
    return next((head for head in heads if head.version.tag == tag), None)


def _counts(states: dict[str, CaseState], current: dict[str, Reviewed | None]) -> dict[str, int]:
    counts = dict.fromkeys(("unlabelled", "open", "approved", "rejected"), 0)
    for state in states.values():
        counts[state] += 1
    none = sum(found is not None and found.version.no_lesion for found in current.values())
    return {"images": len(states), **counts, "no_lesion": none}


def _is_newest(desk: LabelDesk, version: LabelVersion) -> bool:
    head = desk.store.history.head(version.image, version.tag)
    return head is not None and head.uid == version.uid


def _require_reviewer(who: Principal, what: str) -> None:
    if who.role < Role.REVIEWER:
        raise ForbiddenError(f"to {what} needs the role reviewer, {who.name} is {who.role.title}")


def _shown(request: Request, desk: LabelDesk, version: LabelVersion) -> VersionOut:
    """Answer with a version that was just kept, and let the audit log name it."""
    note(request, image=version.image, label=version.uid)
    state = desk.reviews.state(version.uid)
    return VersionOut.of(Reviewed(version, state), _is_newest(desk, version))
