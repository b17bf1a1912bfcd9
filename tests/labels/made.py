"""What the tests of the label history share: small label files, annotators, and processes that save."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nibabel as nib
import numpy as np

from tumorseg.labels.history import LabelHistory
from tumorseg.labels.types import Provenance

ANNA, BERT, CARL = Provenance("anna"), Provenance("bert"), Provenance("carl")


def label(path: Path, value: int = 1) -> Path:
    """Write a label map whose content depends on ``value``; 0 is an empty one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros((5, 4, 3), np.uint16)
    voxels[1, 2, 1] = value
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 2.0, 3.0, 1.0])), path)
    return path


def value_of(path: Path) -> int:
    """Return the value that :func:`label` wrote, read by another library than ours."""
    return int(np.asarray(nib.load(path).dataobj).max())


def save_many(root: str, files: str, author: str, count: int, shared: bool) -> None:
    """Save ``count`` labels and print each one once it is acknowledged; runs in a process of its own."""
    history = LabelHistory(Path(root))
    for number in range(count):
        value = os.getpid() * 1000 % 50000 + number
        file = label(Path(files) / f"{author}-{number}.nii.gz", value)
        image = "shared" if shared else f"{author}-{number}"
        version = history.save(image, "final", file, Provenance(author), {"number": number})
        sys.stdout.write(f"{version.uid} {version.sha256} {value}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    save_many(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5] == "shared")
