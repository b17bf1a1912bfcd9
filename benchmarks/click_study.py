"""Studies to click on: 24 slices of 256 x 256, three sequences, each copy with its lesion at a place of its own.

Made of the sample study, whose tumour is known: the pictures of a copy are moved round within their frame (what leaves
on one side comes in on the other, and is dark there), and the uppermost slice is repeated until there are 24.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.load.studies import uid
from benchmarks.servers import ROOT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

STUDY = ROOT / "sample_data" / "lgg_dicom"
TRUTH = ROOT / "sample_data" / "expected" / "lgg_truth.nii.gz"
SLICES, SIDE = 24, 256
_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
#: What a viewer shows and clicks on.
_SHOWN = "FLAIR"

Shift = tuple[int, int]
#: Pixels down and to the right by which the copies are moved, so that no two lesions lie at the same place.
SHIFTS: tuple[Shift, ...] = tuple((down, right) for right in (0, -30, 30, -15, 15) for down in (0, 24))


@dataclass(frozen=True, eq=False)
class ClickStudy:
    """One study.

    Attributes:
        folder: of its DICOM files.
        image: the SeriesInstanceUID that a viewer names.
        truth: ``(K, J, I)`` bool, its tumour.
    """

    folder: Path
    image: str
    truth: Mask


def write_study(folder: Path, number: int, shift: Shift = (0, 0)) -> ClickStudy:
    """Write a copy of the sample study, a patient of its own; the same number and shift write the same files."""
    image = ""
    for series in sorted(path for path in STUDY.iterdir() if path.is_dir()):
        files = sorted(series.glob("*.dcm"))
        for index in range(SLICES):
            ds = _slice(files, index, number, shift)
            target = folder / series.name / f"{index + 1:03d}.dcm"
            target.parent.mkdir(parents=True, exist_ok=True)
            ds.save_as(target)
            if ds.SeriesDescription == _SHOWN:
                image = str(ds.SeriesInstanceUID)
    return ClickStudy(folder, image, _truth(shift))


def _slice(files: list[Path], index: int, number: int, shift: Shift) -> Any:
    """Return slice ``index`` (0 is the lowest) of a series as a dataset."""
    import numpy as np
    import pydicom

    ds = pydicom.dcmread(files[min(index, len(files) - 1)])
    for keyword in _UIDS:
        setattr(ds, keyword, uid(number, f"{ds.get(keyword)} {shift}"))
    ds.SOPInstanceUID = uid(number, f"{ds.SOPInstanceUID} {shift} {index}")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.PatientID, ds.PatientName, ds.InstanceNumber = f"CLICK{number:04d}", f"Click^{number}", index + 1
    above = max(0, index - len(files) + 1) * float(ds.SpacingBetweenSlices)
    ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], float(ds.ImagePositionPatient[2]) + above]
    if shift != (0, 0):
        ds.decompress(generate_instance_uid=False)
        ds.PixelData = np.roll(ds.pixel_array, shift, (0, 1)).tobytes()
    return ds


def _truth(shift: Shift) -> Mask:
    """Return ``(K, J, I)`` the tumour of a copy."""
    import nibabel
    import numpy as np

    known = np.asarray(nibabel.load(TRUTH).dataobj).T > 0  # the file lists (i, j, k)
    longer = np.concatenate([known, *[known[-1:]] * (SLICES - len(known))])
    return np.roll(longer, shift, (1, 2))
