"""A folder of annotated pictures, of whatever known format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.errors import InputError, NotFoundError
from tumorseg.registry import ANNOTATIONS, resolve

if TYPE_CHECKING:
    from tumorseg.annotations.format import AnnotationFormat
    from tumorseg.annotations.types import Picture, PictureSet
    from tumorseg.types import StudyImage


def open_pictures(path: Path | str, format: str | None = None, *, keep_going: bool = False) -> PictureSet:
    """Read the annotated pictures of a folder (or of one annotation file).

    Args:
        path: the folder or file.
        format: a name in ANNOTATIONS; None takes the first that fits.
        keep_going: leave out what cannot be used and say so in ``problems``, instead of refusing the whole.

    Raises:
        NotFoundError: no such folder or format.
        InputError: of no known format, damaged; or something in it is unusable: it names the file.
    """
    path = Path(path)
    if not path.exists():
        raise NotFoundError(f"{path} does not exist; expected a folder of annotated pictures")
    chosen = annotation_format(format) if format is not None else _recognise(path)
    pictures = chosen.read(path)
    return pictures if keep_going else pictures.require_sound()


def annotation_format(name: str) -> AnnotationFormat:
    """Return the format called ``name``."""
    found: AnnotationFormat = resolve(ANNOTATIONS, "annotation format", name)
    return found


def study_image(picture: Picture) -> StudyImage:
    """Read a picture as the one-slice image that models and viewers see."""
    from tumorseg.io.pictures import read_picture
    from tumorseg.io.read import read_study, reader_of

    # BMP and WebP are no kinds that the server takes in, but annotated sets hold them.
    image = read_study(picture.path) if reader_of(picture.path) else read_picture(picture.path)
    named = len(picture.channels) == len(image.channels)
    return replace(image, channels=picture.channels, modality="MR") if named and picture.channels else image


def _recognise(path: Path) -> AnnotationFormat:
    for name in ANNOTATIONS:
        candidate = annotation_format(name)
        if candidate.fits(path):
            return candidate
    known = "; ".join(f"{name}: {annotation_format(name).description}" for name in ANNOTATIONS)
    raise InputError(f"{path} holds no annotated pictures of a known format ({known})")
