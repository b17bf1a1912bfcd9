"""What the headers of DICOM files say, file by file, gathered into series. No pixel is decoded here.

A *frame* is one slice, whether it is a file of its own or one of many in an Enhanced multi-frame
file: everything behind this module sees frames only. Positions are LPS mm of the centre of the
first voxel of the frame.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tumorseg.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from tumorseg.dicom.parse import FileHeader

Triple = tuple[float, float, float]

#: Objects of a study that are no image and no fault: reports, masks, displays, plans, raw data.
NON_IMAGE_MODALITIES = frozenset(
    "SR SEG PR KO RTSTRUCT RTPLAN RTDOSE RTRECORD DOC REG FID PLAN RWV AU ECG HD ANN M3D".split()  # noqa: SIM905
)
#: Endings with which a file claims to be DICOM: one that is not is a fault, not a read-me.
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})


@dataclass(frozen=True)
class PixelFormat:
    """How the voxels lie in a file.

    Attributes:
        syntax: transfer syntax UID.
        offset: bytes before the pixel data element; None where the data set itself is deflated.
        rows, columns, frames: sizes.
        samples: values a voxel (1 is grey).
        photometric: for example ``MONOCHROME2``.
        allocated, stored, high_bit: bits.
        signed: whether stored values are signed.
    """

    syntax: str
    offset: int | None
    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    allocated: int
    stored: int
    high_bit: int
    signed: bool


@dataclass(frozen=True)
class Frame:
    """One slice of one file.

    Attributes:
        path: the file.
        index: number of the frame within the file, from 0.
        sop_uid: SOPInstanceUID of the file.
        pixels: how the file's voxels lie.
        position: LPS mm of the first voxel's centre, or None.
        orientation: unit vectors of a row (towards growing column) and of a column, or None.
        spacing: mm between rows (along j) and between columns (along i), or None.
        thickness: slice thickness, mm, or None.
        gap: SpacingBetweenSlices, mm, or None.
        slope, intercept: stored value -> value.
        traits: what may tell two frames at one place apart, as (name, value).
    """

    path: Path
    index: int
    sop_uid: str
    pixels: PixelFormat
    position: Triple | None = None
    orientation: tuple[Triple, Triple] | None = None
    spacing: tuple[float, float] | None = None
    thickness: float | None = None
    gap: float | None = None
    slope: float = 1.0
    intercept: float = 0.0
    traits: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Acquisition:
    """How a series was made, as far as its headers tell; None and empty where they do not.

    Attributes:
        echo_time, repetition_time, inversion_time: ms.
        scanning_sequence: ``SE``, ``GR``, ``IR``, ``EP``, ``RM``; made up from the Enhanced attributes too.
        sequence_variant, sequence_name: as written by the scanner.
        image_type: ``("ORIGINAL", "PRIMARY", …)``.
        contrast: AcquisitionContrast of Enhanced MR (``T1``, ``FLUID_ATTENUATED``, …).
        agent: contrast agent in words, ``""`` when none is written.
        agent_given: what ContrastBolusUsageSequence says; None when it says nothing.
        b_value: s/mm², or None.
    """

    echo_time: float | None = None
    repetition_time: float | None = None
    inversion_time: float | None = None
    scanning_sequence: tuple[str, ...] = ()
    sequence_variant: tuple[str, ...] = ()
    sequence_name: str = ""
    image_type: tuple[str, ...] = ()
    contrast: str = ""
    agent: str = ""
    agent_given: bool | None = None
    b_value: float | None = None


@dataclass(frozen=True)
class SeriesHeader:
    """One series: what it is, and its frames sorted by position (in file order where they cannot be).

    Attributes:
        study_uid, series_uid, patient_id, sop_class_uid, frame_of_reference_uid: as in the files.
        modality: ``MR``, ``CT``, …
        description, protocol: the series' names, in the words of the scanner's user.
        number: SeriesNumber, or None.
        acquisition: how it was made.
        frames: at least one.
        notes: what was left out of it, one sentence each.
    """

    study_uid: str
    series_uid: str
    patient_id: str
    modality: str
    sop_class_uid: str
    frame_of_reference_uid: str
    description: str
    protocol: str
    number: int | None
    acquisition: Acquisition
    frames: tuple[Frame, ...]
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """The series' files, each once."""
        return tuple(dict.fromkeys(frame.path for frame in self.frames))

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(K, J, I)``, of the first frame's rows and columns."""
        first = self.frames[0].pixels
        return len(self.frames), first.rows, first.columns

    @property
    def kind(self) -> str:
        """The sequence that the metadata speak for: ``T1``, ``T1Gd``, ``FLAIR``, ``T2`` or ``other``."""
        from tumorseg.dicom.channels import classify

        return classify(self).channel

    @property
    def name(self) -> str:
        """How messages call the series: number, description and the end of its UID."""
        words = [f"{self.number}:" if self.number is not None else "", self.description or self.protocol]
        return " ".join(filter(None, (*words, f"[{self.modality or 'no modality'} …{self.series_uid[-12:]}]")))


