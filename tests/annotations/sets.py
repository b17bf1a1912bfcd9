"""Annotated pictures made on the spot: random shapes from a seed, as every format may meet them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from tumorseg.annotations import Picture, PictureSet, Region

LABELS = ("benign", "malignant")


def save_picture(path: Path, size: tuple[int, int], rng: np.random.Generator, mode: str = "L") -> Path:
    """Save noise of (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    depth = {"L": (), "RGB": (3,), "RGBA": (4,)}[mode]
    Image.fromarray(rng.integers(0, 256, (size[1], size[0], *depth), dtype=np.uint8), mode).save(path)
    return path


def blob(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """A mask (H, W) with holes and several parts, never empty."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(rng.random((size[1], size[0])), 1.5)
    return field > np.quantile(field, 0.8)


def star(size: tuple[int, int], rng: np.random.Generator, whole: bool = False) -> np.ndarray:
    """A polygon (P, 2) that does not cross itself, inside a picture of (width, height)."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 20)))
    radius = rng.uniform(0.2, 0.45, len(angles)) * min(size)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radius[:, None] + np.array(size) / 2
    return points.round() if whole else points


def region(kind: str, label: str, size: tuple[int, int], rng: np.random.Generator) -> Region:
    attributes = {"score": float(rng.random()), "note": "a & <b>, “c”", "number as text": "007", "n": 3}
    if kind == "mask":
        return Region(label, mask=blob(size, rng), attributes=attributes)
    if kind == "box":
        x0, y0 = rng.integers(0, 5, 2)
        return Region(label, box=np.array([x0, y0, x0 + 4, y0 + 7], float), attributes=attributes)
    count = 2 if kind == "polygons" else 1
    return Region(label, tuple(star(size, rng) for _ in range(count)), attributes=attributes)


def random_set(folder: Path, kinds: Iterable[str], *, seed: int = 0, labels: tuple[str, ...] = LABELS) -> PictureSet:
    """Six pictures in two parts of a split with nought to three regions of the given kinds each."""
    rng, kinds = np.random.default_rng(seed), list(kinds)
    pictures = []
    for number in range(6):
        size = (int(rng.integers(12, 40)), int(rng.integers(12, 40)))
        split = "train" if number < 4 else "val"
        path = save_picture(folder / split / f"picture {number}.png", size, rng, ("L", "RGB")[number % 2])
        label = str(rng.choice(labels))
        regions = [region(str(rng.choice(kinds)), label, size, rng) for _ in range(number % 4)]
        pictures.append(Picture(f"{split}/picture {number}", path, *size, tuple(regions), attributes={"split": split}))
    return PictureSet(folder, "test", pictures, labels)
