"""Which labels a training learns from: of every image the version that counts, and of the others why they do not.

Of an image's ``final`` labels, versions since it was last removed, the one counts that

1. no reviewer rejected, and that is its author's newest or approved;
2. is approved, where one is;
3. is a consensus of several annotators, where there is one;
4. is the newest.

What a model answered itself (tag ``original``) never counts. An empty mask says "no lesion", which is a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from tumorseg.adapters.datastore import FINAL
from tumorseg.adapters.grids import ImagePlace
from tumorseg.adapters.learning.masks import MOST_MARKED, is_implausible, marked
from tumorseg.adapters.learning.patients import Patients
from tumorseg.adapters.learning.types import Gathered, LabelledCase, LeftOut
from tumorseg.errors import InputError, NotFoundError, TumorSegError, UnavailableError
from tumorseg.labels.agreement import CONSENSUS
from tumorseg.labels.reviews import Reviews

if TYPE_CHECKING:
    from tumorseg.adapters.sources import ImageSource
    from tumorseg.labels.history import LabelHistory
    from tumorseg.labels.reviews import State
    from tumorseg.labels.types import LabelVersion


def gather(
    history: LabelHistory,
    source: ImageSource,
    classes: Mapping[str, int],
    model: str,
    between: Callable[[], None] = lambda: None,
) -> Gathered:
    """Look at every image with a label, its mask and its image's grid included.

    Args:
        history: of the labels.
        source: of the images.
        classes: of the model, name -> value.
        model: its name, for messages.
        between: called before every image; what it raises ends the gathering.

    Raises:
        UnavailableError: the images cannot be reached at the moment. Without some of them, those of patients who
            validate perhaps, there would be a training, and a poor one.
    """
    source.check()
    known = {image: _versions(history, image) for image in sorted(history.labelled(FINAL))}
    states = Reviews(history.database).states([one.uid for versions in known.values() for one in versions])
    patients = Patients(source.ids())
    cases: list[LabelledCase] = []
    left_out: list[LeftOut] = []
    for image, versions in known.items():
        if not versions:
            continue  # removed since
        between()
        version = counting(versions, states)
        if version is None:
            left_out.append(LeftOut(image, versions[-1].uid, "rejected by a reviewer: correct it and save it again"))
            continue
        judged = _judged(history, source, patients, version, classes, model)
        (cases if isinstance(judged, LabelledCase) else left_out).append(judged)  # type: ignore[arg-type]
    cases.sort(key=lambda case: known[case.image][0].seq)
    return Gathered(tuple(cases), tuple(left_out))


def counting(versions: Iterable[LabelVersion], states: Mapping[str, State]) -> LabelVersion | None:
    """Return the version that counts, None where all are rejected.

    Args:
        versions: of one image and tag, oldest first, none removed.
        states: what reviewers said, by uid.
    """
    own_newest = {version.author: version.uid for version in versions}
    allowed = [
        version
        for version in versions
        if states[version.uid] == "approved"
        or (states[version.uid] == "open" and own_newest[version.author] == version.uid)
    ]
    order = {version.uid: (states[version.uid] == "approved", version.author == CONSENSUS) for version in allowed}
    return max(allowed, key=lambda version: (*order[version.uid], version.seq), default=None)


def _versions(history: LabelHistory, image: str) -> list[LabelVersion]:
    """Return the final versions since the label was last removed, oldest first."""
    versions = history.versions(image, FINAL)
    removed = max((version.seq for version in versions if version.kind == "removed"), default=0)
    return [version for version in versions if version.seq > removed]


def _judged(
    history: LabelHistory,
    source: ImageSource,
    patients: Patients,
    version: LabelVersion,
    classes: Mapping[str, int],
    model: str,
) -> LabelledCase | LeftOut:
    """Look whether a label can be learned from."""
    try:
        entry = source.entry(version.image)
        place = place_of(source, entry.id)
    except NotFoundError:
        return LeftOut(version.image, version.uid, "its image is unknown here: is it gone, or called otherwise?")
    except InputError as error:
        return LeftOut(version.image, version.uid, str(error))
    try:
        mask = marked(history.path(version), version.info, place, classes, model)
    except (TumorSegError, OSError) as error:
        return LeftOut(version.image, version.uid, str(error))
    if is_implausible(mask):
        share = f"{mask.mean():.0%} of the image is marked, more than {MOST_MARKED:.0%}"
        return LeftOut(version.image, version.uid, f"{share}: was the mask inverted?", implausible=True)
    if not mask.any() and version.kind != "no_lesion":
        why = "nothing of what the model learns is marked: save an empty mask where there is no lesion"
        return LeftOut(version.image, version.uid, why)
    return LabelledCase(version.image, patients.of(entry), version)


def place_of(source: ImageSource, image: str) -> ImagePlace:
    """Return where an image lies.

    Raises:
        InputError: it cannot be read.
        UnavailableError: it cannot be reached at the moment.
    """
    try:
        read, grid = source.read(image, None)
    except UnavailableError:
        raise
    except (TumorSegError, OSError) as error:
        raise InputError(f"its image cannot be read: {error}") from error
    return ImagePlace(grid, read.placed and read.spacing_known)
