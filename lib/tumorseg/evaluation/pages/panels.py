"""Five panels for each slice: image, true mask, predicted mask, image with the truth, image with the prediction.

The figure of system D. Slices in which nothing is annotated and nothing is marked are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tumorseg.evaluation.pages.tiles import BACKGROUND, GAP, HEAD, INK, Mark, encoded, panel
from tumorseg.types import FLAIR, Segmentation, StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 220  # pixels of a panel's longer side
TRUTH, FOUND = (60, 190, 130), (230, 75, 60)
TITLES = ("image", "true mask", "predicted mask", "image with truth", "image with prediction")
WINDOW = (1.0, 99.5)  # percentiles of the foreground that become black and white


def five_panels(image: StudyImage, truth: Segmentation, found: Segmentation, caption: str) -> bytes:
    """Return a PNG with a row of five panels for each slice (along k) that anything is in."""
    grey = shown_channel(image)
    there, marked = truth.voxels > 0, found.voxels > 0
    slices = np.flatnonzero((there | marked).any(axis=(1, 2)))
    if not slices.size:
        slices = np.array([len(there) // 2])
    rows = [_row(grey[k], there[k], marked[k]) for k in slices]
    width, height = rows[0][0].size
    font = ImageFont.load_default(14)
    sheet = Image.new("RGB", (len(TITLES) * (width + GAP) - GAP, 2 * HEAD + len(rows) * (height + GAP)), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    pen.text((6, 5), caption, INK, font)
    for column, words in enumerate(TITLES):
        pen.text((column * (width + GAP) + 4, HEAD + 4), words, INK, font)
    for line, (k, row) in enumerate(zip(slices, rows, strict=True)):
        top = 2 * HEAD + line * (height + GAP)
        for column, one in enumerate(row):
            sheet.paste(one, (column * (width + GAP), top))
        pen.text((6, top + 4), f"slice {k + 1}", INK, font)
    return encoded(sheet, "PNG")


def shown_channel(image: StudyImage) -> NDArray[np.uint8]:
    """Return ``(K, J, I)`` uint8 of the FLAIR, or of the first channel, from dark to bright."""
    voxels = image.channel(FLAIR) if FLAIR in image.channels else image.voxels[0]
    values = voxels.astype(np.float32)
    bright = values[values > values.min()]
    low, high = np.percentile(bright, WINDOW) if bright.size else (0.0, 1.0)
    return np.asarray((np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255).round(), np.uint8)


def _row(grey: NDArray[Any], truth: NDArray[np.bool_], found: NDArray[np.bool_]) -> list[Image.Image]:
    masks = [mask.astype(np.uint8) * 255 for mask in (truth, found)]
    overlaid = [(truth, TRUTH), (found, FOUND)]
    return [
        panel(grey, [], SIDE),
        *(panel(mask, [], SIDE) for mask in masks),
        *(panel(grey, [Mark(None, mask, tint, "")], SIDE) for mask, tint in overlaid),
    ]
