"""Label maps in files: every reader puts every voxel where we said it is."""

import gzip
import io
import os

import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from tests.dicom.phantoms import TUMOUR, make_grid, sample
from tumorseg.errors import InputError
from tumorseg.geometry import Grid, flip_ras_lps
from tumorseg.io.write import FORMATS, nrrd_bytes, write_segmentation
from tumorseg.types import Segmentation, StudyImage


def turned(degrees):
    a, b, c = np.radians(degrees)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return z @ y @ x


GRIDS = {
    "axial": make_grid(np.eye(3), (1.5, 1.5, 4.0), (14, 40, 36)),
    "ras": make_grid(np.diag([-1, -1, 1]), (1.5, 1.7, 4.0), (14, 40, 36)),
    "flipped": make_grid(np.diag([1, 1, -1]), (2.0, 2.0, 3.0), (20, 30, 28)),
    "sagittal": make_grid(np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]]), (2.0, 2.0, 5.0), (12, 30, 32)),
    "oblique": make_grid(turned((12, -21, 33)), (1.3, 2.1, 4.7), (15, 31, 43)),
    "one slice": make_grid(np.eye(3), (1.0, 1.0, 5.0), (1, 60, 60)),
}


def segmentation(grid, labels=None):
    image = sample(grid)
    mask = (image == TUMOUR).astype(np.uint8)
    if labels and len(labels) > 1:
        mask[image == 600] = 2
    return Segmentation(mask, grid, labels or {"tumour": 1})


@pytest.fixture(params=GRIDS.values(), ids=GRIDS)
def grid(request):
    return request.param


def itk_grid(image):
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return Grid(image.GetSize()[::-1], affine)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".seg.nrrd"])
def test_simpleitk_finds_every_voxel_where_it_was(tmp_path, grid, ending):
    ours = segmentation(grid)
    path = write_segmentation(tmp_path / f"mask{ending}", ours)
    theirs = sitk.ReadImage(str(path))
    assert theirs.GetPixelID() == sitk.sitkUInt8
    assert itk_grid(theirs).same_as(grid, 1e-3)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(theirs), ours.voxels)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nibabel_reads_the_same_place_from_sform_and_qform(tmp_path, grid, ending):
    ours = segmentation(grid)
    theirs = nib.load(write_segmentation(tmp_path / f"mask{ending}", ours))
    for affine, code in (theirs.get_sform(coded=True), theirs.get_qform(coded=True)):
        assert code == 1
        np.testing.assert_allclose(flip_ras_lps(affine), grid.affine, atol=1e-3)
    assert theirs.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_array_equal(np.asarray(theirs.dataobj).T, ours.voxels)


@pytest.mark.parametrize("compress", [False, True])
def test_pynrrd_reads_directions_as_one_row_for_each_axis(tmp_path, grid, compress):
    ours = segmentation(grid)
    (tmp_path / "mask.nrrd").write_bytes(nrrd_bytes(ours, compress))
    voxels, header = nrrd.read(str(tmp_path / "mask.nrrd"), index_order="C")
    assert header["space"] == "left-posterior-superior"
    assert header["encoding"] == ("gzip" if compress else "raw")
    np.testing.assert_array_equal(header["space directions"], grid.affine[:3, :3].T)
    np.testing.assert_array_equal(header["space origin"], grid.origin)
    np.testing.assert_array_equal(voxels, ours.voxels)


def test_raw_nrrd_ends_with_the_voxels_in_memory_order():
    ours = segmentation(GRIDS["oblique"])
    raw = nrrd_bytes(ours)
    assert raw.endswith(b"\n\n" + ours.voxels.tobytes())


