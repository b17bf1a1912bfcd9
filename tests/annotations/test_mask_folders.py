from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.annotations.sets import save_picture
from tumorseg.annotations import open_pictures
from tumorseg.annotations.mask_folders_write import write
from tumorseg.errors import InputError

SIZE = (20, 16)


def save_mask(path: Path, rows: slice, mode: str = "L", size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((size[1], size[0]), np.uint8)
    mask[rows, 3:8] = 255
    grey = Image.fromarray(mask)
    if mode == "01":
        Image.fromarray(mask // 255).save(path)
    elif mode == "RGBA":
        opaque = np.full_like(mask, 255)
        Image.merge("RGBA", [grey, grey, grey, Image.fromarray(opaque)]).save(path)
    else:
        grey.convert(mode).save(path)


@pytest.fixture
def busi(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    rng = np.random.default_rng(0)
    for name in ("benign/benign (1)", "malignant/malignant (1)", "normal/normal (1)", "normal/normal (2)"):
        save_picture(root / f"{name}.png", SIZE, rng, "RGB")
    save_mask(root / "benign" / "benign (1)_mask.png", slice(2, 5))
    save_mask(root / "malignant" / "malignant (1)_mask.png", slice(2, 5))
    for number in range(1, 11):
        save_mask(root / "malignant" / f"malignant (1)_mask_{number}.png", slice(number, number + 3))
    save_mask(root / "normal" / "normal (1)_mask.png", slice(0, 0))
    return root


def test_the_folder_is_the_class(busi: Path) -> None:
    pictures = open_pictures(busi)
    assert (pictures.format, pictures.labels) == ("mask_folders", ("benign", "malignant"))
    assert [(p.id, len(p.regions), p.labelled) for p in pictures] == [
        ("benign/benign (1)", 1, True),
        ("malignant/malignant (1)", 11, True),
        ("normal/normal (1)", 0, True),
        ("normal/normal (2)", 0, True),
    ]
    assert {region.label for region in pictures[1].regions} == {"malignant"}
    # _mask_10 comes after _mask_9, not after _mask_1.
    assert [int(region.bounds()[1]) for region in pictures[1].regions] == [2, *range(1, 11)]
    assert not pictures.problems


@pytest.mark.parametrize("mode", ["1", "L", "01", "P", "RGB", "RGBA"])
def test_masks_of_every_mode(mode: str, tmp_path: Path) -> None:
    save_picture(tmp_path / "benign" / "x.png", SIZE, np.random.default_rng(0), "RGBA")
    save_mask(tmp_path / "benign" / "x_mask.png", slice(2, 5), mode)
    (picture,) = open_pictures(tmp_path)
    mask = picture.regions[0].bitmap(16, 20)
    assert mask.sum() == 15
    assert mask[2:5, 3:8].all()
    assert picture.pixels().shape == (16, 20, 3)


def test_written_as_it_was(busi: Path) -> None:
    out = busi.parent / "out"
    out.mkdir()
    write(open_pictures(busi), out)
    names = sorted(path.relative_to(busi).as_posix() for path in busi.rglob("*.png"))
    missing = "normal/normal (2)_mask.png"  # looked at, so an empty mask says so
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png")) == sorted([*names, missing])
    for name in names:
        np.testing.assert_array_equal(np.asarray(Image.open(busi / name)), np.asarray(Image.open(out / name)))


def test_a_mask_of_another_size(busi: Path) -> None:
    save_mask(busi / "benign" / "benign (1)_mask.png", slice(2, 5), size=(20, 17))
    with pytest.raises(InputError, match=r"benign \(1\)_mask\.png: is 20 x 17 pixels, its picture is 20 x 16"):
        open_pictures(busi)
    kept = open_pictures(busi, keep_going=True)
    assert "benign/benign (1)" not in [picture.id for picture in kept]


def test_a_damaged_mask(busi: Path) -> None:
    whole = (busi / "benign" / "benign (1)_mask.png").read_bytes()
    (busi / "benign" / "benign (1)_mask.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"benign \(1\)_mask\.png: cannot be read"):
        open_pictures(busi)


def test_a_mask_without_picture(busi: Path) -> None:
    (busi / "benign" / "benign (1).png").unlink()
    with pytest.raises(InputError, match=r"benign \(1\)\.png: has a mask, but there is no such picture"):
        open_pictures(busi)


def test_an_empty_mask_and_none_are_remarked_on(busi: Path) -> None:
    save_mask(busi / "benign" / "benign (1)_mask.png", slice(0, 0))
    for path in (busi / "malignant").glob("*_mask*"):
        path.unlink()
    pictures = open_pictures(busi)
    assert [problem.kind for problem in pictures.problems] == ["empty_mask", "unannotated_picture"]
    assert [picture.labelled for picture in pictures] == [True, False, True, True]


def test_two_classes_in_one_picture_have_no_folder(busi: Path) -> None:
    from dataclasses import replace

    from tumorseg.annotations import Region

    pictures = open_pictures(busi)
    mask = np.ones((16, 20), bool)
    both = replace(pictures[0], regions=(Region("a", mask=mask), Region("b", mask=mask)), attributes={})
    with pytest.raises(InputError, match="has regions of a, b"):
        write(pictures.replace([both]), busi.parent)
