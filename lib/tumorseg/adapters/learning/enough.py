"""Whether there is anything to learn from, as far as that can be told without opening a file.

:func:`tumorseg.adapters.learning.cases.gather` decides in the job, having looked at every mask and image. What it would
refuse for want of labels or patients is refused here already, to who asks and not minutes later in a log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorseg.adapters.datastore import FINAL
from tumorseg.adapters.learning.cases import counting
from tumorseg.adapters.learning.patients import Patients
from tumorseg.errors import InputError, NotFoundError
from tumorseg.labels.reviews import Reviews

if TYPE_CHECKING:
    from tumorseg.adapters.sources import ImageSource
    from tumorseg.labels.history import LabelHistory

#: One trains and another one validates.
LEAST_PATIENTS = 2


def require_labels(history: LabelHistory, source: ImageSource) -> None:
    """Raise InputError where there are not labels of two patients; looks no further than it has to."""
    images = sorted(history.labelled(FINAL))
    if not images:
        raise InputError(
            f"expected labels to learn from, found none: save labels of at least {LEAST_PATIENTS} patients with the "
            f"tag {FINAL}"
        )
    reviews = Reviews(history.database)
    named, patients = Patients(source.ids()), set[str]()
    for image in images:
        patients |= _patients(history, source, named, reviews, image)
        if len(patients) >= LEAST_PATIENTS:
            return
    raise InputError(
        f"expected labels of at least {LEAST_PATIENTS} patients, one to train and another one to validate, found "
        f"usable ones of {len(patients)} in {len(images)} labelled images (neither rejected ones nor those of unknown "
        "images): label an image of another patient"
    )


def _patients(history: LabelHistory, source: ImageSource, named: Patients, reviews: Reviews, image: str) -> set[str]:
    """Return whose label can be used; nobody where it cannot."""
    versions = history.versions(image, FINAL)
    removed = max((version.seq for version in versions if version.kind == "removed"), default=0)
    current = [version for version in versions if version.seq > removed]
    if counting(current, reviews.states(version.uid for version in current)) is None:
        return set()
    try:
        return {named.of(source.entry(image))}
    except NotFoundError:
        return set()
