"""MONAI Label's Datastore interface over the history of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from monailabel.interfaces.datastore import DefaultLabelTag

from tests.labels.made import label, value_of
from tumorseg.adapters.datastore import StudyDatastore
from tumorseg.adapters.labels import LabelStore
from tumorseg.adapters.sources import FileSource
from tumorseg.errors import InputError, NotFoundError
from tumorseg.geometry import Grid
from tumorseg.io.write import write_segmentation
from tumorseg.types import Segmentation


@pytest.fixture
def store(tmp_path: Path) -> StudyDatastore:
    for name in ("one", "two", "three"):
        label(tmp_path / "studies" / f"{name}.nii.gz", 500)
    return StudyDatastore(FileSource(tmp_path / "studies"), LabelStore(tmp_path / "studies" / "labels"))


def test_a_label_and_what_is_known_of_it(store: StudyDatastore, tmp_path: Path) -> None:
    said = {"label_info": [{"name": "tumor", "idx": 3}]}
    assert store.save_label("one", str(label(tmp_path / "a.nii.gz", 3)), DefaultLabelTag.FINAL, dict(said)) == "one"
    assert store.get_labels_by_image_id("one") == {"final": "one"}
    assert store.get_label_by_image_id("one", "final") == "one"
    assert store.get_label_by_image_id("one", "original") == ""
    assert value_of(Path(store.get_label_uri("one", "final"))) == 3
    assert store.get_label("one", DefaultLabelTag.FINAL).read() == (tmp_path / "a.nii.gz").read_bytes()
    assert store.get_label_info("one", "final").items() >= said.items()
    store.update_label_info("one", "final", {"more": 1})
    assert store.get_label_info("one", "final")["more"] == 1
    assert store.json()["objects"]["one"]["labels"]["final"]["ext"] == ".nii.gz"
    assert store.json()["objects"]["two"]["labels"] == {}


def test_counts_are_of_images_that_are_offered(store: StudyDatastore, tmp_path: Path) -> None:
    assert store.status() == {"total": 3, "completed": 0, "label_tags": {}, "train": []}
    store.save_label("one", str(label(tmp_path / "a.nii.gz", 1)), "final", {})
    store.save_label("two", str(label(tmp_path / "b.nii.gz", 0)), "final", {})
    store.save_label("two", str(label(tmp_path / "b.nii.gz", 0)), "original", {})
    store.labels.save("unknown", "final", tmp_path / "a.nii.gz", {})
    assert store.status()["completed"] == 2
    assert store.status()["label_tags"] == {"final": 2, "original": 1}
    assert sorted(store.get_labeled_images()) == ["one", "two"]
    assert store.get_unlabeled_images() == ["three"]
    assert store.get_labeled_images("original") == ["two"]
    assert [Path(pair["image"]).name for pair in store.datalist()] == ["one.nii.gz", "two.nii.gz"]
    assert store.datalist(full_path=False)[0] == {"image": "one.nii.gz", "label": "one.nii.gz"}
    store.remove_label("one", "final")
    assert store.status()["completed"] == 1
    with pytest.raises(NotFoundError):
        store.remove_label("one", "final")


def test_uploading_an_image_again_keeps_its_labels(store: StudyDatastore, tmp_path: Path) -> None:
    """MONAI Label's own store begins an entry anew, without labels."""
    store.save_label("one", str(label(tmp_path / "a.nii.gz", 1)), "final", {})
    assert store.add_image("one", str(tmp_path / "studies" / "one.nii.gz"), {}) == "one"
    with pytest.raises(InputError, match="another image"):
        store.add_image("one", str(label(tmp_path / "other.nii.gz", 7)), {})
    assert store.get_labels_by_image_id("one") == {"final": "one"}


def test_a_label_drawn_on_another_image_is_refused(store: StudyDatastore, tmp_path: Path) -> None:
    grid = Grid((3, 4, 6), np.eye(4))
    other = write_segmentation(tmp_path / "a.nii.gz", Segmentation(np.ones(grid.shape, np.uint8), grid, {"tumor": 1}))
    with pytest.raises(InputError, match="does not lie on its image's voxels"):
        store.save_label("one", str(other), "final", {})
    assert store.status()["completed"] == 0


def test_an_image_that_cannot_be_read_now_does_not_keep_its_label_out(store: StudyDatastore, tmp_path: Path) -> None:
    (tmp_path / "studies" / "one.nii.gz").write_bytes(b"damaged since")
    assert store.save_label("one", str(label(tmp_path / "a.nii.gz", 1)), "final", {}) == "one"


def test_an_unknown_image_has_no_labels(store: StudyDatastore, tmp_path: Path) -> None:
    for use in (
        lambda: store.save_label("../one", str(label(tmp_path / "a.nii.gz")), "final", {}),
        lambda: store.get_labels_by_image_id("four"),
        lambda: store.remove_label("four", "final"),
        lambda: store.update_label_info("four", "final", {}),
    ):
        with pytest.raises(NotFoundError):
            use()


def test_files_that_came_to_the_folder_count(store: StudyDatastore, tmp_path: Path) -> None:
    label(tmp_path / "studies" / "labels" / "final" / "two.nii.gz", 2)
    store.refresh()
    assert store.status()["completed"] == 1
    assert store.get_label_info("two", "final")["author"] == "unknown"
