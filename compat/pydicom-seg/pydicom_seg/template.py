"""What a DICOM SEG says about itself and its segments, from the JSON that dcmqi defined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import highdicom as hd
from pydicom.sr.codedict import codes

# MONAI Label has no field for the version of an algorithm, and DICOM wants one.
UNKNOWN_VERSION = "unknown"


@dataclass(frozen=True)
class Template:
    """A parsed description.

    Attributes:
        segments: value in the label map -> the JSON object that describes it.
        meta: the JSON object as it came.
    """

    segments: Mapping[int, Mapping[str, Any]]
    meta: Mapping[str, Any]


def from_dcmqi_metainfo(metainfo: Mapping[str, Any]) -> Template:
    """Parse a dcmqi meta-information object.

    Args:
        metainfo: ``segmentAttributes`` is a list (one entry for each label map) of lists of segments.

    Raises:
        ValueError: no segment, a segment without its codes, or a ``labelID`` that is not unique and positive.
    """
    listed = [segment for group in metainfo.get("segmentAttributes", []) for segment in group]
    if not listed:
        raise ValueError("expected at least one segment in segmentAttributes, got none")
    segments: dict[int, Mapping[str, Any]] = {}
    for segment in listed:
        value = int(segment.get("labelID", 0))
        if value < 1 or value in segments:
            raise ValueError(f"expected unique labelIDs from 1, got {[s.get('labelID') for s in listed]}")
        for name in ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence"):
            if name not in segment:
                raise ValueError(f"expected {name} in the description of label {value}, found {sorted(segment)}")
        segments[value] = segment
    return Template(dict(sorted(segments.items())), dict(metainfo))


def describe(segment: Mapping[str, Any], number: int, value: int) -> hd.seg.SegmentDescription:
    """Build the DICOM description of segment ``number``, which is ``value`` in the label map."""
    algorithm = str(segment.get("SegmentAlgorithmType", "MANUAL")).upper()
    identification = None
    if algorithm != "MANUAL":
        name = str(segment.get("SegmentAlgorithmName") or UNKNOWN_VERSION)
        identification = hd.AlgorithmIdentificationSequence(
            name, family=codes.DCM.ArtificialIntelligence, version=UNKNOWN_VERSION
        )
    category = segment["SegmentedPropertyCategoryCodeSequence"]
    kind = segment["SegmentedPropertyTypeCodeSequence"]
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=str(segment.get("SegmentLabel") or kind["CodeMeaning"])[:64],
        segmented_property_category=concept(category),
        segmented_property_type=concept(kind),
        algorithm_type=algorithm,
        algorithm_identification=identification,
        tracking_id=tracking_id(value),
        tracking_uid=hd.UID(),
        display_color=_color(segment.get("recommendedDisplayRGBValue")),
    )
    if segment.get("SegmentDescription"):
        description.SegmentDescription = str(segment["SegmentDescription"])[:1024]
    return description


def concept(code: Mapping[str, str]) -> hd.sr.CodedConcept:
    """Build a coded concept from dcmqi's three strings."""
    return hd.sr.CodedConcept(code["CodeValue"], code["CodingSchemeDesignator"], code["CodeMeaning"][:64])


def tracking_id(value: int) -> str:
    """Return the text that keeps a label's value: DICOM numbers segments 1, 2, 3 whatever their values were."""
    return f"label value {value}"


def label_value(description: hd.seg.SegmentDescription) -> int:
    """Return the value a segment had in the label map it was written from; a foreign SEG keeps its numbers."""
    prefix, _, value = str(description.tracking_id or "").rpartition(" ")
    ours = f"{prefix} " == tracking_id(0)[:-1] and value.isdigit()
    return int(value) if ours else int(description.segment_number)


def _color(rgb: Any) -> hd.color.CIELabColor | None:
    return None if rgb is None else hd.color.CIELabColor.from_rgb(*(int(c) for c in rgb))
