"""The attributes that a query can ask for: read from every file once, kept in the index."""

from __future__ import annotations

from pydicom.datadict import tag_for_keyword

STUDY_KEYWORDS = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
)
SERIES_KEYWORDS = (
    "SeriesInstanceUID",
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
    "SeriesDate",
    "SeriesTime",
    "ProtocolName",
    "BodyPartExamined",
    "Laterality",
    "FrameOfReferenceUID",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "Manufacturer",
)
INSTANCE_KEYWORDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "InstanceNumber",
    "Rows",
    "Columns",
    "BitsAllocated",
    "NumberOfFrames",
)
#: Answered from the index rather than from a file.
COMPUTED_KEYWORDS = (
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
    "NumberOfSeriesRelatedInstances",
    "RetrieveURL",
    "AvailableTransferSyntaxUID",
)


def json_tag(keyword: str) -> str:
    """Return the eight hex digits by which the DICOM JSON model calls ``keyword``."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return f"{tag:08X}"


STUDY_TAGS = frozenset(map(json_tag, STUDY_KEYWORDS))
SERIES_TAGS = frozenset(map(json_tag, SERIES_KEYWORDS))
INSTANCE_TAGS = frozenset(map(json_tag, INSTANCE_KEYWORDS))

STUDY_UID = json_tag("StudyInstanceUID")
SERIES_UID = json_tag("SeriesInstanceUID")
SOP_UID = json_tag("SOPInstanceUID")
MODALITY = json_tag("Modality")
MODALITIES = json_tag("ModalitiesInStudy")
INSTANCE_NUMBER = json_tag("InstanceNumber")
TRANSFER_SYNTAX = json_tag("AvailableTransferSyntaxUID")
