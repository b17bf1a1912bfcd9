"""Write ``sample_data/lgg_dicom`` and its truth from the public LGG MRI segmentation data (kaggle_3m layout).

usage: python sample_data/make_sample_data.py KAGGLE_3M_DIR [--out sample_data]

The data set has neither spacing nor positions nor scanner parameters. What DICOM wants and the data set does
not tell is left empty where the standard allows it and called nominal where it does not. Every UID derives
from the patient's name, so that a second run writes the same files.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, JPEGLSLossless, MRImageStorage

from tumorseg.geometry import Grid, affine_from_parts, flip_ras_lps
from tumorseg.io.kaggle_3m import Kaggle3m

PATIENT = "TCGA_HT_8563_19981209"  # a *test* patient of the frozen split: no weights have seen it
SPACING_MM = (1.0, 1.0, 5.0)  # nominal: the data set states none
BITS = 12  # of 16 allocated; the values are 0..255, but decoders meet 12-bit MR every day
# Where the published grey values leave room, viewers start at the brightest 0.5 % instead of at 255.
WINDOW_PERCENTILE = 99.5

DERIVATION = (
    "Derived from the LGG MRI segmentation data set (Buda, Saha, Mazurowski 2019, CC BY-NC-SA 4.0), which was made "
    "from TCGA-LGG on The Cancer Imaging Archive: 8-bit, 256 x 256, intensity rescaled by its authors. Pixel spacing, "
    "slice spacing, positions and left-right are NOMINAL, not measured. Not for diagnosis."
)


@dataclass(frozen=True)
class Sequence:
    """One channel of the data set as a DICOM series."""

    channel: str
    folder: str
    number: int
    description: str
    scanning_sequence: str | list[str]
    contrast_agent: str = ""


SEQUENCES = (
    Sequence("T1", "1_T1", 1, "T1", "RM"),
    # FLAIR is an inversion recovery by definition; for the other two the data set does not say (RM: research mode).
    Sequence("FLAIR", "2_FLAIR", 2, "FLAIR", "IR"),
    Sequence("T1Gd", "3_T1_post_contrast", 3, "T1 post contrast", "RM", "Gadolinium-based agent (not specified)"),
)


def main() -> None:
    """Write the study and the annotators' mask."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder in the kaggle_3m layout (one folder of .tif a patient)")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    arguments = parser.parse_args()
    case = Kaggle3m(arguments.data, [PATIENT])[0]
    if case.truth is None:
        sys.exit(f"expected {PATIENT}_<n>_mask.tif files in {arguments.data / PATIENT}; found none")
    grid = nominal_grid(case.image.grid.shape)
    study = arguments.out / "lgg_dicom"
    shutil.rmtree(study, ignore_errors=True)
    for sequence in SEQUENCES:
        write_series(study / sequence.folder, sequence, case.image.channel(sequence.channel), grid)
    write_truth(arguments.out / "expected" / "lgg_truth.nii.gz", case.truth.voxels > 0, grid)


def nominal_grid(shape: tuple[int, int, int]) -> Grid:
    """Return an axial grid centred on the origin.

    Rows run from the front to the back and slices upwards, as the pictures show; columns are taken to run from the
    patient's right to the left, which no picture can prove.
    """
    centre = [-(n - 1) / 2 * step for n, step in zip(shape[::-1], SPACING_MM, strict=True)]
    return Grid(shape, affine_from_parts(centre, np.eye(3), SPACING_MM))


def write_series(folder: Path, sequence: Sequence, voxels: NDArray[Any], grid: Grid) -> None:
    """Write ``(K, J, I)`` grey values 0..255 as single-frame MR Image Storage files."""
    folder.mkdir(parents=True)
    width = max(2, round(float(np.percentile(voxels, WINDOW_PERCENTILE))))
    for index, plane in enumerate(voxels):
        dataset = instance(sequence, index, grid)
        dataset.WindowCenter, dataset.WindowWidth = width // 2, width
        add_pixels(dataset, plane)
        dataset.save_as(folder / f"{index + 1:03d}.dcm", enforce_file_format=True)


