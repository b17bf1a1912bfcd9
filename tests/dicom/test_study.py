"""Several series become one image: the right ones, on one grid, through the frame of reference, and it says how."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import generate_uid

from tests.dicom.phantoms import (
    CYST,
    FAT,
    GRIDS,
    TUMOUR,
    as_displayed,
    grid_points,
    make_grid,
    phantom_points,
    sample,
    write_enhanced_mr,
)
from tests.dicom.phantoms import write_dicom_series as write_series
from tumorseg.dicom.headers import read_headers
from tumorseg.dicom.study import read_dicom, read_displayed
from tumorseg.errors import InputError, NotFoundError
from tumorseg.geometry import Grid
from tumorseg.io import read_study

WANTED = ("T1", "FLAIR", "T1Gd")
AXIAL, SAGITTAL = GRIDS["axial"], GRIDS["sagittal"]
Writer = Callable[..., str]


@pytest.fixture
def add(tmp_path: Path) -> Writer:
    """Write one more series of the study in ``tmp_path``; returns its UID. ``factor`` scales its voxels."""
    study = {key: generate_uid() for key in ("StudyInstanceUID", "FrameOfReferenceUID")}
    count = iter(range(1, 100))

    def write(description: str, grid: Grid = AXIAL, factor: int = 1, **attrs: Any) -> str:
        number, uid = next(count), generate_uid()
        common = {**study, "SeriesInstanceUID": uid, "SeriesNumber": number, "SeriesDescription": description}
        write_series(tmp_path / f"{number:02d}", grid, sample(grid) * np.int16(factor), **{**common, **attrs})
        return uid

    return write


def share_of_phantom(voxels: np.ndarray[Any, Any], grid: Grid, factor: int) -> float:
    """The part of the blocks' inner voxels that show the phantom within a tenth: resampling blurs faces only."""
    truth = phantom_points(grid_points(grid)).reshape(grid.shape).astype(float)
    near = [np.roll(truth, shift, axis) for axis in range(3) for shift in (-1, 1)]
    inner = np.isin(truth, (FAT, CYST, TUMOUR)) & np.all([truth == other for other in near], axis=0)
    return float((np.abs(voxels[inner] / factor - truth[inner]) < 0.1 * truth[inner]).mean())


def test_three_series_become_channels_in_the_wanted_order(tmp_path: Path, add: Writer) -> None:
    uids = {"T1Gd": add("AX T1 POST", factor=3), "FLAIR": add("AX FLAIR", factor=2), "T1": add("AX T1")}
    image = read_study(tmp_path, channels=WANTED)
    assert image.channels == WANTED
    assert image.source["series_uids"] == tuple(uids[name] for name in WANTED)
    assert image.source["series_uid"] == uids["FLAIR"]
    for factor, name in enumerate(WANTED, start=1):
        assert np.array_equal(image.channel(name), sample(AXIAL) * factor)
    assert image.voxels.dtype == np.int16
    assert image.voxels.flags.c_contiguous
    assert image.modality == "MR"
    assert image.notes == ()


