"""PNG, JPEG and TIFF: pixels without millimetres. Grey is one channel, colour three; alpha is dropped."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray


_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM")


def read_picture(path: Path) -> StudyImage:
    """Read a PNG or JPEG as one slice ``(1 or 3, 1, J, I)``, uint8 or uint16; one pixel counts as one millimetre.

    Raises:
        InputError: no picture, damaged, or far too large.
    """
    from PIL import Image

    try:
        # Of Pillow's readers some start other programs; these decode pixels and nothing else.
        with Image.open(path, formats=_FORMATS) as file:
            picture: Image.Image = file
            if picture.mode in ("1", "LA"):
                picture = picture.convert("L")
            elif picture.mode not in ("L", "I", "F", "RGB") and not picture.mode.startswith("I;16"):
                picture = picture.convert("RGB")
            pixels = np.array(picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be read as a picture ({error}); is it damaged or cut off?") from error
    return _image(path, pixels[None])


def read_tiff(path: Path) -> StudyImage:
    """Read a TIFF, its pages as slices: ``(1 or 3, K, J, I)``; one pixel counts as one millimetre.

    Raises:
        InputError: no TIFF, damaged, or pages of different sizes.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            pages = [_page(page) for page in file.pages]
            whole = _is_last_page(file)
    except Exception as error:  # tifffile and its codecs raise many kinds, all meaning a bad file
        raise InputError(f"{path} cannot be read as TIFF ({error}); is it damaged or cut off?") from error
    if not whole:
        raise InputError(f"{path} is cut off after {len(pages)} pages; copy it again")
    shapes = sorted({page.shape for page in pages})
    if len(shapes) != 1:
        raise InputError(f"{path} has pages of different sizes {shapes[:4]}; expected slices of one size")
    return _image(path, np.stack(pages))


def _is_last_page(file: Any) -> bool:
    """Whether the chain of pages ends as it should: tifffile stops at a page that it cannot find and says nothing."""
    if file.pages.next_page_offset is None:
        return True
    file.filehandle.seek(file.pages.next_page_offset)
    return bool(file.filehandle.read(file.tiff.offsetsize) == b"\0" * file.tiff.offsetsize)


def _page(page: Any) -> NDArray[Any]:
    """Return one page as ``(J, I)`` or ``(J, I, samples)``, brighter meaning more."""
    pixels = np.asarray(page.asarray())
    if getattr(page, "planarconfig", 1) == 2 and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)
    if int(getattr(page, "photometric", 1)) == 0 and pixels.dtype.kind == "u":  # white is zero
        pixels = np.iinfo(pixels.dtype).max - pixels
    return pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels


def _image(path: Path, pixels: NDArray[Any]) -> StudyImage:
    """Make an image of ``(K, J, I)`` or ``(K, J, I, samples)``."""
    if pixels.ndim not in (3, 4) or pixels.dtype.kind not in "uif":
        raise InputError(f"{path} holds {pixels.dtype} pixels of shape {pixels.shape[1:]}; expected grey or RGB")
    samples = pixels[..., None] if pixels.ndim == 3 else pixels
    kept = samples[..., :1] if samples.shape[-1] <= 2 else samples[..., :3]
    voxels = np.ascontiguousarray(np.moveaxis(kept, -1, 0))
    return StudyImage(
        voxels=voxels.astype(np.float32) if voxels.dtype.itemsize > 4 else voxels,
        grid=Grid((voxels.shape[1], voxels.shape[2], voxels.shape[3]), np.eye(4)),
        channels=("",) * len(voxels),
        spacing_known=False,
        source={"kind": "picture", "path": str(path)},
    )
