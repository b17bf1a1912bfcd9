"""Points that 3D Slicer counted from the other end of the slices."""

from __future__ import annotations

import numpy as np
import pytest

from tests.dicom.phantoms import GRIDS, as_displayed
from tumorseg.adapters.interactive.handed import as_stored
from tumorseg.interactive.prompts import Box, Click

FIRST, LAST = (3, 5, 2), (7, 11, 9)


@pytest.mark.parametrize("name", GRIDS)
def test_a_point_that_slicer_counts_is_the_same_place_of_the_patient_in_the_file(name: str) -> None:
    stored, counted = GRIDS[name], as_displayed(GRIDS[name])
    (click, box) = as_stored([Click(FIRST, positive=False), Box(FIRST, LAST)], stored)
    assert isinstance(click, Click)
    assert isinstance(box, Box)
    assert not click.positive
    assert np.allclose(stored.points(np.array([click.at])), counted.points(np.array([FIRST])))
    corners = [stored.points(np.array([at]))[0] for at in (box.first, box.last)]
    wanted = [counted.points(np.array([at]))[0] for at in (FIRST, LAST)]
    diagonal = [np.linalg.norm(ends[1] - ends[0]) for ends in (corners, wanted)]
    assert np.allclose(sum(corners), sum(wanted))
    assert np.isclose(*diagonal) or not np.allclose(stored.affine, counted.affine)
