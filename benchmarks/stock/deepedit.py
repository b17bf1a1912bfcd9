"""Stock MONAI Label's radiology app with its DeepEdit model, as it ships; only its weights are not downloaded.

How long a click takes does not depend on what the weights are, so they are drawn at random; what it answers is then of
no use, and nothing is measured of that. Everything else is stock: the app's own code, network, size and transforms.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.stock.prepare import environment, run, write_nifti
from tumorseg.errors import UnavailableError

if TYPE_CHECKING:
    from tumorseg.types import StudyImage

HERE = Path(__file__).parent
MODEL = "deepedit"
#: One of the labels that the model ships with, and that of what is not to be marked.
LABEL, BACKGROUND = "spleen", "background"
# uv leaves a wheel's data files in the folder of its metadata; pip puts them under the environment.
_APPS = ("lib/python*/site-packages/monailabel-*.data/data/monailabel/sample-apps", "monailabel/sample-apps")


@dataclass(frozen=True)
class DeepEdit:
    """Where things of the stock server lie: its interpreter, a copy of its app, and a folder of NIfTI files."""

    python: Path
    app: Path
    studies: Path
    model: str = MODEL


def prepare_deepedit(cache: Path, images: Mapping[str, StudyImage]) -> DeepEdit:
    """Make everything that the server needs below ``cache``; the environment and the weights are kept between runs.

    Args:
        cache: folder.
        images: name -> image of one channel, which is all that the model takes.

    Raises:
        UnavailableError: the environment could not be built, or holds no such app.
    """
    python = environment(cache / "stock")
    app = _app(cache)
    if not list((app / "model").glob(f"{MODEL}_*.pt")):
        run([python, HERE / "random_deepedit.py", app, MODEL])
    studies = cache / "click-studies"
    shutil.rmtree(studies, ignore_errors=True)
    for name, image in images.items():
        write_nifti(studies / f"{name}.nii", image)
    return DeepEdit(python, app, studies)


def _app(cache: Path) -> Path:
    """Return a copy of the radiology app: MONAI Label writes into it."""
    app = cache / "radiology"
    if not (app / "main.py").is_file():
        found = [path for pattern in _APPS for path in sorted((cache / "stock").glob(f"{pattern}/radiology"))]
        if not found:
            raise UnavailableError(
                f"expected MONAI Label's radiology app in {cache / 'stock'}: remove it, and run again"
            )
        shutil.rmtree(app, ignore_errors=True)
        shutil.copytree(found[0], app, ignore=shutil.ignore_patterns("__pycache__"))
    return app
