"""Whose an image is: what DICOM says, else what the names of folders and files say.

Names are guessed at, and a wrong guess is not alike in both directions. Two patients taken for one cost a patient to
learn from; one patient taken for two would train and validate at once, and every comparison would be too good. So
whatever may be the same patient is: sequences, slices, dates and time points are taken off a name, and images in one
folder are of one patient unless their names or the folder's say otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import takewhile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tumorseg.adapters.sources import ImageEntry

#: Between folders and file in an image's id.
_FOLDER = "__"
_GAP = r"[_\-. ]"
#: How BIDS names a subject.
_BIDS_SUBJECT = re.compile(r"(?:^|_)(sub-[A-Za-z0-9]+)(?=_|$)")
#: Public data sets whose names go on behind the patient: TCGA with date and slice, BraTS 2023 and later, BraTS 2017 to
#: 2019 and UPENN-GBM with the time point.
_PUBLIC = re.compile(
    rf"^(?:tcga{_GAP}[a-z0-9]{{2}}{_GAP}[a-z0-9]{{4}}(?={_GAP}|$)|brats-[a-z]+-\d+(?=-\d)"
    r"|brats1[789]_[a-z0-9]+_[a-z0-9]+(?=_\d)|upenn-gbm-\d+(?=_\d))",
    re.IGNORECASE,
)
#: How people number patients: p1, case_7, Patient-001; not case_2024_001, which is numbered by year.
_NUMBERED = re.compile(
    rf"(?:^|(?<={_GAP[:-1]}]))(?:p|pt|pat|pid|patient|patientid|subj|subject|sub|case|id|mrn){_GAP}?"
    rf"(?!(?:19|20)\d\d{_GAP}\d)\d[a-z0-9]*(?![a-z0-9])",
    re.IGNORECASE,
)
_DATE = rf"(?:19|20)\d\d{_GAP}?(?:0[1-9]|1[0-2]){_GAP}?(?:0[1-9]|[12]\d|3[01])"
#: What tells images of one patient apart: sequences, slices, time points, dates.
_WITHIN = re.compile(
    rf"(?:^|{_GAP})(?:flair|t1|t1w|t1n|t1c|t1ce|t1gd|t1post|t2|t2w|t2f|dwi|adc|swi|{_DATE}"
    rf"|(?:slice|slc|sl|z|frame|ses|session|tp|timepoint|visit|day|week|month|mr){_GAP}?\d+"
    rf"|(?:baseline|follow{_GAP}?up|fu|pre{_GAP}?op|post{_GAP}?op){_GAP}?\d*)$",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d")
#: Folders of many patients that say nothing of any of them.
_CONTAINER = re.compile(
    r"(?:images?|imgs?)(?:t[rs]|va)?|train(?:ing)?|test(?:ing)?|val(?:id|idation)?|all|raw|nii|nifti|png|jpe?g|tiff?"
    r"|dcm|dicom|scans?|mri?|ct|cases|patients|subjects|studies|rawdata|sourcedata|derivatives"
    rf"|(?:data|dataset|batch|fold|set|group|part|split|release){_GAP}?(?:[a-z]|\d+)?|kaggle_3m",
    re.IGNORECASE,
)
#: Folders of many patients whose names may tell two of one number apart.
_PLACE = re.compile(
    rf"(?:site|cent(?:er|re)|hospital|clinic|institute|cohort){_GAP}?[a-z0-9]*|lgg|hgg|gbm", re.IGNORECASE
)


class Patients:
    """Whose the images of one source are.

    Args:
        images: the ids of all of them: a folder that holds all is a data set, no patient, whatever it is called.
    """

    def __init__(self, images: Iterable[str]) -> None:
        self._shared = _shared([image.split(_FOLDER)[:-1] for image in images])

    def of(self, entry: ImageEntry) -> str:
        """Return whose an image is: DICOM's PatientID, else the study; BIDS's subject; else as it is called."""
        said = str(entry.info.get("PatientID") or "").strip() or str(entry.info.get("StudyInstanceUID") or "")
        subject = _BIDS_SUBJECT.search(entry.id)
        return said or (subject[1] if subject else self._named(entry.id))

    def _named(self, image: str) -> str:
        """Return what images of one patient have in common in their names, the whole name where nothing tells."""
        *folders, file = image.split(_FOLDER)
        sure = next((said for name in folders if (said := _surely(name, file))), "") or _surely(file)
        unsure = next((_without_within(name) for name in folders[self._depth(folders) :] if _is_somebody(name)), "")
        said = sure or unsure or _without_within(file)
        if not said:
            return next((name for name in folders if not _CONTAINER.fullmatch(name)), image)
        places = [name for name in folders if _PLACE.fullmatch(name) and name != said]
        return _FOLDER.join([*places, said])

    def _depth(self, folders: list[str]) -> int:
        """Return how many of the outer folders hold all images."""
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(folders, self._shared, strict=False)))


def _surely(name: str, file: str = "") -> str:
    """Return the part of a name that names a patient beyond doubt, ``""`` where none does.

    Args:
        name: of a folder or file.
        file: for a folder the name of the file: where it begins with the folder's, the folder is the patient.
    """
    if public := _PUBLIC.match(name):
        return public[0]
    if numbered := _NUMBERED.search(name):
        return name[: numbered.end()]
    is_own = re.match(rf"{re.escape(name)}(?![A-Za-z0-9])", file) is not None
    return _without_within(name) if is_own and not _CONTAINER.fullmatch(name) else ""


def _is_somebody(folder: str) -> bool:
    """Whether a folder may be one patient's, for all that its name says."""
    of_many = _CONTAINER.fullmatch(folder) or _PLACE.fullmatch(folder) or _YEAR.fullmatch(folder)
    return not of_many and bool(_without_within(folder))


def _without_within(name: str) -> str:
    """Return a name without what tells images of one patient apart."""
    while (match := _WITHIN.search(name)) is not None:
        name = name[: match.start()]
    return name


def _shared(folders: list[list[str]]) -> list[str]:
    """Return the outer folders that all images lie in; none where there is one image only."""
    if len(folders) < 2:
        return []
    same = takewhile(lambda names: len(set(names)) == 1, zip(*folders, strict=False))
    return [names[0] for names in same]
