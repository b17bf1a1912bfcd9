"""Is this series one volume? Pure checks of headers that return findings and raise nothing themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tumorseg.dicom.headers import Frame, SeriesHeader
from tumorseg.dicom.stack import depths, is_tilted, sideways
from tumorseg.errors import InputError
from tumorseg.geometry import DIRECTION_TOLERANCE, POSITION_TOLERANCE_MM

#: A gap counts as n slices when it is within this part of n steps.
GAP_TOLERANCE = 0.1
#: Steps that differ by less than this part, or by less than twice the rounding of positions, are equal.
STEP_TOLERANCE = 0.01
#: Slices that lie further than this part of a step from where an even stack has them are not a volume.
UNEVEN_LIMIT = 0.15
#: A step beyond this many announced slice spacings: every other slice may be missing.
SPARSE_FACTOR = 1.5


@dataclass(frozen=True)
class Finding:
    """What a check found: an ``error`` makes the series unusable, a ``warning`` goes along with the image."""

    code: str
    severity: Literal["error", "warning"]
    message: str


def check_series(series: SeriesHeader, modality: str | None = None) -> tuple[Finding, ...]:
    """Run every check over a series that is asked to be one volume.

    Args:
        series: its headers.
        modality: what it must be (``"MR"``), None for anything.
    """
    findings = [*check_modality(series, modality), *check_pixels(series.frames)]
    placed = check_geometry(series.frames)
    findings += placed
    if not any(finding.severity == "error" for finding in placed):
        duplicates = check_duplicates(series.frames)
        findings += duplicates or [*check_steps(series.frames), *check_tilt(series.frames)]
    return tuple(findings)


def raise_errors(series: SeriesHeader, findings: Iterable[Finding]) -> None:
    """Raise one InputError that says all that is wrong with ``series``; nothing for warnings."""
    errors = [finding.message for finding in findings if finding.severity == "error"]
    if errors:
        raise InputError(f"series {series.name} is not one volume: {'; '.join(errors)}")


def check_modality(series: SeriesHeader, modality: str | None) -> list[Finding]:
    """Compare the modality with the one that is needed."""
    if modality is None or series.modality == modality:
        return []
    return [_error("modality", f"expected modality {modality}, got {series.modality or 'none'}; choose another series")]


def check_pixels(frames: Sequence[Frame]) -> list[Finding]:
    """Only grey images are volumes: colour is a screenshot or an overlay."""
    colours = sorted(
        {f.pixels.photometric for f in frames if f.pixels.samples != 1 or "MONO" not in f.pixels.photometric}
    )
    message = f"expected grey voxels (MONOCHROME1 or 2), got {', '.join(colours)}; give the original series"
    return [_error("colour", message)] if colours else []


def check_geometry(frames: Sequence[Frame]) -> list[Finding]:
    """Every frame needs a place, and all of them the same size, spacing and orientation."""
    lost = [f for f in frames if f.position is None or f.orientation is None or f.spacing is None]
    if lost:
        what = "position, orientation or pixel spacing"
        return [_error("no-geometry", f"{len(lost)} of {len(frames)} slices have no {what} ({lost[0].path.name})")]
    first = frames[0]
    row, column = np.asarray(first.orientation)
    findings = []
    if abs(row @ column) > 10 * DIRECTION_TOLERANCE:
        findings.append(_error("bad-orientation", "rows and columns are not at a right angle"))
    findings += _mixed("mixed-sizes", "sizes (rows x columns)", frames, lambda f: f"{f.pixels.rows}x{f.pixels.columns}")
    if _spread([f.orientation for f in frames]) > DIRECTION_TOLERANCE:
        count = len({tuple(np.round(np.array(f.orientation).ravel(), 2) + 0.0) for f in frames})
        findings.append(
            _error("mixed-orientations", f"its slices lie in {count} orientations; give one stack of slices")
        )
    if _spread([f.spacing for f in frames]) > DIRECTION_TOLERANCE * min(first.spacing or (1,)):
        findings += _mixed(
            "mixed-spacings", "pixel spacings (mm)", frames, lambda f: "x".join(f"{s:g}" for s in f.spacing or ())
        )
    return findings


def check_duplicates(frames: Sequence[Frame]) -> list[Finding]:
    """Two slices at one place: say what tells them apart, when something does."""
    if len(frames) < 2:
        return []
    steps = np.diff(depths(frames))
    twins = [(a, b) for a, b, step in zip(frames, frames[1:], steps, strict=False) if step <= POSITION_TOLERANCE_MM]
    if not twins:
        return []
    different = sorted({name for a, b in twins for name, _ in set(a.traits) ^ set(b.traits)})
    places = len(frames) - len(twins)
    why = (
        f"they differ in {', '.join(different)}: it holds several volumes, give one"
        if different
        else "nothing tells them apart: remove one of each"
    )
    return [_error("duplicate-slices", f"{len(frames)} slices lie at {places} places; {why}")]


def check_steps(frames: Sequence[Frame]) -> list[Finding]:
    """Find gaps (whole slices missing) and uneven steps."""
    if len(frames) < 2:
        return []
    along = depths(frames)
    steps = np.diff(along)
    step = _usual_step(steps)
    slices = np.rint(steps / step)
    if (slices > 1).any() and (np.abs(steps / step - slices) <= GAP_TOLERANCE * slices).all():
        return [_missing(frames, along, step, slices)]
    even = np.linspace(along[0], along[-1], len(frames))
    mean = float(steps.mean())
    worst = float(np.abs(along - even).max())
    findings = []
    if worst > UNEVEN_LIMIT * mean:
        text = f"the distance of slices varies from {steps.min():.3g} to {steps.max():.3g} mm"
        findings.append(_error("unequal-spacing", f"{text}; give an evenly spaced series"))
    elif np.abs(steps - mean).max() > max(STEP_TOLERANCE * mean, 2 * POSITION_TOLERANCE_MM):
        text = (
            f"Slices are {steps.min():.3g} to {steps.max():.3g} mm apart; taken as even, off by {worst:.2g} mm at most."
        )
        findings.append(Finding("unequal-spacing", "warning", text))
    gap = frames[0].gap
    if gap and mean > SPARSE_FACTOR * gap:
        text = f"Slices are {mean:.3g} mm apart and the header says {gap:.3g} mm: slices in between may be missing."
        findings.append(Finding("sparse-slices", "warning", text))
    return findings


def check_tilt(frames: Sequence[Frame]) -> list[Finding]:
    """A sheared stack is kept as it is, in an affine with a shear; the reader should know."""
    if not is_tilted(frames):
        return []
    step = np.ptp(depths(frames)) / (len(frames) - 1)
    angle = np.degrees(np.arctan2(np.linalg.norm(sideways(frames)), step))
    text = f"Slices are stacked {angle:.1f} degrees off their normal (gantry tilt)"
    return [Finding("gantry-tilt", "warning", f"{text}; the geometry keeps the shear, nothing was straightened.")]


def _missing(frames: Sequence[Frame], along: np.ndarray, step: float, slices: np.ndarray) -> Finding:
    """Name the places (mm along the normal, and between which slices) where slices are missing."""
    count = int((slices - 1).sum())
    gaps = [f"{int(n) - 1} between {along[k]:.4g} and {along[k + 1]:.4g} mm" for k, n in enumerate(slices) if n > 1]
    shown = ", ".join(gaps[:4]) + (", …" if len(gaps) > 4 else "")
    what = "slice is" if count == 1 else "slices are"
    text = f"{count} {what} missing at a step of {step:.4g} mm: {shown}"
    return _error("missing-slices", f"{text}; fetch the whole series again")


def _usual_step(steps: np.ndarray) -> float:
    """Return the step of neighbouring slices: the median of those close to the smallest."""
    return float(np.median(steps[steps <= steps.min() * 1.25]))


def _mixed(code: str, what: str, frames: Sequence[Frame], key: Callable[[Frame], str]) -> list[Finding]:
    counts = Counter(key(frame) for frame in frames)
    listed = ", ".join(f"{value} ({count} slices)" for value, count in counts.most_common(4))
    return [_error(code, f"it mixes {what}: {listed}")] if len(counts) > 1 else []


def _spread(values: Sequence[object]) -> float:
    """Return the largest difference of any value to the first."""
    array = np.asarray(values, dtype=np.float64)
    return float(np.abs(array - array[0]).max())


def _error(code: str, message: str) -> Finding:
    return Finding(code, "error", message)
