"""Picture files as they lie in public data sets: any mode, any bit depth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

#: Endings of picture files, in lower case.
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def is_picture(path: Path) -> bool:
    """Whether the name is that of a picture; hidden files are none."""
    return path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")


def pictures_below(root: Path) -> list[Path]:
    """List the picture files in a folder and its folders, by name; hidden ones are left out."""
    found = (path for path in root.rglob("*") if is_picture(path) and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(root).parts))


def picture_size(path: Path) -> tuple[int, int]:
    """Return (width, height) from the header alone."""
    with _opened(path) as file:
        return file.size


def read_pixels(path: Path) -> NDArray[np.uint8]:
    """Return ``(H, W)`` or ``(H, W, 3)`` uint8; alpha is dropped, more bits are stretched from darkest to brightest."""
    with _opened(path) as file:
        if file.mode in ("L", "RGB"):
            return np.asarray(file, np.uint8).copy()
        if file.mode in ("1", "LA"):
            return np.asarray(file.convert("L"), np.uint8).copy()
        if file.mode == "F" or file.mode.startswith("I"):
            return _stretch(np.asarray(file, np.float64))
        return np.asarray(file.convert("RGB"), np.uint8).copy()


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Return ``(H, W)`` bool of a mask in any mode: 0/1, 0/255, palette, colour.

    A pixel is set when it is above half of the brightest one, so that traces of JPEG compression are not.
    """
    pixels = read_pixels(path)
    grey = pixels if pixels.ndim == 2 else pixels.max(axis=2)
    mask: NDArray[np.bool_] = grey > int(grey.max()) / 2
    return mask


def _stretch(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255 / ((high - low) or 1.0))).round().astype(np.uint8)


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """Open a picture; whatever is wrong with it, also while it is decoded, is one kind of error."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected a picture there") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read as a picture ({error}); is it damaged or cut off?") from error
