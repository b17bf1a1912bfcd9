"""One frame as a picture for the eye (WADO-RS rendered and thumbnail)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorseg.dicom.store.frames import decoded_frame
from tumorseg.dicom.store.metadata import read_dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Where the file names no window: what lies between these percentiles is shown.
_PERCENTILES = (1.0, 99.0)


def render(
    path: Path,
    number: int,
    *,
    window: tuple[float, float] | None = None,
    size: tuple[int, int] | None = None,
    media_type: str = "image/jpeg",
) -> bytes:
    """Return frame ``number`` (from 1) as JPEG or PNG.

    Args:
        path: the DICOM file.
        number: frame, from 1.
        window: (centre, width) in the values after rescaling; the file's own by default.
        size: the picture fits into (width, height), its shape kept; as stored by default.
        media_type: ``image/jpeg`` or ``image/png``.

    Raises:
        NotFoundError: there is no such frame.
        InputError: the file cannot be parsed or decoded.
    """
    from PIL import Image

    pixels = decoded_frame(path, number)
    picture = Image.fromarray(pixels if pixels.ndim == 3 else _grey(pixels, read_dataset(path), number, window))
    if size is not None:
        picture.thumbnail(size)
    out = io.BytesIO()
    picture.save(out, "PNG" if media_type == "image/png" else "JPEG", quality=90)
    return out.getvalue()


def _grey(pixels: NDArray[Any], dataset: Any, number: int, window: tuple[float, float] | None) -> NDArray[Any]:
    """Rescale, window and invert where the file says so; ``(rows, columns)`` uint8."""
    import numpy as np

    slope = _value(dataset, number, "PixelValueTransformationSequence", "RescaleSlope", 1.0)
    values = pixels * slope + _value(dataset, number, "PixelValueTransformationSequence", "RescaleIntercept", 0.0)
    if window is None:
        centre = _value(dataset, number, "FrameVOILUTSequence", "WindowCenter", None)
        width = _value(dataset, number, "FrameVOILUTSequence", "WindowWidth", None)
        window = (centre, width) if centre is not None and width else None
    low, high = np.percentile(values, _PERCENTILES) if window is None else _limits(*window)
    shown = np.clip((values - low) / max(high - low, 1e-6), 0, 1) * 255
    shown = shown if dataset.get("PhotometricInterpretation") != "MONOCHROME1" else 255 - shown
    return np.asarray(shown.round().astype(np.uint8))


def _limits(centre: float, width: float) -> tuple[float, float]:
    """The values that become black and white by the linear VOI function (PS3.3 C.11.2.1.2.1)."""
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def _value(dataset: Any, number: int, group: str, keyword: str, default: Any) -> Any:
    """Read the first number of ``keyword`` from the image, the frame's or the shared functional groups."""
    places = [dataset]
    for sequence, item in (("PerFrameFunctionalGroupsSequence", number - 1), ("SharedFunctionalGroupsSequence", 0)):
        groups = dataset.get(sequence) or []
        if item < len(groups) and groups[item].get(group):
            places.insert(0, groups[item].get(group)[0])
    for place in places:
        value = place.get(keyword)
        if value not in (None, ""):
            return float(value if isinstance(value, (int, float)) else next(iter(value)))
    return default
