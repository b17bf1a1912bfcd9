"""Pictures and pages: what is drawn is where it should be, and a page needs nothing but itself."""

from __future__ import annotations

import csv
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from tests.evaluation.detection.test_figures import CLASSES, RESULTS, report
from tests.evaluation.test_evaluate import HALF, HEALTHY, MODEL, PERFECT
from tumorseg.evaluation.detection.examine import examine
from tumorseg.evaluation.evaluate import evaluate
from tumorseg.evaluation.pages.panels import FOUND, SIDE, TITLES, TRUTH, five_panels
from tumorseg.evaluation.pages.pictures import pictures_page
from tumorseg.evaluation.pages.plots import Curve, plot
from tumorseg.evaluation.pages.tiles import GAP, HEAD, Mark, panel, side_by_side, tile
from tumorseg.evaluation.pages.volumes import page_sheet, volumes_page
from tumorseg.evaluation.predictions import PredictionTable
from tumorseg.io.palette import colour

LABELS = {name: value for value, name in enumerate(CLASSES, start=1)}
DARK = np.full((20, 20), 10, np.uint8)


class Strict(HTMLParser):
    """Notes every element that is opened and not closed, and what it would load."""

    EMPTY = frozenset({"meta", "img", "input", "br", "line", "rect", "polyline", "path", "use", "circle"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.loads += [values[name] for name in ("src", "href", "xlink:href") if values.get(name)]
        self.ids += [values["id"]] if "id" in values else []
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag


def checked(page: bytes) -> Strict:
    parser = Strict()
    parser.feed(page.decode())
    assert parser.open == []
    assert all(load.startswith(("data:", "#")) for load in parser.loads)
    assert len(set(parser.ids)) == len(parser.ids)
    assert b"$" not in page  # every placeholder is filled
    return parser


def pictures(name):
    """The stand-in results drawn, as tiles."""
    for result in RESULTS:
        drawn = side_by_side(DARK, result, LABELS, 0.5)
        yield tile(drawn, examine(result, 0.5), 0.5)


def test_a_mask_is_tinted_and_outlined_where_it_is():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    drawn = np.asarray(panel(DARK, [Mark(None, mask, (230, 75, 60), "")], side=200)).astype(int)
    assert drawn.shape == (200, 200, 3)
    assert drawn[20, 20].tolist() == [10, 10, 10]
    assert drawn[100, 100, 0] > drawn[100, 100, 2] + 10  # tinted inside
    assert drawn[100, 51].tolist() == [230, 75, 60]  # full strength at the edge


def test_a_box_lies_on_the_edges_of_its_pixels():
    drawn = np.asarray(panel(DARK, [Mark(np.array([5.0, 8, 15, 18]), None, (1, 200, 3), "x")], side=200))
    green = (drawn == (1, 200, 3)).all(axis=2)
    rows, columns = np.flatnonzero(green.sum(axis=1) > 90), np.flatnonzero(green.sum(axis=0) > 90)
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (80, 180, 50, 150)


def test_words_stay_inside_the_picture():
    marks = [Mark(np.array([18.0, 0, 20, 2]), None, (255, 255, 255), "a rather long class name, 0.99")]
    assert panel(DARK, marks, side=240).size == (240, 240)


def test_both_panels_in_one_file():
    picture = Image.open(io.BytesIO(side_by_side(DARK, RESULTS[1], LABELS, 0.5).png()))
    width = (picture.width - GAP) // 2
    assert picture.height == width + HEAD
    # The second lesion (12 to 18 of 20 pixels) is annotated left and not found right.
    at = (round(15 / 20 * width), HEAD + round(12 / 20 * width))
    assert picture.getpixel(at) == colour(LABELS["malignant"])
    assert picture.getpixel((at[0] + width + GAP, at[1])) != colour(LABELS["malignant"])


def test_tiles_say_what_happened():
    a, b, c, d, e = pictures("x")
    assert (a.right, a.overlap) == (True, 1.0)
    assert (b.missed, b.wrong, b.right) == (1, 0, False)
    assert "malignant: not found" in b.lines
    assert c.lines == ("benign, score 0.70: found (annotated as malignant), IoU of the box 1.00, outline 1.00",)
    assert (d.wrong, d.overlap) == (1, 0.0)
    assert (e.right, e.overlap, e.lines) == (True, 1.0, ("nothing annotated on this picture",))


def test_the_page_of_pictures():
    page = pictures_page(report(), list(pictures("x")), "test", 2)
    checked(page)
    text = page.decode()
    assert "2 of these pictures trained the model" in text
    assert "3 of 4" in text  # lesions found, whatever the class
    assert text.count("<figure class=") == 5
    worst = [f'style="--worst:{place};' in text for place in range(5)]
    assert all(worst)


def test_the_page_of_a_set_with_nothing_on_it():
    checked(pictures_page(report([RESULTS[4]]), [], "all", None))


def test_names_cannot_write_html():
    from dataclasses import replace

    bad = [replace(one, name="<img src=x>") for one in pictures("x")]
    assert "<img src=x>" not in pictures_page(report(), bad, "<b>all</b>", None).decode()


def test_the_page_of_patients():
    made = evaluate(MODEL, [PERFECT, HALF, HEALTHY])
    png = five_panels(HALF.image, HALF.truth, HALF.truth, "half")
    page = volumes_page(made, [page_sheet("half", png)], "test", None, published=False)
    checked(page)
    text = page.decode()
    assert '<a href="#half">' in text
    assert text.index("half</a>") < text.index("perfect<")  # the worst first
    assert "Hausdorff" not in text  # not defined without millimetres


def test_plots_take_the_colours_of_the_page():
    curve = Curve(np.array([0.0, 1.0]), np.array([1.0, 0.5]), "some")
    svg = plot([curve], ("recall", "precision"))
    assert svg.startswith("<svg")
    assert "var(--accent)" in svg
    assert "#0102" not in svg
    assert svg == plot([curve], ("recall", "precision"))  # the same curve is the same file


def test_five_panels():
    found = np.zeros_like(HALF.truth.voxels)
    found[3, 0, 0] = 1
    from dataclasses import replace

    sheet = Image.open(io.BytesIO(five_panels(HALF.image, HALF.truth, replace(HALF.truth, voxels=found), "half")))
    assert sheet.width == len(TITLES) * (SIDE + GAP) - GAP
    assert sheet.height == 2 * HEAD + 2 * (SIDE + GAP)  # slices 1 and 4, of four
    pixel = SIDE // 4  # of the volume, enlarged
    first, second = 2 * HEAD, 2 * HEAD + SIDE + GAP
    left = [column * (SIDE + GAP) for column in range(len(TITLES))]
    inside = (pixel // 2, pixel // 2)
    assert sheet.getpixel((left[1] + inside[0], first + inside[1])) == (255, 255, 255)
    assert sheet.getpixel((left[2] + inside[0], first + inside[1])) == (0, 0, 0)
    assert sheet.getpixel((left[2] + inside[0], second + inside[1])) == (255, 255, 255)
    assert _nearer(sheet.getpixel((left[3] + 1, first + inside[1])), TRUTH, FOUND)
    assert _nearer(sheet.getpixel((left[4] + 1, second + inside[1])), FOUND, TRUTH)


def _nearer(pixel, wanted, other):
    return np.abs(np.subtract(pixel, wanted)).sum() < np.abs(np.subtract(pixel, other)).sum()


def test_the_table_of_masks(tmp_path):
    table = PredictionTable(tmp_path / "out.csv")
    table.add(HALF, HALF.truth)
    table.finish()
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert list(rows[0]) == ["image_path", "predicted_mask", "has_mask"]
    assert [row["has_mask"] for row in rows] == ["1", "0", "0", "0"]
    mask = np.asarray(Image.open(tmp_path / rows[0]["predicted_mask"]))
    np.testing.assert_array_equal(mask > 0, HALF.truth.voxels[0] > 0)
    assert rows[1]["predicted_mask"] == ""


@pytest.mark.parametrize("score", [0.0, 0.95])
def test_thresholds_at_the_ends(score):
    checked(pictures_page(report(score=score), [], "all", None))
