"""Every kind of file becomes the same phantom at the same place; what is damaged is refused in one clear sentence."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
from PIL import Image

from tests.dicom.phantoms import (
    GRIDS,
    grid_points,
    make_grid,
    phantom_points,
    sample,
    write_dicom_series,
    write_enhanced_mr,
    write_nifti,
    write_nrrd,
)
from tumorseg.errors import InputError, NotFoundError
from tumorseg.geometry import Grid
from tumorseg.io import read_study

GRID = GRIDS["anisotropic"]
VOXELS = sample(GRID)
WRITERS = {".nii": write_nifti, ".nii.gz": write_nifti, ".nrrd": write_nrrd}


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("name", GRIDS)
def test_volumes_on_any_grid(tmp_path: Path, name: str, ending: str) -> None:
    grid = GRIDS[name]
    image = read_study(WRITERS[ending](tmp_path / f"image{ending}", grid, sample(grid)))
    assert image.grid.same_as(grid, tolerance_mm=1e-3)  # NIfTI keeps float32
    assert np.array_equal(image.voxels[0], sample(grid))  # the file's own order: nothing was reoriented
    assert (image.voxels[0].ravel() != phantom_points(grid_points(image.grid))).sum() <= 2
    assert image.channels == ("",)
    assert image.voxels.flags.c_contiguous
    assert image.voxels.flags.writeable


@pytest.mark.parametrize("space", ["right-anterior-superior", "left-posterior-superior"])
def test_nrrd_spaces(tmp_path: Path, space: str) -> None:
    grid = GRIDS["permuted oblique"]
    assert read_study(write_nrrd(tmp_path / "a.nrrd", grid, sample(grid), space)).grid.same_as(grid)


@pytest.mark.parametrize("ending", [*WRITERS, ".mha"])
def test_channels(tmp_path: Path, ending: str) -> None:
    grid = GRIDS["oblique"]
    data = np.stack([sample(grid) * np.int16(factor) for factor in (1, 2, 3)])
    path = tmp_path / f"image{ending}"
    _write_mha(path, grid, data) if ending == ".mha" else WRITERS[ending](path, grid, data)
    image = read_study(path)
    assert np.array_equal(image.voxels, data)
    assert image.grid.same_as(grid, tolerance_mm=1e-3)
    assert image.channels == ("", "", "")


@pytest.mark.parametrize("name", ["oblique", "permuted"])
def test_metaimage(tmp_path: Path, name: str) -> None:
    grid = GRIDS[name]
    _write_mha(tmp_path / "a.mha", grid, sample(grid)[None])
    image = read_study(tmp_path / "a.mha")
    assert image.grid.same_as(grid, tolerance_mm=1e-3)
    assert np.array_equal(image.voxels[0], sample(grid))


def test_five_axes_and_two(tmp_path: Path) -> None:
    data = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
    nibabel.save(nibabel.Nifti1Image(data.transpose(3, 2, 1, 0)[:, :, :, None], np.eye(4)), tmp_path / "five.nii")
    assert np.array_equal(read_study(tmp_path / "five.nii").voxels, data)
    nibabel.save(nibabel.Nifti1Image(data[0, 0].T, np.diag([2, 3, 4, 1])), tmp_path / "two.nii.gz")
    two = read_study(tmp_path / "two.nii.gz")
    assert np.array_equal(two.voxels, data[:1, :1])
    assert two.grid.spacing[:2] == (2, 3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float32", "float64", ">i2", ">f4"])
def test_nifti_types(tmp_path: Path, dtype: str) -> None:
    data = (VOXELS // 4).astype(dtype)
    header = nibabel.Nifti1Header(endianness=">" if dtype.startswith(">") else "<")
    image = nibabel.Nifti1Image(data.T, np.eye(4), header, dtype=data.dtype)
    nibabel.save(image, tmp_path / "a.nii")
    read = read_study(tmp_path / "a.nii").voxels
    assert read.dtype == (np.float32 if dtype == "float64" else np.dtype(dtype).newbyteorder("="))
    assert np.array_equal(read[0], VOXELS // 4)


def test_nifti_scale_and_version_2(tmp_path: Path) -> None:
    image = nibabel.Nifti2Image(VOXELS.T, np.eye(4))
    image.header.set_slope_inter(0.5, -10)
    nibabel.save(image, tmp_path / "a.nii.gz")
    stored = nibabel.load(tmp_path / "a.nii.gz").get_fdata().T
    assert np.allclose(read_study(tmp_path / "a.nii.gz").voxels[0], stored)


@pytest.mark.parametrize(("qform", "sform"), [(q, s) for q in (0, 1, 2) for s in (0, 1, 2)])
def test_nifti_lies_where_slicer_shows_it(tmp_path: Path, qform: int, sform: int) -> None:
    """Header with two different transforms: ITK, the reader of Slicer, is the judge."""
    image = nibabel.Nifti1Image(VOXELS.T, None)
    image.header.set_qform(np.diag([2.0, 3, 4, 1]) + np.array([[0, 0, 0, 5]] * 3 + [[0] * 4]), code=1)
    image.header.set_sform(np.array([[-2.0, 0, 0, 10], [0, -3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]]), code=1)
    image = nibabel.Nifti1Image(VOXELS.T, None, image.header)
    image.header["qform_code"], image.header["sform_code"] = qform, sform
    nibabel.save(image, tmp_path / "a.nii")
    expected = sitk.ReadImage(str(tmp_path / "a.nii"))
    grid = read_study(tmp_path / "a.nii").grid
    for index in ((0, 0, 0), (1, 2, 3)):
        point = expected.TransformIndexToPhysicalPoint(index)
        assert np.allclose(grid.points(np.array([index]))[0], point, atol=1e-4)


def test_nifti_in_metres(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VOXELS.T, np.diag([0.002, 0.003, 0.004, 1]))
    image.header.set_xyzt_units("meter")
    nibabel.save(image, tmp_path / "a.nii")
    assert read_study(tmp_path / "a.nii").grid.spacing == pytest.approx((2, 3, 4))


@pytest.mark.parametrize(
    ("mode", "ending", "channels"),
    [
        *[("L", "png", 1), ("L", "jpg", 1), ("LA", "png", 1), ("1", "png", 1), ("I;16", "png", 1)],
        *[("RGB", "png", 3), ("RGB", "jpeg", 3), ("RGBA", "png", 3), ("P", "png", 3)],
    ],
)
def test_pictures(tmp_path: Path, mode: str, ending: str, channels: int) -> None:
    grey = (VOXELS[8] // 4).astype(np.uint8)
    picture = Image.fromarray(VOXELS[8].astype(np.uint16) if mode == "I;16" else grey)
    picture = picture if mode == "I;16" else picture.convert(mode)
    picture.save(tmp_path / f"a.{ending}")
    image = read_study(tmp_path / f"a.{ending}")
    assert image.voxels.shape == (channels, 1, *GRID.shape[1:])
    assert not image.spacing_known
    assert np.array_equal(image.grid.affine, np.eye(4))
    expected = VOXELS[8] if mode == "I;16" else np.asarray(picture.convert("L"))
    if ending == "png":
        assert all(np.array_equal(channel[0], expected) for channel in image.voxels)


@pytest.mark.parametrize("samples", [1, 3, 4])
@pytest.mark.parametrize("pages", [1, 5])
def test_tiff(tmp_path: Path, pages: int, samples: int) -> None:
    shape = (pages, 12, 10) if samples == 1 else (pages, 12, 10, samples)
    data = np.random.default_rng(0).integers(0, 65535, shape).astype(np.uint16)
    photometric = "minisblack" if samples == 1 else "rgb"
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in data:
            file.write(page, photometric=photometric, compression="zlib")
    image = read_study(tmp_path / "a.tif")
    kept = data[..., None] if samples == 1 else data[..., :3]
    assert np.array_equal(image.voxels, np.moveaxis(kept, -1, 0))
    assert not image.spacing_known


def test_files_named_by_their_sequence_become_channels(tmp_path: Path) -> None:
    for factor, name in enumerate(("t1", "t1ce", "flair", "seg"), start=1):
        write_nifti(tmp_path / f"case_{name}.nii.gz", GRID, VOXELS * np.int16(factor))
    image = read_study(tmp_path, channels=("T1", "FLAIR", "T1Gd"))
    assert image.channels == ("T1", "FLAIR", "T1Gd")
    assert [int(channel.max()) for channel in image.voxels] == [900, 2700, 1800]
    assert image.notes == ("Left out: case_seg.nii.gz.",)


def test_files_on_different_grids_are_not_mixed(tmp_path: Path) -> None:
    write_nifti(tmp_path / "t1.nii.gz", GRID, VOXELS)
    write_nifti(tmp_path / "flair.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    with pytest.raises(InputError, match="does not lie on the grid of"):
        read_study(tmp_path)


def test_files_that_names_do_not_tell_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_nifti(tmp_path / f"{name}.nii.gz", GRID, VOXELS)
    with pytest.raises(InputError, match=r"expected one image, or one file a sequence .* one\.nii\.gz"):
        read_study(tmp_path)


def test_a_reference_is_for_dicom_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SeriesInstanceUID"):
        read_study(write_nifti(tmp_path / "a.nii", GRID, VOXELS), reference="1.2.3")


# What people send.


@pytest.mark.parametrize("name", ["nothing.nii.gz", "nothing", "nothing.dcm"])
def test_a_path_that_does_not_exist(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError, match=f"{name} does not exist"):
        read_study(tmp_path / name)


def test_an_empty_folder_and_an_empty_list(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no image in .*: it is empty"):
        read_study(tmp_path)
    with pytest.raises(InputError, match="empty list"):
        read_study([])


def test_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "README.txt").write_text("hello")
    with pytest.raises(InputError, match=r"README\.txt is not DICOM"):
        read_study(tmp_path)


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha", "png", "jpg", "tif", "dcm"])
@pytest.mark.parametrize("content", [b"", b"hello, this is a text of some length\n" * 20], ids=["empty", "text"])
def test_empty_files_and_text(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"bad.{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"bad\.{ending}"):
        read_study(path)
    with pytest.raises(InputError, match=rf"bad\.{ending}"):
        read_study(tmp_path)


@pytest.mark.parametrize("ending", ["nii", "nii.gz", "nrrd", "mha", "png", "jpg", "tif"])
@pytest.mark.parametrize("left", [0.02, 0.5, 0.97])
def test_files_cut_off(tmp_path: Path, ending: str, left: float) -> None:
    path = tmp_path / f"cut.{ending}"
    if ending in ("png", "jpg"):
        noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
        Image.fromarray(noise).save(path)
    elif ending == "tif":
        tifffile.imwrite(path, VOXELS, photometric="minisblack")
    elif ending == "mha":
        _write_mha(path, GRID, VOXELS[None])
    else:
        WRITERS[f".{ending}"](path, GRID, VOXELS)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * left)])
    with pytest.raises(InputError, match=rf"cut\.{ending}"):
        read_study(path)


@pytest.mark.parametrize("place", [0.02, 0.2, 0.5, 0.999])
def test_a_corrupt_gzip(tmp_path: Path, place: float) -> None:
    path = write_nifti(tmp_path / "a.nii.gz", GRID, VOXELS)
    whole = bytearray(path.read_bytes())
    start = int(len(whole) * place)
    whole[start : start + 4] = bytes(byte ^ 0xFF for byte in whole[start : start + 4])
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"a\.nii\.gz"):
        read_study(path)


def test_a_gzip_that_promises_too_much(tmp_path: Path) -> None:
    """A header of 2 TB of voxels in a file of a few bytes is refused before memory is asked for."""
    header = nibabel.Nifti1Header()
    header.set_data_shape((32767, 32767, 1024))
    header.set_data_dtype(np.int16)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + b"\0" * 4))
    with pytest.raises(InputError, match=r"promises .* more than a file of its size can hold"):
        read_study(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers(tmp_path: Path, ending: str, bad: float) -> None:
    data = VOXELS.astype(np.float32)
    data[3, :2, 5] = bad
    with pytest.raises(InputError, match="2 of 24576 voxels are NaN or infinite"):
        read_study(WRITERS[ending](tmp_path / f"a{ending}", GRID, data))


def test_complex_numbers(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(VOXELS.T.astype(np.complex64), np.eye(4)), tmp_path / "a.nii")
    with pytest.raises(InputError, match="holds complex64 numbers"):
        read_study(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.docx", "a.txt", "a.xyz"])
def test_an_unknown_ending(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("something")
    with pytest.raises(InputError, match=r"is of no known kind; expected \.nii, \.nii\.gz"):
        read_study(tmp_path / name)


def test_a_detached_header_may_not_point_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(b"\0" * 8)
    (tmp_path / "sub").mkdir()
    header = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\ndata file: ../secret.raw\n\n"
    (tmp_path / "sub" / "a.nhdr").write_text(header)
    with pytest.raises(InputError, match="outside its own folder"):
        read_study(tmp_path / "sub" / "a.nhdr")
    (tmp_path / "sub" / "b.mha").write_text("ObjectType = Image\nNDims = 3\nElementDataFile = ../secret.raw\n")
    with pytest.raises(InputError, match="holds its own voxels"):
        read_study(tmp_path / "sub" / "b.mha")


def test_dicom_with_a_readme_beside_it(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, GRID, VOXELS)
    (tmp_path / "README.txt").write_text("hello")
    (tmp_path / ".DS_Store").write_bytes(b"\0")
    image = read_study(tmp_path)
    assert image.grid.shape == GRID.shape
    assert image.notes == ("Left out: README.txt is not DICOM (1 in all).",)


def test_dicom_without_endings_deep_in_folders(tmp_path: Path) -> None:
    for k, path in enumerate(write_dicom_series(tmp_path / "a", GRID, VOXELS)):
        target = tmp_path / "deep" / str(k % 3)
        target.mkdir(parents=True, exist_ok=True)
        path.rename(target / f"1.2.840.{k}")
    image = read_study(tmp_path)
    assert np.array_equal(image.voxels[0], VOXELS)
    assert read_study(tmp_path / "deep" / "0" / "1.2.840.0").grid.shape == (1, *GRID.shape[1:])


def test_dicom_without_preamble(tmp_path: Path) -> None:
    """Old archives hold bare data sets in implicit little endian."""
    from pydicom import dcmread

    for k, path in enumerate(write_dicom_series(tmp_path / "a", GRID, VOXELS, TransferSyntaxUID="1.2.840.10008.1.2")):
        ds = dcmread(path)
        (tmp_path / "bare").mkdir(exist_ok=True)
        del ds.file_meta
        ds.save_as(tmp_path / "bare" / str(k), implicit_vr=True, little_endian=True)
    assert np.array_equal(read_study(tmp_path / "bare").voxels[0], VOXELS)


@pytest.mark.parametrize("left", [140, 300, 600, 1000])
def test_dicom_cut_in_its_header(tmp_path: Path, left: int) -> None:
    path = write_dicom_series(tmp_path, GRID, VOXELS)[2]
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(InputError, match=path.name):
        read_study(tmp_path)


def test_text_named_dcm_among_good_files(tmp_path: Path) -> None:
    write_dicom_series(tmp_path, GRID, VOXELS)
    (tmp_path / "x.dcm").write_text("not DICOM at all")
    with pytest.raises(InputError, match=r"x\.dcm is not a DICOM file"):
        read_study(tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["series/IM0000.dcm", "enhanced.dcm", "a.nii", "a.nii.gz", "a.nrrd"])
def test_damage_anywhere_is_refused_or_harmless(tmp_path: Path, name: str) -> None:
    """Whatever a flipped or lost byte breaks inside a library comes out as an InputError, never as its own error."""
    grid = make_grid(np.eye(3), (20, 20, 20), (4, 6, 8))
    path = tmp_path / name
    if name.startswith("series"):
        path = write_dicom_series(path.parent, grid, sample(grid))[0]
    elif name.startswith("enhanced"):
        write_enhanced_mr(path, grid, sample(grid), TransferSyntaxUID="1.2.840.10008.1.2.4.80")
    else:
        WRITERS["".join(path.suffixes)](path, grid, sample(grid))
    whole, rng = path.read_bytes(), np.random.default_rng(11)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole)
        for place in rng.integers(len(whole), size=4):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(whole) // 2, len(whole) + 1)])
        try:
            read_study(path)
        except InputError:
            refused += 1
    assert refused > 20


def _write_mha(path: Path, grid: Grid, data: np.ndarray[Any, Any]) -> None:
    image = sitk.GetImageFromArray(np.moveaxis(data, 0, -1), isVector=True) if len(data) > 1 else None
    image = image or sitk.GetImageFromArray(data[0])
    image.SetOrigin(grid.origin.tolist())
    image.SetSpacing(grid.spacing)
    image.SetDirection(grid.direction.ravel().tolist())
    sitk.WriteImage(image, str(path))
