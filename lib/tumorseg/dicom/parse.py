"""One DICOM file -> its frames. Tolerant of what scanners leave out, strict about files that are cut off."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian

from tumorseg.dicom.elements import read_values, tags_of
from tumorseg.dicom.groups import group_values
from tumorseg.dicom.headers import (
    NON_IMAGE_MODALITIES,
    Acquisition,
    Frame,
    PixelFormat,
    SeriesHeader,
    Triple,
)
from tumorseg.errors import InputError

_PIXEL_DATA = (0x7FE0, 0x0010)
_DICOMDIR = "1.2.840.10008.1.3.10"
#: What every file is asked for ...
_FILE_TAGS = tags_of(
    "ImageType SOPClassUID SOPInstanceUID Modality StudyInstanceUID SeriesInstanceUID EchoTime EchoNumbers "  # noqa: SIM905
    "InversionTime TemporalPositionIdentifier TriggerTime DiffusionBValue ContrastBolusAgent AcquisitionNumber "
    "ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness SpacingBetweenSlices RescaleSlope "
    "RescaleIntercept SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns BitsAllocated BitsStored "
    "HighBit PixelRepresentation".split()
)
#: ... and what is read of one file of a series.
_SERIES_KEYWORDS = (
    "SeriesDescription ProtocolName PatientID SeriesNumber FrameOfReferenceUID AcquisitionContrast ScanningSequence "  # noqa: SIM905
    "SequenceVariant SequenceName PulseSequenceName EchoPulseSequence EchoPlanarPulseSequence RepetitionTime "
    "ContrastBolusAgentSequence ContrastBolusVolume".split()
)
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_READ_TAGS = [*_FILE_TAGS.values(), *tags_of((*_SERIES_KEYWORDS, *_GROUPS, "SpecificCharacterSet")).values()]
#: What tells two frames at one place apart, in the words of messages.
_TRAITS = {
    "EchoTime": "echo time",
    "EchoNumbers": "echo number",
    "TemporalPositionIdentifier": "temporal position",
    "TemporalPositionIndex": "temporal position",
    "DiffusionBValue": "b-value",
    "InversionTime": "inversion time",
    "TriggerTime": "trigger time",
    "ContrastBolusAgent": "contrast agent",
    "AcquisitionNumber": "acquisition number",
    "StackID": "stack",
    "FrameType": "image type",
    "ImageType": "image type",
}


@dataclass(frozen=True, eq=False)
class FileHeader:
    """What one file says.

    Attributes:
        path: the file.
        values: the elements that differ from file to file.
        frames: its frames in file order, none for an object that is no image.
        dataset: everything that was read.
    """

    path: Path
    values: dict[str, Any]
    frames: tuple[Frame, ...]
    dataset: Dataset

    @property
    def label(self) -> str:
        """File name and modality."""
        return f"{self.path.name} ({self.values.get('Modality') or 'no modality'})"

    @property
    def series_key(self) -> tuple[str, str]:
        """Study and series that the file belongs to."""
        return str(self.values.get("StudyInstanceUID") or ""), str(self.values.get("SeriesInstanceUID") or "")

    def series(self, frames: tuple[Frame, ...]) -> SeriesHeader:
        """Describe the file's series, which has these frames."""
        with refusing(self.path):
            return _series(self, frames)


def parse_file(path: Path) -> FileHeader | None:
    """Read one file's header; None when the file is not DICOM.

    Raises:
        InputError: the file is DICOM but cut off, or its header cannot be understood.
    """
    with path.open("rb") as file:
        start = file.read(132)
        has_preamble = start[128:] == b"DICM"
        # Old archives hold data sets without preamble; they begin with a small element of group 2 or 8.
        if not has_preamble and start[:4] not in (b"\x08\0\0\0", b"\x08\0\x05\0", b"\x08\0\x08\0", b"\x02\0\0\0"):
            return None
        file.seek(0)
        with refusing(path):
            ds = dcmread(file, stop_before_pixels=True, specific_tags=_READ_TAGS, force=not has_preamble)
            return _file_header(path, ds, file)


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn whatever pydicom's parts raise over a file into an InputError: the file is at fault, not the program."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{path} cannot be read as DICOM ({type(error).__name__}: {error}); is it damaged or cut off?"
        ) from error


