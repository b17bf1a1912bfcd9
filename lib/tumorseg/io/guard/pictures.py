"""PNG, JPEG and TIFF: how large, and packed in a way that cannot become larger than it says."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.errors import InputError
from tumorseg.io.guard.sizes import OversizeError, refused, voxel_bytes

if TYPE_CHECKING:
    from tifffile import TiffPage

_FORMATS = {".png": ("PNG",), ".jpg": ("JPEG",), ".jpeg": ("JPEG",)}
_WIDE_MODES = ("I", "F")
#: Compressions of TIFF that say nothing of their own about the size: none, LZW, deflate twice, PackBits.
_TIFF_PLAIN = frozenset({1, 5, 8, 32946, 32773})
_MOST_PAGES = 20_000


def check_picture(path: Path, most: int) -> int:
    """Look at a PNG or JPEG (of others, whatever its name says, nothing is read) and return the bytes of its pixels."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=_FORMATS[path.suffix]) as picture:
            item = 4 if picture.mode in _WIDE_MODES else 2 if "16" in picture.mode else 1
            return voxel_bytes(path, [*picture.size, len(picture.getbands())], item, most)
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise OversizeError(f"{path} has too many pixels ({error})") from None
    except UnidentifiedImageError:
        raise refused(path, f"is no {_FORMATS[path.suffix][0]}; is it damaged, or another kind of file?") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise refused(path, f"cannot be read as a picture ({error}); is it damaged or cut off?") from error


def check_tiff(path: Path, most: int) -> int:
    """Look at every page of a TIFF and return the bytes of all pixels."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            total = 0
            for number, page in enumerate(file.pages):
                if number >= _MOST_PAGES:
                    raise OversizeError(f"{path} has more than {_MOST_PAGES} pages")
                total += _page_bytes(path, page.aspage(), most)
                voxel_bytes(path, [max(total, 1)], 1, most)
            if not total:
                raise refused(path, "has no page that can be found; is it damaged or cut off?")
            return total
    except InputError:
        raise
    except Exception as error:  # tifffile raises many kinds, all meaning a bad file
        raise refused(path, f"cannot be read as TIFF ({error}); is it damaged or cut off?") from error


def _page_bytes(path: Path, page: TiffPage, most: int) -> int:
    """Return the bytes of one page, and refuse what its tiles could hide."""
    if int(page.compression) not in _TIFF_PLAIN:
        raise refused(path, f"is packed as {page.compression}; write it with LZW, deflate or no compression")
    dtype: Any = page.dtype
    if dtype is None or not page.shape:
        raise refused(path, "has a page without pixels; is it damaged?")
    voxel_bytes(path, [max(1, math.prod(page.chunks))], dtype.itemsize, most)
    return voxel_bytes(path, [int(size) for size in page.shape], dtype.itemsize, most)