def test_a_label_map_that_is_a_view_is_written_in_its_own_order(tmp_path):
    whole = np.random.default_rng(3).integers(0, 2, (6, 5, 4)).astype(np.uint8)
    view = whole.transpose(2, 0, 1)[::-1]
    ours = Segmentation(view, Grid(view.shape, np.diag([2.0, 3.0, 4.0, 1.0])), {"tumour": 1})
    for ending in (".nii.gz", ".nrrd"):
        path = write_segmentation(tmp_path / f"mask{ending}", ours)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), view)


def test_many_labels_take_sixteen_bits_and_few_take_eight(tmp_path):
    voxels = np.zeros((2, 3, 4), np.uint16)
    grid = Grid(voxels.shape, np.eye(4))
    voxels[1, 2, 3] = 300
    for ending in (".nii", ".nrrd"):
        many = sitk.ReadImage(str(write_segmentation(tmp_path / f"m{ending}", Segmentation(voxels, grid, {"a": 300}))))
        assert many.GetPixelID() == sitk.sitkUInt16
        assert many[3, 2, 1] == 300
    few = Segmentation((voxels > 0).astype(np.uint16), grid, {"a": 1})
    assert b"type: uint8\n" in nrrd_bytes(few)
    assert b"type: uint8\n" in nrrd_bytes(Segmentation(voxels > 0, grid, {"a": 1}))


def test_a_sheared_grid_keeps_its_shear_in_the_sform(tmp_path):
    affine = np.diag([1.0, 1.0, 5.0, 1.0])
    affine[1, 2] = 1.2  # gantry tilt
    ours = segmentation(Grid((4, 6, 5), affine))
    written = nib.load(write_segmentation(tmp_path / "tilted.nii.gz", ours))
    np.testing.assert_allclose(flip_ras_lps(written.affine), affine, atol=1e-6)


def test_slicer_segmentation_names_colours_and_extents(tmp_path):
    ours = segmentation(GRIDS["oblique"], {"tumour core": 1, "cyst": 2})
    voxels, header = nrrd.read(str(write_segmentation(tmp_path / "m.seg.nrrd", ours)), index_order="C")
    assert [header[f"Segment{n}_Name"] for n in (0, 1)] == ["tumour core", "cyst"]
    assert [header[f"Segment{n}_LabelValue"] for n in (0, 1)] == ["1", "2"]
    assert header["Segment0_ID"] != header["Segment1_ID"]
    assert header["Segment0_Color"] != header["Segment1_Color"]
    assert all(0 <= float(part) <= 1 for part in header["Segment0_Color"].split())
    for n, value in ((0, 1), (1, 2)):
        k, j, i = np.nonzero(voxels == value)
        expected = [i.min(), i.max(), j.min(), j.max(), k.min(), k.max()]
        assert [int(part) for part in header[f"Segment{n}_Extent"].split()] == expected


def test_slicer_segmentation_of_nothing_and_of_a_value_without_a_name(tmp_path):
    grid = GRIDS["axial"]
    _, header = nrrd.read(
        str(write_segmentation(tmp_path / "a.seg.nrrd", Segmentation(np.zeros(grid.shape, np.uint8), grid, {"t": 1})))
    )
    assert header["Segment0_Name"] == "t"
    assert header["Segment0_Extent"] == "0 -1 0 -1 0 -1"
    voxels = np.zeros(grid.shape, np.uint8)
    voxels[3, 4, 5] = 7
    _, header = nrrd.read(str(write_segmentation(tmp_path / "b.seg.nrrd", Segmentation(voxels, grid, {"t": 1}))))
    assert (header["Segment1_Name"], header["Segment1_LabelValue"]) == ("label 7", "7")
    assert header["Segment1_Extent"] == "5 5 4 4 3 3"