def _file_header(path: Path, ds: Dataset, file: BinaryIO) -> FileHeader:
    """Turn the elements that were read into a header; ``file`` stands where reading stopped."""
    meta, values = ds.file_meta, read_values(ds, _FILE_TAGS)
    sop_class = str(values.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    frames: tuple[Frame, ...] = ()
    if values.get("Modality") not in NON_IMAGE_MODALITIES and sop_class != _DICOMDIR:
        syntax = UID(meta.get("TransferSyntaxUID") or ImplicitVRLittleEndian)
        deflated = syntax == DeflatedExplicitVRLittleEndian
        offset = None if deflated else _pixel_offset(file, syntax)
        if offset is not None or (deflated and "Rows" in values):
            frames = _frames(path, ds, values, _pixel_format(path, values, syntax, offset))
        elif not sop_class or "Image Storage" in UID(sop_class).name:
            raise InputError(f"{path} ends before its pixel data: the file is cut off, copy it again from its source")
    return FileHeader(path, values, frames, ds)


def _pixel_offset(file: BinaryIO, syntax: UID) -> int | None:
    """Return where the pixel data element starts, None when the data set ended without one."""
    offset = file.tell()
    tag = file.read(4)
    file.seek(offset)
    order = "<" if syntax.is_little_endian else ">"
    return offset if len(tag) == 4 and struct.unpack(f"{order}HH", tag) == _PIXEL_DATA else None


def _pixel_format(path: Path, values: dict[str, Any], syntax: UID, offset: int | None) -> PixelFormat:
    missing = [key for key in ("Rows", "Columns", "BitsAllocated", "PixelRepresentation") if key not in values]
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}: its pixels cannot be read")
    allocated = int(values["BitsAllocated"])
    stored = int(values.get("BitsStored") or allocated)
    return PixelFormat(
        syntax=str(syntax),
        offset=offset,
        rows=int(values["Rows"]),
        columns=int(values["Columns"]),
        frames=int(values.get("NumberOfFrames") or 1),
        samples=int(values.get("SamplesPerPixel") or 1),
        photometric=str(values.get("PhotometricInterpretation") or "MONOCHROME2"),
        allocated=allocated,
        stored=stored,
        high_bit=int(values.get("HighBit") or stored - 1),
        signed=bool(values["PixelRepresentation"]),
    )


def _frames(path: Path, ds: Dataset, values: dict[str, Any], pixels: PixelFormat) -> tuple[Frame, ...]:
    """List the frames in file order; functional groups speak before the data set itself."""
    per_frame = ds.get(_GROUPS[1]) or [None] * pixels.frames
    if len(per_frame) != pixels.frames:
        raise InputError(f"{path} announces {pixels.frames} frames and describes {len(per_frame)}: it is damaged")
    shared = {**values, **group_values((ds.get(_GROUPS[0]) or [None])[0])}
    return tuple(_frame(path, index, pixels, {**shared, **group_values(own)}) for index, own in enumerate(per_frame))


def _frame(path: Path, index: int, pixels: PixelFormat, values: dict[str, Any]) -> Frame:
    orientation = _numbers(values.get("ImageOrientationPatient"), 6)
    position = _numbers(values.get("ImagePositionPatient"), 3)
    spacing = _numbers(values.get("PixelSpacing"), 2)
    slope, intercept = _number(values.get("RescaleSlope")), _number(values.get("RescaleIntercept"))
    return Frame(
        path=path,
        index=index,
        sop_uid=str(values.get("SOPInstanceUID") or ""),
        pixels=pixels,
        position=(position[0], position[1], position[2]) if position else None,
        orientation=_unit_vectors(orientation) if orientation else None,
        spacing=(spacing[0], spacing[1]) if spacing and min(spacing) > 0 else None,
        thickness=_positive(values.get("SliceThickness")),
        gap=_positive(values.get("SpacingBetweenSlices")),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        traits=tuple((word, str(values[key])) for key, word in _TRAITS.items() if values.get(key) not in (None, "")),
    )


