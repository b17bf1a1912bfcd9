from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.annotations.sets import save_picture
from tumorseg.annotations import open_pictures
from tumorseg.annotations.via_write import write
from tumorseg.errors import InputError

SQUARE = {"name": "polygon", "all_points_x": [2, 8, 8, 2], "all_points_y": [3, 3, 9, 9]}
SIZE = (20, 16)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_picture(tmp_path / "set" / "0.png", SIZE, np.random.default_rng(0))
    return tmp_path / "set"


def entry(*regions: dict[str, Any], name: str = "0.png", as_object: bool = False, **more: Any) -> dict[str, Any]:
    listed = [{"shape_attributes": shape, "region_attributes": said} for shape, said in (split(r) for r in regions)]
    found: Any = {str(number): region for number, region in enumerate(listed)} if as_object else listed
    return {"filename": name, "size": 123, "regions": found, "file_attributes": {}, **more}


def split(region: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {key: value for key, value in region.items() if key != "said"}, region.get("said", {})


def annotate(folder: Path, *entries: dict[str, Any], file: str = "a.json") -> Path:
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(json.dumps({f"{e['filename']}{e['size']}": e for e in entries}))
    return folder


def test_version_2_has_a_list_of_regions(folder: Path) -> None:
    (picture,) = open_pictures(annotate(folder, entry(SQUARE)))
    assert (picture.id, picture.width, picture.height, picture.patient) == ("0", 20, 16, None)
    (region,) = picture.regions
    assert region.label == "tumor"
    mask = region.bitmap(16, 20)
    assert mask.sum() == 36
    assert mask[3:9, 2:8].all()
    np.testing.assert_array_equal(region.bounds(), [2, 3, 8, 9])


def test_version_1_has_an_object_of_regions_and_more_members(folder: Path) -> None:
    old = entry(SQUARE, as_object=True, fileref="", base64_img_data="")
    (picture,) = open_pictures(annotate(folder, old))
    assert picture.regions[0].bitmap(16, 20).sum() == 36


def test_a_polygon_that_repeats_its_first_point_is_the_same(folder: Path) -> None:
    closed = {**SQUARE, "all_points_x": [2, 8, 8, 2, 2], "all_points_y": [3, 3, 9, 9, 3]}
    (picture,) = open_pictures(annotate(folder, entry(closed)))
    assert picture.regions[0].polygons[0].shape == (4, 2)


def test_a_project_file(folder: Path) -> None:
    project = {"_via_settings": {"core": {}}, "_via_img_metadata": {"0.png123": entry(SQUARE)}, "_via_attributes": {}}
    (folder / "project.json").write_text(json.dumps(project))
    pictures = open_pictures(folder)
    assert len(pictures[0].regions) == 1
    out = folder.parent / "out"
    out.mkdir()
    write(pictures, out)
    assert json.loads((out / "project.json").read_text()) == project


def test_a_csv_file(folder: Path) -> None:
    save_picture(folder / "1.png", SIZE, np.random.default_rng(1))
    columns = ["filename", "file_size", "file_attributes", "region_count", "region_id"]
    with (folder / "a.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow([*columns, "region_shape_attributes", "region_attributes"])
        for number in range(2):
            writer.writerow(["0.png", 1, "{}", 2, number, json.dumps(SQUARE), '{"class":"cyst"}'])
        writer.writerow(["1.png", 1, "{}", 0, 0, "{}", "{}"])
    pictures = open_pictures(folder)
    assert [len(picture.regions) for picture in pictures] == [2, 0]
    assert pictures.labels == ("cyst",)


@pytest.mark.parametrize(
    ("shape", "area", "tolerance"),
    [
        ({"name": "rect", "x": 1, "y": 2, "width": 6, "height": 5}, 30, 0),
        ({"name": "polyline", "all_points_x": [2, 8, 8, 2], "all_points_y": [3, 3, 9, 9]}, 36, 0),
        ({"name": "circle", "cx": 9, "cy": 8, "r": 6}, np.pi * 36, 4),
        ({"name": "ellipse", "cx": 9, "cy": 8, "rx": 7, "ry": 4}, np.pi * 28, 4),
        ({"name": "ellipse", "cx": 9, "cy": 8, "rx": 7, "ry": 4, "theta": np.pi / 6}, np.pi * 28, 4),
    ],
)
def test_shapes(shape: dict[str, Any], area: float, tolerance: float, folder: Path) -> None:
    (picture,) = open_pictures(annotate(folder, entry(shape)))
    assert picture.regions[0].bitmap(16, 20).sum() == pytest.approx(area, abs=tolerance)


def test_an_ellipse_is_turned_clockwise_as_it_is_drawn(folder: Path) -> None:
    shape = {"name": "ellipse", "cx": 10, "cy": 8, "rx": 7, "ry": 1.5, "theta": np.pi / 4}
    (picture,) = open_pictures(annotate(folder, entry(shape)))
    mask = picture.regions[0].bitmap(16, 20)
    assert mask[11, 13]  # y runs down: 45 degrees point to the lower right
    assert not mask[4, 13]


def test_a_point_is_no_region_and_is_kept(folder: Path) -> None:
    point = {"name": "point", "cx": 3, "cy": 4}
    pictures = open_pictures(annotate(folder, entry(point, SQUARE)))
    assert len(pictures[0].regions) == 1
    assert [problem.kind for problem in pictures.problems] == ["no_area_shape"]
    out = folder.parent / "out"
    out.mkdir()
    write(pictures, out)
    assert json.loads((out / "a.json").read_text()) == json.loads((folder / "a.json").read_text())


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ({}, "tumor"),
        ({"class": "cyst"}, "cyst"),
        ({"Name": " cyst "}, "cyst"),
        ({"whatever": "cyst"}, "cyst"),
        ({"note": "large", "type": "cyst"}, "cyst"),
        ({"type": {"tumour": False, "cyst": True}}, "cyst"),
        ({"class": ""}, "tumor"),
    ],
)
def test_where_the_class_may_stand(said: dict[str, Any], label: str, folder: Path) -> None:
    (picture,) = open_pictures(annotate(folder, entry({**SQUARE, "said": said})))
    assert picture.regions[0].label == label


