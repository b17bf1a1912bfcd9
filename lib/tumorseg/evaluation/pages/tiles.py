"""Truth beside findings, picture by picture: outlines, tinted masks, boxes, scores and overlaps.

Left what was annotated, right what was found at the operating threshold, in the colours of the classes. Drawn with
Pillow, enlarged or reduced to one size so that a page of them is even.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tumorseg.evaluation.detection.examine import Examined
from tumorseg.evaluation.detection.figures import IOU
from tumorseg.evaluation.detection.tables import matched
from tumorseg.io.palette import colour
from tumorseg.metrics.detection.iou import overlaps
from tumorseg.metrics.detection.matching import NOTHING, match
from tumorseg.metrics.detection.records import ImageResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

SIDE = 440  # pixels of the longer side of a panel
PAGE_SIDE = 340  # the same on a page of many
TINT, LINE, GAP, HEAD = 0.22, 2, 6, 26
BACKGROUND, INK = (16, 18, 22), (236, 238, 242)
QUALITY = 82

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Mark:
    """One object to draw: its box ``(4,)`` x0, y0, x1, y1 and its mask ``(H, W)``, or None; its colour and words."""

    box: NDArray[Any] | None
    mask: NDArray[np.bool_] | None
    colour: Colour
    text: str


@dataclass(frozen=True)
class Drawn:
    """What to draw of one picture: its pixels ``(H, W)`` or ``(H, W, 3)``, and the objects of both panels."""

    pixels: NDArray[np.uint8]
    truth: list[Mark]
    found: list[Mark]
    name: str

    def png(self) -> bytes:
        """Both panels with a line above that says which is which."""
        panels = [panel(self.pixels, marks) for marks in (self.truth, self.found)]
        width, height = panels[0].size
        sheet = Image.new("RGB", (2 * width + GAP, height + HEAD), BACKGROUND)
        pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
        for left, one, words in zip((0, width + GAP), panels, (f"{self.name}  annotated", "found"), strict=True):
            pen.text((left + 6, 5), words, INK, font)
            sheet.paste(one, (left, HEAD))
        return encoded(sheet, "PNG")

    def jpeg(self) -> tuple[bytes, bytes]:
        """Both panels, smaller, each by itself."""
        truth, found = (encoded(panel(self.pixels, marks, PAGE_SIDE), "JPEG") for marks in (self.truth, self.found))
        return truth, found


@dataclass(frozen=True)
class Tile:
    """One picture on a page.

    Attributes:
        name: id of the picture.
        truth: JPEG of what was annotated.
        found: JPEG of what was found.
        lines: a sentence for each object.
        missed: annotated objects that were not found, whatever the class.
        wrong: detections that found nothing.
        overlap: Dice of all masks, or mean IoU of what was found, 0 to 1; 1 for silence on a picture without lesion.
    """

    name: str
    truth: bytes
    found: bytes
    lines: tuple[str, ...]
    missed: int
    wrong: int
    overlap: float

    @property
    def right(self) -> bool:
        """Whether everything was found and nothing else."""
        return not self.missed and not self.wrong


def side_by_side(pixels: NDArray[np.uint8], result: ImageResult, labels: Mapping[str, int], score: float) -> Drawn:
    """Draw one picture.

    Args:
        pixels: ``(H, W)`` or ``(H, W, 3)``.
        result: what was annotated and found.
        labels: class -> value, for the colours.
        score: detections below are not drawn.
    """
    truth = [Mark(item.box, item.mask, colour(labels[item.label]), item.label) for item in result.truth]
    kept = sorted((item for item in result.found if item.score >= score), key=lambda item: -item.score)
    table = overlaps(result, kept, result.truth, "box")
    found = []
    for row, (item, taken) in enumerate(zip(kept, match(table, IOU), strict=True)):
        words = "nothing there" if taken == NOTHING else f"IoU {table[row, taken]:.2f}"
        tint = colour(labels[item.label])
        found.append(Mark(item.box, item.mask, tint, f"{item.label} {item.score:.2f}, {words}"))
    return Drawn(pixels, truth, found, result.image_id)


def panel(pixels: NDArray[np.uint8], marks: list[Mark], side: int = SIDE) -> Image.Image:
    """Return the picture, ``side`` long, with its objects drawn in."""
    picture = Image.fromarray(pixels).convert("RGB")
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    canvas = np.asarray(picture.resize(size, Image.Resampling.BICUBIC), np.float32)
    for mark in marks:
        if mark.mask is not None:
            canvas = _tinted(canvas, mark.mask, mark.colour)
    drawn = Image.fromarray(canvas.round().astype(np.uint8))
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(13)
    boxes = [(mark, [float(v) * scale for v in mark.box]) for mark in marks if mark.box is not None]
    for mark, corners in boxes:
        pen.rectangle(corners, outline=mark.colour, width=LINE)
    for mark, corners in boxes:
        _write(pen, font, mark, corners, size)
    return drawn


def tile(drawn: Drawn, examined: Examined, score: float) -> Tile:
    """Return what a page shows of one picture."""
    kept, taken = matched(examined, score)
    lines = []
    for f, t in zip(kept, taken, strict=True):
        said = f"{examined.found_labels[f]}, score {examined.scores[f]:.2f}"
        if t == NOTHING:
            lines.append(f"{said}: nothing annotated there")
            continue
        was = (
            ""
            if examined.truth_labels[t] == examined.found_labels[f]
            else f" (annotated as {examined.truth_labels[t]})"
        )
        outline = "" if examined.mask_iou is None else f", outline {examined.mask_iou[f, t]:.2f}"
        lines.append(f"{said}: found{was}, IoU of the box {examined.box_iou[f, t]:.2f}{outline}")
    missing = sorted(set(range(len(examined.truth_labels))) - set(taken))
    lines += [f"{examined.truth_labels[t]}: not found" for t in missing]
    if not examined.truth_labels:
        lines.append("nothing annotated on this picture")
    truth, found = drawn.jpeg()
    wrong = sum(t == NOTHING for t in taken)
    return Tile(examined.image, truth, found, tuple(lines), len(missing), wrong, _overlap(examined, kept, taken))


def _overlap(examined: Examined, kept: list[int], taken: list[int]) -> float:
    if not examined.truth_labels:
        return 0.0 if kept else 1.0
    if examined.mask_iou is not None:
        return examined.dice
    values = [examined.box_iou[f, t] for f, t in zip(kept, taken, strict=True) if t != NOTHING]
    return float(np.mean(values)) if values else 0.0


def _tinted(canvas: NDArray[np.float32], mask: NDArray[np.bool_], tint: Colour) -> NDArray[np.float32]:
    """Tint where the mask is and draw its outline at full strength."""
    from scipy.ndimage import binary_erosion

    rows, columns = canvas.shape[:2]
    # Bilinear before the threshold: an enlarged outline is smooth instead of a staircase.
    grown = Image.fromarray(mask.astype(np.uint8) * 255).resize((columns, rows), Image.Resampling.BILINEAR)
    inside = np.asarray(grown) >= 128
    edge = inside & ~binary_erosion(inside, iterations=LINE)
    result = canvas.copy()
    result[inside] = (1 - TINT) * result[inside] + TINT * np.array(tint, np.float32)
    result[edge] = tint
    return result


def _write(pen: ImageDraw.ImageDraw, font: Any, mark: Mark, corners: list[float], size: tuple[int, int]) -> None:
    """Write above the box, or below it where there is no room, never beyond the picture."""
    left, top, right, bottom = pen.textbbox((0, 0), mark.text, font)
    width, height = right - left + 6, bottom - top + 6
    x = max(0.0, min(corners[0], size[0] - width))
    above = corners[1] - height
    y = above if above >= 0 else min(corners[3], size[1] - height)
    pen.rectangle((x, y, x + width - 1, y + height - 1), fill=BACKGROUND)
    pen.text((x + 3 - left, y + 3 - top), mark.text, mark.colour, font)


def encoded(image: Image.Image, kind: str) -> bytes:
    """Return the bytes of a PNG or JPEG file."""
    file = io.BytesIO()
    image.save(file, kind, **({"quality": QUALITY, "optimize": True} if kind == "JPEG" else {}))
    return file.getvalue()
