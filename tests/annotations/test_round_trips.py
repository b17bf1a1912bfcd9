"""Every format gives back what it was given: pictures byte for byte, regions pixel for pixel, words word for word."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.annotations.sets import random_set
from tumorseg.annotations import Picture, PictureSet, open_pictures
from tumorseg.annotations.open import annotation_format
from tumorseg.registry import ANNOTATIONS

ALL = ("polygon", "polygons", "mask", "box")
#: format -> the kinds of regions that it holds one for one, and whether it holds their attributes.
KINDS = {
    "via": (("polygon", "box"), True),
    "coco": (ALL, True),
    "voc": (ALL, True),
    "mask_folders": (ALL, False),
    "datastore": (ALL, True),
}


def write(pictures: PictureSet, format: str, folder: Path) -> PictureSet:
    folder.mkdir()
    annotation_format(format).write(pictures, folder)
    return open_pictures(folder, format)


def by_pixels(pictures: PictureSet) -> dict[bytes, Picture]:
    """Pictures by their files' bytes: formats may call them differently."""
    return {picture.path.read_bytes(): picture for picture in pictures}


def assert_same_regions(one: PictureSet, other: PictureSet, attributes: bool) -> None:
    ours, theirs = by_pixels(one), by_pixels(other)
    assert ours.keys() == theirs.keys()
    for content, picture in ours.items():
        back = theirs[content]
        assert (back.width, back.height, back.labelled) == (picture.width, picture.height, picture.labelled)
        assert len(back.regions) == len(picture.regions)
        for a, b in zip(picture.regions, back.regions, strict=True):
            assert a.label == b.label
            np.testing.assert_array_equal(
                a.bitmap(picture.height, picture.width), b.bitmap(picture.height, picture.width)
            )
            if attributes:
                np.testing.assert_allclose(a.bounds(), b.bounds(), atol=1e-9)
                assert {**b.attributes, **a.attributes} == dict(b.attributes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("format", sorted(KINDS))
def test_random_sets_come_back(format: str, seed: int, tmp_path: Path) -> None:
    kinds, attributes = KINDS[format]
    made = random_set(tmp_path / "made", kinds, seed=seed)
    back = write(made, format, tmp_path / "written")
    assert not back.problems
    # A VIA file cannot say that a picture without regions was looked at.
    if format == "via":
        made = made.replace(p if p.regions else without_look(p) for p in made)
    assert_same_regions(made, back, attributes)


def without_look(picture: Picture) -> Picture:
    return replace(picture, labelled=False)


@pytest.mark.parametrize("format", sorted(KINDS))
def test_what_was_written_is_written_the_same_again(format: str, tmp_path: Path) -> None:
    kinds, _ = KINDS[format]
    first = write(random_set(tmp_path / "made", kinds, seed=11), format, tmp_path / "first")
    write(first, format, tmp_path / "second")
    assert files(tmp_path / "first") == files(tmp_path / "second")


@pytest.mark.parametrize("through", sorted(KINDS))
@pytest.mark.parametrize("format", ["coco", "voc", "mask_folders"])
def test_from_one_format_into_another(format: str, through: str, tmp_path: Path) -> None:
    first = write(random_set(tmp_path / "made", ["polygon"], seed=5), through, tmp_path / "through")
    second = write(first, format, tmp_path / "format")
    assert_same_regions(first, second, attributes=False)


@pytest.mark.parametrize("format", sorted(ANNOTATIONS))
def test_the_format_is_recognised(format: str, tmp_path: Path) -> None:
    made = random_set(tmp_path / "made", ["polygon"], seed=2, labels=("tumor",))
    (tmp_path / "written").mkdir()
    annotation_format(format).write(made, tmp_path / "written")
    assert open_pictures(tmp_path / "written").format == format


def test_kaggle_slices(tmp_path: Path) -> None:
    made = random_set(tmp_path / "made", ["mask"], seed=3, labels=("tumor",))
    first = write(made, "kaggle_3m", tmp_path / "first")
    for picture in first:
        original = next(p for p in made if p.id.replace("/", "__") == picture.patient)
        shape = (picture.height, picture.width)
        union = np.zeros(shape, bool)
        for region in original.regions:
            union |= region.bitmap(*shape)
        back = np.zeros(shape, bool)
        for region in picture.regions:
            back |= region.bitmap(*shape)
        np.testing.assert_array_equal(union, back)
    write(first, "kaggle_3m", tmp_path / "second")
    assert files(tmp_path / "first") == files(tmp_path / "second")


def files(folder: Path) -> dict[str, object]:
    """Name -> bytes of all files; of JSON what it says, since the order of members says nothing."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): content(path) for path in found}


def content(path: Path) -> object:
    return json.loads(path.read_bytes()) if path.suffix == ".json" else path.read_bytes()