def test_slicer_itself_loads_the_segmentation(tmp_path):
    slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
    if not hasattr(slicer, "vtkMRMLSegmentationStorageNode"):
        pytest.skip("slicer-core comes without its segmentation classes here")
    ours = segmentation(GRIDS["oblique"], {"tumour": 1, "cyst": 2})
    path = write_segmentation(tmp_path / "mask.seg.nrrd", ours)
    scene = slicer.vtkMRMLScene()
    node, storage = slicer.vtkMRMLSegmentationNode(), slicer.vtkMRMLSegmentationStorageNode()
    scene.AddNode(node)
    scene.AddNode(storage)
    storage.SetFileName(str(path))
    assert storage.ReadData(node)
    segments = node.GetSegmentation()
    assert [segments.GetNthSegment(n).GetName() for n in range(2)] == ["tumour", "cyst"]
    assert segments.GetNthSegment(0).GetColor()[0] == pytest.approx(230 / 255, abs=1e-3)


def test_compressed_files_are_small_and_always_the_same(tmp_path):
    ours = segmentation(GRIDS["axial"])
    once, again = nrrd_bytes(ours, compress=True), nrrd_bytes(ours, compress=True)
    assert once == again
    assert len(once) < ours.voxels.size / 4
    assert gzip.decompress(once.split(b"\n\n", 1)[1]) == ours.voxels.tobytes()


def test_unknown_spacing_is_said_in_the_nifti(tmp_path):
    ours = segmentation(GRIDS["axial"])
    image = StudyImage(sample(ours.grid)[None], ours.grid, ("",), spacing_known=False)
    assert nib.load(write_segmentation(tmp_path / "m.nii", ours, image)).header.get_xyzt_units()[0] == "unknown"


@pytest.mark.parametrize("name", ["mask.dcm", "mask", "mask.nii.zip", "mask.jpg"])
def test_an_unknown_ending_lists_what_is_possible(tmp_path, name):
    with pytest.raises(InputError) as caught:
        write_segmentation(tmp_path / name, segmentation(GRIDS["axial"]))
    assert all(ending in str(caught.value) for ending in FORMATS)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written_are_refused(tmp_path):
    ours = segmentation(GRIDS["axial"])
    with pytest.raises(InputError, match="does not exist"):
        write_segmentation(tmp_path / "no" / "mask.nii.gz", ours)
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        write_segmentation(tmp_path / "folder.nii", ours)
    with pytest.raises(InputError, match="image is needed"):
        write_segmentation(tmp_path / "sheet.png", ours)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.nii"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "mask.nii.gz"
    path.write_bytes(b"old")

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_segmentation(path, segmentation(GRIDS["axial"]))
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["mask.nii.gz"]


def test_a_write_replaces_the_old_file_and_honours_the_umask(tmp_path):
    path = tmp_path / "mask.NRRD"
    path.write_bytes(b"old")
    old = os.umask(0o027)
    try:
        write_segmentation(path, segmentation(GRIDS["axial"]))
    finally:
        os.umask(old)
    assert path.read_bytes().startswith(b"NRRD")
    assert path.stat().st_mode & 0o777 == 0o640


def sheet(tmp_path, grid, mask=None, known=True, **more):
    image = StudyImage(sample(grid)[None], grid, ("FLAIR",), "MR", spacing_known=known, notes=("a note",))
    ours = segmentation(grid) if mask is None else Segmentation(mask, grid, {"tumour": 1})
    return np.asarray(Image.open(write_segmentation(tmp_path / "s.png", ours, image, **more)).convert("RGB")).astype(
        int
    )


def reddish(pixels):
    return (pixels[..., 0] > pixels[..., 1] + 60) & (pixels[..., 0] > pixels[..., 2] + 60)


def blank(grid):
    """An image of zeros on ``grid``."""
    return StudyImage(np.zeros((1, *grid.shape), np.uint8), grid, ("",))