def instance(sequence: Sequence, index: int, grid: Grid) -> Dataset:
    """Return the header of slice ``index`` (0 is the lowest) without its pixels."""
    dataset = Dataset()
    dataset.file_meta = file_meta(uid(sequence.folder, str(index)))
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = uid(sequence.folder, str(index))
    add_patient_and_study(dataset)
    add_series(dataset, sequence)
    add_acquisition(dataset, sequence)
    add_place(dataset, index, grid)
    return dataset


def file_meta(instance_uid: UID) -> FileMetaDataset:
    """Return the file meta group; the implementation is named, so that files do not change with pydicom's version."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = instance_uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("implementation")
    meta.ImplementationVersionName = "TUMORSEG_SAMPLE"
    return meta


def add_patient_and_study(dataset: Dataset) -> None:
    """Add the patient under the name that the archive published, and the study."""
    dataset.PatientName = "LGG^Sample"
    dataset.PatientID = "-".join(PATIENT.split("_")[:3])
    dataset.PatientBirthDate = dataset.PatientSex = ""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "De-identified by The Cancer Imaging Archive before publication"
    dataset.StudyInstanceUID = uid("study")
    dataset.StudyID = "1"
    dataset.StudyDate = PATIENT.split("_")[-1]  # the archive's (shifted) date, part of the published name
    dataset.StudyTime = dataset.AccessionNumber = dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "tumorseg sample: low-grade glioma (derived)"


def add_series(dataset: Dataset, sequence: Sequence) -> None:
    """Add what tells the three series apart."""
    dataset.Modality = "MR"
    dataset.SeriesInstanceUID = uid(sequence.folder)
    dataset.SeriesNumber = sequence.number
    dataset.SeriesDescription = sequence.description
    dataset.BodyPartExamined = "BRAIN"
    dataset.PatientPosition = ""
    dataset.Manufacturer = ""
    if sequence.contrast_agent:
        dataset.ContrastBolusAgent = sequence.contrast_agent


def add_acquisition(dataset: Dataset, sequence: Sequence) -> None:
    """Add the MR module: sequence parameters are not published and stay empty."""
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    dataset.DerivationDescription = DERIVATION
    dataset.BurnedInAnnotation = "NO"
    dataset.ScanningSequence = sequence.scanning_sequence
    dataset.SequenceVariant = "NONE"
    dataset.ScanOptions = dataset.MRAcquisitionType = ""
    dataset.RepetitionTime = dataset.EchoTime = dataset.EchoTrainLength = None
    if sequence.scanning_sequence == "IR":
        dataset.InversionTime = None


def add_place(dataset: Dataset, index: int, grid: Grid) -> None:
    """Add frame of reference, orientation, position and the nominal spacing of slice ``index``."""
    along_i, along_j, along_k = grid.spacing
    dataset.FrameOfReferenceUID = uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.InstanceNumber = index + 1
    dataset.ImageOrientationPatient = [float(c) for c in (*grid.direction[:, 0], *grid.direction[:, 1])]
    dataset.ImagePositionPatient = [float(c) for c in grid.points(np.array([[0, 0, index]]))[0]]
    dataset.PixelSpacing = [along_j, along_i]
    dataset.SliceThickness = dataset.SpacingBetweenSlices = along_k


def add_pixels(dataset: Dataset, plane: NDArray[Any]) -> None:
    """Add a ``(J, I)`` plane and compress it without loss (JPEG-LS)."""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = plane.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, BITS, BITS - 1
    dataset.PixelRepresentation = 0
    dataset.PixelData = plane.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.compress(JPEGLSLossless, generate_instance_uid=False)


def write_truth(path: Path, mask: NDArray[np.bool_], grid: Grid) -> None:
    """Write a ``(K, J, I)`` mask as NIfTI, (i, j, k) in the file; no time stamp, so that a second run is identical."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(mask.astype(np.uint8).transpose(2, 1, 0), flip_ras_lps(grid.affine))
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), mtime=0))


def uid(*names: str) -> UID:
    """Return the UID that always belongs to these names (2.25 and a UUID, PS3.5 B.2: needs no registration)."""
    return UID(f"2.25.{uuid5(NAMESPACE_OID, '/'.join(('tumorseg sample_data', PATIENT, *names))).int}")


if __name__ == "__main__":
    main()
