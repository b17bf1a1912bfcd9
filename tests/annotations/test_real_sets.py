"""The public sets, where they are at hand: set TUMORSEG_DATA to the folder that holds them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tumorseg.adapters.transfer import export_pictures, import_pictures
from tumorseg.annotations.image_file import read_mask
from tumorseg.annotations.report import check_sets

DATA = Path(os.environ.get("TUMORSEG_DATA", ""))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "TUMORSEG_DATA" not in os.environ or not (DATA / "busi").is_dir(),
        reason="TUMORSEG_DATA with busi/ and brain_via/ is not there",
    ),
]


def test_busi_goes_through_a_data_store_unchanged(tmp_path: Path) -> None:
    import_pictures("mask_folders", DATA / "busi", tmp_path / "store", labels=["benign", "malignant"])
    assert not export_pictures("mask_folders", tmp_path / "store", tmp_path / "out").notes
    for path in sorted((DATA / "busi").rglob("*.png")):
        back = tmp_path / "out" / path.relative_to(DATA / "busi")
        if "_mask" in path.name:
            np.testing.assert_array_equal(read_mask(back), read_mask(path))
        else:
            assert back.read_bytes() == path.read_bytes()


def test_via_goes_through_a_data_store_unchanged(tmp_path: Path) -> None:
    import_pictures("via", DATA / "brain_via", tmp_path / "store")
    export_pictures("via", tmp_path / "store", tmp_path / "out")
    for path in sorted(path for path in (DATA / "brain_via").rglob("*") if path.is_file()):
        back = tmp_path / "out" / path.relative_to(DATA / "brain_via")
        if path.suffix == ".json":
            assert json.loads(back.read_text()) == json.loads(path.read_text())
        else:
            assert back.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("name", "most"), [("busi", 5), ("brain_via", 5)])
def test_the_sets_are_clean_but_for_a_few_pictures_that_are_there_twice(name: str, most: int) -> None:
    report = check_sets([DATA / name])
    assert not [problem for problem in report.problems if problem.hard]
    twice = [problem for problem in report.problems if "duplicate" in problem.kind]
    assert 1 <= len(twice) <= most
