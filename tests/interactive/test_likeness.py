"""What looks like an object, by what lies around it."""

from __future__ import annotations

import numpy as np

from tumorseg.interactive.likeness import Likeness


def test_likeness_tells_several_tissues_around_an_object_apart() -> None:
    """Darker and brighter surroundings: one mean of them would be the object itself."""
    picture = np.full((1, 30, 30), 0.2)
    picture[:, :, 15:] = 0.8
    shape = np.zeros((30, 30), bool)
    shape[10:20, 10:20] = True
    picture[0][shape] = 0.5
    alike = Likeness([(picture, shape)])
    own, dark, bright = alike(np.array([[[0.5, 0.2, 0.8]]]))[0]
    assert own > 2
    assert max(dark, bright) < -2
