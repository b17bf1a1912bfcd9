"""Which scores a model can be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tumorseg.active_learning.types import (
    BALD,
    DETECTION_MARGIN,
    EMBEDDING,
    ENTROPY,
    FOREGROUND,
    LOCALISATION,
    MARGIN,
    TTA,
)
from tumorseg.models.base import DetectionModel
from tumorseg.models.cascade import Cascade
from tumorseg.models.slicewise import SlicewiseModel

if TYPE_CHECKING:
    from tumorseg.models.base import Model

#: All that one plain look of a network gives; what is asked for where nobody says what.
PLAIN_COLUMNS = frozenset({ENTROPY, MARGIN, FOREGROUND, EMBEDDING})
SEGMENTATION_COLUMNS = PLAIN_COLUMNS | {BALD, TTA}
DETECTION_COLUMNS = frozenset({DETECTION_MARGIN, LOCALISATION})


def columns_of(model: Model) -> frozenset[str]:
    """Return the columns, and EMBEDDING, that can be computed of a model's weights.

    A detector is asked for its findings, whatever it is made of. Of a model that marks voxels the network itself is
    needed: nothing is known of one whose network is not ours.
    """
    if isinstance(model, DetectionModel):
        return DETECTION_COLUMNS
    return SEGMENTATION_COLUMNS if isinstance(model, SlicewiseModel | Cascade) else frozenset()
