from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.annotations.sets import save_picture
from tumorseg.annotations import open_pictures
from tumorseg.annotations.voc_write import write
from tumorseg.errors import InputError

OBJECT = """<object><name>cyst</name><pose>Left</pose><truncated>0</truncated><difficult>1</difficult>
<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>8</xmax><ymax>9</ymax></bndbox>
<part><name>wall</name><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>5</xmax><ymax>9</ymax></bndbox></part></object>"""


def annotation(*objects: str, width: int = 20, filename: str = "0.png") -> str:
    size = f"<size><width>{width}</width><height>16</height><depth>1</depth></size>"
    source = "<source><database>ours &amp; theirs</database></source>"
    return f"<annotation><filename>{filename}</filename>{source}{size}{''.join(objects)}</annotation>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    save_picture(root / "JPEGImages" / "0.png", (20, 16), np.random.default_rng(0))
    (root / "Annotations").mkdir()
    return root


def annotate(folder: Path, text: str, name: str = "0.xml") -> Path:
    (folder / "Annotations" / name).write_text(text)
    return folder


def test_boxes_count_from_one_and_hold_their_last_pixel(folder: Path) -> None:
    (picture,) = open_pictures(annotate(folder, annotation(OBJECT)))
    (region,) = picture.regions
    np.testing.assert_array_equal(region.bounds(), [2, 3, 8, 9])
    assert region.bitmap(16, 20).sum() == 36
    assert dict(region.attributes) == {"pose": "Left", "truncated": 0, "difficult": 1}


def test_what_was_read_is_written_word_for_word(folder: Path) -> None:
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "val.txt").write_text("0\n")
    pictures = open_pictures(annotate(folder, annotation(OBJECT)))
    assert pictures[0].attributes["split"] == "val"
    out = folder.parent / "out"
    out.mkdir()
    write(pictures, out)
    words = (out / "Annotations" / "0.xml").read_text().replace("<?xml version='1.0' encoding='utf-8'?>", "")
    assert "".join(words.split()) == "".join(annotation(OBJECT).split())
    assert (out / "ImageSets" / "Main" / "val.txt").read_text() == "0\n"


def test_object_masks_belong_to_objects_by_number(folder: Path) -> None:
    numbers = np.zeros((16, 20), np.uint8)
    numbers[4:8, 3:6] = 1
    numbers[10:12, 10:14] = 2
    numbers[0] = 255  # the border that VOC leaves undecided
    (folder / "SegmentationObject").mkdir()
    Image.fromarray(numbers).convert("P").save(folder / "SegmentationObject" / "0.png")
    pictures = open_pictures(annotate(folder, annotation(OBJECT, OBJECT)))
    assert [region.bitmap(16, 20).sum() for region in pictures[0].regions] == [12, 8]
    out = folder.parent / "out"
    out.mkdir()
    write(pictures, out)
    back = open_pictures(out)[0].regions
    for region, before in zip(back, pictures[0].regions, strict=True):
        np.testing.assert_array_equal(region.bitmap(16, 20), before.bitmap(16, 20))


def test_pictures_and_xml_in_one_folder(tmp_path: Path) -> None:
    save_picture(tmp_path / "train" / "a.png", (20, 16), np.random.default_rng(0))
    save_picture(tmp_path / "train" / "b.png", (20, 16), np.random.default_rng(1))
    (tmp_path / "train" / "a.xml").write_text(annotation(OBJECT, filename="a"))
    pictures = open_pictures(tmp_path)
    assert [(p.id, p.labelled, p.attributes["split"]) for p in pictures] == [
        ("train/a", True, "train"),
        ("train/b", False, "train"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"0\.xml is no valid XML"),
        ("<annotation><object>", r"0\.xml is no valid XML"),
        ("<annotations/>", r"0\.xml: expected <annotation>"),
        (annotation(OBJECT.replace("<name>cyst</name>", "")), r"0\.xml: object 1: it has no name"),
        (annotation(OBJECT.replace("<xmax>8</xmax>", "<xmax>1</xmax>", 1)), "encloses nothing"),
        (annotation(OBJECT.replace("<xmax>8</xmax>", "", 1)), "expected a bndbox"),
        (annotation("<object><name>x</name></object>"), "expected a bndbox"),
        (annotation("<object><name>x</name><polygon><pt><x>1</x><y>2</y></pt></polygon></object>"), "has 1 points"),
        (annotation(OBJECT, width=21), r"0\.png: is 20 x 16 pixels, 0\.xml says 21 x 16"),
        (annotation(OBJECT, filename="gone.png").replace("0.png", "1.png"), None),
    ],
)
def test_bad_files_are_named(text: str, says: str | None, folder: Path) -> None:
    annotate(folder, text)
    if says is None:  # the picture is called as the XML file, whatever that says
        assert len(open_pictures(folder)) == 1
        return
    with pytest.raises(InputError, match=says):
        open_pictures(folder)


def test_a_missing_picture_is_named(folder: Path) -> None:
    annotate(folder, annotation(OBJECT, filename="1.png"), "1.xml")
    with pytest.raises(InputError, match=r"JPEGImages/1\.png: annotated, but there is no such file"):
        open_pictures(folder)
