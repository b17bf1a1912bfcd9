from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as reference
from pycocotools.coco import COCO

from tests.annotations.sets import blob, random_set, save_picture
from tumorseg.annotations import open_pictures
from tumorseg.annotations.coco_write import write
from tumorseg.annotations.rle import decode, encode
from tumorseg.errors import InputError

SIZE = (20, 16)
SQUARE = [[2, 3, 8, 3, 8, 9, 2, 9]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_picture(tmp_path / "set" / "images" / "0.png", SIZE, np.random.default_rng(0))
    return tmp_path / "set"


def coco(*annotations: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A set of one picture; annotations get ids, image and category."""
    said = {"image_id": 7, "category_id": 3}
    return {
        "info": {"year": 2026},
        "images": [{"id": 7, "file_name": "0.png", "width": 20, "height": 16, "license": 1}],
        "annotations": [{"id": number, **said, **a} for number, a in enumerate(annotations, start=100)],
        "categories": [{"id": 3, "name": "cyst", "supercategory": "lesion"}],
        **more,
    }


def annotate(folder: Path, value: Any, file: str = "annotations/instances.json") -> Path:
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(json.dumps(value))
    return folder


def uncompressed(mask: np.ndarray) -> dict[str, Any]:
    runs = [(value, len(list(run))) for value, run in itertools.groupby(mask.T.ravel().tolist())]
    counts = [length for _, length in runs]
    return {"size": list(mask.shape), "counts": [0, *counts] if runs[0][0] else counts}


@pytest.mark.parametrize("kind", ["polygon", "compressed", "uncompressed", "crowd"])
def test_segmentations(kind: str, folder: Path) -> None:
    mask = np.zeros((16, 20), bool)
    mask[3:9, 2:8] = True
    outline: dict[str, Any] = {
        "polygon": {"segmentation": SQUARE},
        "compressed": {"segmentation": encode(mask)},
        "uncompressed": {"segmentation": uncompressed(mask)},
        "crowd": {"segmentation": uncompressed(mask), "iscrowd": 1},
    }[kind]
    said = {**outline, "bbox": [2, 3, 6, 6], "area": 36, "score": 0.123456789}
    pictures = open_pictures(annotate(folder, coco(said)))
    (picture,) = pictures
    (region,) = picture.regions
    assert (pictures.format, pictures.labels, region.label) == ("coco", ("cyst",), "cyst")
    np.testing.assert_array_equal(region.bitmap(16, 20), mask)
    np.testing.assert_array_equal(region.bounds(), [2, 3, 8, 9])
    assert region.attributes["score"] == 0.123456789
    out = folder.parent / "out"
    out.mkdir()
    write(pictures, out)
    file = "annotations/instances.json"
    assert json.loads((out / file).read_text()) == json.loads((folder / file).read_text())
    assert (out / "images" / "0.png").read_bytes() == (folder / "images" / "0.png").read_bytes()


@pytest.mark.parametrize("seed", range(10))
def test_run_lengths_are_those_of_the_reference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 30, 2)) < rng.random()
    ours = encode(mask)
    np.testing.assert_array_equal(reference.decode(ours).astype(bool), mask)
    np.testing.assert_array_equal(decode(ours, mask.shape), mask)
    np.testing.assert_array_equal(decode(uncompressed(mask), mask.shape), mask)


def test_what_we_write_is_read_by_the_reference(tmp_path: Path) -> None:
    made = random_set(tmp_path / "made", ["polygon", "mask", "polygons"], seed=4)
    (tmp_path / "out").mkdir()
    write(made, tmp_path / "out")
    theirs = COCO(str(tmp_path / "out" / "annotations.json"))
    assert len(theirs.imgs) == len(made)
    for image_id, image in theirs.imgs.items():
        picture = next(p for p in made if image["file_name"].startswith(p.id))
        found = theirs.loadAnns(theirs.getAnnIds(imgIds=image_id))
        assert len(found) == len(picture.regions)
        for annotation, region in zip(found, picture.regions, strict=True):
            ours, mask = region.bitmap(picture.height, picture.width), theirs.annToMask(annotation).astype(bool)
            # The reference counts pixels that a polygon touches a little differently; masks are the same.
            assert (ours != mask).sum() <= (0 if region.mask is not None else 0.2 * ours.sum())
            assert annotation["area"] == ours.sum()
            x, y, width, height = annotation["bbox"]
            np.testing.assert_allclose(region.bounds(), [x, y, x + width, y + height])


def test_a_box_alone(folder: Path) -> None:
    (picture,) = open_pictures(annotate(folder, coco({"bbox": [1.5, 2, 4, 5], "segmentation": []})))
    np.testing.assert_array_equal(picture.regions[0].bounds(), [1.5, 2, 5.5, 7])
    assert picture.regions[0].bitmap(16, 20).sum() == 20


def test_a_picture_that_is_listed_without_annotation_was_looked_at(folder: Path) -> None:
    save_picture(folder / "images" / "other.png", SIZE, np.random.default_rng(2))
    pictures = open_pictures(annotate(folder, coco()))
    assert [(picture.id, picture.labelled) for picture in pictures] == [("images/0", True), ("images/other", False)]


def test_patients_are_taken_where_they_are_named(folder: Path) -> None:
    value = coco()
    value["images"][0]["patient_id"] = 12
    assert open_pictures(annotate(folder, value))[0].patient == "12"


def test_the_file_says_which_of_two_pictures_of_one_name(tmp_path: Path) -> None:
    for part in ("train2017", "train", "val"):
        save_picture(tmp_path / part / "0.png", SIZE, np.random.default_rng(len(part)))
    annotate(tmp_path, coco({"segmentation": SQUARE}), "annotations/instances_val.json")
    assert [picture.id for picture in open_pictures(tmp_path).labelled()] == ["val/0"]


def test_pictures_beside_their_json(tmp_path: Path) -> None:
    save_picture(tmp_path / "train" / "0.png", SIZE, np.random.default_rng(0))
    annotate(tmp_path, coco({"segmentation": SQUARE}), "train/_annotations.coco.json")
    (picture,) = open_pictures(tmp_path)
    assert picture.attributes["split"] == "train"


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        ({"segmentation": [[1, 1, 5, 5]]}, "has 2 points"),
        ({"segmentation": [[1, 1, 5, 5, 3]]}, "expected a polygon"),
        ({"segmentation": [["a", 1, 5, 5, 3, 3]]}, "expected a polygon"),
        ({"segmentation": {"size": [16, 20], "counts": [5, 5]}}, "counts 10 pixels"),
        ({"segmentation": {"size": [4, 4], "counts": [16]}}, "a mask of 4 x 4"),
        ({"segmentation": {"size": [16, 20], "counts": "~~~~~~~~~~"}}, "run-length"),
        ({"segmentation": {"size": [10**9, 10**9], "counts": "1"}}, "a mask of 1000000000 x"),
        ({"segmentation": True}, "expected a segmentation"),
        ({"segmentation": {"counts": [16]}}, "lacks or misspells 'size'"),
        ({"bbox": [1, 1, 0, 4]}, "encloses nothing"),
        ({"bbox": [1, 1, 4]}, "expected a bbox"),
        ({}, "neither segmentation nor bbox"),
        ({"segmentation": SQUARE, "category_id": 99}, "unknown category 99"),
    ],
)
def test_a_bad_annotation_names_the_picture(annotation: dict[str, Any], says: str, folder: Path) -> None:
    annotate(folder, coco(annotation))
    with pytest.raises(InputError, match=says) as caught:
        open_pictures(folder)
    assert "0.png" in str(caught.value)
    assert len(open_pictures(folder, keep_going=True).labelled()) == 0


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda value: value.pop(key)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda value: value["images"].clear(), "lists no images"),
        (lambda value: value["images"][0].pop("file_name"), "lacks an id or a file_name"),
        (lambda value: value["images"][0].update(id=[7]), "lacks an id or a file_name"),
        (lambda value: value["annotations"][0].update(image_id={}), "which is not listed"),
        (lambda value: value["images"][0].update(width=21), r"0\.png: is 20 x 16 pixels, .* says 21 x 16"),
        (lambda value: value["images"][0].update(file_name="1.png"), r"1\.png: annotated, but there is no such file"),
        (lambda value: value["annotations"].append({"id": 1, "image_id": 99}), "of image 99, which is not listed"),
        (without("categories"), "expected categories as a JSON array"),
    ],
)
def test_a_bad_set_names_the_file(change: Callable[[Any], Any], says: str, folder: Path) -> None:
    value = coco({"segmentation": SQUARE})
    change(value)
    annotate(folder, value)
    with pytest.raises(InputError, match=says):
        open_pictures(folder)


def test_overlapping_masks_stay_two(folder: Path) -> None:
    one = blob(SIZE, np.random.default_rng(0))
    (picture,) = open_pictures(annotate(folder, coco({"segmentation": encode(one)}, {"segmentation": encode(one)})))
    for region in picture.regions:
        np.testing.assert_array_equal(region.bitmap(16, 20), one)
