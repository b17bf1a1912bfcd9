"""Slices in memory: padded as they are when the model serves, and context that stays within its patient."""

import numpy as np
import pytest

from tests import tiny
from tumorseg.models.engines.base import Look
from tumorseg.training.data import as_volume, in_order


@pytest.mark.parametrize("shape", [(4, 30, 47), (2, 32, 48), (1, 17, 16)])
def test_what_trains_is_what_the_serving_model_sees(shape):
    slices = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    mask = np.ones(shape, bool)
    volume = as_volume("p", slices, mask, tiny.SPEC.stride)
    look = Look(tiny.SPEC, slices)
    seen = np.concatenate([look.input(k) for k in range(shape[0])])
    trained = np.concatenate([images.numpy() for images, _ in in_order(volume, 1, 3)])
    np.testing.assert_allclose(trained, seen, atol=2e-3)  # volumes are kept in 16 bits
    assert volume.mask.sum() == mask.sum(), "what is padded is no tumour"
    inside = volume.mask.any(axis=0)
    rows, columns = inside.any(axis=1).nonzero()[0], inside.any(axis=0).nonzero()[0]
    around = volume.image[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_allclose(around.transpose(1, 0, 2, 3), slices, atol=2e-3)
