"""Build the stock environment and the inputs it needs: the study as one NIfTI, the weights as a ``.pt``."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.errors import UnavailableError

if TYPE_CHECKING:
    from tumorseg.types import StudyImage

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
STUDY_ID = "lgg_sample"


@dataclass(frozen=True)
class Stock:
    """Where things of the stock server lie.

    Attributes:
        python: interpreter of its environment.
        app: folder of its app (a copy: MONAI Label writes into it).
        studies: folder with one NIfTI, the id of which is :data:`STUDY_ID`.
        weights: ``.pt`` that MONAI Label loads.
    """

    python: Path
    app: Path
    studies: Path
    weights: Path


def prepare(cache: Path, image: StudyImage, weights: Path) -> Stock:
    """Make everything the stock server needs below ``cache``; the environment is kept between runs."""
    python = environment(cache / "stock")
    app = cache / "app"
    shutil.rmtree(app, ignore_errors=True)
    shutil.copytree(HERE / "app", app, ignore=shutil.ignore_patterns("__pycache__"))
    studies = cache / "studies"
    shutil.rmtree(studies, ignore_errors=True)
    write_nifti(studies / f"{STUDY_ID}.nii", image)
    checkpoint = cache / "resunet.pt"
    write_checkpoint(checkpoint, weights)
    return Stock(python, app, studies, checkpoint)


def environment(folder: Path) -> Path:
    """Return the interpreter of the stock environment, building it where its pins are not what is installed.

    Raises:
        UnavailableError: uv is not there, or it could not install.
    """
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    uv = _uv()
    # Compiled at once: a server that compiles its imports at the first start would look slower than it is.
    install: list[str | Path] = [uv, "pip", "install", "--quiet", "--no-deps", "--compile-bytecode", "--python", python]
    run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder])
    run([*install, "--requirement", REQUIREMENTS])
    stamp.write_text(wanted)
    return python


def write_nifti(path: Path, image: StudyImage) -> None:
    """Write ``(C, K, J, I)`` as NIfTI ``(I, J, K, C)``, one channel as ``(I, J, K)``; uncompressed loads quickest."""
    import nibabel
    import numpy as np

    from tumorseg.geometry import flip_ras_lps

    voxels = np.ascontiguousarray(image.voxels.transpose(3, 2, 1, 0))
    voxels = voxels[..., 0] if voxels.shape[-1] == 1 else voxels
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, flip_ras_lps(image.grid.affine)), path)


def write_checkpoint(path: Path, weights: Path) -> None:
    """Write safetensors of any float type as the float32 checkpoint that MONAI Label's trainer would have left."""
    import torch
    from safetensors.torch import load_file

    state = {name: value.float() if value.is_floating_point() else value for name, value in load_file(weights).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"model": state}, path)


def _uv() -> str:
    """Find uv: beside this interpreter, where ``make install`` puts it, or on the path."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise UnavailableError("expected uv beside the interpreter or on the path: run `make install`")
    return found


def run(command: Sequence[str | Path]) -> None:
    """Run a step of the installation; its last words become the error."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise UnavailableError(f"the stock environment could not be built:\n{done.stderr.strip()[-2000:]}")
