"""The folder of studies or of labels disappears under the server, or its index does, and comes back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series
from tests.faults.machine import Machine, answers_as_labels, machine, mend, refused, write_studies

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


@pytest.mark.parametrize("what", ["deleted", "emptied", "overwritten", "cut off"])
def test_the_index_of_the_labels_is_damaged(tmp_path: Path, what: str) -> None:
    write_studies(tmp_path / "studies", GRID)
    with machine(tmp_path / "studies", tmp_path) as server:
        labels = answers_as_labels(server, "case0", 4)
        for label in labels[:3]:
            assert server.save("case0", label).status_code == 200
        index = tmp_path / "labels" / ".tumorseg" / "index.sqlite"
        _damage(index, what)
        answer = server.save("case0", labels[3])
        if answer.status_code != 200:  # a damage that is not met yet is none
            refused(answer, 503, says=("fsck",))
        server.is_well()
        mend(tmp_path / "labels")
        assert server.save("case0", labels[3]).status_code == 200
        assert server.label("case0").content == labels[3]
        server.is_well()
    kept = {path.read_bytes() for path in (tmp_path / "labels" / ".tumorseg" / "objects").rglob("*.nrrd")}
    assert kept == set(labels), "a label that was acknowledged is gone"


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


def _damage(index: Path, what: str) -> None:
    """Do to an index what disks and people do."""
    for beside in index.parent.glob("index.sqlite-*"):
        beside.unlink()
    if what == "deleted":
        index.unlink()
    elif what == "emptied":
        index.write_bytes(b"")
    elif what == "overwritten":
        index.write_bytes(b"no database, " * (index.stat().st_size // 13 + 1))
    else:
        index.write_bytes(index.read_bytes()[: index.stat().st_size // 2])


def _until_ok(ask, seconds: float = 10.0) -> int:  # type: ignore[no-untyped-def]
    """Ask until the answer is 200 or the time is over; what is looked at only now and then is noticed late."""
    import time

    end = time.monotonic() + seconds
    while (status := ask()) != 200 and time.monotonic() < end:
        time.sleep(0.2)
    return int(status)
