"""The pydicom-seg of compat/ does what MONAI Label's converter asks of it, on real DICOM, any way round."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pydicom_seg
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

SHAPE = (6, 20, 24)  # slices, rows, columns
SPACING = (0.8, 1.25, 3.5)  # columns, rows, slices

AXIAL = np.eye(3)
SAGITTAL = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def rotation(degrees: float) -> np.ndarray:
    """Turn about an axis that is none of the patient's."""
    axis, angle = np.array([1.0, 2.0, 3.0]) / np.sqrt(14.0), np.radians(degrees)
    cross = np.cross(np.eye(3), axis)
    return np.eye(3) * np.cos(angle) + np.sin(angle) * -cross + (1 - np.cos(angle)) * np.outer(axis, axis)


DIRECTIONS = {
    "axial": AXIAL,
    "sagittal": SAGITTAL,
    "oblique": rotation(25.0),
    "oblique sagittal": rotation(15) @ SAGITTAL,
}


def phantom(direction: np.ndarray) -> sitk.Image:
    """Two asymmetric labels, 2 and 5, so that a wrong number, flip or order is seen."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:4, 3:9, 4:7] = 2
    labels[3, 5, 10:20] = 5
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing(SPACING)
    image.SetOrigin((-11.0, 23.5, 47.25))
    image.SetDirection(direction.ravel().tolist())
    return image


def write_series(folder: Path, grid: sitk.Image) -> Path:
    """Write a series on ``grid`` in an order of files that is not the order in space."""
    folder.mkdir()
    direction = np.array(grid.GetDirection()).reshape(3, 3)
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for index in range(SHAPE[0]):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.Modality, dataset.PatientID, dataset.PatientName = "MR", "P", "Phantom^"
        dataset.PatientBirthDate = dataset.PatientSex = dataset.StudyID = dataset.AccessionNumber = ""
        dataset.StudyDate = dataset.StudyTime = dataset.ReferringPhysicianName = dataset.Manufacturer = ""
        dataset.PositionReferenceIndicator = ""
        dataset.SeriesNumber, dataset.InstanceNumber = 1, index + 1
        dataset.ImagePositionPatient = [round(x, 6) for x in grid.TransformIndexToPhysicalPoint((0, 0, index))]
        dataset.ImageOrientationPatient = [round(float(x), 8) for x in (*direction[:, 0], *direction[:, 1])]
        dataset.PixelSpacing, dataset.SliceThickness = [SPACING[1], SPACING[0]], SPACING[2]
        dataset.Rows, dataset.Columns = SHAPE[1:]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
        dataset.PixelData = np.full(SHAPE[1:], index, "<u2").tobytes()
        dataset.save_as(folder / f"{(index * 5) % SHAPE[0]}_{index}.dcm", enforce_file_format=True)
    return folder


def sct(code: str, meaning: str) -> dict[str, str]:
    """Write a SNOMED CT code the way dcmqi does."""
    return {"CodeValue": code, "CodingSchemeDesignator": "SCT", "CodeMeaning": meaning}


def segment(value: int, name: str, code: str) -> dict[str, object]:
    """Describe one label the way dcmqi does."""
    return {
        "labelID": value,
        "SegmentLabel": name,
        "SegmentDescription": f"{name} of the phantom",
        "SegmentAlgorithmType": "SEMIAUTOMATIC",
        "SegmentAlgorithmName": "by hand",
        "SegmentedPropertyCategoryCodeSequence": sct("49755003", "Morphologically Altered Structure"),
        "SegmentedPropertyTypeCodeSequence": sct(code, name),
        "recommendedDisplayRGBValue": [10, 200, 30],
    }


SEGMENTS = [segment(2, "Neoplasm", "108369006"), segment(5, "Edema", "79654002")]
LABEL_INFO = [{"model_name": "phantom", "segmentAttribute": s} for s in SEGMENTS]


def write(mask: sitk.Image, series: Path, segments: list[dict[str, object]] = SEGMENTS, **options: bool) -> Dataset:
    """Write a SEG without MONAI Label in between."""
    template = pydicom_seg.template.from_dcmqi_metainfo({"segmentAttributes": [segments]})
    sources = [pydicom.dcmread(f, stop_before_pixels=True) for f in sorted(series.iterdir())]
    return pydicom_seg.MultiClassWriter(template=template, **options).write(mask, sources)


def enhance(single: list[Dataset]) -> Dataset:
    """Put single frames into one Enhanced MR header, in the order given."""
    out = Dataset()
    out.file_meta = single[0].file_meta
    own = {"SOPClassUID", "SOPInstanceUID", "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient"}
    own |= {"PixelSpacing", "SliceThickness", "PixelData"}
    for element in single[0]:
        if element.keyword not in own:
            out.add(element)
    out.SOPClassUID, out.SOPInstanceUID, out.NumberOfFrames = EnhancedMRImageStorage, generate_uid(), len(single)
    shared, out.PerFrameFunctionalGroupsSequence = Dataset(), []
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = single[0].PixelSpacing, single[0].SliceThickness
    orientation.ImageOrientationPatient = single[0].ImageOrientationPatient
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    out.SharedFunctionalGroupsSequence = [shared]
    for dataset in single:
        frame, position = Dataset(), Dataset()
        position.ImagePositionPatient = dataset.ImagePositionPatient
        frame.PlanePositionSequence = [position]
        out.PerFrameFunctionalGroupsSequence.append(frame)
    return out


def positions(image: sitk.Image) -> dict[int, np.ndarray]:
    """Return the sorted LPS positions of every label's voxels, rounded to 1/100 mm."""
    voxels = sitk.GetArrayFromImage(image)
    origin, spacing = np.array(image.GetOrigin()), np.array(image.GetSpacing())
    direction = np.array(image.GetDirection()).reshape(3, 3)
    found = {}
    for value in np.unique(voxels[voxels > 0]):
        ijk = np.argwhere(voxels == value)[:, ::-1]
        points = np.round((ijk * spacing) @ direction.T + origin, 2) + 0.0
        found[int(value)] = points[np.lexsort(points.T)]
    return found


