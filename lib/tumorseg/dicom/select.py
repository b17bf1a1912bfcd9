"""From all series of a study to the ones that become channels, and the one whose grid they share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tumorseg.dicom.channels import OTHER, Verdict, classify, is_localizer
from tumorseg.dicom.headers import SeriesHeader
from tumorseg.dicom.preflight import Finding, check_series
from tumorseg.dicom.stack import normal
from tumorseg.errors import InputError, NotFoundError
from tumorseg.types import FLAIR, T1, T1GD, T2

#: The sequences that are recognised, in the order in which an image holds them.
SEQUENCES = (T1, FLAIR, T1GD, T2)
#: Votes from which a verdict is certain: more than times that fit alone.
CERTAIN_SCORE = 3.0
#: Normals with at least this cosine are the same plane (axial, sagittal, coronal) to a radiologist.
SAME_PLANE_COSINE = 0.9


@dataclass(frozen=True)
class Candidate:
    """A series with what its metadata say it is and what the preflight found."""

    series: SeriesHeader
    verdict: Verdict
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether the preflight found no error."""
        return all(finding.severity == "warning" for finding in self.findings)


@dataclass(frozen=True)
class Selection:
    """The series to read.

    Attributes:
        reference: the series whose grid the image gets.
        channels: (name, series), the reference among them; ``""`` names what was not recognised.
        notes: choices made and series left out, one sentence each.
    """

    reference: Candidate
    channels: tuple[tuple[str, Candidate], ...]
    notes: tuple[str, ...] = ()


def select_series(
    series: Sequence[SeriesHeader], wanted: Sequence[str] | None = None, reference: str | None = None
) -> Selection:
    """Choose the series of one study that become channels.

    Args:
        series: all image series of one study.
        wanted: names of sequences; None takes every recognised one.
        reference: SeriesInstanceUID of the series whose grid is wanted; None takes FLAIR if that is wanted and there,
            else the first sequence found.

    Raises:
        InputError: several series and none is recognised, so nothing says which one is meant.
        NotFoundError: ``reference`` is not among them.
    """
    modality = "MR" if wanted is not None and set(wanted) <= set(SEQUENCES) else None
    everything = [Candidate(one, classify(one), check_series(one, modality)) for one in series]
    given = _by_uid(everything, reference)
    if len(everything) == 1:
        only = everything[0]
        return Selection(only, ((_name(only), only),))
    names = tuple(wanted) if wanted is not None else SEQUENCES
    pool, notes = _recognised(everything)
    base = given or _choose_reference(pool, names, everything)
    chosen: list[tuple[str, Candidate]] = []
    for name in names:
        best, said = _choose(name, pool, base)
        notes += said
        if best is not None:
            chosen.append((name, best))
    if all(one is not base for _, one in chosen):
        chosen.append((_name(base), base))
    return Selection(base, tuple(chosen), tuple(notes))


def _name(candidate: Candidate) -> str:
    return "" if candidate.verdict.channel == OTHER else candidate.verdict.channel


def _by_uid(candidates: Sequence[Candidate], uid: str | None) -> Candidate | None:
    """Return the candidate with this SeriesInstanceUID; None for None."""
    found = [candidate for candidate in candidates if candidate.series.series_uid == uid]
    if uid is not None and not found:
        raise NotFoundError(f"there is no series {uid} here; there are: {_list(candidates)}")
    return found[0] if found else None


def _recognised(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[str]]:
    """Split into the series that may become channels and notes about the others."""
    pool, scouts, others = [], [], []
    for candidate in candidates:
        scattered = any(finding.code == "mixed-orientations" for finding in candidate.findings)
        if is_localizer(candidate.series) or scattered:
            scouts.append(candidate)
        elif candidate.verdict.channel == OTHER:
            others.append(candidate)
        else:
            pool.append(candidate)
    notes = [f"Left out as localizers: {_list(scouts)}."] if scouts else []
    notes += [f"Left out, {one.verdict.reason}: {one.series.name}." for one in others]
    return pool, notes


def _choose_reference(pool: Sequence[Candidate], names: Sequence[str], everything: Sequence[Candidate]) -> Candidate:
    """Choose the series whose grid the image gets: FLAIR, else the first sequence that is there."""
    first = [FLAIR] if FLAIR in names else []
    for name in (*first, *names, *SEQUENCES):
        same = [candidate for candidate in pool if candidate.verdict.channel == name]
        if same:
            return max(same, key=lambda one: (one.usable, _certain(one), _axial(one), *_amount(one)))
    wanted = ", ".join(filter(None, names or SEQUENCES)) or "a picture"
    reasons = "; ".join(f"{one.series.name}: {one.verdict.reason}" for one in everything[:6])
    raise InputError(
        f"{len(everything)} series are mixed here and none is recognised as {wanted} ({reasons}); give one series alone"
    )


def _choose(name: str, pool: Sequence[Candidate], base: Candidate) -> tuple[Candidate | None, list[str]]:
    """Choose the series for one channel; positions count only within the reference's frame of reference."""
    same = [candidate for candidate in pool if candidate.verdict.channel == name]
    if any(candidate is base for candidate in same):
        return base, _choice_note(name, base, same)
    near = [candidate for candidate in same if in_same_frame(candidate.series, base.series)]
    if not near:
        why = f"its positions are not comparable with {base.series.name} (another frame of reference)"
        return None, [f"Left out as {name}, {why}: {_list(same)}."] if same else []
    best = max(near, key=lambda one: (one.usable, _certain(one), _parallel(one, base), *_amount(one)))
    return best, _choice_note(name, best, near)


def in_same_frame(series: SeriesHeader, reference: SeriesHeader) -> bool:
    """Whether positions of both mean the same: one frame of reference, or none named and the very same slices."""
    ours, theirs = series.frame_of_reference_uid, reference.frame_of_reference_uid
    if ours or theirs:
        return ours == theirs
    places = [[(f.position, f.orientation, f.spacing) for f in one.frames] for one in (series, reference)]
    return series.shape == reference.shape and places[0] == places[1]


def _choice_note(name: str, best: Candidate, same: Sequence[Candidate]) -> list[str]:
    if len(same) == 1:
        return []
    others = [candidate for candidate in same if candidate is not best]
    return [f"{len(same)} series look like {name}; took {best.series.name}, left out {_list(others)}."]


def _certain(candidate: Candidate) -> bool:
    return candidate.verdict.score >= CERTAIN_SCORE


def _amount(candidate: Candidate) -> tuple[bool, int, float, int]:
    """Return what decides among equals: original before derived, more slices, more votes, the later one (a repeat)."""
    series = candidate.series
    original = "DERIVED" not in series.acquisition.image_type[:1]
    return original, len(series.frames), candidate.verdict.score, series.number or 0


def _axial(candidate: Candidate) -> bool:
    frame = candidate.series.frames[0]
    return frame.orientation is not None and bool(abs(normal(frame)[2]) >= SAME_PLANE_COSINE)


def _parallel(candidate: Candidate, base: Candidate) -> bool:
    ours, theirs = candidate.series.frames[0], base.series.frames[0]
    if ours.orientation is None or theirs.orientation is None:
        return False
    return bool(abs(np.dot(normal(ours), normal(theirs))) >= SAME_PLANE_COSINE)


def _list(candidates: Iterable[Candidate]) -> str:
    return ", ".join(candidate.series.name for candidate in candidates)
