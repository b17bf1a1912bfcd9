"""Answers that are kept for a while: as they were, one a person and image, never more than there is room for."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from tumorseg.adapters.learning.proposals import DAYS, Proposals
from tumorseg.geometry import Grid
from tumorseg.types import Segmentation

GRID = Grid((3, 4, 5), np.diag([0.5, 0.5, 2.0, 1.0]))


def mask(value: int = 1, k: int = 1) -> Segmentation:
    voxels = np.zeros(GRID.shape, np.uint8)
    voxels[k, 1:3, 2:4] = value
    return Segmentation(voxels, GRID, {"core": 1, "oedema": 2})


def keep(kept: Proposals, image: str = "one", holder: str = "ann", value: int = 1, version: str = "v1") -> None:
    kept.keep(image, holder, mask(value), "tiny", version, 12.5)


def test_an_answer_comes_back_as_it_was(tmp_path: Path) -> None:
    keep(Proposals(tmp_path / "p", "here"))
    found = Proposals(tmp_path / "p", "here").find("one", "ann")
    assert found is not None
    assert (found.model, found.version, found.given) == ("tiny", "v1", 12.5)
    assert np.array_equal(found.voxels, mask().voxels)
    assert np.array_equal(found.affine, GRID.affine)
    assert [int(found.masks[name].sum()) for name in ("core", "oedema")] == [4, 0]  # a class not found is empty


def test_others_on_the_machine_cannot_look_at_the_masks(tmp_path: Path) -> None:
    keep(Proposals(tmp_path / "learning" / "p", "here"))
    assert [folder.stat().st_mode & 0o077 for folder in (tmp_path / "learning", tmp_path / "learning" / "p")] == [0, 0]


@pytest.mark.parametrize("voxels", [np.zeros((3, 4, 5), np.uint8), np.full((3, 4, 5), 2, np.uint8)])
def test_nothing_marked_and_everything_marked(tmp_path: Path, voxels: np.ndarray) -> None:
    kept = Proposals(tmp_path, "here")
    kept.keep("one", "ann", Segmentation(voxels, GRID, {"oedema": 2}), "tiny", "v1", 0.0)
    found = kept.find("one", "ann")
    assert found is not None
    assert np.array_equal(found.voxels, voxels)


def test_the_last_answer_counts_and_each_person_has_their_own(tmp_path: Path) -> None:
    kept = Proposals(tmp_path, "here")
    keep(kept, version="old")
    keep(kept, version="new")
    keep(kept, holder="bob", version="of bob")
    found = [kept.find("one", who) for who in ("ann", "bob", "eve")]
    assert [one and one.version for one in found] == ["new", "of bob", None]
    assert len(list(tmp_path.iterdir())) == 2


def test_where_nobody_signs_in_the_newest_answer_of_anybody_is_taken(tmp_path: Path) -> None:
    kept = Proposals(tmp_path, "here")
    keep(kept, holder="slicer 1", version="first")
    for path in tmp_path.iterdir():
        os.utime(path, (1, 1))
    keep(kept, holder="slicer 2", version="second")
    found = kept.find("one", "local", anyone=True)
    assert found is not None
    assert found.version == "second"
    mine = kept.find("one", "slicer 1", anyone=True)
    assert mine is not None
    assert mine.version == "first"


def test_studies_that_share_a_state_folder_and_names_of_images_are_kept_apart(tmp_path: Path) -> None:
    keep(Proposals(tmp_path, "here"))
    assert Proposals(tmp_path, "there").find("one", "ann") is None


def test_the_oldest_make_way_by_number_and_by_size(tmp_path: Path) -> None:
    kept = Proposals(tmp_path, "here")
    for number in range(4):
        keep(kept, image=str(number))
        for path in tmp_path.iterdir():
            os.utime(path, (path.stat().st_mtime - 10,) * 2)
    keep(Proposals(tmp_path, "here", most=3), image="new")
    assert [name for name in ("0", "1", "2", "3", "new") if kept.find(name, "ann")] == ["2", "3", "new"]
    keep(Proposals(tmp_path, "here", most_bytes=1), image="newer")
    assert [name for name in ("2", "3", "new", "newer") if kept.find(name, "ann")] == ["newer"]


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    keep(Proposals(tmp_path, "here"), image="old")
    long_ago = time.time() - (DAYS + 1) * 86400
    for path in tmp_path.iterdir():
        os.utime(path, (long_ago, long_ago))
    kept = Proposals(tmp_path, "here")
    keep(kept, image="new")
    assert kept.find("old", "ann") is None
    assert kept.find("new", "ann") is not None


@pytest.mark.parametrize("damage", [b"", b"no archive", b"PK\x03\x04"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, damage: bytes) -> None:
    kept = Proposals(tmp_path, "here")
    keep(kept)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for content in (damage, whole[: len(whole) // 2]):
        path.write_bytes(content)
        assert kept.find("one", "ann") is None


def test_a_file_with_one_wrong_byte_is_never_an_error_and_never_another_answer(tmp_path: Path) -> None:
    """zlib's own error, which is no OSError, took the time that a label cost with it."""
    kept = Proposals(tmp_path, "here")
    keep(kept)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    lost = 0
    for place in range(0, len(whole), 2):
        path.write_bytes(whole[:place] + bytes([255 - whole[place]]) + whole[place + 1 :])
        found = kept.find("one", "ann")
        lost += found is None
        assert found is None or np.array_equal(found.voxels, mask().voxels)
    assert lost > len(whole) // 8
