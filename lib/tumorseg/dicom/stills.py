"""Ultrasound pictures: single frames that show a screen and have no place in the patient.

A *still* is one instance of modality US with one frame: Ultrasound Image Storage, Ultrasound Multi-frame with one
frame, or a secondary capture of either. It is read as a picture: one slice, grey or RGB, of the pixels that a viewer
shows. Its frame is its own: rows run down along +y and columns to the right along +x of an LPS space whose origin is
the centre of the first pixel. Left, right and depth of the patient are not in it, and neither is a thickness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.dicom.display import displayed_pixels
from tumorseg.dicom.headers import SeriesHeader
from tumorseg.dicom.parse import refusing
from tumorseg.dicom.regions import Spacing, picture_spacing
from tumorseg.dicom.select import SEQUENCES
from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

MODALITY = "US"
_MOST_NAMED = 4


def is_stills(series: SeriesHeader) -> bool:
    """Whether a series is ultrasound pictures; several grey frames that all have a place are a volume."""
    if series.modality != MODALITY:
        return False
    placed = all(f.position and f.orientation and f.spacing and f.pixels.samples == 1 for f in series.frames)
    return len(series.frames) == 1 or not placed


def choose_still(
    series: Sequence[SeriesHeader], channels: Sequence[str] | None, reference: str | None
) -> SeriesHeader | None:
    """Return the ultrasound series that is meant, None where volumes are.

    Args:
        series: headers of one study.
        channels: what is wanted. Who names no sequence of MR looks at pictures, and finds them beside volumes.
        reference: SeriesInstanceUID of the series that is meant.

    Raises:
        InputError: there are several, or sequences of MR are wanted and there is only ultrasound.
    """
    if reference is not None:
        meant = [one for one in series if one.series_uid == reference and is_stills(one)]
    else:
        meant = [one for one in series if is_stills(one)]
        if len(meant) < len(series) and (channels is None or set(channels) & set(SEQUENCES)):
            return None
    if not meant:
        return None
    if channels is not None and set(channels) & set(SEQUENCES):
        raise InputError(
            f"series {meant[0].name}: expected modality MR ({', '.join(channels)}), got {MODALITY}; choose an MR "
            "series, or a model for ultrasound"
        )
    if len(meant) > 1:
        raise InputError(f"{len(meant)} series of ultrasound lie here: {_listed([s.name for s in meant])}; give one")
    return meant[0]


def read_still(series: SeriesHeader, *notes: str) -> StudyImage:
    """Read a series of exactly one still as a picture.

    Returns:
        ``(1 or 3, 1, J, I)`` uint8 as displayed, not ``placed``; ``spacing_known`` where the header says a pixel's
        size. ``source`` is as for :func:`tumorseg.dicom.study.read_dicom`.

    Raises:
        InputError: there are several stills, or frames that follow each other; or the pixels are damaged.
    """
    _require_one_still(series)
    frame = series.frames[0]
    with refusing(frame.path):
        ds = _dataset(series)
        spacing = picture_spacing(ds)
    pixels = displayed_pixels(frame.path, ds)
    voxels = np.ascontiguousarray(np.moveaxis(np.atleast_3d(pixels), -1, 0)[:, None])
    unknown = () if spacing else ("The header does not say how large a pixel is: sizes are in pixels.",)
    return StudyImage(
        voxels=voxels,
        grid=_grid((1, *pixels.shape[:2]), spacing or (1.0, 1.0)),
        channels=("",) * len(voxels),
        modality=MODALITY,
        spacing_known=spacing is not None,
        placed=False,
        source={
            "kind": "dicom",
            "path": str(frame.path.parent),
            "files": (str(frame.path),),
            "study_uid": series.study_uid,
            "patient_id": series.patient_id,
            "frame_of_reference_uid": series.frame_of_reference_uid,
            "series_uid": series.series_uid,
            "series_uids": (series.series_uid,) * len(voxels),
            "reasons": ("an ultrasound picture",) * len(voxels),
            "slices": ((frame.sop_uid, 1),),
        },
        notes=(*notes, *series.notes, *unknown),
    )


def _require_one_still(series: SeriesHeader) -> None:
    """Refuse several stills and moving pictures, saying how many and what to do."""
    cines = {frame.path.name: frame.pixels.frames for frame in series.frames if frame.pixels.frames > 1}
    stills = [frame.path.name for frame in series.frames if frame.pixels.frames == 1]
    if len(stills) == 1 and not cines:
        return
    parts = [f"{len(stills)} ultrasound stills, which are no volume ({_listed(stills)})"] if stills else []
    parts += [f"moving pictures ({_listed([f'{name}: {n} frames' for name, n in cines.items()])})"] if cines else []
    what = "choose one still and give its file"
    if cines and not stills:
        what = "frames of a cine loop cannot be chosen here: export the one that is meant as a still or as PNG"
    raise InputError(f"series {series.name} holds {' and '.join(parts)}; {what}")


def _dataset(series: SeriesHeader) -> Dataset:
    """Read the file of the still with its pixels."""
    from pydicom import dcmread

    return dcmread(series.frames[0].path, force=True)


def _grid(shape: tuple[int, int, int], spacing: Spacing) -> Grid:
    """Return the picture's own grid, one millimetre thick because a grid must have some."""
    between_rows, between_columns = spacing
    return Grid(shape, np.diag([between_columns, between_rows, 1.0, 1.0]))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (", …" if len(names) > _MOST_NAMED else "")
