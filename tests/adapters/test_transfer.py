"""Into a data store and out again: exact while nobody touches it, traced where somebody does, never half."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from tests.annotations.sets import random_set, save_picture
from tests.annotations.test_round_trips import KINDS, assert_same_regions, content, write
from tumorseg.adapters.labels import LabelStore
from tumorseg.adapters.sources import FileSource
from tumorseg.adapters.transfer import export_pictures, import_pictures
from tumorseg.annotations import PictureSet, open_pictures
from tumorseg.errors import InputError


@pytest.fixture
def coco_set(tmp_path: Path) -> PictureSet:
    return write(random_set(tmp_path / "made", ["polygon", "mask"], seed=21), "coco", tmp_path / "coco")


@pytest.mark.parametrize("format", sorted(set(KINDS) - {"datastore"}))
def test_through_the_store_every_file_comes_back(format: str, tmp_path: Path) -> None:
    kinds, _ = KINDS[format]
    write(random_set(tmp_path / "made", kinds, seed=7), format, tmp_path / "set")
    report = import_pictures(format, tmp_path / "set", tmp_path / "store")
    assert report.images == 6
    assert not report.left_out
    export_pictures(format, tmp_path / "store", tmp_path / "out")
    names = sorted(path.relative_to(tmp_path / "set") for path in (tmp_path / "set").rglob("*") if path.is_file())
    assert sorted(p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*") if p.is_file()) == names
    for name in names:
        assert content(tmp_path / "out" / name) == content(tmp_path / "set" / name), name


def test_what_the_server_finds(coco_set: PictureSet, tmp_path: Path) -> None:
    import_pictures("coco", coco_set.root, tmp_path / "store", labels=["malignant", "benign"])
    source, labels = FileSource(tmp_path / "store"), LabelStore(tmp_path / "store" / "labels")
    assert source.ids() == sorted(picture.id.replace("/", "__") for picture in coco_set)
    for picture in coco_set:
        name = picture.id.replace("/", "__")
        assert source.local_file(name).read_bytes() == picture.path.read_bytes()
        label = sitk.GetArrayFromImage(sitk.ReadImage(str(labels.path(name, "final"))))
        expected = np.zeros((1, picture.height, picture.width), np.uint8)
        for region in picture.regions:
            expected[0][region.bitmap(*expected.shape[1:])] = {"malignant": 1, "benign": 2}[region.label]
        np.testing.assert_array_equal(label, expected)
        named = [{"name": "malignant", "idx": 1}, {"name": "benign", "idx": 2}]
        assert labels.info(name, "final")["label_info"] == named


def test_a_label_that_was_changed_is_traced_and_said(coco_set: PictureSet, tmp_path: Path) -> None:
    store = tmp_path / "store"
    import_pictures("coco", coco_set.root, store)
    changed, deleted = (p for p in coco_set if len(p.regions) == 1)
    labels, name = LabelStore(store / "labels"), changed.id.replace("/", "__")
    drawn = np.zeros((1, changed.height, changed.width), np.uint8)
    drawn[0, 2:6, 3:8] = 7  # a viewer may number as it likes
    drawn[0, 4, 4] = 0
    drawn[0, 8:10, 8:10] = 9
    sitk.WriteImage(sitk.GetImageFromArray(drawn), str(tmp_path / "label.nrrd"))
    said = {"label_info": [{"name": "malignant", "idx": 7}, {"name": "new", "idx": 9}]}
    labels.save(name, "final", tmp_path / "label.nrrd", said)
    labels.remove(deleted.id.replace("/", "__"), "final")
    report = export_pictures("coco", store, tmp_path / "out")
    assert sorted(problem.kind for problem in report.notes) == ["label_changed", "label_removed"]
    back = {picture.id: picture for picture in open_pictures(tmp_path / "out")}
    assert [region.label for region in back[changed.id].regions] == ["malignant", "new"]
    for region, value in zip(back[changed.id].regions, (7, 9), strict=True):
        np.testing.assert_array_equal(region.bitmap(changed.height, changed.width), drawn[0] == value)
    assert not back[deleted.id].labelled
    same = [picture for picture in coco_set if picture.id not in (changed.id, deleted.id)]
    assert_same_regions(
        coco_set.replace(same), open_pictures(tmp_path / "out").replace([back[p.id] for p in same]), True
    )


def test_a_label_cut_to_what_is_in_it_counts_as_the_same(coco_set: PictureSet, tmp_path: Path) -> None:
    store = tmp_path / "store"
    import_pictures("coco", coco_set.root, store)
    picture = next(p for p in coco_set if p.regions)
    labels, name = LabelStore(store / "labels"), picture.id.replace("/", "__")
    whole = sitk.ReadImage(str(labels.path(name, "final")))
    rows, columns = np.nonzero(sitk.GetArrayViewFromImage(whole)[0])
    cut = whole[int(columns.min()) : int(columns.max()) + 1, int(rows.min()) : int(rows.max()) + 1, :]
    sitk.WriteImage(cut, str(tmp_path / "label.nrrd"))
    labels.save(name, "final", tmp_path / "label.nrrd", {})
    assert not open_pictures(store).problems


def test_pictures_that_came_later_are_exported_too(coco_set: PictureSet, tmp_path: Path) -> None:
    import_pictures("coco", coco_set.root, tmp_path / "store")
    save_picture(tmp_path / "store" / "later.png", (12, 9), np.random.default_rng(3))
    report = export_pictures("coco", tmp_path / "store", tmp_path / "out")
    assert (report.images, [problem.kind for problem in report.notes]) == (7, ["picture_added"])


def test_kinds_that_are_not_served_are_served_as_png_and_exported_as_they_were(tmp_path: Path) -> None:
    path = save_picture(tmp_path / "set" / "0.bmp", (20, 16), np.random.default_rng(0))
    shape = {"name": "rect", "x": 1, "y": 2, "width": 6, "height": 5}
    value = {"filename": "0.bmp", "size": 1, "regions": [{"shape_attributes": shape, "region_attributes": {}}]}
    (tmp_path / "set" / "a.json").write_text(json.dumps({"0": {**value, "file_attributes": {}}}))
    import_pictures("via", tmp_path / "set", tmp_path / "store")
    assert FileSource(tmp_path / "store").ids() == ["0"]
    export_pictures("via", tmp_path / "store", tmp_path / "out")
    assert (tmp_path / "out" / "0.bmp").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("fault", ["missing", "cut off", "class", "size", "shape"])
def test_nothing_is_imported_by_half(fault: str, coco_set: PictureSet, tmp_path: Path) -> None:
    file, picture = coco_set.root / "annotations.json", next(p for p in coco_set if p.regions)
    value, labels = json.loads(file.read_text()), None
    image = next(i for i in value["images"] if i["file_name"] == f"{picture.id}.png")
    annotation = next(a for a in value["annotations"] if a["image_id"] == image["id"])
    if fault == "missing":
        picture.path.unlink()
    elif fault == "cut off":
        picture.path.write_bytes(picture.path.read_bytes()[:-60])
    elif fault == "class":
        labels = sorted({"benign", "malignant"} - {picture.regions[0].label})
    elif fault == "size":
        image["width"] += 1
    else:
        annotation["segmentation"] = [[1, 1, 4, 4]]
    file.write_text(json.dumps(value))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=picture.path.name):
        import_pictures("coco", coco_set.root, tmp_path / "store", labels=labels)
    assert sorted(tmp_path.iterdir()) == before
    report = import_pictures("coco", coco_set.root, tmp_path / "store", labels=labels, skip_bad=True)
    assert report.images < 6
    assert picture.path in [problem.file for problem in report.left_out]
    assert picture.id.replace("/", "__") not in FileSource(tmp_path / "store").ids()


def test_a_dry_run_writes_nothing(coco_set: PictureSet, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    report = import_pictures("coco", coco_set.root, tmp_path / "store", dry_run=True)
    assert (report.images, report.written) == (6, False)
    assert sorted(tmp_path.iterdir()) == before


def test_nothing_is_overwritten(coco_set: PictureSet, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="exists and is not empty"):
        import_pictures("coco", coco_set.root, tmp_path / "store")
    with pytest.raises(InputError, match="does not exist; create it first"):
        export_pictures("coco", coco_set.root, tmp_path / "none" / "out")