def _series(header: FileHeader, frames: tuple[Frame, ...]) -> SeriesHeader:
    ds, values = header.dataset, header.values
    number = _number(ds.get("SeriesNumber"))
    study_uid, series_uid = header.series_key
    return SeriesHeader(
        study_uid=study_uid,
        series_uid=series_uid,
        patient_id=str(ds.get("PatientID") or ""),
        modality=str(values.get("Modality") or ""),
        sop_class_uid=str(values.get("SOPClassUID") or ""),
        frame_of_reference_uid=str(ds.get("FrameOfReferenceUID") or ""),
        description=str(ds.get("SeriesDescription") or "").strip(),
        protocol=str(ds.get("ProtocolName") or "").strip(),
        number=None if number is None else int(number),
        acquisition=_acquisition(ds, values),
        frames=frames,
    )


def _acquisition(ds: Dataset, file_values: dict[str, Any]) -> Acquisition:
    """Gather how the series was made from the data set and, for Enhanced MR, from its first frame."""
    values = {**file_values, **{key: ds.get(key) for key in _SERIES_KEYWORDS if key in ds}}
    for groups in _GROUPS:
        values |= group_values((ds.get(groups) or [None])[0])
    given = values.get("ContrastBolusAgentAdministered")
    return Acquisition(
        echo_time=_positive(values.get("EchoTime")),
        repetition_time=_positive(values.get("RepetitionTime")),
        inversion_time=_positive(values.get("InversionTime")),
        scanning_sequence=_scanning_sequence(values),
        sequence_variant=_texts(values.get("SequenceVariant")),
        sequence_name=str(values.get("SequenceName") or values.get("PulseSequenceName") or ""),
        image_type=_texts(values.get("FrameType")) or _texts(values.get("ImageType")),
        contrast=str(values.get("AcquisitionContrast") or ""),
        agent=_agent(values),
        agent_given=None if given is None else str(given) == "YES",
        b_value=_number(values.get("DiffusionBValue")),
    )


def _scanning_sequence(values: dict[str, Any]) -> tuple[str, ...]:
    """Return ScanningSequence, or the same said with the Enhanced attributes."""
    classic = _texts(values.get("ScanningSequence"))
    pulse = str(values.get("EchoPulseSequence") or "")
    found = {"SE": "SPIN" in pulse or pulse == "BOTH", "GR": "GRADIENT" in pulse or pulse == "BOTH"}
    found |= {"IR": values.get("InversionRecovery") == "YES", "EP": values.get("EchoPlanarPulseSequence") == "YES"}
    return classic or tuple(code for code, there in found.items() if there)


def _agent(values: dict[str, Any]) -> str:
    """Return the contrast agent in words."""
    named = " ".join(_texts(values.get("ContrastBolusAgent")))
    coded = values.get("ContrastBolusAgentSequence") or ()
    meaning = next((str(item.get("CodeMeaning") or "a coded agent") for item in coded), "")
    volume = _positive(values.get("ContrastBolusVolume"))
    return named or meaning or (f"{volume:g} mL of an agent" if volume else "")


def _texts(value: Any) -> tuple[str, ...]:
    values = [] if value is None else [value] if isinstance(value, str) else list(value)
    return tuple(str(item).strip().upper() for item in values if str(item).strip())


def _number(value: Any) -> float | None:
    """Return the (first) number of an element, None when there is none."""
    if isinstance(value, (list, tuple)) or (hasattr(value, "__len__") and not isinstance(value, str)):
        value = value[0] if len(value) else None
    return None if value is None or value == "" else float(value)


def _positive(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def _numbers(value: Any, count: int) -> list[float] | None:
    """Return ``count`` finite numbers, or None when the element does not hold them."""
    if isinstance(value, str) or not hasattr(value, "__len__") or len(value) != count:
        return None
    numbers = [float(item) for item in value]
    return numbers if np.isfinite(numbers).all() else None


def _unit_vectors(six: list[float]) -> tuple[Triple, Triple] | None:
    """Normalise row and column direction; None for directions that are no directions."""
    vectors = np.array(six, dtype=np.float64).reshape(2, 3)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if (lengths < 0.5).any():
        return None
    row, column = (vectors / lengths).tolist()
    return (row[0], row[1], row[2]), (column[0], column[1], column[2])
