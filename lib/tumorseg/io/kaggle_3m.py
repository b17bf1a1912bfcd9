"""The layout of the public "LGG MRI segmentation" download (kaggle_3m) as cases.

``ROOT/TCGA_XX_NNNN_DATE/TCGA_XX_NNNN_DATE_N.tif`` is one axial slice, 256 x 256 RGB uint8 with the channels
pre-contrast T1, FLAIR and post-contrast T1; ``..._N_mask.tif`` is its mask (0 or 255) of the FLAIR abnormality.
N orders the volume from the feet to the head. There is no spacing: one pixel counts as one millimetre.

Buda, Saha, Mazurowski: Association of genomic subtypes of lower-grade gliomas with shape features automatically
extracted by a deep learning algorithm. Computers in Biology and Medicine 109, 2019.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from tumorseg.errors import InputError, NotFoundError
from tumorseg.geometry import Grid
from tumorseg.types import FLAIR, T1, T1GD, Segmentation, StudyImage

CHANNELS = (T1, FLAIR, T1GD)
LABELS = {"tumour": 1}
_SLICE = re.compile(r"_(\d+)\.tif$")


@dataclass(frozen=True, eq=False)
class Case:
    """One patient: the image and, where there is one, the annotators' label map on the same grid."""

    id: str
    image: StudyImage
    truth: Segmentation | None


class Kaggle3m(Sequence[Case]):
    """The patients below a folder, read when asked for.

    Args:
        root: the folder that holds one folder for each patient.
        patients: take only these, in this order; every one must be there.
    """

    def __init__(self, root: Path | str, patients: Sequence[str] | None = None) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise NotFoundError(f"no folder {self.root}; expected the kaggle_3m layout there")
        found = sorted(f.name for f in self.root.iterdir() if f.is_dir() and any(f.glob("*_mask.tif")))
        if not found:
            raise InputError(f"expected folders of <patient>_<n>.tif and <patient>_<n>_mask.tif in {self.root}")
        missing = sorted(set(patients or ()) - set(found))
        if missing:
            raise NotFoundError(f"{len(missing)} patients are not in {self.root}: {', '.join(missing[:5])}")
        self.patients = tuple(patients if patients is not None else found)

    def __len__(self) -> int:
        return len(self.patients)

    def __getitem__(self, index: int) -> Case:  # type: ignore[override]
        return read_case(self.root / self.patients[index])

    def __iter__(self) -> Iterator[Case]:
        return (self[index] for index in range(len(self)))


def read_case(folder: Path) -> Case:
    """Read one patient's folder; the slices are ordered by their number N."""
    numbered = sorted((int(match[1]), path) for path in folder.glob("*.tif") if (match := _SLICE.search(path.name)))
    if not numbered:
        raise InputError(f"expected slices named <patient>_<n>.tif in {folder}, found none")
    slices = [_read_slice(path) for _, path in numbered]
    masks = [_read_mask(path) for _, path in numbered]
    if len({s.shape for s in slices}) > 1:
        raise InputError(f"slices of different sizes in {folder}: {sorted({s.shape for s in slices})}")
    voxels = np.ascontiguousarray(np.stack(slices).transpose(3, 0, 1, 2))
    grid = Grid(voxels.shape[1:], np.eye(4))
    source = {"path": str(folder), "slice_numbers": tuple(number for number, _ in numbered)}
    image = StudyImage(voxels, grid, CHANNELS, modality="MR", spacing_known=False, source=source)
    truth = None
    if any(mask is not None for mask in masks):
        empty = np.zeros(grid.shape[1:], np.uint8)
        truth = Segmentation(np.stack([empty if mask is None else mask for mask in masks]), grid, LABELS)
    return Case(folder.name, image, truth)


def _read_slice(path: Path) -> np.ndarray:
    pixels = _read_tiff(path)
    if pixels.ndim != 3 or pixels.shape[2] != len(CHANNELS):
        raise InputError(f"expected (rows, columns, {len(CHANNELS)}) pixels in {path.name}, got {pixels.shape}")
    return pixels


def _read_mask(image: Path) -> np.ndarray | None:
    path = image.with_name(f"{image.stem}_mask.tif")
    return (_read_tiff(path) > 0).astype(np.uint8) if path.exists() else None


def _read_tiff(path: Path) -> np.ndarray:
    try:
        return np.asarray(tifffile.imread(path))
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise InputError(f"cannot read {path}: {error}; expected a TIFF picture") from error
