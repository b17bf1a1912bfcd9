"""Small annotated sets, drawn on the spot, whose right answer the stand-in detector of tests/support.py knows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (40, 60)  # rows, columns
BENIGN, MALIGNANT = 150, 230  # grey values that the stand-in takes for these classes

Box = tuple[int, int, int, int]


def draw(path: Path, blobs: list[tuple[Box, int]]) -> None:
    """Write a dark picture with bright boxes ``(x0, y0, x1, y1)``."""
    pixels = np.full(SIZE, 20, np.uint8)
    for (x0, y0, x1, y1), value in blobs:
        pixels[y0:y1, x0:x1] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def annotate(picture: Path, *boxes: Box) -> None:
    """Write the masks beside a picture as the BUSI set does."""
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        mask = np.zeros(SIZE, np.uint8)
        mask[y0:y1, x0:x1] = 255
        ending = f"_{number}" if number else ""
        Image.fromarray(mask).save(picture.with_name(f"{picture.stem}_mask{ending}.png"))


def write_breast(root: Path) -> Path:
    """Four pictures: one right, one with one of two lesions found, one normal and quiet, one normal with an alarm.

    At the threshold of 0.5 that is: lesions 3, found 2, false alarms 1.
    """
    first, second = root / "benign" / "benign (1).png", root / "malignant" / "malignant (1).png"
    draw(first, [((10, 10, 20, 20), BENIGN)])
    annotate(first, (10, 10, 20, 20))
    draw(second, [((5, 5, 25, 25), MALIGNANT)])
    annotate(second, (5, 5, 25, 25), (40, 30, 50, 38))
    for number, blobs in enumerate(([], [((30, 10, 40, 20), BENIGN)]), start=1):
        normal = root / "normal" / f"normal ({number}).png"
        draw(normal, blobs)
        annotate(normal, (0, 0, 0, 0))
    return root


def write_via(root: Path) -> Path:
    """Two pictures with a VIA file: one tumour each, found in the first."""
    entries = {}
    for name, blobs, (x0, y0, x1, y1) in (
        ("a.png", [((10, 10, 30, 30), MALIGNANT)], (10, 10, 30, 30)),
        ("b.png", [], (30, 10, 50, 25)),
    ):
        draw(root / name, blobs)
        shape = {"name": "polygon", "all_points_x": [x0, x1, x1, x0], "all_points_y": [y0, y0, y1, y1]}
        entries[name] = {
            "filename": name,
            "size": -1,
            "regions": [{"shape_attributes": shape, "region_attributes": {}}],
        }
    (root / "annotations.json").write_text(json.dumps(entries))
    return root
