"""Images and answers given on one grid, shown on another of the same patient frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tumorseg.geometry import Grid, resample
from tumorseg.types import Prediction, Segmentation, StudyImage

THRESHOLD = 0.5


def on_grid(image: StudyImage, grid: Grid) -> StudyImage:
    """Resample every channel of ``image`` onto ``grid`` (trilinear)."""
    if image.grid.same_as(grid):
        return image
    voxels = np.stack([resample(channel, image.grid, grid) for channel in image.voxels])
    return replace(image, voxels=voxels, grid=grid)


def regrid(prediction: Prediction, grid: Grid) -> Prediction:
    """Bring ``prediction`` onto ``grid``.

    A single label with a probability is resampled as probability (trilinear) and cut again, so that its border does
    not show the steps of thick slices; other label maps are resampled by nearest neighbour. Outside of the old grid
    nothing is marked.
    """
    old = prediction.segmentation
    if old.grid.same_as(grid):
        return prediction
    if old.probability is not None and len(old.labels) == 1:
        probability = resample(old.probability, old.grid, grid)
        (value,) = old.labels.values()
        voxels = (probability >= THRESHOLD).astype(old.voxels.dtype) * old.voxels.dtype.type(value)
        new = Segmentation(voxels, grid, old.labels, probability)
    else:
        new = Segmentation(resample(old.voxels, old.grid, grid, linear=False), grid, old.labels)
    return replace(prediction, segmentation=new)