def test_pictures_without_regions_stay_and_count_as_not_annotated(folder: Path) -> None:
    save_picture(folder / "1.png", SIZE, np.random.default_rng(1))
    save_picture(folder / "2.png", SIZE, np.random.default_rng(2))
    pictures = open_pictures(annotate(folder, entry(SQUARE), entry(name="1.png")))
    assert [(picture.id, picture.labelled) for picture in pictures] == [("0", True), ("1", False), ("2", False)]
    assert [problem.kind for problem in pictures.problems] == ["unannotated_picture"]
    assert [picture.id for picture in pictures.labelled()] == ["0"]


@pytest.fixture
def split_set(tmp_path: Path) -> Path:
    """The layout of data_cleaned: a folder for each part, each with its pictures and its JSON file."""
    root = tmp_path / "data_cleaned"
    for number, part in enumerate(("train", "val", "test")):
        save_picture(root / part / "0.png", SIZE, np.random.default_rng(number))
        annotate(root, entry(SQUARE), file=f"{part}/annotations_{part}.json")
    return root


def test_parts_of_a_split(split_set: Path) -> None:
    pictures = open_pictures(split_set)
    assert sorted((p.id, p.attributes["split"]) for p in pictures) == [
        ("test/0", "test"),
        ("train/0", "train"),
        ("val/0", "val"),
    ]
    (picture,) = open_pictures(split_set / "val")
    assert (picture.id, picture.attributes["split"]) == ("0", "val")