@pytest.mark.parametrize("name", ["axial", "ras", "flipped", "oblique"])
def test_the_sheet_shows_the_patients_left_on_the_right_and_the_front_on_top(tmp_path, name):
    # The phantom's tumour is at the left (+x) and front (-y); its fat is at the right, its cyst at the back.
    from tumorseg.io import overlay

    grid = GRIDS[name]
    view = overlay._view(blank(grid))
    tiles = view.tiles(segmentation(grid).voxels)
    where = np.argwhere(tiles > 0)[:, 1:].mean(axis=0) / (np.array(tiles.shape[1:]) - 1)
    assert view.plane == "axial"
    assert where[0] < 0.45 < 0.55 < where[1]  # top, right
    assert [letter[0] for letter in view.letters] == ["R", "L", "A", "P"]
    assert reddish(sheet(tmp_path, grid)).sum() > 500


def test_a_sagittal_sheet_has_the_head_on_top_and_the_front_on_the_left(tmp_path):
    from tumorseg.io import overlay

    view = overlay._view(blank(GRIDS["sagittal"]))
    tiles = view.tiles(segmentation(GRIDS["sagittal"]).voxels)
    where = np.argwhere(tiles > 0)[:, 1:].mean(axis=0) / (np.array(tiles.shape[1:]) - 1)
    assert view.plane == "sagittal"
    assert view.letters == ("A", "P", "S", "I")
    assert where[0] < 0.5  # the tumour lies above the middle
    assert where[1] < 0.5  # and in front of it


def test_tiles_are_numbered_in_the_order_of_the_file():
    from tumorseg.io import overlay

    grid = GRIDS["flipped"]  # k runs to the feet; the sheet runs to the head
    view = overlay._view(blank(grid))
    numbers = np.broadcast_to(np.arange(1, 21).reshape(20, 1, 1), grid.shape)
    tiles = view.tiles(np.ascontiguousarray(numbers))
    assert [view.number(n, 20) for n in range(20)] == tiles[:, 0, 0].tolist()


def test_pixels_have_their_true_proportions(tmp_path):
    flat = make_grid(np.eye(3), (1.0, 3.0, 9.0), (3, 20, 60))  # 60 mm x 60 mm: a square tile
    pixels = sheet(tmp_path, flat, mask=np.zeros(flat.shape, np.uint8), known=True)
    bright = np.argwhere(pixels[120:380, 24:284].max(axis=2) > 60)
    height, width = np.ptp(bright, axis=0)
    assert height > 200
    assert width > 200


def test_an_empty_mask_gives_a_sheet_without_any_red_but_for_the_legend(tmp_path):
    grid = GRIDS["axial"]
    pixels = sheet(tmp_path, grid, mask=np.zeros(grid.shape, np.uint8))
    assert reddish(pixels).sum() <= 18 * 18 + 40
    assert pixels.shape[0] > 600  # twelve tiles


def test_one_voxel_in_a_large_image_is_still_seen(tmp_path):
    grid = Grid((3, 1024, 1024), np.diag([0.2, 0.2, 5.0, 1.0]))
    voxels = np.zeros(grid.shape, np.uint8)
    voxels[1, 700, 300] = 1
    image = StudyImage(np.zeros((1, *grid.shape), np.uint8), grid, ("",))
    path = write_segmentation(tmp_path / "one.png", Segmentation(voxels, grid, {"tumour": 1}), image)
    pixels = np.asarray(Image.open(path)).astype(int)
    below_the_legend = pixels[100:]
    assert reddish(below_the_legend).sum() >= 1


def test_the_truth_is_outlined_and_its_slices_are_shown():
    from tumorseg.io.overlay import TRUTH, overlay_sheet

    grid = GRIDS["axial"]
    image = StudyImage(np.zeros((1, *grid.shape), np.uint8), grid, ("",))
    nothing = Segmentation(np.zeros(grid.shape, np.uint8), grid, {"tumour": 1})
    png = overlay_sheet(nothing, image, truth=segmentation(grid))
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    assert (pixels[200:] == TRUTH).all(axis=2).sum() > 100
    with pytest.raises(InputError, match="grid"):
        overlay_sheet(segmentation(GRIDS["oblique"]), image)
