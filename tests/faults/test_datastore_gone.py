"""The folder of studies or of labels disappears under the server, or its index does, and comes back."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tests.faults.machine import Machine, answers_as_labels, machine, mend, refused, write_studies
from tumorseg.labels.history import LabelHistory

GRID = GRIDS["axial"]


@pytest.fixture(params=["nifti", "dicom"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Machine, str]]:
    """A server of one kind of studies, and an image's id."""
    if request.param == "nifti":
        image = write_studies(tmp_path / "studies", GRID)[0]
    else:
        files = write_dicom_series(tmp_path / "studies" / "s", GRID, sample(GRID), SeriesDescription="FLAIR")
        image = str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)
    with machine(tmp_path / "studies", tmp_path, image_cache_mb=0) as server:
        yield server, image


def test_studies_taken_away_and_brought_back(served: tuple[Machine, str], tmp_path: Path) -> None:
    server, image = served
    first, second = answers_as_labels(server, image, 2)
    assert server.save(image, first).status_code == 200
    (tmp_path / "studies").rename(tmp_path / "away")
    for _ in range(2):
        refused(server.infer(image), 404, 503)
        server.is_well()
    assert server.ask("GET", "/datastore/", params={"output": "all"}).status_code in (200, 404, 503)
    assert server.ask("POST", "/activelearning/first", json={}).status_code in (200, 404, 503)
    server.is_well()
    (tmp_path / "away").rename(tmp_path / "studies")
    assert _until_ok(lambda: server.infer(image).status_code) == 200
    assert server.label(image).content == first
    assert server.save(image, second).status_code == 200
    assert server.label(image).content == second
    server.is_well()


def test_one_file_taken_away(served: tuple[Machine, str], tmp_path: Path) -> None:
    server, image = served
    assert server.infer(image).status_code == 200
    file = max((path for path in (tmp_path / "studies").rglob("*") if path.is_file()), key=str)
    if file.name.startswith("case"):
        file = tmp_path / "studies" / f"{image}.nii.gz"
    content = file.read_bytes()
    file.unlink()
    refused(server.infer(image), 404, 422, 503)
    server.is_well()
    file.write_bytes(content)
    assert _until_ok(lambda: server.infer(image).status_code) == 200


def test_labels_taken_away_and_brought_back(served: tuple[Machine, str], tmp_path: Path) -> None:
    server, image = served
    first, second = answers_as_labels(server, image, 2)
    assert server.save(image, first).status_code == 200
    (tmp_path / "labels").rename(tmp_path / "away")
    for _ in range(2):
        refused(server.save(image, second), 503, says=("back",))
        refused(server.label(image), 404, 503)
        server.is_well()
    assert not list((tmp_path / "labels").glob("*")), (
        "an empty store in its place would look as if all labels were lost"
    )
    (tmp_path / "away").rename(tmp_path / "labels")
    assert server.label(image).content == first
    assert server.save(image, second).status_code == 200
    assert server.label(image).content == second
    server.is_well()


def test_the_index_of_the_labels_is_deleted_under_the_server(tmp_path: Path) -> None:
    write_studies(tmp_path / "studies", GRID)
    with machine(tmp_path / "studies", tmp_path) as server:
        *labels, last = answers_as_labels(server, "case0", 4)
        for label in labels:
            assert server.save("case0", label).status_code == 200
        for path in _index(tmp_path).parent.glob("index.sqlite*"):
            path.unlink()
        for _ in range(2):
            refused(server.save("case0", last), 503, says=("fsck",))
            server.is_well()
        mend(tmp_path / "labels")
        assert server.label("case0").content == labels[-1]
        assert server.save("case0", last).status_code == 200
        assert server.label("case0").content == last
        server.is_well()
    assert _kept(tmp_path) == {*labels, last}, "a label that was acknowledged is gone"


@pytest.mark.parametrize("what", ["emptied", "overwritten", "cut off", "a page overwritten"])
def test_a_server_starts_on_a_damaged_index(tmp_path: Path, what: str) -> None:
    write_studies(tmp_path / "studies", GRID)
    with machine(tmp_path / "studies", tmp_path) as server:
        *labels, last = answers_as_labels(server, "case0", 4)
        for label in labels:
            assert server.save("case0", label).status_code == 200
    _damage(_index(tmp_path), what)
    with machine(tmp_path / "studies", tmp_path) as server:
        answer = server.save("case0", last)
        if answer.status_code != 200:  # a page that is not looked at is not missed yet
            refused(answer, 503, says=("fsck",))
        server.is_well()
        mend(tmp_path / "labels")
        assert server.save("case0", last).status_code == 200
        assert server.label("case0").content == last
        server.is_well()
    assert _kept(tmp_path) == {*labels, last}, "a label that was acknowledged is gone"


def test_the_cache_is_deleted(served: tuple[Machine, str], tmp_path: Path) -> None:
    server, image = served
    assert server.infer(image).status_code == 200
    assert server.ask("GET", "/datastore/image", params={"image": image}).status_code == 200
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    answers = [server.infer(image).status_code for _ in range(2)]
    assert answers == [200, 200], "what can be made again must not be missed"
    assert server.ask("GET", "/datastore/image", params={"image": image}).status_code == 200
    assert server.ask("PUT", "/session/", files={"files": ("own.nii.gz", b"x")}).status_code in (200, 422)
    server.is_well()


def _index(scratch: Path) -> Path:
    return scratch / "labels" / ".tumorseg" / "index.sqlite"


def _kept(scratch: Path) -> set[bytes]:
    """Return the content of every version that the history knows."""
    history = LabelHistory(scratch / "labels")
    try:
        return {history.path(version).read_bytes() for version in history.versions("case0")}
    finally:
        history.close()


def _damage(index: Path, what: str) -> None:
    """Do to an index what disks and people do."""
    content = index.read_bytes()
    half = len(content) // 2 // 4096 * 4096
    index.write_bytes(
        {
            "emptied": b"",
            "overwritten": b"no database, " * (len(content) // 13),
            "cut off": content[:half],
            "a page overwritten": content[:half] + b"\xa5" * 4096 + content[half + 4096 :],
        }[what]
    )


def _until_ok(ask: Callable[[], int], seconds: float = 10.0) -> int:
    """Ask until the answer is 200 or the time is over; what is looked at only now and then is noticed late."""
    end = time.monotonic() + seconds
    while (status := ask()) != 200 and time.monotonic() < end:
        time.sleep(0.2)
    return status