@dataclass(frozen=True)
class Scan:
    """What lies in some files: image series in the order of their numbers, and what was left out and why."""

    series: tuple[SeriesHeader, ...]
    notes: tuple[str, ...] = ()


def read_headers(paths: Iterable[Path | str]) -> list[SeriesHeader]:
    """Read the image series in files and folders (searched to the bottom); see :func:`scan`."""
    return list(scan(paths).series)


def scan(paths: Iterable[Path | str]) -> Scan:
    """Read the headers of all DICOM files in ``paths``.

    Args:
        paths: files, and folders that are searched to the bottom. In folders, files that are not DICOM are left
            out with a note, unless their name claims that they are.

    Raises:
        NotFoundError: a path does not exist.
        InputError: a given file is not DICOM, or a DICOM file is cut off or cannot be read.
    """
    from tumorseg.dicom.parse import parse_file

    headers: list[FileHeader] = []
    strangers: list[Path] = []
    for path, given in _files(paths):
        header = parse_file(path)
        if header is not None:
            headers.append(header)
        elif given or path.suffix.lower() in DICOM_SUFFIXES:
            raise InputError(
                f"{path} is not a DICOM file: expected the letters DICM at byte 128; remove it or replace it"
            )
        else:
            strangers.append(path)
    notes = _listing("is not DICOM", "are not DICOM", [path.name for path in strangers])
    notes += _listing("is no image", "are no images", [h.label for h in headers if not h.frames])
    images, copies = _unique([header for header in headers if header.frames])
    notes += _listing("is a copy of another", "are copies of others", [header.path.name for header in copies])
    groups: dict[tuple[str, str], list[FileHeader]] = {}
    for header in images:
        groups.setdefault(header.series_key, []).append(header)
    series = [_gather(group) for group in groups.values()]
    return Scan(tuple(sorted(series, key=_series_order)), notes)


def _files(paths: Iterable[Path | str]) -> Iterable[tuple[Path, bool]]:
    """List (file, whether it was given itself) in a stable order; hidden files are no data."""
    for path in map(Path, paths):
        if not path.exists():
            raise NotFoundError(f"{path} does not exist; give a file or a folder that does")
        if path.is_file():
            yield path, True
            continue
        for folder, folders, names in os.walk(path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            yield from ((Path(folder, name), False) for name in sorted(names) if not name.startswith("."))


def _unique(headers: Sequence[FileHeader]) -> tuple[list[FileHeader], list[FileHeader]]:
    """Split into the first file of each SOPInstanceUID and further copies of them."""
    seen: set[str] = set()
    first: list[FileHeader] = []
    copies: list[FileHeader] = []
    for header in headers:
        uid = header.frames[0].sop_uid
        (copies if uid and uid in seen else first).append(header)
        seen.add(uid)
    return first, copies


def _gather(headers: Sequence[FileHeader]) -> SeriesHeader:
    """Make one series of its files."""
    from tumorseg.dicom.stack import sort_frames

    frames = tuple(frame for header in headers for frame in header.frames)
    return headers[0].series(sort_frames(frames))


def _series_order(series: SeriesHeader) -> tuple[str, float, str]:
    number = series.number if series.number is not None else float("inf")
    return series.study_uid, number, series.series_uid


def _listing(singular: str, plural: str, names: Sequence[str], most: int = 3) -> tuple[str, ...]:
    """Say in one sentence what was left out, naming the first few; nothing for nothing."""
    if not names:
        return ()
    shown = ", ".join(names[:most]) + (", …" if len(names) > most else "")
    return (f"Left out: {shown} {singular if len(names) == 1 else plural} ({len(names)} in all).",)
