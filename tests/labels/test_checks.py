"""A label is kept only where it lies on its image's voxels and its values mean something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.dicom.phantoms import GRIDS, write_nifti, write_nrrd
from tests.serving import tumour_mask
from tumorseg.errors import InputError
from tumorseg.geometry import Grid, Reorientation
from tumorseg.io.write import write_segmentation
from tumorseg.labels.checks import check_label, place_label
from tumorseg.labels.files import read_label
from tumorseg.types import Segmentation

TUMOUR = {"label_info": [{"name": "tumor", "idx": 1}]}
ENDINGS = (".nii", ".nii.gz", ".nrrd", ".seg.nrrd")


def mask_of(grid: Grid) -> NDArray[np.uint8]:
    return tumour_mask(grid).astype(np.uint8)


def written(path: Path, grid: Grid, voxels: NDArray[Any]) -> Path:
    return write_segmentation(path, Segmentation(voxels, grid, {"tumor": 1}))


def slicer_file(path: Path, layers: NDArray[Any], grid: Grid, segments: list[tuple[str, int, int]]) -> Path:
    """Write a ``.seg.nrrd`` as Slicer does: RAS or LPS, a list axis in front where there are layers."""
    several = layers.shape[0] > 1
    rows = [[np.nan] * 3] * several + [list(grid.affine[:3, axis]) for axis in range(3)]
    header: dict[str, Any] = {
        "space": "left-posterior-superior",
        "space directions": np.array(rows),
        "space origin": grid.origin,
        "kinds": ["list"] * several + ["domain"] * 3,
        "encoding": "gzip",
    }
    for number, (name, value, layer) in enumerate(segments):
        fields = {"ID": f"S_{number}", "Name": name, "LabelValue": value, "Layer": layer, "Extent": "0 1 0 1 0 1"}
        header |= {f"Segment{number}_{key}": str(said) for key, said in fields.items()}
    data = layers.T.transpose(3, 0, 1, 2) if several else layers[0].T
    nrrd.write(str(path), data, header, index_order="F")
    return path


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", GRIDS)
def test_every_format_on_every_grid(ending: str, name: str, tmp_path: Path) -> None:
    grid, voxels = GRIDS[name], mask_of(GRIDS[name])
    file = written(tmp_path / f"a{ending}", grid, voxels)
    checked = check_label(file, grid, TUMOUR)
    assert (checked.empty, checked.values, dict(checked.names), checked.notes) == (False, (1,), {1: "tumor"}, ())
    assert np.array_equal(place_label(read_label(file), grid)[0], voxels)


@pytest.mark.parametrize("turn", [((2, 1, 0), (True, False, True)), ((0, 2, 1), (False, True, False))])
def test_another_order_of_the_same_voxels_is_fine_and_says_so(turn: Any, tmp_path: Path) -> None:
    grid = GRIDS["oblique"]
    turned = Reorientation(*turn)
    file = written(tmp_path / "a.nii.gz", turned.grid(grid), turned.apply(mask_of(grid)))
    checked = check_label(file, grid, TUMOUR)
    assert "another order" in checked.notes[0]
    assert np.array_equal(place_label(read_label(file), grid)[0], mask_of(grid))


def shifted(grid: Grid, voxels_i: float) -> Grid:
    affine = grid.affine.copy()
    affine[:3, 3] += voxels_i * affine[:3, 0]
    return Grid(grid.shape, affine)


@pytest.mark.parametrize(
    "other",
    [
        shifted(GRIDS["axial"], 0.5),
        shifted(GRIDS["axial"], 1.0),
        Grid(GRIDS["axial"].shape, GRIDS["axial"].affine @ np.diag([1.02, 1, 1, 1])),
        GRIDS["sagittal"],
        Grid((GRIDS["axial"].shape[0] - 1, *GRIDS["axial"].shape[1:]), GRIDS["axial"].affine),
    ],
    ids=["half a voxel", "a voxel", "spacing", "another series", "a slice less"],
)
def test_another_grid_is_refused_with_both(other: Grid, tmp_path: Path) -> None:
    grid = GRIDS["axial"]
    file = written(tmp_path / "a.nii.gz", other, np.ones(other.shape, np.uint8))
    with pytest.raises(InputError) as refused:
        check_label(file, grid, {})
    for part in (grid, other):
        assert " × ".join(str(n) for n in part.shape[::-1]) in str(refused.value)
        assert " × ".join(f"{step:.4g}" for step in part.spacing) in str(refused.value)


def test_rounded_headers_are_the_same_place(tmp_path: Path) -> None:
    file = written(tmp_path / "a.nrrd", shifted(GRIDS["axial"], 0.04), mask_of(GRIDS["axial"]))
    assert check_label(file, GRIDS["axial"], {}).notes == ()


def test_one_slice_has_no_thickness_to_compare(tmp_path: Path) -> None:
    grid = Grid((1, 8, 9), np.eye(4))
    thick = Grid((1, 8, 9), np.diag([1.0, 1.0, 5.0, 1.0]))
    assert check_label(written(tmp_path / "a.nrrd", thick, np.zeros(grid.shape, np.uint8)), grid, {}).empty


def test_a_picture_is_compared_by_its_size_alone(tmp_path: Path) -> None:
    picture = Grid((1, 8, 9), np.eye(4))
    elsewhere = Grid((1, 8, 9), np.diag([-0.3, -0.3, 1.0, 1.0]))
    file = written(tmp_path / "a.nrrd", elsewhere, np.zeros(picture.shape, np.uint8))
    assert check_label(file, picture, {}, placed=False).empty
    with pytest.raises(InputError, match="9 × 7 × 1 pixels"):
        check_label(file, Grid((1, 7, 9), np.eye(4)), {}, placed=False)


def test_nothing_marked_is_a_label(tmp_path: Path) -> None:
    grid = GRIDS["axial"]
    checked = check_label(written(tmp_path / "a.nii.gz", grid, np.zeros(grid.shape, np.uint8)), grid, TUMOUR)
    assert checked.empty
    assert checked.values == ()


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        (0.5, np.float32, "fractions"),
        (np.nan, np.float32, "NaN"),
        (np.inf, np.float64, "NaN or infinity"),
        (-1, np.int16, "0..65535"),
        (70000, np.int32, "0..65535"),
    ],
)
@pytest.mark.parametrize("write", [write_nifti, write_nrrd])
def test_values_that_no_label_map_has(write: Any, value: float, kind: type, said: str, tmp_path: Path) -> None:
    grid = GRIDS["axial"]
    voxels = np.zeros(grid.shape, kind)
    voxels[1, 2, 3] = value
    path = write(tmp_path / ("a.nii.gz" if write is write_nifti else "a.nrrd"), grid, voxels)
    with pytest.raises(InputError, match=said):
        check_label(path, grid, {})


def test_slicers_segments_in_one_and_in_several_layers(tmp_path: Path) -> None:
    grid = GRIDS["oblique"]
    tumour = mask_of(grid)
    oedema = np.maximum(tumour, np.roll(tumour, 2, axis=1))  # overlaps the tumour: Slicer needs a second layer
    both = slicer_file(tmp_path / "a.seg.nrrd", np.stack([tumour, oedema]), grid, [("tumor", 1, 0), ("oedema", 1, 1)])
    checked = check_label(both, grid, {"label_info": [{"name": "tumor", "idx": 1}, {"name": "oedema", "idx": 2}]})
    assert dict(checked.names) == {}
    layers = place_label(read_label(both), grid)
    assert np.array_equal(layers[0], tumour)
    assert np.array_equal(layers[1], oedema)
    one = slicer_file(tmp_path / "b.seg.nrrd", (tumour * 3)[None], grid, [("tumor", 3, 0)])
    # The panel numbers segments by their place in its list, the file by its own values.
    assert dict(check_label(one, grid, TUMOUR).names) == {3: "tumor"}


def test_a_cropped_segmentation_lies_where_it_says(tmp_path: Path) -> None:
    grid = GRIDS["oblique"]
    voxels = mask_of(grid)
    (k0, k1), (j0, j1), (i0, i1) = [(int(a.min()), int(a.max()) + 1) for a in np.nonzero(voxels)]
    affine = grid.affine.copy()
    affine[:3, 3] = grid.points(np.array([[i0, j0, k0]]))[0]
    part = Grid((k1 - k0, j1 - j0, i1 - i0), affine)
    cut = voxels[k0:k1, j0:j1, i0:i1]
    file = slicer_file(tmp_path / "a.seg.nrrd", cut[None], part, [("tumor", 1, 0)])
    assert "covers" in check_label(file, grid, {}).notes[0]
    assert np.array_equal(place_label(read_label(file), grid)[0], voxels)
    with pytest.raises(InputError, match="does not lie"):  # plain formats have no such promise
        check_label(written(tmp_path / "a.nii.gz", part, cut), grid, {})
    turn = Reorientation((1, 2, 0), (False, True, True))
    turned = slicer_file(tmp_path / "c.seg.nrrd", turn.apply(cut)[None], turn.grid(part), [("tumor", 1, 0)])
    assert np.array_equal(place_label(read_label(turned), grid)[0], voxels)
    outside = slicer_file(tmp_path / "b.seg.nrrd", cut[None], shifted(part, -i0 - 1.0), [("tumor", 1, 0)])
    with pytest.raises(InputError, match="does not lie"):
        check_label(outside, grid, {})


@pytest.mark.parametrize(
    ("segments", "said"),
    [
        ([("tumor", 2, 0)], "no segment"),
        ([("tumor", 1, 0), ("tumor", 2, 0)], "same name"),
        ([("tumor", 1, 0), ("cyst", 1, 0)], "same layer"),
        ([("tumor", 1, 4)], "does not have"),
        ([("cyst", 1, 0)], "no such segment"),
    ],
)
def test_segments_that_do_not_fit_their_voxels(segments: Any, said: str, tmp_path: Path) -> None:
    grid = GRIDS["axial"]
    file = slicer_file(tmp_path / "a.seg.nrrd", mask_of(grid)[None], grid, segments)
    with pytest.raises(InputError, match=said):
        check_label(file, grid, TUMOUR)


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ([{"name": "a", "idx": 1}, {"name": "a", "idx": 2}], "again"),
        ([{"name": "a", "idx": 1}, {"name": "b", "idx": 1}], "both|choose one"),
        ([{"name": " ", "idx": 1}], "printable"),
        ([{"name": "a\0b", "idx": 1}], "printable"),
        ([{"name": {"a": 1}, "idx": 1}], "printable"),
        ([{"name": "a" * 300, "idx": 1}], "1 to 256"),
        ([{"name": "a", "idx": -1}], "0..65535"),
        ([{"name": "a", "idx": 65536}], "0..65535"),
        ([{"name": "a", "idx": True}], "whole number"),
        ([{"name": "a"}], "whole number"),
        (["a"], "expected label_info"),
        ("tumor", "expected label_info"),
        ([{"name": "a", "idx": 7}, {"name": "b", "idx": 8}, {"name": "c", "idx": 1}], None),
        ([{"name": "a", "idx": 1}, {"name": "b", "idx": 2}], "does not name"),
    ],
)
def test_classes_are_named_once_and_in_range(info: Any, said: str | None, tmp_path: Path) -> None:
    grid = GRIDS["axial"]
    voxels = mask_of(grid)
    voxels[0, 0, 0] = 7
    file = written(tmp_path / "a.nii.gz", grid, voxels)
    if said is None:
        assert check_label(file, grid, {"label_info": info}).values == (1, 7)
        return
    with pytest.raises(InputError, match=said):
        check_label(file, grid, {"label_info": info})


def test_slicers_numbering_without_the_background_segment_is_understood(tmp_path: Path) -> None:
    """The panel counts "background" when it numbers label_info; the map it exports is numbered without it."""
    grid = GRIDS["axial"]
    voxels = mask_of(grid)
    voxels[0, 0, 0] = 2
    sent = {"label_info": [{"name": "tumor", "idx": 2}, {"name": "oedema", "idx": 3}]}
    checked = check_label(written(tmp_path / "a.nii.gz", grid, voxels), grid, sent)
    assert dict(checked.names) == {1: "tumor", 2: "oedema"}
    assert checked.info["label_info"] == [{"name": "tumor", "idx": 1}, {"name": "oedema", "idx": 2}]
    assert "left out" in checked.notes[0]


@pytest.mark.parametrize(
    ("classes", "info", "said"),
    [
        ({}, {}, None),
        ({"tumor": None}, TUMOUR, None),
        ({"tumor": 1}, {}, None),
        ({"tumor": 1, "cyst": 2}, TUMOUR, None),
        ({"tumor": None}, {}, "send label_info"),
        ({"cyst": None}, TUMOUR, "unknown"),
        ({"tumor": 2}, TUMOUR, "as value 2"),
        ({"cyst": 2}, {}, "none of"),
    ],
)
def test_the_servers_classes(classes: Any, info: Any, said: str | None, tmp_path: Path) -> None:
    file = written(tmp_path / "a.nii.gz", GRIDS["axial"], mask_of(GRIDS["axial"]))
    if said is None:
        assert not check_label(file, GRIDS["axial"], info, classes=classes).empty
        return
    with pytest.raises(InputError, match=said):
        check_label(file, GRIDS["axial"], info, classes=classes)


def test_the_servers_classes_of_a_segmentation(tmp_path: Path) -> None:
    grid = GRIDS["axial"]
    segments = [("tumor", 3, 0), ("background", 4, 0), ("empty", 5, 0)]
    file = slicer_file(tmp_path / "a.seg.nrrd", (mask_of(grid) * 3)[None], grid, segments)
    assert check_label(file, grid, TUMOUR, classes={"tumor": 1}).values == (3,)
    with pytest.raises(InputError, match="'tumor' is unknown"):
        check_label(file, grid, {}, classes={"cyst": None})