def assert_same_place(image: sitk.Image, expected: sitk.Image) -> None:
    found, wanted = positions(image), positions(expected)
    assert found.keys() == wanted.keys()
    for value in wanted:
        assert found[value].shape == wanted[value].shape
        assert np.abs(found[value] - wanted[value]).max() <= 0.021


@pytest.mark.parametrize("name", DIRECTIONS)
def test_monai_labels_converter_round_trip(name: str, tmp_path: Path) -> None:
    from monailabel.datastore.utils.convert import dicom_seg_to_itk_image, nifti_to_dicom_seg

    mask = phantom(DIRECTIONS[name])
    series = write_series(tmp_path / "series", mask)
    sitk.WriteImage(mask, str(tmp_path / "mask.nii.gz"))
    written = nifti_to_dicom_seg(str(series), str(tmp_path / "mask.nii.gz"), LABEL_INFO, use_itk=False)
    read = dicom_seg_to_itk_image(shutil.move(written, tmp_path / "seg.dcm"))
    try:
        assert_same_place(sitk.ReadImage(read), mask)
    finally:
        Path(read).unlink()


def test_mask_in_another_voxel_order_lands_at_the_same_place(tmp_path: Path) -> None:
    mask = phantom(DIRECTIONS["oblique"])
    series = write_series(tmp_path / "series", mask)
    turned = sitk.PermuteAxes(sitk.Flip(mask, (True, False, True)), (2, 0, 1))
    assert_same_place(pydicom_seg.MultiClassReader().read(write(turned, series)).image, mask)


def test_segments_say_what_the_template_says(tmp_path: Path) -> None:
    mask = phantom(AXIAL)
    seg = write(mask, write_series(tmp_path / "series", mask))
    described = [seg.get_segment_description(n) for n in seg.segment_numbers]
    assert [d.segment_label for d in described] == ["Neoplasm", "Edema"]
    assert [d.segmented_property_type.value for d in described] == ["108369006", "79654002"]
    assert [d.segmented_property_category.value for d in described] == ["49755003"] * 2
    assert [d.SegmentDescription for d in described] == ["Neoplasm of the phantom", "Edema of the phantom"]
    assert {d.SegmentAlgorithmType for d in described} == {"SEMIAUTOMATIC"}
    assert pydicom_seg.MultiClassReader().read(seg).names == {2: "Neoplasm", 5: "Edema"}


def test_segmentation_is_valid_dicom(tmp_path: Path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian: dicom3tools) is not installed")
    mask = phantom(DIRECTIONS["oblique"])
    write(mask, write_series(tmp_path / "series", mask)).save_as(tmp_path / "seg.dcm")
    report = subprocess.run(["dciodvfy", tmp_path / "seg.dcm"], capture_output=True, text=True, check=False).stderr
    assert not [line for line in report.splitlines() if line.startswith("Error")], report


def test_foreign_seg_keeps_its_segment_numbers(tmp_path: Path) -> None:
    mask = phantom(AXIAL)
    seg = write(mask, write_series(tmp_path / "series", mask))
    for item in seg.SegmentSequence:
        del item.TrackingID, item.TrackingUID
    assert set(positions(pydicom_seg.MultiClassReader().read(seg).image)) == {1, 2}


def test_empty_slices_are_left_out_or_kept(tmp_path: Path) -> None:
    mask = phantom(AXIAL)
    series = write_series(tmp_path / "series", mask)
    assert write(mask, series, skip_empty_slices=True).NumberOfFrames == 4  # label 2 on three slices, label 5 on one
    full = write(mask, series, skip_empty_slices=False)
    assert full.NumberOfFrames == 2 * SHAPE[0]
    assert pydicom_seg.MultiClassReader().read(full).image.GetSize() == mask.GetSize()


def test_enhanced_multi_frame_source(tmp_path: Path) -> None:
    mask = phantom(DIRECTIONS["oblique"])
    files = sorted(write_series(tmp_path / "series", mask).iterdir())
    single = [pydicom.dcmread(f) for f in files]
    enhanced = enhance(single)
    template = pydicom_seg.template.from_dcmqi_metainfo({"segmentAttributes": [SEGMENTS]})
    seg = pydicom_seg.MultiClassWriter(template=template).write(mask, [enhanced])
    assert_same_place(pydicom_seg.MultiClassReader().read(seg).image, mask)


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        (SEGMENTS[:1], "not in the template"),
        ([*SEGMENTS, segment(7, "Cyst", "441457006")], "the map has"),
    ],
)
def test_map_and_template_must_agree(segments: list[dict[str, object]], said: str, tmp_path: Path) -> None:
    mask = phantom(AXIAL)
    with pytest.raises(ValueError, match=said):
        write(mask, write_series(tmp_path / "series", mask), segments)


def test_missing_segment_is_left_out_when_asked(tmp_path: Path) -> None:
    mask = phantom(AXIAL)
    series = write_series(tmp_path / "series", mask)
    seg = write(mask, series, [*SEGMENTS, segment(7, "Cyst", "441457006")], skip_missing_segment=True)
    assert pydicom_seg.MultiClassReader().read(seg).names == {2: "Neoplasm", 5: "Edema"}


def test_map_of_another_place_is_refused(tmp_path: Path) -> None:
    mask = phantom(AXIAL)
    series = write_series(tmp_path / "series", mask)
    mask.SetOrigin((5000.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="another series"):
        write(mask, series)
