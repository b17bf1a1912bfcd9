"""Labelled cases as training sees them: the way of the serving model's images, and their masks beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tumorseg.adapters.grids import ImagePlace
from tumorseg.adapters.learning.masks import marked
from tumorseg.adapters.learning.types import LeftOut
from tumorseg.errors import TumorSegError, UnavailableError
from tumorseg.io.files import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.adapters.learning.shelf import Shelf
    from tumorseg.adapters.sources import ImageSource
    from tumorseg.geometry import Grid
    from tumorseg.labels.history import LabelHistory
    from tumorseg.models.slicewise import SlicewiseSpec
    from tumorseg.training.data import Volume
    from tumorseg.types import StudyImage
    from tumorseg.versions.types import CaseUsed


@dataclass(frozen=True, eq=False)
class LabelledStudy:
    """A case with everything read.

    Attributes:
        image: the sequences that the model looks at, perhaps on the grid on which they were acquired.
        grid: of the image that was labelled.
        mask: ``(K, J, I)`` on ``grid``.
    """

    image: StudyImage
    grid: Grid
    mask: NDArray[np.bool_]


@dataclass(frozen=True)
class CaseReader:
    """Reads cases.

    Attributes:
        source: of the images.
        history: of the labels.
        model: registry name.
        spec: of the model.
    """

    source: ImageSource
    history: LabelHistory
    model: str
    spec: SlicewiseSpec

    def read(self, case: CaseUsed) -> LabelledStudy:
        """Read image and label.

        Raises:
            InputError: one of them cannot be read, or was not what it was when the training began.
        """
        image, grid = self.source.read(case.image, self.spec.channels)
        version = self.history.version(case.label)
        place = ImagePlace(grid, image.placed and image.spacing_known)
        mask = marked(self.history.path(version), version.info, place, dict(self.spec.labels), self.model)
        return LabelledStudy(image, grid, mask)

    def volumes(
        self, cases: Iterable[CaseUsed], contrast: str, multiple: int, shelf: Shelf, between: Callable[[], None]
    ) -> tuple[dict[CaseUsed, Volume], list[LeftOut]]:
        """Put cases on a shelf, and say of those that are unfit for the model why: one of them stops no training.

        Args:
            cases: which.
            contrast: what the serving weights were trained with.
            multiple: sides are padded to a multiple of this.
            shelf: where volumes that are there already are taken from.
            between: called before every case; what it raises ends the reading.

        Raises:
            UnavailableError: the images cannot be reached at the moment, or there is no space for them.
        """
        found: dict[CaseUsed, Volume] = {}
        unfit: list[LeftOut] = []
        for case in cases:
            between()
            name = digest((case.image, case.label, case.sha256, contrast, multiple))
            volume = shelf.get(name, case.patient)
            if volume is None:
                try:
                    made = self._volume(case, contrast, multiple)
                except UnavailableError:
                    raise
                except (TumorSegError, OSError) as error:  # one file of the study that the disk does not give is enough
                    unfit.append(LeftOut(case.image, case.label, f"{self.model} cannot look at it: {error}"))
                    continue
                volume = shelf.put(name, made)  # outside: a full disk is no fault of the image
            found[case] = volume
        return found, unfit

    def _volume(self, case: CaseUsed, contrast: str, multiple: int) -> Volume:
        from tumorseg.models.preparation import prepare
        from tumorseg.training.data import as_volume

        study = self.read(case)
        prepared = prepare(study.image, self.spec.channels, self.spec.stride, contrast)
        return as_volume(case.patient, prepared.slices, prepared.cut(_on(study)), multiple)


def _on(study: LabelledStudy) -> NDArray[np.bool_]:
    """Bring the mask to the grid of the sequences, as answers are brought to the grid of the labelled image."""
    import numpy as np

    from tumorseg.geometry import resample
    from tumorseg.models.preparation import HALF

    if study.image.grid.same_as(study.grid):
        return study.mask
    return resample(study.mask.astype(np.float32), study.grid, study.image.grid) >= HALF
