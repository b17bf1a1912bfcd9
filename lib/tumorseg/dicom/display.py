"""One picture of a DICOM file as a viewer shows it: decoded, coloured by its palette, windowed, eight bits.

Networks for ultrasound have seen what is on the screen, and so shall they here. The order of the steps is that of
PS3.4 section N.2: modality transformation, window or VOI table, inversion for MONOCHROME1; colours have none of these.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.uid import UID, ImplicitVRLittleEndian

from tumorseg.dicom.parse import refusing
from tumorseg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom.dataset import Dataset

_GREY = ("MONOCHROME1", "MONOCHROME2")
#: Colour spaces that a decoder of JPEG 2000 turns into RGB itself.
_TURNED_BY_JPEG_2000 = ("YBR_RCT", "YBR_ICT")
_YBR = ("YBR_FULL", "YBR_FULL_422")


def displayed_pixels(path: Path, ds: Dataset) -> NDArray[np.uint8]:
    """Return the only frame of ``ds``, ``(J, I)`` grey or ``(J, I, 3)`` RGB, uint8, white is 255.

    Args:
        path: its file, for messages.
        ds: the whole data set, pixels included.

    Raises:
        InputError: the pixels are cut off, cannot be decoded, or are in an unknown colour space.
    """
    with refusing(path):
        pixels, colours = _decoded(ds)
        if colours == "PALETTE COLOR":
            return _painted(pixels, ds)
        if colours == "RGB" and pixels.ndim == 3:
            return _eight_bits(pixels, 0, 2 ** int(ds.BitsStored) - 1)
        if colours in _GREY and pixels.ndim == 2:
            return _grey(pixels, ds)
    known = ", ".join((*_GREY, "PALETTE COLOR", "RGB", *_YBR))
    raise InputError(f"{path} has pixels of {colours or 'no colour space'} {pixels.shape}; expected {known}")


def _decoded(ds: Dataset) -> tuple[NDArray[Any], str]:
    """Return the samples ``(J, I)`` or ``(J, I, 3)`` and their colour space, RGB where they were YBR."""
    from pydicom.pixels.decoders.base import get_decoder

    _complete(ds)
    syntax = UID(ds.file_meta.get("TransferSyntaxUID") or ImplicitVRLittleEndian)
    decoder = get_decoder(syntax)
    if decoder.is_available:
        pixels, about = decoder.as_array(ds, index=0)
        return pixels, str(about["photometric_interpretation"])
    return _decoded_otherwise(ds, syntax)


def _decoded_otherwise(ds: Dataset, syntax: UID) -> tuple[NDArray[Any], str]:
    """Decode what pydicom has no decoder for, such as lossless JPEG."""
    from pydicom.encaps import get_frame
    from pydicom.pixels.processing import convert_color_space

    from tumorseg.dicom.pixels import codec

    shape = (int(ds.Rows), int(ds.Columns), int(ds.SamplesPerPixel))
    encoded = get_frame(ds.PixelData, 0, number_of_frames=1)
    pixels = np.asarray(codec(syntax)(encoded)).reshape(shape if shape[2] > 1 else shape[:2])
    colours = str(ds.PhotometricInterpretation)
    if colours in _YBR:
        return convert_color_space(pixels, colours, "RGB"), "RGB"
    return pixels, "RGB" if colours in _TURNED_BY_JPEG_2000 else colours


def _complete(ds: Dataset) -> None:
    """Fill in what old devices leave out and what can only mean one thing."""
    defaults = {"NumberOfFrames": 1, "SamplesPerPixel": 1, "BitsStored": ds.BitsAllocated}
    defaults["PhotometricInterpretation"] = "MONOCHROME2"
    if int(ds.get("SamplesPerPixel") or 1) > 1:
        defaults["PlanarConfiguration"] = 0
    for keyword, value in defaults.items():
        if ds.get(keyword) is None:
            setattr(ds, keyword, value)


def _painted(pixels: NDArray[Any], ds: Dataset) -> NDArray[np.uint8]:
    """Look up the palette: ``(J, I)`` entries to ``(J, I, 3)`` RGB."""
    from pydicom.pixels.processing import apply_color_lut

    colours = apply_color_lut(pixels, ds)[..., :3]
    # Sixteen bits an entry are full scale by the standard; some devices write eight bits into them.
    return _eight_bits(colours, 0, 255 if colours.max() <= 255 else 65535)


def _grey(stored: NDArray[Any], ds: Dataset) -> NDArray[np.uint8]:
    """Turn stored grey values into what is shown: by the file's VOI table or window, else eight bits as they are."""
    from pydicom.pixels.processing import apply_modality_lut, apply_voi

    values = apply_modality_lut(stored, ds)
    if ds.get("VOILUTSequence"):
        shown = _eight_bits(apply_voi(values, ds), 0, 2 ** int(ds.VOILUTSequence[0].LUTDescriptor[2]) - 1)
    else:
        shown = _eight_bits(values, *(_window(ds) or _range(values, stored, ds)))
    return np.asarray(255 - shown) if ds.PhotometricInterpretation == "MONOCHROME1" else shown


def _window(ds: Dataset) -> tuple[float, float] | None:
    """Return the values that become black and white by the linear window (PS3.3 C.11.2.1.2.1), None without one."""
    centre, width = (_first(ds.get(keyword)) for keyword in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None or width < 1:
        return None
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def _range(values: NDArray[Any], stored: NDArray[Any], ds: Dataset) -> tuple[float, float]:
    """Eight bits are what the device had on its screen; of wider values the darkest is black, the brightest white."""
    if int(ds.BitsStored) == 8 and values is stored and stored.dtype.kind == "u":
        return 0, 255
    return float(values.min()), float(values.max())


def _eight_bits(values: NDArray[Any], black: float, white: float) -> NDArray[np.uint8]:
    """Stretch ``black`` to ``white`` over 0 to 255; a width of nothing is a step."""
    if values.dtype == np.uint8 and (black, white) == (0, 255):
        return np.ascontiguousarray(values)
    scaled = (values.astype(np.float64) - black) * (255 / max(white - black, 1e-6))
    return np.asarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))


def _first(value: Any) -> float | None:
    """Return the first of one or several numbers, None for none."""
    if value is None or value == "":
        return None
    several = hasattr(value, "__len__") and not isinstance(value, str)
    return (float(value[0]) if len(value) else None) if several else float(value)
