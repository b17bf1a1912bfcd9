"""The series of one study -> one StudyImage: chosen, checked, read, and brought onto one grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorseg.dicom.headers import SeriesHeader
from tumorseg.dicom.pixels import read_voxels
from tumorseg.dicom.preflight import raise_errors
from tumorseg.dicom.select import Candidate, Selection, in_same_frame, select_series
from tumorseg.dicom.stack import stack_grid
from tumorseg.dicom.stills import choose_still, read_still
from tumorseg.errors import InputError
from tumorseg.geometry import Grid, resample
from tumorseg.types import StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: A channel that covers less than this part of the reference grid is worth a note.
COVERAGE_WORTH_A_NOTE = 0.95
#: Points along each axis at which coverage is looked at.
_COVERAGE_POINTS = 12


def read_dicom(
    series: Sequence[SeriesHeader], *, channels: Sequence[str] | None = None, reference: str | None = None
) -> StudyImage:
    """Read series of one study as one image: a volume, or an ultrasound still as a picture.

    Args:
        series: headers, see :func:`tumorseg.dicom.headers.read_headers`.
        channels: names of sequences, in the order of the result; what the study does not have is absent from it.
            None takes a single series as it is, and of several all that are recognised.
        reference: SeriesInstanceUID of the series whose grid the result has; it is always among the channels, last
            where it is none of the wanted. None: FLAIR, else the first sequence found.

    Returns:
        The image; an ultrasound still as :mod:`tumorseg.dicom.stills` says. ``source`` holds ``study_uid``,
        ``patient_id``, ``frame_of_reference_uid``, ``series_uid`` (of the reference), ``series_uids`` (one a channel)
        and ``slices``: (SOPInstanceUID, frame number from 1) of the reference series, in order of k.

    Raises:
        InputError: several studies, series that cannot be told apart, a series that is not one volume (mixed,
            missing or duplicate slices, colour), several ultrasound stills, another modality than MR where MR sequences
            are asked for, damage.
        NotFoundError: there is no series ``reference``.
    """
    if not series:
        raise InputError("expected a DICOM series, got none")
    _require_one_study(series)
    still = choose_still(series, channels, reference)
    if still is not None:
        return read_still(still, *_left_out(still, series))
    selection = select_series(series, channels, reference)
    for candidate in _chosen(selection):
        raise_errors(candidate.series, candidate.findings)
    grid = stack_grid(selection.reference.series.frames)
    volumes, notes = [], list(selection.notes)
    for name, candidate in selection.channels:
        voxels, said = _on_grid(name, candidate, grid)
        volumes.append(voxels)
        notes += said
    for candidate in _chosen(selection):
        notes += [f"{candidate.series.name}: {found.message}" for found in candidate.findings]
        notes += list(candidate.series.notes)
    return StudyImage(
        voxels=_stack(volumes),
        grid=grid,
        channels=tuple(name for name, _ in selection.channels),
        modality=selection.reference.series.modality,
        source=_source(selection),
        notes=tuple(notes),
    )


def read_displayed(
    series: Sequence[SeriesHeader], displayed: str, *, channels: Sequence[str] | None = None
) -> tuple[StudyImage, Grid]:
    """Read a study for a model while a viewer shows one of its series.

    A model does best on the grid its sequences were acquired on: axial slices resampled from a sagittal series are
    blurred, and two series of one study would get two different tumours. So the image comes on the grid that
    :func:`read_dicom` chooses by itself, and beside it the grid of the displayed series, onto which the answer is to
    be resampled. Where the two have no frame of reference in common, the image comes on the displayed grid.

    Args:
        series: headers of one study.
        displayed: SeriesInstanceUID of what the viewer shows.
        channels: as for :func:`read_dicom`.

    Returns:
        The image and the grid of the displayed series.

    Raises:
        InputError: as :func:`read_dicom`; also when the displayed series is not one volume.
        NotFoundError: there is no series ``displayed``.
    """
    still = choose_still(series, channels, displayed)
    if still is not None:
        picture = read_still(still)
        return picture, picture.grid
    shown = select_series(series, (), displayed).reference
    raise_errors(shown.series, shown.findings)
    try:
        base = select_series(series, channels).reference
    except InputError:  # nothing recognised: the displayed series is what there is
        base = shown
    near = in_same_frame(base.series, shown.series)
    image = read_dicom(series, channels=channels, reference=(base if near else shown).series.series_uid)
    return image, stack_grid(shown.series.frames)


def _require_one_study(series: Sequence[SeriesHeader]) -> None:
    """Refuse series of several studies or patients, listing them."""
    studies = {(one.patient_id, one.study_uid) for one in series}
    if len(studies) > 1:
        listed = ", ".join(f"patient {patient or '?'} study {uid or '?'}" for patient, uid in sorted(studies)[:6])
        raise InputError(f"expected one study, got {len(studies)}: {listed}; give the folder of one of them")


def _left_out(still: SeriesHeader, series: Sequence[SeriesHeader]) -> list[str]:
    """Say which other series are not looked at."""
    names = ", ".join(one.name for one in series if one is not still)
    return [f"Left out beside the ultrasound picture: {names}."] if names else []


def _chosen(selection: Selection) -> list[Candidate]:
    """Return every series that is read, the reference first."""
    others = [one for _, one in selection.channels if one is not selection.reference]
    return [selection.reference, *others]


def _on_grid(name: str, candidate: Candidate, grid: Grid) -> tuple[NDArray[Any], list[str]]:
    """Read one channel on ``grid`` ``(K, J, I)``: as stored where it lies there, resampled otherwise."""
    frames = candidate.series.frames
    own = stack_grid(frames)
    voxels = read_voxels(frames)
    if own.same_as(grid):
        return voxels, []
    notes = [f"{name or 'A channel'} was resampled from {_size(own)} onto {_size(grid)}."]
    covered = _coverage(own, grid)
    if covered < COVERAGE_WORTH_A_NOTE:
        notes.append(f"{name or 'A channel'} covers {covered:.0%} of the reference only; the rest is 0.")
    return resample(voxels, own, grid), notes


def _coverage(own: Grid, grid: Grid) -> float:
    """Return the part of ``grid`` that lies within ``own``, looked at on a coarse lattice."""
    lattice = [np.linspace(0, n - 1, min(n, _COVERAGE_POINTS)) for n in grid.shape[::-1]]
    points = grid.points(np.stack(np.meshgrid(*lattice, indexing="ij"), axis=-1).reshape(-1, 3))
    indices = own.indices(points)
    inside = (indices >= -0.5 - 1e-6) & (indices <= np.array(own.shape[::-1]) - 0.5 + 1e-6)
    return float(inside.all(axis=1).mean())


def _size(grid: Grid) -> str:
    sizes, steps = "x".join(map(str, grid.shape[::-1])), "x".join(f"{step:.3g}" for step in grid.spacing)
    return f"{sizes} voxels of {steps} mm"


def _stack(volumes: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Stack to ``(C, K, J, I)`` of one type; a single channel is not copied."""
    return volumes[0][None] if len(volumes) == 1 else np.stack(volumes)


def _source(selection: Selection) -> dict[str, Any]:
    reference = selection.reference.series
    return {
        "kind": "dicom",
        "path": str(reference.files[0].parent),
        "study_uid": reference.study_uid,
        "patient_id": reference.patient_id,
        "frame_of_reference_uid": reference.frame_of_reference_uid,
        "series_uid": reference.series_uid,
        "series_uids": tuple(one.series.series_uid for _, one in selection.channels),
        "reasons": tuple(one.verdict.reason for _, one in selection.channels),
        "slices": tuple((frame.sop_uid, frame.index + 1) for frame in reference.frames),
    }
