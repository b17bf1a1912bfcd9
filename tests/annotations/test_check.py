"""What is found wrong, with small sets that have exactly one thing wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorseg.annotations import Picture, PictureSet, Region
from tumorseg.annotations.check import check_pictures
from tumorseg.annotations.duplicates import find_duplicates, fingerprint, twins

SQUARE = np.array([[2, 3], [8, 3], [8, 9], [2, 9]], float)


def scene(seed: int, size: tuple[int, int] = (96, 80)) -> np.ndarray:
    """A smooth picture (H, W) uint8 such as a scanner makes, different for every seed."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).normal(size=size[::-1]), 6)
    field -= field.min()
    return (field * (255 / field.max())).astype(np.uint8)


def save(path: Path, pixels: np.ndarray, **options: int) -> Picture:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return Picture(path.name, path, pixels.shape[1], pixels.shape[0])


def mask_of(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    mask = np.zeros((80, 96), bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def one(tmp_path: Path, *regions: Region) -> PictureSet:
    return PictureSet(tmp_path, "test", [replace(save(tmp_path / "a.png", scene(0)), regions=regions)])


@pytest.mark.parametrize(
    ("region", "kinds"),
    [
        (Region("tumor", (SQUARE,)), []),
        (Region("tumor", (SQUARE - 2.5,)), []),  # a click on the border
        (Region("tumor", (SQUARE - 5,)), ["out_of_bounds"]),
        (Region("tumor", (SQUARE + np.array([91, 0]),)), ["out_of_bounds"]),
        (Region("tumor", (SQUARE + 500,)), ["out_of_bounds", "covers_no_pixel"]),
        (Region("tumor", (SQUARE[[0, 2, 1, 3]],)), ["self_intersecting"]),
        (Region("tumor", (SQUARE * 0.05 + 5,)), ["covers_no_pixel"]),
        (Region("tumor", box=np.array([90, 70, 99, 82.0])), ["out_of_bounds"]),
        (Region("tumor", mask=np.zeros((80, 96), bool)), ["covers_no_pixel"]),
        (Region("tumor", mask=mask_of((10, 10, 40, 40), (39, 41, 40, 42))), []),  # a lone pixel
        (Region("tumor", mask=mask_of((10, 10, 40, 40), (60, 10, 70, 20))), ["several_parts"]),
    ],
)
def test_outlines(region: Region, kinds: list[str], tmp_path: Path) -> None:
    found = check_pictures(one(tmp_path, region))
    assert [problem.kind for problem in found.problems] == kinds
    assert len(found) == 1


def test_unknown_classes_leave_the_picture_out(tmp_path: Path) -> None:
    pictures = one(tmp_path, Region("tumour", (SQUARE,)))
    found = check_pictures(pictures, ["tumor", "cyst"])
    assert len(found) == 0
    assert found.labels == ("tumor", "cyst")
    assert "unknown class 'tumour'; expected tumor, cyst" in str(found.problems[0])
    assert len(check_pictures(pictures, ["tumour"])) == 1


def test_a_picture_cut_off_in_its_pixels(tmp_path: Path) -> None:
    pictures = one(tmp_path)
    path = pictures[0].path
    path.write_bytes(path.read_bytes()[:-500])
    found = check_pictures(pictures)
    assert [problem.kind for problem in found.problems] == ["unreadable_picture"]
    assert len(found) == 0


def test_the_same_pixels_in_another_file_format(tmp_path: Path) -> None:
    grey = scene(1)
    pictures = [
        save(tmp_path / "a.png", grey),
        save(tmp_path / "b.png", scene(2)),
        save(tmp_path / "c.bmp", grey),
        save(tmp_path / "d.png", np.repeat(grey[..., None], 3, axis=2)),
    ]
    found = find_duplicates(pictures, [None] * 4)
    assert [(problem.file.name, problem.kind) for problem in found] == [("c.bmp", "duplicate"), ("d.png", "duplicate")]


@pytest.mark.parametrize("change", ["jpeg", "scaled", "brighter", "mirrored"])
def test_nearly_the_same(change: str, tmp_path: Path) -> None:
    grey = scene(3)
    first = save(tmp_path / "a.png", grey)
    others = [save(tmp_path / f"{seed}.png", scene(seed)) for seed in range(10, 30)]
    second = {
        "jpeg": lambda: save(tmp_path / "b.jpg", grey, quality=30),
        "scaled": lambda: save(tmp_path / "b.png", np.asarray(Image.fromarray(grey).resize((150, 120)))),
        "brighter": lambda: save(tmp_path / "b.png", (40 + grey * 0.7).astype(np.uint8)),
        "mirrored": lambda: save(tmp_path / "b.png", np.ascontiguousarray(grey[:, ::-1])),
    }[change]()
    found = find_duplicates([first, *others, second], ["train"] * 21 + ["val"])
    assert [(problem.file, problem.kind) for problem in found] == [(second.path, "near_duplicate_across_splits")]
    assert str(first.path) in found[0].message
    assert ("mirrored" in found[0].message) == (change == "mirrored")


def test_neighbouring_slices_of_a_patient_are_no_duplicates(tmp_path: Path) -> None:
    grey = scene(4)
    first = replace(save(tmp_path / "a.png", grey), patient="p")
    second = replace(save(tmp_path / "b.png", (grey * 0.9).astype(np.uint8)), patient="p")
    assert find_duplicates([first, second], ["", ""]) == []
    assert len(find_duplicates([first, replace(second, patient="q")], ["", ""])) == 1


def test_empty_pictures_are_compared_by_their_pixels_alone(tmp_path: Path) -> None:
    black = np.zeros((20, 20), np.uint8)
    pictures = [save(tmp_path / f"{value}.png", black + value) for value in range(5)]
    assert find_duplicates(pictures, [None] * 5) == []


def test_thousands_are_compared_by_twos() -> None:
    rng = np.random.default_rng(0)
    prints = [fingerprint(rng.integers(0, 256, (8, 8), dtype=np.uint8)) for _ in range(1200)]
    prints.append(prints[17])
    assert [(twin.first, twin.second, twin.exact) for twin in twins(prints)] == [(17, 1200, True)]
