"""The output table of system D: image_path, predicted_mask, has_mask, a line for each slice.

``predicted_mask`` is the path of a PNG (0 or 255) relative to the table; it is empty where nothing is marked.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
from PIL import Image

from tumorseg.evaluation.pages.tiles import encoded
from tumorseg.io.files import write_atomically
from tumorseg.io.kaggle_3m import Case
from tumorseg.types import Segmentation

COLUMNS = ("image_path", "predicted_mask", "has_mask")


class PredictionTable:
    """Collects the slices of patients one after the other; the masks are written at once, the table at the end.

    Args:
        path: of the table; the masks go into a folder of the same name without ending, beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.folder = path, path.with_suffix("")
        self.rows: list[tuple[str, str, int]] = []

    def add(self, case: Case, found: Segmentation) -> None:
        """Take the slices of one patient, in the order of the volume."""
        self.folder.mkdir(exist_ok=True)
        for k, mask in enumerate(found.voxels > 0):
            written = self._write(case, k, mask) if mask.any() else ""
            self.rows.append((slice_path(case, k), written, int(bool(written))))

    def finish(self) -> None:
        """Write the table."""
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(COLUMNS)
        lines.writerows(self.rows)
        write_atomically(self.path, text.getvalue().encode("utf-8"))

    def _write(self, case: Case, k: int, mask: np.ndarray) -> str:
        name = f"{case.id.replace('/', '_')}_{_number(case, k)}.png"
        write_atomically(self.folder / name, encoded(Image.fromarray(mask.astype(np.uint8) * 255), "PNG"))
        return f"{self.folder.name}/{name}"


def slice_path(case: Case, k: int) -> str:
    """Return where slice ``k`` came from: its own file, or the volume's file with ``#`` and the slice's number."""
    path = Path(str(case.image.source.get("path", case.id)))
    if "slice_numbers" in case.image.source:
        return str(path / f"{path.name}_{_number(case, k)}.tif")
    return f"{path}#{_number(case, k)}"


def _number(case: Case, k: int) -> int:
    numbers = case.image.source.get("slice_numbers")
    return int(numbers[k]) if numbers else k + 1
