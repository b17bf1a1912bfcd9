"""A contact sheet of slices with the tumour drawn in: a picture to look at, not to measure from.

Steps: (1) turn the volume so that every tile is shown as a radiologist expects it, with the patient's left on the
viewer's right; (2) choose slices; (3) draw each with true pixel proportions; (4) put a legend above.
Drawn with Pillow: a plotting library would take longer to import than the sheet takes to draw.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tumorseg.errors import InputError
from tumorseg.geometry import Reorientation, to_axial
from tumorseg.io.nrrd_write import label_voxels, named_labels
from tumorseg.io.palette import colour
from tumorseg.types import FLAIR, Segmentation, StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_TILES = 20
EMPTY_TILES = 12
MOST_COLUMNS = 5
TILE = 260  # pixels of the longer side of a tile
MARGIN, GAP = 24, 8
TINT = 0.28
TRUTH = (190, 255, 80)
BACKGROUND, INK, FAINT = (16, 18, 22), (236, 238, 242), (150, 156, 166)
# A second orientation letter is written from 20 degrees of obliqueness, as DICOM viewers do.
OBLIQUE_COSINE = 0.342

# Of a volume that runs to L, P, S: the array axis that is sliced, and whether a tile's rows run backwards
# (head up). Rows and columns are the other two axes in their order.
_PLANES = {"axial": (0, False), "coronal": (1, True), "sagittal": (2, True)}


@dataclass(frozen=True)
class _View:
    """How a volume is cut into tiles.

    Attributes:
        reorient: applied to ``(K, J, I)`` voxels first.
        axis: array axis that is sliced afterwards.
        upside_down: whether a tile's rows are reversed.
        spacing: mm of a tile's rows and columns (vertical step, horizontal step).
        letters: left, right, top, bottom; empty where the orientation is not known.
        plane: ``"axial"``, ``"coronal"``, ``"sagittal"`` or ``""``.
        reversed: whether the slices run against the order of the file.
    """

    reorient: Reorientation
    axis: int
    upside_down: bool
    spacing: tuple[float, float]
    letters: tuple[str, str, str, str]
    plane: str
    reversed: bool

    def tiles(self, voxels: NDArray[Any]) -> NDArray[Any]:
        """Return ``(N, rows, columns)`` slices of ``(K, J, I)`` voxels."""
        stack = np.moveaxis(self.reorient.apply(voxels), self.axis, 0)
        return stack[:, ::-1] if self.upside_down else stack

    def number(self, index: int, count: int) -> int:
        """Return the 1-based number, in the order of the file, of tile ``index`` of ``count``."""
        return count - index if self.reversed else index + 1


def overlay_sheet(
    segmentation: Segmentation, image: StudyImage, *, caption: str = "", truth: Segmentation | None = None
) -> bytes:
    """Return a PNG with the slices that ``segmentation`` touches, or evenly spaced ones when it is empty.

    Args:
        segmentation: the label map, on the grid of ``image``.
        image: FLAIR is shown where there is one, else the first channel.
        caption: a line of the legend, for example the model and its version.
        truth: a label map to compare with; outlined in lime, and its slices are shown too.

    Raises:
        InputError: they lie on different grids.
    """
    for label_map in (segmentation, truth):
        if label_map is not None and label_map.grid.shape != image.grid.shape:
            raise InputError(f"expected a label map on the image's grid {image.grid.shape}, got {label_map.grid.shape}")
    view = _view(image)
    labels = view.tiles(label_voxels(segmentation))
    true = view.tiles(truth.voxels > 0) if truth is not None else np.zeros(labels.shape, dtype=bool)
    name = FLAIR if FLAIR in image.channels else image.channels[0]
    grey = view.tiles(_window(image.channel(name)))
    chosen = _choose((labels > 0) | true)
    tiles = [_tile(grey[n], labels[n], true[n], view, f"{view.number(n, len(grey))}/{len(grey)}") for n in chosen]
    legend = _legend(segmentation, image, view, len(chosen), caption or "tumorseg", name)
    if truth is not None:
        legend.insert(-len(image.notes) or len(legend), _Line("annotators' outline", 16, FAINT, swatch=TRUTH))
    sheet = _arrange(tiles, legend)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def _view(image: StudyImage) -> _View:
    grid = image.grid
    if not (image.spacing_known and image.placed):
        keep = Reorientation((0, 1, 2), (False, False, False))
        sides = (grid.spacing[1], grid.spacing[0]) if image.spacing_known else (1.0, 1.0)
        return _View(keep, 0, False, sides, ("", "", "", ""), "", False)
    reorient = to_axial(grid)
    turned = reorient.grid(grid)
    steps = turned.spacing[::-1]  # mm along the array axes: S, P, L
    # The slices are where the steps are longest (how it was scanned); equal steps are shown axially.
    plane = max(_PLANES, key=lambda p: (round(steps[_PLANES[p][0]], 2), p == "axial"))
    axis, upside_down = _PLANES[plane]
    row, column = (n for n in range(3) if n != axis)
    across = turned.direction[:, 2 - column]
    down = turned.direction[:, 2 - row] * (-1 if upside_down else 1)
    letters = (_letter(-across), _letter(across), _letter(-down), _letter(down))
    return _View(reorient, axis, upside_down, (steps[row], steps[column]), letters, plane, reorient.flips[axis])


def _letter(direction: NDArray[Any]) -> str:
    """Name the side of the patient that ``direction`` (LPS) points to, for example ``"L"`` or ``"LA"``."""
    order = np.argsort(-np.abs(direction))
    named = [n for rank, n in enumerate(order) if rank == 0 or abs(direction[n]) > OBLIQUE_COSINE]
    return "".join("LPS"[n] if direction[n] > 0 else "RAI"[n] for n in named[:2])


def _window(voxels: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey values 0..255 of ``(K, J, I)``, from the 1st to the 99.5th percentile of what is not background."""
    data = np.nan_to_num(voxels.astype(np.float32), posinf=0.0, neginf=0.0)
    content = data[data != data.flat[0]]
    low, high = np.percentile(content, (1.0, 99.5)) if content.size else (0.0, 1.0)
    scaled = (data - low) / max(float(high - low), 1e-6)
    return np.asarray(np.clip(scaled * 255, 0, 255), dtype=np.uint8)


