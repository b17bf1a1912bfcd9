"""The functional groups of Enhanced multi-frame images, flattened to the keywords of single-frame ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

#: (macro sequence, keyword in it, the single-frame keyword that means the same).
_SAME_AS = (
    ("PlanePositionSequence", "ImagePositionPatient", "ImagePositionPatient"),
    ("PlaneOrientationSequence", "ImageOrientationPatient", "ImageOrientationPatient"),
    ("PixelMeasuresSequence", "PixelSpacing", "PixelSpacing"),
    ("PixelMeasuresSequence", "SliceThickness", "SliceThickness"),
    ("PixelMeasuresSequence", "SpacingBetweenSlices", "SpacingBetweenSlices"),
    ("PixelValueTransformationSequence", "RescaleSlope", "RescaleSlope"),
    ("PixelValueTransformationSequence", "RescaleIntercept", "RescaleIntercept"),
    ("MREchoSequence", "EffectiveEchoTime", "EchoTime"),
    ("MRTimingAndRelatedParametersSequence", "RepetitionTime", "RepetitionTime"),
    ("MRModifierSequence", "InversionTimes", "InversionTime"),
    ("MRModifierSequence", "InversionRecovery", "InversionRecovery"),
    ("MRDiffusionSequence", "DiffusionBValue", "DiffusionBValue"),
    ("MRImageFrameTypeSequence", "FrameType", "FrameType"),
    ("MRImageFrameTypeSequence", "AcquisitionContrast", "AcquisitionContrast"),
    ("CTImageFrameTypeSequence", "FrameType", "FrameType"),
    ("FrameContentSequence", "StackID", "StackID"),
    ("FrameContentSequence", "TemporalPositionIndex", "TemporalPositionIndex"),
    ("ContrastBolusUsageSequence", "ContrastBolusAgentAdministered", "ContrastBolusAgentAdministered"),
)


def group_values(group: Dataset | None) -> dict[str, Any]:
    """Return keyword -> value of what one item of a functional groups sequence says; empty for None."""
    values: dict[str, Any] = {}
    for macro, keyword, name in _SAME_AS if group is not None else ():
        items = group.get(macro) if group is not None else None
        value = items[0].get(keyword) if items else None
        if value is not None:
            values[name] = value
    return values
