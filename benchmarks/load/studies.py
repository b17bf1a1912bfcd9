"""More studies than the repository has: copies of the sample, each a patient and a study of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID")


def copy_study(study: Path, folder: Path, copies: int) -> list[str]:
    """Write ``copies`` of a DICOM study below ``folder``, with new UIDs and patients and the same pixels.

    Returns:
        the SeriesInstanceUID of each copy's FLAIR, which a server offers for labelling.
    """
    import pydicom

    files = sorted(study.rglob("*.dcm"))
    flair = []
    for number in range(copies):
        for path in files:
            ds = pydicom.dcmread(path)
            for keyword in _UIDS:
                setattr(ds, keyword, uid(number, str(ds.get(keyword))))
            ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
            ds.PatientID, ds.PatientName = f"LOAD{number:04d}", f"Load^{number}"
            target = folder / f"{number:04d}" / path.relative_to(study)
            target.parent.mkdir(parents=True, exist_ok=True)
            ds.save_as(target)
            if ds.SeriesDescription == "FLAIR":
                flair.append(str(ds.SeriesInstanceUID))
    return list(dict.fromkeys(flair))


def uid(number: int, original: str) -> str:
    """Make the UID of a copy, the same in every run (PS3.5 annex B.2: ``2.25.`` and a number of 128 bits)."""
    return f"2.25.{int.from_bytes(hashlib.sha256(f'{number} {original}'.encode()).digest()[:16])}"
