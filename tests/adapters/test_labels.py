"""Labels are kept whole, under plain names, and read anew at every look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from tumorseg.adapters.grids import ImagePlace
from tumorseg.adapters.labels import LabelStore, PlainLabels, labels_root
from tumorseg.config import AppConfig
from tumorseg.errors import InputError, NotFoundError, StorageError
from tumorseg.geometry import Grid
from tumorseg.labels.files import read_label
from tumorseg.labels.layout import HISTORY_FOLDER


def _label(path: Path, value: float = 1, kind: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros((3, 4, 5), kind)
    voxels[1, 2, 3] = value
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    return path


def test_round_trip_and_two_stores_on_one_folder(tmp_path: Path) -> None:
    one, other = LabelStore(tmp_path / "labels"), LabelStore(tmp_path / "labels")
    saved = one.save("1.2.3", "final", _label(tmp_path / "a.nii.gz"), {"label_info": [{"name": "tumor", "idx": 1}]})
    assert other.path("1.2.3", "final") == tmp_path / "labels" / "final" / "1.2.3.nii.gz"
    assert other.head("1.2.3", "final") == saved
    assert other.tags("1.2.3") == ["final"]
    assert other.info("1.2.3", "final")["label_info"][0]["name"] == "tumor"
    other.update_info("1.2.3", "final", {"reviewed": True})
    assert one.info("1.2.3", "final")["reviewed"] is True
    assert "label_info" in one.info("1.2.3", "final")
    assert one.info("1.2.3", "final")["name"] == "1.2.3.nii.gz"


def test_another_format_takes_the_place_of_the_first(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels")
    store.save("case", "final", _label(tmp_path / "a.nii.gz"), {})
    store.save("case", "final", _label(tmp_path / "b.nrrd"), {})
    assert store.path("case", "final").name == "case.nrrd"
    assert sorted(path.name for path in (tmp_path / "labels" / "final").iterdir()) == ["case.info.json", "case.nrrd"]
    store.remove("case", "final")
    assert store.tags("case") == []
    with pytest.raises(NotFoundError, match="no label"):
        store.remove("case", "final")


@pytest.mark.parametrize("tag", ["../../..", "/tmp", "a/b", "", ".hidden", "..", "a\0b"])
def test_a_tag_is_a_plain_name(tag: str, tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels")
    with pytest.raises(InputError, match="tag"):
        store.save("case", tag, _label(tmp_path / "a.nii.gz"), {})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.nii.gz"]


def test_what_is_no_label_is_refused(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels")
    (tmp_path / "text.nii.gz").write_text("no image")
    (tmp_path / "main.py").write_text("print()")
    for file in (tmp_path / "text.nii.gz", tmp_path / "main.py", _label(tmp_path / "p.nrrd", 0.5, np.float32)):
        with pytest.raises(InputError, match=r"label|read"):
            store.save("case", "final", file, {})
    assert not (tmp_path / "labels").exists()


def test_an_image_id_is_a_file_name(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels")
    for image in ("../up", "/tmp/x", ".hidden", "", "a\0b", "a\\b", "x" * 300, "half \ud800 pair"):
        with pytest.raises(InputError, match="image id"):
            store.save(image, "final", _label(tmp_path / "a.nii.gz"), {})
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.nii.gz"]


def test_a_label_on_other_voxels_than_its_image_is_refused(tmp_path: Path) -> None:
    store, file = LabelStore(tmp_path / "labels"), _label(tmp_path / "a.nii.gz")
    grid = read_label(file).grid
    moved = Grid(grid.shape, grid.affine + np.array([[0, 0, 0, 0.5], [0] * 4, [0] * 4, [0] * 4]))
    with pytest.raises(InputError, match="does not lie on its image's voxels"):
        store.save("case", "final", file, {}, place=ImagePlace(moved, True))
    assert store.tags("case") == []
    assert store.save("case", "final", file, {}, place=ImagePlace(moved, False)).kind == "label"
    assert store.save("case", "two", file, {}, place=ImagePlace(grid, True)).kind == "label"


def test_a_map_of_zeros_says_that_somebody_looked_and_there_is_nothing(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels")
    saved = store.save("case", "final", _label(tmp_path / "a.nii.gz", 0), {})
    assert saved.no_lesion
    assert store.info("case", "final")["no_lesion"] is True
    assert store.labelled_by_tag() == {"final": {"case"}}


def test_what_we_add_to_a_description_does_not_come_back_as_said(tmp_path: Path) -> None:
    store = LabelStore(tmp_path / "labels")
    store.save("case", "final", _label(tmp_path / "a.nii.gz"), {"said": 1})
    told = store.info("case", "final")
    assert {"version", "author", "created", "name", "ts"} < told.keys()
    store.save("case", "final", _label(tmp_path / "b.nii.gz", 2), told)
    assert store.head("case", "final").info == {"said": 1}


def test_files_of_an_earlier_store_are_labels_at_the_first_look(tmp_path: Path) -> None:
    _label(tmp_path / "labels" / "final" / "old.nii.gz")
    (tmp_path / "labels" / "final" / "old.info.json").write_text('{"label_info": [], "ts": 7}')
    store = LabelStore(tmp_path / "labels")
    store.history.adopt()
    assert store.labelled_by_tag() == {"final": {"old"}}
    head = store.head("old", "final")
    assert (head.author, head.tool, head.info) == ("unknown", "adopted", {"label_info": []})
    assert store.path("old", "final") == tmp_path / "labels" / "final" / "old.nii.gz"


def test_many_files_of_an_earlier_store_are_labels_while_they_are_taken_over(tmp_path: Path) -> None:
    names = {f"old{number}" for number in range(40)}
    for name in names:
        _label(tmp_path / "labels" / "final" / f"{name}.nii.gz")
    store = LabelStore(tmp_path / "labels")
    store.watch()
    assert store.labelled_by_tag() == {"final": names}
    assert all(store.tags(name) == ["final"] for name in names)
    assert store.head("old39", "final").author == "unknown"
    store.close()
    other = LabelStore(tmp_path / "labels")
    other.history.adopt()
    assert other.history.counts() == {"final": len(names)}
    assert len(other.history.all_heads()) == len(names)


def test_labels_are_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    """An archive on a read-only disk has labels without an index, and none can be made there."""
    root = tmp_path / "labels"
    _label(root / "final" / "old.nii.gz")
    (root / HISTORY_FOLDER).write_text("in the way of the index, as a read-only disk would be")
    store = LabelStore(root)
    assert store.tags("old") == ["final"]
    assert store.path("old", "final") == root / "final" / "old.nii.gz"
    assert store.info("old", "final")["name"] == "old.nii.gz"
    assert store.labelled_by_tag() == {"final": {"old"}}
    with pytest.raises(StorageError, match="check the disk"):
        store.save("new", "final", _label(tmp_path / "a.nii.gz"), {})


def test_reading_the_plain_files_leaves_a_folder_as_it_is(tmp_path: Path) -> None:
    _label(tmp_path / "final" / "old.nrrd")
    (tmp_path / "final" / "old.info.json").write_text('{"label_info": [1]}')
    plain = PlainLabels(tmp_path)
    assert plain.tags("old") == ["final"]
    assert plain.info("old", "final")["label_info"] == [1]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["final", "old.info.json", "old.nrrd"]
    with pytest.raises(NotFoundError):
        plain.path("new", "final")


def test_where_labels_lie(tmp_path: Path) -> None:
    assert labels_root(AppConfig.parse(tmp_path, {}, {})) == tmp_path / "labels"
    assert labels_root(AppConfig.parse(tmp_path, {"labels": tmp_path / "mine"}, {})) == tmp_path / "mine"
    remote = [labels_root(AppConfig.parse(f"http://pacs{n}/dicom-web", {}, {})) for n in (1, 2)]
    assert remote[0] != remote[1]
    assert all("tumorseg" in path.parts for path in remote)