def _choose(marked: NDArray[np.bool_]) -> list[int]:
    """Tiles with tumour (evenly thinned to MOST_TILES, the largest kept) and one neighbour to each side."""
    count = len(marked)
    area = marked.sum(axis=(1, 2))
    hit = np.flatnonzero(area)
    if not hit.size:
        return _even(np.arange(count), EMPTY_TILES)
    shown = np.arange(max(hit[0] - 1, 0), min(hit[-1] + 2, count))
    return sorted({*_even(shown, MOST_TILES - 1), int(area.argmax())})


def _even(indices: NDArray[Any], most: int) -> list[int]:
    places = np.linspace(0, len(indices) - 1, min(most, len(indices)))
    return [int(indices[round(float(place))]) for place in places]


def _tile(
    grey: NDArray[np.uint8], labels: NDArray[Any], true: NDArray[np.bool_], view: _View, number: str
) -> Image.Image:
    """Draw one ``(rows, columns)`` slice: image, tint, outlines, letters and number."""
    height, width = grey.shape[0] * view.spacing[0], grey.shape[1] * view.spacing[1]
    scale = TILE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    picture = Image.fromarray(np.ascontiguousarray(grey)).resize(size, Image.Resampling.BICUBIC)
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32).copy()
    for value in np.unique(labels[labels > 0]):
        mask = _scaled_mask(labels == value, size)
        paint = np.asarray(colour(int(value)), dtype=np.float32)
        pixels[mask] += TINT * (paint - pixels[mask])
        pixels[_outline(mask)] = paint
    pixels[_outline(_scaled_mask(true, size))] = TRUTH
    tile = Image.new("RGB", (TILE, TILE), (0, 0, 0))
    tile.paste(Image.fromarray(pixels.astype(np.uint8)), ((TILE - size[0]) // 2, (TILE - size[1]) // 2))
    _letters(tile, view.letters, number)
    return tile


def _scaled_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Scale a mask to ``size`` (width, height) without smoothing it and without losing a single voxel."""
    shrinks = size[0] < mask.shape[1] or size[1] < mask.shape[0]
    scaled = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8) * 255).resize(size, Image.Resampling.BOX)
    return np.asarray(np.asarray(scaled) >= (1 if shrinks else 128))


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inner = np.pad(mask, 1)
    kept = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    return np.asarray(mask & ~kept)


def _letters(tile: Image.Image, letters: tuple[str, str, str, str], number: str) -> None:
    draw, font, edge = ImageDraw.Draw(tile), ImageFont.load_default(14), 6
    left, right, top, bottom = letters
    places = [
        ((edge, TILE // 2), left, "lm"),
        ((TILE - edge, TILE // 2), right, "rm"),
        ((TILE // 2, edge), top, "ma"),
        ((TILE // 2, TILE - edge), bottom, "md"),
    ]
    for place, text, anchor in places:
        draw.text(place, text, INK, font, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))
    draw.text((edge, TILE - edge), number, FAINT, font, anchor="ld", stroke_width=2, stroke_fill=(0, 0, 0))


@dataclass(frozen=True)
class _Line:
    text: str
    size: int
    ink: tuple[int, int, int] = INK
    swatch: tuple[int, int, int] | None = None


def _legend(
    segmentation: Segmentation, image: StudyImage, view: _View, shown: int, caption: str, channel: str
) -> list[_Line]:
    count = np.bincount(label_voxels(segmentation).ravel(), minlength=2)
    touched = int((view.tiles(segmentation.voxels) > 0).any(axis=(1, 2)).sum())
    total = len(view.tiles(segmentation.voxels))
    lines = [_Line(caption, 24)]
    for name, value in named_labels(segmentation).items():
        voxels = int(count[value]) if value < len(count) else 0
        amount = f"{voxels:,} pixels"
        if image.spacing_known and image.placed:
            amount = _millilitres(voxels * image.grid.voxel_volume)
        lines.append(_Line(f"{name}: {amount}" if voxels else f"{name}: none", 18, swatch=colour(value)))
    found = f"tumour in {touched} of {total} slices" if touched else "no tumour found"
    shown_text = f"{shown} shown" if touched else f"{shown} of {total} slices shown, evenly spaced"
    detail = [found, shown_text, " ".join(part for part in (view.plane, channel) if part)]
    if image.spacing_known and image.placed:
        detail.append("patient's left on the right" if view.plane != "sagittal" else "front of the patient on the left")
    lines.append(_Line("  ·  ".join(part for part in detail if part), 16, FAINT if touched else INK))
    return lines + [_Line(note, 14, FAINT) for note in image.notes]


def _millilitres(cubic_mm: float) -> str:
    ml = cubic_mm / 1000
    return f"{ml:.1f} mL" if ml >= 1 else f"{ml:.2g} mL"


def _arrange(tiles: list[Image.Image], lines: list[_Line]) -> Image.Image:
    """Put the legend above the tiles; a line that is too long is broken between words."""
    # The fewest holes in the last row; of equally good ones the widest.
    columns = min(range(3, MOST_COLUMNS + 1), key=lambda n: (-len(tiles) % n if len(tiles) > n else 0, -n))
    columns = min(columns, max(len(tiles), 3))
    rows = -(-len(tiles) // columns)
    width = 2 * MARGIN + columns * TILE + (columns - 1) * GAP
    lines = [piece for line in lines for piece in _wrapped(line, width - 2 * MARGIN)]
    head = MARGIN + sum(round(line.size * 1.5) for line in lines) + GAP
    sheet = Image.new("RGB", (width, head + rows * (TILE + GAP) - GAP + MARGIN), BACKGROUND)
    draw, y = ImageDraw.Draw(sheet), MARGIN
    for line in lines:
        x = MARGIN
        if line.swatch is not None:
            draw.rounded_rectangle((x, y + 4, x + line.size, y + 4 + line.size), 4, fill=line.swatch)
            x += line.size + 10
        draw.text((x, y), line.text, line.ink, ImageFont.load_default(line.size))
        y += round(line.size * 1.5)
    for n, tile in enumerate(tiles):
        row, column = divmod(n, columns)
        sheet.paste(tile, (MARGIN + column * (TILE + GAP), head + row * (TILE + GAP)))
    return sheet


def _wrapped(line: _Line, width: int) -> list[_Line]:
    measure: Callable[[str], float] = ImageFont.load_default(line.size).getlength
    pieces, rest = [""], line.text.split(" ")
    for word in rest:
        longer = f"{pieces[-1]} {word}" if pieces[-1] else word
        if pieces[-1] and measure(longer) > width - 40:
            pieces.append(word)
        else:
            pieces[-1] = longer
    return [_Line(text, line.size, line.ink, line.swatch if not n else None) for n, text in enumerate(pieces)]
