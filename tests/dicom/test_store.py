"""A folder and a PACS as one store: found, grouped, kept up to date, fetched whole."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pytest

from tests.dicom.phantoms import GRIDS, sample, write_dicom_series, write_enhanced_mr
from tests.orthanc import orthanc
from tumorseg.dicom.store import DicomStore, index, open_store
from tumorseg.dicom.store import remote as remote_module
from tumorseg.dicom.store.folder import FolderStore
from tumorseg.dicom.store.remote import Credentials, RemoteStore, without_credentials
from tumorseg.errors import InputError, NotFoundError, UnavailableError

GRID = GRIDS["anisotropic"]
STUDY, FLAIR, T1 = "1.2.826.1", "1.2.826.1.1", "1.2.826.1.2"


def _write(root: Path) -> None:
    voxels = sample(GRID)[:5]
    common = {"StudyInstanceUID": STUDY, "PatientID": "P1", "PatientName": "Müller^Änne", "StudyDescription": "Head"}
    common["SpecificCharacterSet"] = "ISO_IR 100"
    write_dicom_series(root / "a", GRID, voxels, SeriesInstanceUID=FLAIR, SeriesDescription="FLAIR", **common)
    attrs = {"SeriesInstanceUID": T1, "SeriesDescription": "T1", "SeriesNumber": "2", **common}
    write_enhanced_mr(root / "b" / "t1.dcm", GRID, sample(GRID), **attrs)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    _write(tmp_path / "studies")
    return tmp_path / "studies"


def _open(root: Path, tmp_path: Path) -> FolderStore:
    store = open_store(root, tmp_path / "cache")
    assert isinstance(store, FolderStore)
    assert isinstance(store, DicomStore)
    return store


def test_a_folder_lists_its_studies_and_series(root: Path, tmp_path: Path) -> None:
    store = _open(root, tmp_path)
    (study,) = store.studies()
    assert (study.study_uid, study.patient_name, study.modalities) == (STUDY, "Müller^Änne", ("MR",))
    assert (study.n_series, study.n_instances, study.description) == (2, 6, "Head")
    assert [(s.series_uid, s.description, s.n_instances) for s in store.series(STUDY)] == [
        (FLAIR, "FLAIR", 5),
        (T1, "T1", 1),
    ]
    numbers = [int(pydicom.dcmread(path).InstanceNumber) for path in store.files(FLAIR)]
    assert numbers == sorted(numbers)
    assert store.find(T1).patient_id == "P1"


def test_what_is_not_there_is_said(root: Path, tmp_path: Path) -> None:
    store = _open(root, tmp_path)
    for ask in (lambda: store.find("1.9"), lambda: store.files("1.9"), lambda: store.series("1.9")):
        with pytest.raises(NotFoundError, match=r"1\.9"):
            ask()
    with pytest.raises(InputError, match="found none"):
        open_store(tmp_path / "absent", tmp_path / "cache")
    with pytest.raises(InputError, match="ftp"):
        open_store("ftp://host/x", tmp_path / "cache")


def test_the_index_lies_outside_the_folder(root: Path, tmp_path: Path) -> None:
    before = sorted(root.rglob("*"))
    _open(root, tmp_path)
    assert sorted(root.rglob("*")) == before
    assert list((tmp_path / "cache" / "dicom-index").glob("*.sqlite"))


def test_the_default_cache_is_the_users(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    open_store(root)
    assert list((tmp_path / "xdg" / "tumorseg" / "dicom-index").glob("*.sqlite"))


def test_reopening_parses_only_what_changed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _open(root, tmp_path)
    parsed: list[str] = []
    read = index.read_header
    monkeypatch.setattr(index, "read_header", lambda path, state: (parsed.append(path.name), read(path, state))[1])
    assert _open(root, tmp_path).studies()[0].n_instances == 6
    assert parsed == []
    added = root / "new.dcm"
    shutil.copy(next(root.glob("a/*.dcm")), added)
    dataset = pydicom.dcmread(added)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.826.1.9"
    dataset.save_as(added)
    assert _open(root, tmp_path).studies()[0].n_instances == 7
    assert parsed == ["new.dcm"]


def test_removed_and_changed_files_are_noticed(root: Path, tmp_path: Path) -> None:
    _open(root, tmp_path)
    for path in (root / "a").iterdir():
        path.unlink()
    enhanced = root / "b" / "t1.dcm"
    dataset = pydicom.dcmread(enhanced)
    dataset.SeriesDescription = "renamed"
    dataset.save_as(enhanced)
    assert [series.description for series in _open(root, tmp_path).series()] == ["renamed"]


def test_a_running_store_notices_new_files(root: Path, tmp_path: Path) -> None:
    store = _open(root, tmp_path)
    write_dicom_series(root / "later", GRID, sample(GRID)[:2], SeriesInstanceUID="1.2.826.7")
    with pytest.raises(NotFoundError):
        store.find("1.2.826.7")
    store.refresh(force=True)
    assert store.find("1.2.826.7").n_instances == 2


def test_bad_files_are_skipped_with_a_warning(root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = next((root / "a").glob("*.dcm")).read_bytes()
    (root / "text.dcm").write_text("this is no DICOM file\n" * 20)
    (root / "cut.dcm").write_bytes(good[:300])
    (root / "empty.dcm").touch()
    (root / "notes.txt").write_text("nobody asked")
    (root / "dangling.dcm").symlink_to(tmp_path / "nowhere")
    (root / "loop").symlink_to(root)
    with caplog.at_level(logging.WARNING):
        store = _open(root, tmp_path)
    assert store.studies()[0].n_instances == 6
    # By number and not by name: people name files after patients.
    numbers = [(root / name).stat().st_ino for name in ("text.dcm", "cut.dcm", "empty.dcm")]
    assert all(f"-inum {number})" in caplog.text for number in numbers)
    assert not [name for name in ("text.dcm", "cut.dcm", "empty.dcm", "notes.txt") if name in caplog.text]


def test_the_same_instance_twice_counts_once(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "a", root / "copy of a")
    assert _open(root, tmp_path).find(FLAIR).n_instances == 5


def test_files_without_preamble_are_read(root: Path, tmp_path: Path) -> None:
    path = next((root / "a").glob("*.dcm"))
    path.write_bytes(path.read_bytes()[132:])
    assert _open(root, tmp_path).find(FLAIR).n_instances == 5


def test_a_damaged_index_is_made_anew(root: Path, tmp_path: Path) -> None:
    _open(root, tmp_path)
    (file,) = (tmp_path / "cache" / "dicom-index").glob("*.sqlite")
    file.write_bytes(b"no database" * 100)
    assert _open(root, tmp_path).studies()[0].n_instances == 6
    assert _open(root, tmp_path).studies()[0].n_instances == 6


def test_a_cache_that_cannot_be_written_is_no_obstacle(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert open_store(root, tmp_path / "file").studies()[0].n_instances == 6


def test_progress_is_told(root: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    open_store(root, tmp_path / "cache", progress=lambda done, total: told.append((done, total)))
    assert told[0] == (1, 6)
    assert told[-1] == (6, 6)


def test_many_threads_may_ask_while_files_come_in(root: Path, tmp_path: Path) -> None:
    store = _open(root, tmp_path)
    stop = threading.Event()

    def keep_writing() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            paths = write_dicom_series(
                root / f"n{number}", GRID, sample(GRID)[:1], SeriesInstanceUID=f"1.2.826.8.{number}"
            )
            store.add(paths[0])
            store.refresh(force=True)

    def ask(_: int) -> int:
        assert store.find(FLAIR).n_instances == 5
        return len(store.series())

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            assert min(pool.map(ask, range(200))) >= 2
    finally:
        stop.set()
        writer.join()


# ---- a PACS -----------------------------------------------------------------------------------------------------


def _files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.dcm"))


def test_a_pacs_answers_as_the_folder_does(root: Path, tmp_path: Path) -> None:
    local = _open(root, tmp_path)
    with orthanc(tmp_path / "orthanc", _files(root)) as address:
        store = open_store(address, tmp_path / "cache")
        assert isinstance(store, RemoteStore)
        assert isinstance(store, DicomStore)
        assert set(store.states()) == set(local.states()) == {s.series_uid for s in local.series()}
        assert not list((tmp_path / "cache").rglob("*.dcm"))  # to tell whether something has changed fetches nothing
        assert {s.study_uid for s in store.studies()} == {STUDY}
        assert {(s.series_uid, s.description, s.patient_name, s.n_instances) for s in store.series(STUDY)} == {
            (s.series_uid, s.description, s.patient_name, s.n_instances) for s in local.series(STUDY)
        }
        assert {(s.study_uid, s.series_uid, s.patient_id) for s in store.series()} == {
            (s.study_uid, s.series_uid, s.patient_id) for s in local.series()
        }
        for uid in (FLAIR, T1):
            fetched, own = store.files(uid), local.files(uid)
            for one, other in zip(fetched, own, strict=True):
                np.testing.assert_array_equal(pydicom.dcmread(one).pixel_array, pydicom.dcmread(other).pixel_array)
        for ask in (store.find, store.files, store.series):
            with pytest.raises(NotFoundError):
                ask("1.9.9")


def test_a_fetched_series_is_not_fetched_again_until_it_grows(root: Path, tmp_path: Path) -> None:
    files = _files(root)
    with orthanc(tmp_path / "orthanc", files[:-2]) as address:
        store = open_store(address, tmp_path / "cache")
        first = store.files(FLAIR)
        state = {path: path.stat().st_mtime_ns for path in first}
        assert {path: path.stat().st_mtime_ns for path in store.files(FLAIR)} == state
        body = next(path for path in files[-2:] if path.parent.name == "a").read_bytes()
        urllib.request.urlopen(f"{address.removesuffix('/dicom-web')}/instances", data=body).close()
        assert len(store.files(FLAIR)) == len(first) + 1


def test_an_interrupted_download_does_not_count(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with orthanc(tmp_path / "orthanc", _files(root)) as address:
        store = open_store(address, tmp_path / "cache")
        save = pydicom.Dataset.save_as
        left = [2]

        def fail_later(self: pydicom.Dataset, *args: object, **options: object) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(28, "No space left on device")
            save(self, *args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(pydicom.Dataset, "save_as", fail_later)
        with pytest.raises(OSError, match="No space"):
            store.files(FLAIR)
        monkeypatch.undo()
        assert not list((tmp_path / "cache").rglob("*.dcm"))
        assert len(store.files(FLAIR)) == 5


def test_an_archive_that_is_down_is_said_without_its_password(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        store = open_store("http://doctor:s3cret@127.0.0.1:9/dicom-web", tmp_path / "cache")
        with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9/dicom-web cannot be reached") as caught:
            store.studies()
    assert "s3cret" not in caplog.text + str(caught.value) + repr(store.__dict__)
    assert "s3cret" not in repr(Credentials("doctor", "s3cret", "t0ken"))


def test_credentials_come_from_the_address_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert without_credentials("https://a:b@pacs.example:8443/dicom-web/?x=1") == "https://pacs.example:8443/dicom-web"
    assert Credentials.of("https://a:b%40c@pacs/").session().auth == ("a", "b@c")
    monkeypatch.setenv(remote_module.TOKEN_VARIABLE, "t0ken")
    assert Credentials.of("https://pacs/").session().headers["Authorization"] == "Bearer t0ken"
    monkeypatch.setenv(remote_module.USER_VARIABLE, "u")
    monkeypatch.setenv(remote_module.PASSWORD_VARIABLE, "p")
    assert Credentials.of("https://pacs/").session().auth == ("u", "p")


@pytest.mark.skipif(os.environ.get("TUMORSEG_DATA") is None, reason="TUMORSEG_DATA does not name the real data")
def test_real_enhanced_studies_are_listed(tmp_path: Path) -> None:
    store = open_store(Path(os.environ["TUMORSEG_DATA"]) / "nema_brtum", tmp_path / "cache")
    assert [series.description for series in store.series()] == [
        "* FLAIR AXIAL",
        "* T2 FSE AXIAL",
        "* T1 AXIAL PRE GAD",
        "* T1 AXIAL POST GAD",
    ]
