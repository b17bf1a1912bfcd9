"""A model that is trained in seconds, and studies that it can learn: what the tests of the learning loop share.

A study is a small stack of grey noise in a head with one bright blob, whose mask is known. ``tiny`` serves from the
start, with weights that nobody trained and that are the same everywhere; ``untrained`` has none and begins cold.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from torch import nn

from tumorseg.models.slicewise import SlicewiseModel, SlicewiseSpec

#: For ``extra_models`` of a test server.
EXTRA_MODELS = "tiny=tests.tiny:build,untrained=tests.untrained:build"
#: ``(K, J, I)`` of a study; other sizes work too, the network pads to multiples of 16.
SHAPE = (5, 32, 48)
SPACING_MM = 0.9
BLOB, HEAD = 900.0, 300.0
#: Ids of the studies that most tests have; by hash p0 and p7 validate (tumorseg.active_learning.frozen).
PATIENTS = ("p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7")


def network() -> nn.Module:
    """Return the untrained network, ``(B, 3, H, W)`` -> ``(B, 1, H, W)`` logits."""
    from tumorseg.networks.tiny import TinyUNet

    return TinyUNet(in_channels=3)


@dataclass(frozen=True)
class TinySpec(SlicewiseSpec):
    """A spec whose weights are made on first use, for every process of one test run the same."""

    @property
    def weights(self) -> Path:
        """Where the weights lie that nobody trained."""
        source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
        path = Path(tempfile.gettempdir(), f"tumorseg-tests-{os.getuid()}", f"{self.name}-{source}.safetensors")
        return path if path.is_file() else first_weights(path)


SPEC = TinySpec(
    name="tiny",
    description="A network for tests, trained in seconds",
    network=network,
    stride=16,
    mirror=False,
)


def build(weights: Path | None = None, device: str = "auto") -> SlicewiseModel:
    """Return the model with the weights that nobody trained, or those in ``weights``."""
    return SlicewiseModel(SPEC, weights, device)


def first_weights(path: Path, seed: int = 0) -> Path:
    """Write weights that nobody trained; the same seed gives the same bytes."""
    import torch

    from tumorseg.training.checkpoint import save_weights

    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        save_weights(network().state_dict(), path, half=False, metadata={"model": "tiny"})
    return path


@dataclass(frozen=True, eq=False)
class Study:
    """A made-up study.

    Attributes:
        id: of the image, and of the patient.
        image: ``(K, J, I)`` float32.
        mask: ``(K, J, I)`` uint8, 1 in the blob.
        affine: ``(4, 4)`` voxel (i, j, k) to RAS mm.
    """

    id: str
    image: NDArray[np.float32]
    mask: NDArray[np.uint8]
    affine: NDArray[np.float64]


def study(name: str, shape: tuple[int, int, int] = SHAPE, *, lesion: bool = True) -> Study:
    """Return the study of this name, always the same: noise in a head, and a bright blob in the middle slices."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big"))
    k, j, i = np.ogrid[: shape[0], : shape[1], : shape[2]]
    head = ((j - shape[1] / 2) / (0.45 * shape[1])) ** 2 + ((i - shape[2] / 2) / (0.45 * shape[2])) ** 2 <= 1
    centre = [n * rng.uniform(0.4, 0.6) for n in shape]
    radius = min(shape[1:]) * rng.uniform(0.16, 0.22)
    far = ((j - centre[1]) ** 2 + (i - centre[2]) ** 2) / radius**2 + ((k - centre[0]) / (0.35 * shape[0])) ** 2
    mask = ((far <= 1) & head & lesion).astype(np.uint8)
    image = (HEAD + 40 * rng.standard_normal(shape)) * head + 10 * np.abs(rng.standard_normal(shape))
    image = np.where(mask > 0, BLOB + 40 * rng.standard_normal(shape), image)
    return Study(name, image.astype(np.float32), mask, np.diag([-SPACING_MM, -SPACING_MM, 3.0, 1.0]))


def write_studies(folder: Path, names: Sequence[str] = PATIENTS, **how: Any) -> dict[str, Study]:
    """Write one NIfTI file a study into ``folder`` and return the studies by id; ``how`` as for :func:`study`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {name: study(name, **how) for name in names}
    for name, one in made.items():
        write_volume(folder / f"{name}.nii.gz", one.image, one.affine)
    return made


def write_mask(path: Path, one: Study, mask: NDArray[Any] | None = None) -> Path:
    """Write the true mask of a study, or another one on its voxels, as an annotator's tool would."""
    return write_volume(path, one.mask if mask is None else np.asarray(mask, np.uint8), one.affine)


def write_volume(path: Path, voxels: NDArray[Any], affine: NDArray[np.float64]) -> Path:
    """Write ``(K, J, I)`` voxels as NIfTI, which lists (i, j, k)."""
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(voxels.T), affine), path)
    return path
