"""Labels are kept whole, under plain names, and read anew at every look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from tumorseg.adapters.labels import LabelStore, labels_root
from tumorseg.config import AppConfig
from tumorseg.errors import InputError, NotFoundError


def _label(path: Path, value: float = 1, kind: type = np.uint8) -> Path:
    voxels = np.zeros((3, 4, 5), kind)
    voxels[1, 2, 3] = value
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path))
    return path


def test_round_trip_and_two_stores_on_one_folder(tmp_path: Path) -> None:
    one, other = LabelStore(tmp_path / "labels"), LabelStore(tmp_path / "labels")
    saved = one.save("1.2.3", "final", _label(tmp_path / "a.nii.gz"), {"label_info": [{"name": "tumor", "idx": 1}]})
    assert other.path("1.2.3", "final") == saved
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
        with pytest.raises(InputError, match="label"):
            store.save("case", "final", file, {})
    assert not (tmp_path / "labels").exists()


def test_where_labels_lie(tmp_path: Path) -> None:
    assert labels_root(AppConfig.parse(tmp_path, {}, {})) == tmp_path / "labels"
    assert labels_root(AppConfig.parse(tmp_path, {"labels": tmp_path / "mine"}, {})) == tmp_path / "mine"
    remote = [labels_root(AppConfig.parse(f"http://pacs{n}/dicom-web", {}, {})) for n in (1, 2)]
    assert remote[0] != remote[1]
    assert all("tumorseg" in path.parts for path in remote)