def test_one_file_above_the_folders_speaks_of_all(tmp_path: Path) -> None:
    for part in ("train", "val"):
        save_picture(tmp_path / part / f"{part}.png", SIZE, np.random.default_rng(0))
    annotate(tmp_path, entry(SQUARE, name="train.png"), entry(SQUARE, SQUARE, name="val.png"))
    assert [picture.id for picture in open_pictures(tmp_path)] == ["train/train", "val/val"]
    (picture,) = open_pictures(tmp_path / "val")
    assert (picture.id, len(picture.regions)) == ("val", 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("{}", "annotates no picture"),
        ('{"a": {"filename": "0.png", "regions": [', "no valid JSON"),
        ('{"a": {"filename": "0.png", "regions": 3}}', "expected a list or an object"),
        ('{"a": {"regions": []}}', "has no filename"),
        ('{"a": {"filename": "0.png", "regions": [{"shape_attributes": 1}]}}', "shape_attributes"),
        ("[" * 100_000, "no valid JSON"),
    ],
)
def test_damaged_json_names_the_file(text: str, says: str, folder: Path) -> None:
    (folder / "a.json").write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        open_pictures(folder)
    assert str(folder / "a.json") in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        ({"name": "polygon", "all_points_x": [1, 5], "all_points_y": [1, 5]}, "has 2 points"),
        ({"name": "polygon", "all_points_x": [1, 5, 9], "all_points_y": [1, 5, 9]}, "on one line"),
        ({"name": "polygon", "all_points_x": [1, 5, 9], "all_points_y": [1, 5]}, "3 x and 2 y"),
        ({"name": "polygon", "all_points_x": [1, 5, None], "all_points_y": [1, 5, 2]}, "not finite"),
        ({"name": "polygon", "all_points_x": [1, 5, "x"], "all_points_y": [1, 5, 2]}, "lacks or misspells"),
        ({"name": "polygon"}, "all_points_x"),
        ({"name": "rect", "x": 1, "y": 1, "width": 0, "height": 4}, "encloses nothing"),
        ({"name": "circle", "cx": 1, "cy": 1, "r": -2}, "encloses nothing"),
        ({"name": "squiggle"}, "unknown shape"),
        ({}, "unknown shape"),
    ],
)
def test_a_bad_shape_names_the_picture_and_leaves_it_out_whole(shape: dict[str, Any], says: str, folder: Path) -> None:
    save_picture(folder / "1.png", SIZE, np.random.default_rng(1))
    annotate(folder, entry(SQUARE, shape), entry(SQUARE, name="1.png"))
    with pytest.raises(InputError, match=says) as caught:
        open_pictures(folder)
    assert "0.png" in str(caught.value)
    assert "region 2 in a.json" in str(caught.value)
    kept = open_pictures(folder, keep_going=True)
    assert [picture.id for picture in kept] == ["1"]
    assert [problem.kind for problem in kept.problems] == ["bad_shape"]


def test_a_missing_and_a_damaged_picture(folder: Path) -> None:
    (folder / "2.png").write_bytes(b"not a picture")
    annotate(folder, entry(SQUARE), entry(SQUARE, name="1.png"), entry(SQUARE, name="2.png"))
    with pytest.raises(InputError, match=r"1\.png: annotated, but there is no such file.*\(1 more"):
        open_pictures(folder)
    kept = open_pictures(folder, keep_going=True)
    assert [problem.kind for problem in kept.problems] == ["missing_picture", "unreadable_picture"]


def test_a_name_that_leads_out_of_the_folder_is_missing(folder: Path) -> None:
    save_picture(folder.parent / "secret.png", SIZE, np.random.default_rng(5))
    annotate(folder, entry(SQUARE, name="../secret.png"))
    assert len(open_pictures(folder, "via", keep_going=True).labelled()) == 0


def test_an_annotation_file_beside_nothing_of_ours_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    save_picture(tmp_path / "inner" / "0.png", SIZE, np.random.default_rng(0))
    with pytest.raises(InputError, match="no annotated pictures of a known format"):
        open_pictures(tmp_path / "inner")
