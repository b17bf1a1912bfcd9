"""What the data store keeps in memory has a limit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for
from tumorseg.adapters.workplace import Workplace
from tumorseg.errors import InputError


def test_notes_on_an_image_do_not_grow_for_ever(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    store = Workplace.open(config_for(tmp_path / "studies", tmp_path)).datastore
    store.update_image_info("case1", {"note": "operated on"})
    for number in range(15):
        store.update_image_info("case1", {f"key{number}": "x" * 4096})
    with pytest.raises(InputError, match="at most"):
        store.update_image_info("case1", {"key15": "x" * 4096})
    kept = store.get_image_info("case1")
    assert kept["note"] == "operated on"
    assert len(json.dumps(kept)) < 70_000


def test_a_label_whose_image_cannot_be_read_is_kept_and_says_that_it_was_not_compared(tmp_path: Path) -> None:
    image = write_nifti(tmp_path / "studies" / "case1.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    label = write_nifti(tmp_path / "label.nii.gz", GRIDS["axial"], (sample(GRIDS["axial"]) > 700).astype("uint8"))
    store = Workplace.open(config_for(tmp_path / "studies", tmp_path)).datastore
    compared = store.keep_label("case1", "final", label, {"note": "seen"})
    image.write_bytes(b"not an image any more")
    kept = store.keep_label("case1", "final", label, {"note": "not seen"})
    assert "geometry" not in compared.info
    assert kept.info["geometry"] == "unchecked"
    assert store.labels.history.path(kept).read_bytes() == label.read_bytes()