def test_series_on_other_grids_are_resampled(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    add("SAG T1", SAGITTAL, factor=2)
    add("COR T1 POST", GRIDS["oblique"], factor=3)
    image = read_study(tmp_path, channels=WANTED)
    assert image.grid.same_as(AXIAL, 1e-3)
    assert image.voxels.dtype == np.float32
    assert share_of_phantom(image.channel("T1"), AXIAL, 2) > 0.95
    assert share_of_phantom(image.channel("T1Gd"), AXIAL, 3) > 0.95
    assert "T1 was resampled from 40x34x25 voxels of 3.5x3.5x5 mm onto 36x40x22 voxels of 3.5x3.5x5 mm." in image.notes


def test_a_channel_that_covers_little_says_so(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    add("AX T1", Grid((11, *AXIAL.shape[1:]), AXIAL.affine))
    image = read_study(tmp_path)
    assert "T1 covers 50% of the reference only; the rest is 0." in image.notes
    assert np.array_equal(image.channel("T1")[:11], sample(AXIAL)[:11])
    assert not image.channel("T1")[11:].any()


def test_a_missing_sequence_is_absent(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    add("AX T1 POST")
    assert read_study(tmp_path, channels=WANTED).channels == ("FLAIR", "T1Gd")


def test_the_reference_is_always_there(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    t2 = add("SAG T2", SAGITTAL)
    other = add("AX DWI")
    image = read_study(tmp_path, channels=WANTED, reference=t2)
    assert image.channels == ("FLAIR", "T2")
    assert image.grid.same_as(SAGITTAL, 1e-3)
    assert read_study(tmp_path, channels=WANTED, reference=other).channels == ("FLAIR", "")


def test_without_flair_the_first_wanted_sequence_is_the_reference(tmp_path: Path, add: Writer) -> None:
    add("SAG T1 POST", SAGITTAL)
    t1 = add("AX T1")
    assert read_study(tmp_path, channels=WANTED).source["series_uid"] == t1


def test_an_unknown_reference(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    with pytest.raises(NotFoundError, match=r"no series 1\.2\.3 here; there are: 1: AX FLAIR"):
        read_study(tmp_path, reference="1.2.3")


def test_another_frame_of_reference_is_never_resampled(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    add("AX T1", FrameOfReferenceUID=generate_uid())
    image = read_study(tmp_path, channels=WANTED)
    assert image.channels == ("FLAIR",)
    assert any("Left out as T1" in note and "another frame of reference" in note for note in image.notes)


def test_among_equals_the_one_in_the_same_frame(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    near = add("AX T1", GRIDS["anisotropic"])
    add("AX T1", FrameOfReferenceUID=generate_uid())
    image = read_study(tmp_path, channels=WANTED)
    assert image.source["series_uids"] == (near, image.source["series_uid"])


def test_without_any_frame_of_reference_only_the_same_slices_count(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR", FrameOfReferenceUID="")
    add("AX T1", FrameOfReferenceUID="")
    add("AX T1 POST", GRIDS["anisotropic"], FrameOfReferenceUID="")
    assert read_study(tmp_path, channels=WANTED).channels == ("T1", "FLAIR")


def test_same_descriptions_told_apart_by_the_agent(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    post = add("AX T1 SE", factor=3, ContrastBolusAgent="Gadovist")
    pre = add("AX T1 SE", factor=2)
    image = read_study(tmp_path, channels=WANTED)
    assert image.source["series_uids"] == (pre, image.source["series_uid"], post)


def test_told_apart_by_the_times_alone(tmp_path: Path, add: Writer) -> None:
    """No description tells anything; one series is Enhanced MR."""
    add("a", EchoTime=14, RepetitionTime=450, ScanningSequence="SE", factor=1)
    flair = add("b", EchoTime=140, RepetitionTime=9000, InversionTime=2500, ScanningSequence=["SE", "IR"])
    header = next(one for one in read_headers([tmp_path]) if one.series_uid == flair)
    write_enhanced_mr(
        tmp_path / "enhanced",
        AXIAL,
        sample(AXIAL),
        StudyInstanceUID=header.study_uid,
        FrameOfReferenceUID=header.frame_of_reference_uid,
        EchoTime=90,
        RepetitionTime=4000,
        EchoPulseSequence="SPIN",
        SeriesDescription="c",
    )
    assert read_study(tmp_path).channels == ("T1", "FLAIR", "T2")


def test_more_slices_in_the_plane_of_the_reference_win_and_the_note_says_so(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    add("SAG T1", GRIDS["coronal"])  # more slices, another plane
    few = Grid((11, *AXIAL.shape[1:]), AXIAL.affine)
    add("AX T1", few)
    best = add("AX T1 2")
    image = read_study(tmp_path, channels=WANTED)
    assert image.source["series_uids"][0] == best
    assert any(note.startswith("3 series look like T1; took 4: AX T1 2") for note in image.notes)


def test_a_repeat_replaces_the_first_try(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    again = add("AX FLAIR")
    assert read_study(tmp_path).source["series_uid"] == again


def test_a_sound_series_wins_over_one_with_a_gap(tmp_path: Path, add: Writer) -> None:
    sound = add("AX FLAIR")
    add("AX FLAIR")
    (tmp_path / "02" / sorted(p.name for p in (tmp_path / "02").iterdir())[0]).unlink()
    damaged = read_headers([tmp_path / "02"])[0]
    victim = damaged.frames[8].path
    victim.unlink()
    assert read_study(tmp_path).source["series_uid"] == sound


def test_a_gap_in_the_only_flair_is_not_passed_over(tmp_path: Path, add: Writer) -> None:
    """Without it the model would quietly work on less."""
    add("AX FLAIR")
    add("AX T1")
    read_headers([tmp_path / "01"])[0].frames[7].path.unlink()
    with pytest.raises(InputError, match=r"series 1: AX FLAIR .* is missing"):
        read_study(tmp_path, channels=WANTED)


def test_localizers_and_other_series_are_left_out_with_a_note(tmp_path: Path, add: Writer) -> None:
    add("3 plane loc")
    add("AX FLAIR")
    add("AX DWI")
    add("CT HEAD", Modality="CT")
    image = read_study(tmp_path)
    assert image.channels == ("FLAIR",)
    text = " ".join(image.notes)
    for words in ("Left out as localizers: 1: 3 plane loc", "description says 'dwi'", "modality is CT, not MR"):
        assert words in text


def test_a_scattered_series_is_a_localizer(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    uid = generate_uid()
    for grid in (make_grid(np.eye(3), (8, 8, 8), (3, 16, 16)), make_grid(np.eye(3)[[1, 2, 0]], (8, 8, 8), (3, 16, 16))):
        add("T1 quick", grid, SeriesInstanceUID=uid)
    image = read_study(tmp_path)
    assert image.channels == ("FLAIR",)
    assert any("localizers" in note for note in image.notes)


def test_series_that_cannot_be_told_apart(tmp_path: Path, add: Writer) -> None:
    add("first")
    add("second")
    with pytest.raises(InputError, match=r"2 series are mixed here and none is recognised .*1: first"):
        read_study(tmp_path)


def test_one_of_them_alone_is_taken_as_it_is(tmp_path: Path, add: Writer) -> None:
    add("first")
    uid = add("second", SAGITTAL)
    header = next(one for one in read_headers([tmp_path]) if one.series_uid == uid)
    image = read_dicom([header], channels=WANTED)
    assert image.channels == ("",)
    assert image.grid.same_as(SAGITTAL, 1e-3)


def test_two_patients_in_one_folder(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    add("AX FLAIR", PatientID="OTHER", StudyInstanceUID="1.2.3")
    with pytest.raises(InputError, match=r"expected one study, got 2: patient OTHER study 1\.2\.3, patient PHANTOM"):
        read_study(tmp_path)


def test_no_series() -> None:
    with pytest.raises(InputError, match="expected a DICOM series, got none"):
        read_dicom([])


def test_a_list_of_files_is_taken_as_it_is(tmp_path: Path, add: Writer) -> None:
    add("AX FLAIR")
    add("AX T1")
    assert read_study(sorted((tmp_path / "02").iterdir())).channels == ("T1",)
    assert read_study([tmp_path / "01", tmp_path / "02"]).channels == ("T1", "FLAIR")


def test_kind_is_part_of_the_header(tmp_path: Path, add: Writer) -> None:
    add("AX T1 POST")
    header = read_headers([tmp_path])[0]
    assert (header.kind, header.shape, len(header.files)) == ("T1Gd", AXIAL.shape, 22)


def test_whatever_is_displayed_the_model_sees_the_acquired_slices(tmp_path: Path, add: Writer) -> None:
    flair, sagittal = add("FLAIR"), add("T1 sag", SAGITTAL)
    series = read_headers([*tmp_path.rglob("*.dcm")])
    for displayed, grid in ((flair, AXIAL), (sagittal, SAGITTAL)):
        image, shown = read_displayed(series, displayed, channels=WANTED)
        assert image.grid.same_as(AXIAL)
        assert shown.same_as(as_displayed(grid))
        assert image.channels == ("T1", "FLAIR")


def test_a_displayed_series_of_another_frame_keeps_its_own_grid(tmp_path: Path, add: Writer) -> None:
    add("FLAIR")
    lonely = add("T1 sag", SAGITTAL, FrameOfReferenceUID=generate_uid())
    image, shown = read_displayed(read_headers([*tmp_path.rglob("*.dcm")]), lonely, channels=WANTED)
    assert image.grid.same_as(shown)
    assert shown.same_as(as_displayed(SAGITTAL))
    assert "FLAIR" not in image.channels


def test_a_displayed_series_that_nothing_recognises_is_segmented_alone(tmp_path: Path, add: Writer) -> None:
    add("first")
    strange = add("second")
    image, shown = read_displayed(read_headers([*tmp_path.rglob("*.dcm")]), strange, channels=WANTED)
    assert image.channels == ("",)
    assert image.grid.same_as(shown)


def test_a_displayed_series_must_be_one_volume(tmp_path: Path, add: Writer) -> None:
    add("FLAIR")
    gap = add("T1 sag", SAGITTAL)
    sorted((tmp_path / "02").iterdir())[3].unlink()
    with pytest.raises(InputError, match="missing"):
        read_displayed(read_headers([*tmp_path.rglob("*.dcm")]), gap, channels=WANTED)
    with pytest.raises(NotFoundError):
        read_displayed(read_headers([*tmp_path.rglob("*.dcm")]), "1.2.3", channels=WANTED)
