"""What the benchmarks of clicks are made of, and that they can fail."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from benchmarks import click, click_crowd
from benchmarks.annotator import Annotator, Answered, deepedit
from benchmarks.click_crowd import Sent, compared
from benchmarks.click_study import SHIFTS, SIDE, SLICES, STUDY, write_study
from benchmarks.servers import stock_deepedit
from benchmarks.stock import prepare
from benchmarks.stock.deepedit import DeepEdit, _app
from tumorseg.errors import UnavailableError
from tumorseg.geometry import Grid
from tumorseg.io import read_study
from tumorseg.types import FLAIR, T1, T1GD, StudyImage

SHAPE = (3, 20, 30)


def test_a_study_of_24_slices_is_moved_with_its_lesion(tmp_path: Path) -> None:
    down, right = SHIFTS[5]
    study = write_study(tmp_path / "s", 5, (down, right))
    image = read_study(study.folder, channels=(T1, FLAIR, T1GD))
    sample = read_study(STUDY, channels=(T1, FLAIR, T1GD))
    assert image.voxels.shape == (3, SLICES, SIDE, SIDE)
    assert image.source["series_uid"] == study.image != sample.source["series_uid"]
    assert image.source["patient_id"] != sample.source["patient_id"]
    np.testing.assert_array_equal(image.voxels[:, : sample.grid.shape[0]], np.roll(sample.voxels, SHIFTS[5], (2, 3)))
    assert image.grid.spacing == pytest.approx(sample.grid.spacing)
    # The lesion of the FLAIR is bright, so its mask moved with it; where it was, it is not any more.
    flair = image.channel(FLAIR).astype(float)
    assert flair[study.truth].mean() > 1.2 * flair[np.roll(study.truth, (-down, -right), (1, 2))].mean()


def test_no_two_copies_have_their_lesion_at_one_place() -> None:
    assert len(set(SHIFTS)) == len(SHIFTS) == 10


class _Server(BaseHTTPRequestHandler):
    """Marks a square around every positive point and nothing around negative ones; keeps what it was asked."""

    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        params = json.loads(parse_qs(body)["params"][0])
        self.asked.append(params)
        mask = np.zeros(SHAPE, np.uint8)
        for i, j, k in params.get("foreground", []):
            mask[k, max(0, j - 2) : j + 3, max(0, i - 2) : i + 3] = 1
        image = self.folder / "a.nrrd"
        sitk.WriteImage(sitk.GetImageFromArray(mask), str(image))
        body_ = image.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body_)))
        self.end_headers()
        self.wfile.write(body_)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    asked: list[dict[str, Any]] = []
    handler = type("Handler", (_Server,), {"asked": asked, "folder": tmp_path})
    with HTTPServer(("127.0.0.1", 0), handler) as one:
        threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{one.server_port}", asked
        one.shutdown()


def square(k: int, j: int, i: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[k, j : j + 5, i : i + 5] = True
    return mask


def test_the_person_corrects_what_came_back_and_sends_all_points_each_time(
    server: tuple[str, list[dict[str, Any]]],
) -> None:
    address, asked = server
    person = Annotator(address, "m", "1.2.3", square(0, 3, 4) | square(2, 10, 20))
    first = person.click()
    assert first is not None
    assert person.dice == pytest.approx(2 * 25 / 75)
    second = person.click()
    assert second is not None
    assert first.sha256 != second.sha256
    assert person.dice == 1.0
    assert person.click() is None
    assert [one["foreground"] for one in asked] == [[[6, 5, 0]], [[6, 5, 0], [22, 12, 2]]]
    assert all(one["background"] == [] and one["result_dtype"] == "uint8" for one in asked)


def test_stock_hears_the_points_under_its_label(server: tuple[str, list[dict[str, Any]]]) -> None:
    address, asked = server
    person = Annotator(address, "m", "1.2.3", square(0, 3, 4), deepedit("spleen", "background"))
    person.positive, person.negative = [[1, 2, 0]], [[3, 4, 1]]
    person.ask()
    assert (asked[0]["spleen"], asked[0]["background"]) == ([[1, 2, 0]], [[3, 4, 1]])
    assert "foreground" not in asked[0]


def test_a_mask_of_another_study_is_noticed_by_its_shape(server: tuple[str, list[dict[str, Any]]]) -> None:
    address, _ = server
    with pytest.raises(UnavailableError, match=r"expected a mask \(4, 20, 30\)"):
        Annotator(address, "m", "1.2.3", np.ones((4, 20, 30), bool)).click()


def _answer(mask: np.ndarray) -> Answered:
    return Answered(0.1, mask, str(hash(mask.tobytes())), 0.0)


def test_an_answer_of_another_study_is_counted() -> None:
    one, other = square(0, 3, 4), square(2, 10, 20)
    alone = [[Sent([], [], _answer(mask))] * 2 for mask in (one, other)]
    right = [[_answer(one)] * 2, [_answer(other)] * 2]
    assert compared(alone, right) == {"clicks": 4, "wrong": 0, "identical": 4}
    near = one.copy()
    near[0, 3, 4] = False
    assert compared(alone, [[_answer(near), _answer(one)], right[1]]) == {"clicks": 4, "wrong": 0, "identical": 3}
    mixed = [[_answer(one), _answer(other)], right[1]]
    assert compared(alone, mixed) == {"clicks": 4, "wrong": 1, "identical": 3}
    nothing = [[_answer(one & False)] * 2, right[1]]
    assert compared(alone, nothing)["wrong"] == 2  # is no answer to this study's clicks either


def _timed(median: float) -> dict[str, float]:
    return {"count": 3, "median_ms": median, "p95_ms": 2 * median, "max_ms": 3 * median}


CLICK = {
    "model": "clicks",
    "ours": {"first": _timed(900.0), "further": _timed(50.0)},
    "stock": {"first": _timed(18000.0), "further": _timed(15000.0)},
    "machine": {"processor": "some"},
    "taken": "today",
}


def test_the_last_line_sums_up() -> None:
    assert click.last_line(CLICK) == {"first_ms": 900.0, "median_ms": 50.0, "p95_ms": 100.0, "stock_ratio": 300.0}
    assert click.last_line({**CLICK, "stock": {"absent": "left out"}})["stock_ratio"] is None


def test_the_tables_of_the_documentation(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(
        "make_tables", Path(__file__).resolve().parents[1] / "docs" / "make_tables.py"
    )
    assert spec is not None
    assert spec.loader is not None
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    tables.MEASURED = tables.RESULTS = tmp_path
    for name in ("click", "click_crowd", "interactive"):
        assert "Not measured in this checkout yet" in tables.TABLES[name]()
    (tmp_path / "click.json").write_text(json.dumps(CLICK))
    crowd = {
        **{key: CLICK[key] for key in ("model", "machine", "taken")},
        **{"alone": CLICK["ours"], "together": CLICK["stock"], "settings": {"annotators": 10}},
        **{"clicks": 100, "wrong": 0, "identical": 99, "memory_mb": {"before": 900.0, "after": 1100.0, "peak": 1200.0}},
    }
    (tmp_path / "click_crowd.json").write_text(json.dumps(crowd))
    assert "| every further click | 3 | 50 ms | 100 ms | 15000 ms | 30000 ms | 300× |" in tables.TABLES["click"]()
    assert "| all at once, first click | 3 | 18000 ms |" in tables.TABLES["click_crowd"]()
    assert "0 of 100 answers were another study's, 99 byte for byte" in tables.TABLES["click_crowd"]()
    assert click_crowd.last_line(crowd)["wrong"] == 0


def test_stock_gets_one_sequence_as_a_plain_volume(tmp_path: Path) -> None:
    voxels = np.arange(24, dtype=np.uint16).reshape(1, 2, 3, 4)
    prepare.write_nifti(tmp_path / "study.nii", StudyImage(voxels, Grid((2, 3, 4), np.eye(4)), (FLAIR,)))
    assert nibabel.load(tmp_path / "study.nii").shape == (4, 3, 2)


def test_stock_downloads_nothing_and_a_missing_app_is_named(tmp_path: Path) -> None:
    launch = stock_deepedit("s", DeepEdit(tmp_path / "bin" / "python", tmp_path, tmp_path), "measured")
    said = " ".join(launch.command)
    assert "--conf use_pretrained_model false" in said
    assert "--conf models deepedit" in said
    with pytest.raises(UnavailableError, match="radiology app"):
        _app(tmp_path)
