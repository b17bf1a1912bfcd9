"""Whatever is wrong with an image or a request: a clear 4xx, nothing written, and the server goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from starlette.testclient import TestClient

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_nifti
from tests.serving import ask_slicer, config_for, in_process
from tumorseg.errors import InputError
from tumorseg.server.app import create_app

AXIAL = GRIDS["axial"]


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    """Return size and time of change of every file, to see that nothing was written.

    That somebody tried is written, into the audit log.
    """
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent != folder / "state" / "audit")
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def _refused(client: TestClient, folder: Path, image: str, status: int, model: str = "threshold", **kw: Any) -> str:
    """Ask, and return the message of the refusal, having seen that nothing else happened."""
    client.get("/info/")
    before = _state(folder)
    answer = client.post(f"/infer/{model}", params={"image": image}, **kw)
    assert answer.status_code == status, answer.text
    assert _state(folder) == before
    assert client.get("/info/").status_code == 200
    detail = answer.json()["detail"]
    assert str(folder) not in detail, "a message must not tell where the server keeps its files"
    return str(detail)


def _nan(path: Path) -> None:
    voxels = sample(AXIAL).astype(np.float32)
    voxels[3, 4, 5] = np.nan
    write_nifti(path, AXIAL, voxels)


def _two_channels(path: Path) -> None:
    write_nifti(path, AXIAL, np.stack([sample(AXIAL)] * 2))


FILES: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "0-byte NIfTI": ("bad.nii.gz", lambda path: path.write_bytes(b""), "empty|0 bytes|cannot|not"),
    "text as NIfTI": ("bad.nii.gz", lambda path: path.write_text("no image"), "cannot|not"),
    "NaN voxels": ("bad.nii.gz", _nan, "NaN|finite"),
    "wrong channel count": ("bad.nii.gz", _two_channels, "expected"),
    "text as NRRD": ("bad.nrrd", lambda path: path.write_text("no image"), "cannot|not"),
}


@pytest.mark.parametrize("what", FILES)
def test_files(what: str, tmp_path: Path) -> None:
    name, write, message = FILES[what]
    write_nifti(tmp_path / "studies" / "good.nii.gz", AXIAL, sample(AXIAL))
    write(tmp_path / "studies" / name)
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        detail = _refused(client, tmp_path, "bad", 422)
        assert re.search(message, detail), detail
        assert ask_slicer(client, "good")[0]["centroids"]


def _truncated(folder: Path) -> list[Path]:
    files = write_dicom_series(folder, AXIAL, sample(AXIAL), SeriesDescription="FLAIR")
    files[5].write_bytes(files[5].read_bytes()[:-900])
    return files


def _missing_slice(folder: Path) -> list[Path]:
    files = write_dicom_series(folder, AXIAL, sample(AXIAL), SeriesDescription="FLAIR")
    files.pop(9).unlink()
    return files


def _mixed(folder: Path) -> list[Path]:
    uids = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid()}
    other = GRIDS["sagittal"]
    return [
        *write_dicom_series(folder / "a", AXIAL, sample(AXIAL), SeriesDescription="FLAIR", **uids),
        *write_dicom_series(folder / "b", other, sample(other), SeriesDescription="FLAIR", **uids),
    ]


SERIES: dict[str, tuple[Callable[[Path], list[Path]], str]] = {
    "truncated DICOM": (_truncated, "truncated|short|pixel|bytes"),
    "missing slice": (_missing_slice, "missing|gap"),
    "two mixed series": (_mixed, "mixed|orientation|size|differ"),
}


@pytest.mark.parametrize("what", SERIES)
def test_series(what: str, tmp_path: Path) -> None:
    write, message = SERIES[what]
    studies = tmp_path / "studies"
    good = write_dicom_series(studies / "good", AXIAL, sample(AXIAL), SeriesDescription="FLAIR")
    bad = write(studies / "bad")
    (studies / "notes.dcm").write_text("a text file named .dcm")
    with in_process(config_for(studies, tmp_path)) as client:
        detail = _refused(client, tmp_path, _uid(bad[0]), 422)
        assert re.search(message, detail), detail
        assert ask_slicer(client, _uid(good[0]))[0]["centroids"]


def _uid(file: Path) -> str:
    return str(pydicom.dcmread(file, stop_before_pixels=True).SeriesInstanceUID)


def test_a_text_file_named_dcm_in_a_session(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "good.nii.gz", AXIAL, sample(AXIAL))
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        # Refused when it comes: no reader of images is shown a file that is not what it says.
        answer = client.put("/session/", files=[("files", ("a.dcm", b"a text file"))])
        assert answer.status_code == 422
        assert "no DICOM" in answer.text
        assert str(tmp_path) not in answer.text
        assert client.get("/info/").status_code == 200


def test_two_series_in_one_session(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "good.nii.gz", AXIAL, sample(AXIAL))
    files = [("files", (path.name, path.read_bytes())) for path in _mixed(tmp_path / "mixed")]
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        session = client.put("/session/", files=files).json()["session_id"]
        answer = client.post("/infer/threshold", params={"session_id": session})
        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("content", [{}, {"readme.txt": "hello"}, {"notes.dcm": "a text file"}])
def test_a_folder_without_images_is_said_at_the_start(content: dict[str, str], tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    studies.mkdir()
    for name, text in content.items():
        (studies / name).write_text(text)
    with pytest.raises(InputError, match="no images"):
        create_app(config_for(studies, tmp_path))
    with pytest.raises(InputError, match="studies folder"):
        create_app(config_for(tmp_path / "absent", tmp_path))


def test_unknown_names_and_forbidden_settings(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "good.nii.gz", AXIAL, sample(AXIAL))
    secret = tmp_path / "secret.nii.gz"
    write_nifti(secret, AXIAL, sample(AXIAL))
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        assert "threshold" in _refused(client, tmp_path, "good", 404, model="unet9")
        for image in ("nobody", "../secret", "/etc/passwd", "../secret.nii.gz", "good.nii.gz"):
            assert "no image" in _refused(client, tmp_path, image, 404)
        assert client.post("/infer/threshold", params={"image": str(secret)}).status_code == 404
        for params in ({"image": str(secret)}, {"model": "x"}, {"device": "cuda"}, {"result_extension": ".py"}):
            _refused(client, tmp_path, "good", 422, data={"params": json.dumps(params)})
        _refused(client, tmp_path, "good", 422, data={"params": "{"})
        assert "nothing was named" in _refused(client, tmp_path, "", 422)
        assert client.post("/infer/threshold", params={"image": "good", "output": "dicom_seg"}).status_code == 422
        assert client.post("/infer/threshold", params={"image": "good", "output": "pickle"}).status_code == 422


def test_nothing_is_written_outside_the_labels(tmp_path: Path) -> None:
    good = write_nifti(tmp_path / "studies" / "good.nii.gz", AXIAL, sample(AXIAL))
    data = good.read_bytes()
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        before = _state(tmp_path)
        for image, tag in (("good", "../../.."), ("good", "/tmp/x"), ("../good", "final"), ("/etc/x", "final")):
            answer = client.put(
                "/datastore/label", params={"image": image, "tag": tag}, files={"label": ("a.nii.gz", data)}
            )
            assert answer.status_code in (404, 422), (image, tag)
        for image in ("../main", "/tmp/evil", ".hidden", "a/b"):
            answer = client.put("/datastore/image", params={"image": image}, files={"file": ("a.nii.gz", data)})
            assert answer.status_code == 422, image
        for name in ("main.py", "a.nii.gz.py", "a"):
            answer = client.put("/datastore/image", params={"image": "new"}, files={"file": (name, data)})
            assert answer.status_code == 422, name
        for path in (
            "/datastore/image?image=../good",
            "/datastore/label?label=good&tag=..",
            "/datastore/image/info?image=x",
        ):
            assert client.get(path).status_code in (404, 422)
        assert _state(tmp_path) == before


def test_an_image_is_not_replaced_by_another(tmp_path: Path) -> None:
    good = write_nifti(tmp_path / "studies" / "good.nii.gz", AXIAL, sample(AXIAL))
    other = write_nifti(tmp_path / "other.nii.gz", AXIAL, sample(AXIAL) * 2)
    with in_process(config_for(tmp_path / "studies", tmp_path)) as client:
        assert client.put(
            "/datastore/label", params={"image": "good"}, files={"label": ("a.nii.gz", good.read_bytes())}
        ).is_success
        client.app.state.workplace.effort.wait(60)  # type: ignore[attr-defined]  # what the label cost is written behind it
        before = _state(tmp_path)
        same = client.put("/datastore/", params={"image": "good"}, files={"file": ("up.nii.gz", good.read_bytes())})
        assert same.json() == {"image": "good"}
        changed = client.put("/datastore/", params={"image": "good"}, files={"file": ("up.nii.gz", other.read_bytes())})
        assert changed.status_code == 422
        assert _state(tmp_path) == before
        new = client.put("/datastore/", params={"image": "new"}, files={"file": ("up.nii.gz", other.read_bytes())})
        assert new.json() == {"image": "new"}
        assert client.get("/datastore/").json()["total"] == 2
