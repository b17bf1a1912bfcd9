"""Boxes as 3D Slicer's markups; that Slicer reads them so is checked in tests/clients/test_slicer.py."""

from __future__ import annotations

import json

import numpy as np

from tests.dicom.phantoms import GRIDS
from tumorseg.geometry import oriented_box
from tumorseg.io.markups import Roi, markups_bytes
from tumorseg.io.palette import colour


def test_what_is_written_describes_the_box() -> None:
    box = oriented_box(GRIDS["permuted oblique"], np.array([3, 4, 5, 10.5, 9, 7]))
    document = json.loads(markups_bytes([Roi("tumor 0.90", box, 2, (("score", 0.9, ""), ("length", 12.5, "mm")))]))
    (markup,) = document["markups"]
    assert (markup["type"], markup["coordinateSystem"], markup["coordinateUnits"]) == ("ROI", "LPS", "mm")
    assert markup["name"] == markup["controlPoints"][0]["label"] == "tumor 0.90"
    axes = np.array(markup["orientation"]).reshape(3, 3)
    np.testing.assert_allclose(np.linalg.det(axes), 1)
    half = np.array(markup["size"]) / 2
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij")).reshape(3, -1).T
    np.testing.assert_allclose(markup["center"] + (signs * half) @ axes.T, box.corners())
    assert markup["display"]["selectedColor"] == [part / 255 for part in colour(2)]
    assert [(m["name"], m["value"], m["units"]) for m in markup["measurements"]] == [
        ("score", 0.9, ""),
        ("length", 12.5, "mm"),
    ]


def test_no_box_at_all() -> None:
    assert json.loads(markups_bytes([]))["markups"] == []
