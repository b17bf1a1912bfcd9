"""``tumorseg evaluate`` with a detector on annotated pictures: figures, files, warnings, refusals."""

from __future__ import annotations

import csv
import json
from unittest import mock

import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.evaluation.sets import draw, write_breast, write_via
from tumorseg import registry
from tumorseg.annotations import open_pictures
from tumorseg.cli import app
from tumorseg.evaluation.seen import content_table

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def blobs():
    """Make the stand-in that finds bright blobs known."""
    with mock.patch.dict(registry.MODELS, {"blobs": "tests.support:build_picture_blobs"}):
        yield


@pytest.fixture
def breast(tmp_path):
    return write_breast(tmp_path / "busi")


def run(*words):
    return RUNNER.invoke(app, ["evaluate", "blobs", *map(str, words)])


def told(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 1
    return json.loads(result.stdout)


def refused(*words):
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    return result.stderr.strip().splitlines()[-1]


def test_breast_pictures_by_hand(breast):
    found = told("--data", breast)
    assert {"map50", "mask_map50", "iou_matched", "precision", "recall", "f1", "images"} <= set(found)
    assert found["images"] == 4
    assert (found["true_positives"], found["false_positives"], found["false_negatives"]) == (2, 1, 1)
    assert (found["precision"], found["recall"], found["f1"]) == (0.6667, 0.6667, 0.6667)
    assert (found["iou_matched"], found["mask_iou_matched"]) == (1.0, 1.0)
    # Benign: one lesion, and an alarm of the same score: precision 1/2 at recall 1. Malignant: one of two, first.
    assert found["ap50"] == {"benign": 0.5, "malignant": 0.5}
    assert found["map50"] == found["mask_map50"] == 0.5
    # Any lesion: the malignant one first, then the benign one and the alarm together: 1/3 + 1/3 * 2/3.
    assert found["ap50_lesion"] == pytest.approx(1 / 3 + 2 / 9, abs=1e-4)
    assert found["dice_mean"] == pytest.approx((1 + 2 * 400 / (400 + 480)) / 2, abs=1e-4)
    assert (found["images_without_lesion"], found["false_alarm_images"], found["specificity"]) == (2, 1, 0.5)
    assert found["confusion"]["counts"] == [[1, 0, 0], [0, 1, 1], [1, 0, 0]]
    assert (found["model"], found["score_threshold"], found["seen_in_training"]) == ("picture_blobs", 0.5, None)
    assert found["recall_ci"][0] <= found["recall"] <= found["recall_ci"][1]


def test_a_via_folder_and_a_model_of_one_class(tmp_path):
    with mock.patch.dict(registry.MODELS, {"blobs": "tests.cli.evaluate.test_pictures:build_one_class"}):
        found = told("--data", write_via(tmp_path / "via"))
    assert (found["images"], found["recall"], found["precision"], found["map50"]) == (2, 0.5, 1.0, 0.5)
    assert found["confusion"]["labels"] == ["tumour", "background"]


def build_one_class(weights=None, device="auto"):
    from dataclasses import replace

    from tests.support import build_picture_blobs

    return replace(build_picture_blobs(), classes=(("tumour", 120.0),))


def test_every_file_that_can_be_asked_for(breast, tmp_path):
    files = ("--csv", tmp_path / "p.csv", "--figures", tmp_path / "figures", "--report", tmp_path / "r.html")
    result = run("--data", breast, *files, "--markdown", tmp_path / "t.md", "--store", tmp_path / "results")
    assert result.exit_code == 0, result.output
    assert "mAP@0.5, boxes" in result.stdout
    rows = list(csv.DictReader((tmp_path / "p.csv").open()))
    by_image = {row["image"]: row for row in rows}
    assert by_image["malignant/malignant (1)"]["missed"] == "1"
    assert by_image["normal/normal (2)"]["wrong"] == "1"
    assert by_image["normal/normal (1)"]["dice"] == ""
    sheets = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert sheets[0] == "benign_benign (1).png"
    assert len(sheets) == 4
    assert Image.open(tmp_path / "figures" / sheets[0]).width > 800
    stored = {path.name for path in (tmp_path / "results").iterdir()}
    assert stored == {f"picture_blobs-all{end}" for end in (".json", ".csv", ".objects.csv")}
    assert "| mAP@0.5, boxes | 0.500" in (tmp_path / "t.md").read_text()


def test_the_page_is_one_file_and_holds_every_picture(breast, tmp_path):
    assert run("--data", breast, "--report", tmp_path / "r.html").exit_code == 0
    page = (tmp_path / "r.html").read_text()
    assert page.count("<figcaption><span>") == 4
    assert page.count("data:image/jpeg;base64,") == 8
    assert page.count("<svg") == 2
    for outside in ("<script", "<link", 'src="http', "url(http", "@import"):
        assert outside not in page
    assert "2 of 3" in page
    assert "malignant: not found" in page
    assert "nothing annotated there" in page


def test_subsets_and_pictures_that_trained(breast, tmp_path):
    split = tmp_path / "s.json"
    ids = {"train": ["benign/benign (1)"], "validation": [], "test": ["malignant/malignant (1)", "normal/normal (1)"]}
    split.write_text(json.dumps(ids))
    assert told("--data", breast, "--split", split, "--subset", "test")["images"] == 2
    result = run("--data", breast, "--split", split)
    assert "warning: 1 of these pictures trained the model" in result.stderr
    assert told("--data", breast, "--split", split, "--patient", "normal/normal (2)")["images"] == 1
    assert "needs --split" in refused("--data", breast, "--subset", "test")
    assert "no picture 'nobody'" in refused("--data", breast, "--patient", "nobody")


def test_a_picture_is_known_under_another_name(breast, tmp_path):
    split = tmp_path / "s.json"
    ids = {"train": ["benign/benign (1)"], "validation": [], "test": ["malignant/malignant (1)"]}
    split.write_text(json.dumps({**ids, "content": content_table(open_pictures(breast))}))
    for path in (breast / "benign").iterdir():
        path.rename(path.with_name(path.name.replace("(1)", "(77)")))
    other = breast / "benign" / "benign (1).png"
    draw(other, [((1, 1, 9, 9), 150)])
    other.with_name("benign (1)_mask.png").write_bytes((breast / "benign" / "benign (77)_mask.png").read_bytes())
    found = told("--data", breast, "--split", split)
    assert (found["images"], found["seen_in_training"]) == (5, 1)
    assert told("--data", breast, "--split", split, "--patient", "benign/benign (1)")["seen_in_training"] == 0


def test_pictures_that_nobody_annotated_are_left_out(breast):
    draw(breast / "benign" / "benign (2).png", [((10, 10, 20, 20), 150)])
    found = told("--data", breast)
    assert (found["images"], found["images_not_annotated"]) == (4, 1)


def test_refusals_name_the_file(breast, tmp_path):
    assert "does not exist" in refused("--data", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "no annotated pictures" in refused("--data", tmp_path / "empty")
    assert "--panels" in refused("--data", breast, "--panels", tmp_path / "x")
    assert "does not exist" in refused("--data", breast, "--report", tmp_path / "no" / "r.html")
    via = write_via(tmp_path / "via")  # its class is of no use to a model of two
    assert "a.png: expected one of the classes benign, malignant" in refused("--data", via)
    (breast / "benign" / "benign (1).png").write_bytes(b"broken")
    assert "benign (1).png" in refused("--data", breast, "--csv", tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()
    kept = told("--data", breast, "--keep-going")
    assert (kept["images"], kept["unusable"]) == (3, 1)
