"""Files of labels: whole, never changed, each content once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tumorseg.labels.objects import ObjectStore, digest_of, make_folder, write_durably


def test_content_is_kept_once_under_its_digest(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "objects")
    (tmp_path / "a").write_bytes(b"content")
    first = store.put(tmp_path / "a", ".nrrd")
    assert (first.sha256, first.size) == (hashlib.sha256(b"content").hexdigest(), 7)
    assert store.put(tmp_path / "a", ".nrrd") == first
    assert [path.name for path in store.files()] == [f"{first.sha256}.nrrd"]
    assert list((store.root / "incoming").iterdir()) == []


def test_it_is_a_copy_that_the_sender_cannot_change(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "objects")
    (tmp_path / "a").write_bytes(b"content")
    kept = store.place(store.put(tmp_path / "a", ".nrrd").sha256, ".nrrd")
    (tmp_path / "a").write_bytes(b"changed")
    assert kept.read_bytes() == b"content"
    assert kept.stat().st_nlink == 1


def test_a_damaged_file_is_written_anew(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "objects")
    (tmp_path / "a").write_bytes(b"content")
    kept = store.place(store.put(tmp_path / "a", ".nrrd").sha256, ".nrrd")
    for damage in (b"kontent", b"cont", b""):
        kept.chmod(0o644)
        kept.write_bytes(damage)
        store.put(tmp_path / "a", ".nrrd")
        assert kept.read_bytes() == b"content"


def test_a_digest_is_taken_anew_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for data in (b"one", b"two!", b"three"):
        path.write_bytes(data)
        assert digest_of(path) == hashlib.sha256(data).hexdigest()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    write_durably(tmp_path / "new" / "a", b"one")
    with pytest.raises(TypeError):
        write_durably(tmp_path / "new" / "a", "no bytes")  # type: ignore[arg-type]
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "new").iterdir()] == [("a", b"one")]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "a" / "b")
