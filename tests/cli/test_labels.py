"""``tumorseg labels`` over a folder in which people worked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import read_label, tumour_mask
from tumorseg.access.types import Principal, Role
from tumorseg.adapters.label_desk import LabelDesk
from tumorseg.cli import app
from tumorseg.config import AppConfig
from tumorseg.io.write import write_segmentation
from tumorseg.labels.types import Provenance
from tumorseg.types import Segmentation

GRID = GRIDS["axial"]
RITA = Principal("rita", Role.REVIEWER, "token")


def run(*words: Any) -> Any:
    result = CliRunner().invoke(app, [str(word) for word in ("labels", *words)])
    assert result.exit_code == 0, result.output
    return result


def said(*words: Any) -> Any:
    return json.loads(run(*words, "--json").stdout)


def refused(*words: Any) -> str:
    result = CliRunner().invoke(app, [str(word) for word in ("labels", *words)])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return str(result.stderr)


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Three cases: two annotators and a reviewer on the first, no lesion in the second, nothing on the third."""
    folder = tmp_path / "studies"
    for name in ("one", "two", "three"):
        write_nifti(folder / f"{name}.nii.gz", GRID, sample(GRID))
    desk = LabelDesk.open(AppConfig.parse(folder, {}, {}))

    def save(author: str, mask: NDArray[np.bool_]) -> Any:
        file = write_segmentation(tmp_path / "a.nii.gz", Segmentation(mask.astype(np.uint8), GRID, {}))
        info = {"label_info": [{"name": "tumor", "idx": 1}]}
        return desk.store.save("one", "final", file, info, Provenance(author, tool="Slicer [bold]5.8[/bold]"))

    save("ann", np.roll(tumour_mask(GRID), 1, 2))
    desk.reviews.add(save("bob", tumour_mask(GRID)), "approve", RITA, "well done")
    desk.no_lesion("two", "final", Provenance("ann"))
    desk.leases.acquire("three", "ann")
    desk.close()
    return folder


def test_list(studies: Path) -> None:
    rows = {row["image"]: row for row in said("list", studies)["images"]}
    assert (rows["one"]["state"], rows["one"]["author"]) == ("approved", "bob")
    assert (rows["two"]["state"], rows["two"]["label"]) == ("open", "no_lesion")
    assert (rows["three"]["state"], rows["three"]["lease"]) == ("unlabelled", "ann")
    text = run("list", studies).stdout
    assert "no lesion" in text
    assert "approved" in text


def test_log(studies: Path) -> None:
    found = said("log", studies, "one")["versions"]
    assert [(version["author"], version["state"]) for version in found] == [("bob", "approved"), ("ann", "open")]
    assert found[0]["reviews"][0]["comment"] == "well done"
    text = run("log", studies, "one").stdout
    assert "rita: approve" in text
    assert "[bold]" in text  # what a client calls itself is text and no markup
    assert found[1]["uid"] in text
    assert "no image" in refused("log", studies, "../one")


def test_restore(studies: Path) -> None:
    first = said("log", studies, "one")["versions"][1]["uid"]
    kept = said("restore", studies, first, "--author", "rita")
    found = said("log", studies, "one")["versions"]
    assert len(found) == 3
    assert (found[0]["uid"], found[0]["parent"], found[0]["author"], found[0]["state"]) == (
        kept["uid"],
        first,
        "rita",
        "open",
    )
    assert "no label version" in refused("restore", studies, "nonsense")


def test_agreement(studies: Path) -> None:
    found = said("agreement", studies, "one")
    truth = tumour_mask(GRID)
    assert found["annotators"] == ["ann", "bob"]
    assert found["mean"]["tumor"] == pytest.approx((truth & np.roll(truth, 1, 2)).sum() / truth.sum())
    assert f"{found['mean']['tumor']:.3f}" in run("agreement", studies, "one").stdout
    assert "at least two" in refused("agreement", studies, "two")


def test_export_of_everything_and_of_what_was_approved(studies: Path, tmp_path: Path) -> None:
    assert said("export", studies, tmp_path / "all") == {"target": str(tmp_path / "all"), "written": 2, "left_out": []}
    done = said("export", studies, tmp_path / "approved", "--approved")
    assert (done["written"], done["left_out"]) == (1, ["two"])
    assert sorted(path.name for path in (tmp_path / "approved").iterdir()) == ["labels.json", "one.nii.gz"]
    assert np.array_equal(read_label(tmp_path / "approved" / "one.nii.gz")[0], tumour_mask(GRID))
    entry = json.loads((tmp_path / "approved" / "labels.json").read_text())["labels"][0]
    assert (entry["file"], entry["author"], entry["state"]) == ("one.nii.gz", "bob", "approved")
    assert not read_label(tmp_path / "all" / "two.nii.gz")[0].any()


def test_export_of_one_annotator(studies: Path, tmp_path: Path) -> None:
    assert said("export", studies, tmp_path / "ann", "--author", "ann")["written"] == 2
    assert np.array_equal(read_label(tmp_path / "ann" / "one.nii.gz")[0], np.roll(tumour_mask(GRID), 1, 2))


def test_an_export_overwrites_nothing_and_is_never_empty(studies: Path, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("keep")
    assert "not empty" in refused("export", studies, tmp_path / "used")
    assert "none of them approved" in refused("export", studies, tmp_path / "new", "--approved", "--author", "ann")
    assert "no label tagged 'draft'" in refused("export", studies, tmp_path / "new", "--tag", "draft")
    assert not (tmp_path / "new").exists()
