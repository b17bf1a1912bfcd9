"""The way from an image's own voxels to the network's window and back: exact where nothing is resampled."""

import numpy as np
import pytest

from tests.dicom.phantoms import GRIDS, TUMOUR, make_grid, sample
from tumorseg.geometry import Grid
from tumorseg.interactive.clicks.frame import Frame, Window, cut
from tumorseg.models.preparation import prepare
from tumorseg.types import StudyImage

#: Pixels of the trained size, so that nothing is resampled, on every orientation of the phantoms.
FINE = {
    name: Grid(grid.shape, grid.affine @ np.diag([*(0.9 / np.array(grid.spacing[:2])), 1.0, 1.0]))
    for name, grid in GRIDS.items()
}


def frame_of(grid: Grid, *, pads: tuple[int, int] = (3, 5)) -> Frame:
    image = StudyImage(np.random.default_rng(0).random((1, *grid.shape), np.float32), grid, ("FLAIR",), modality="MR")
    return Frame.of(prepare(image, ("FLAIR",), 32), pads)


@pytest.mark.parametrize("name", GRIDS)
def test_a_click_comes_back_to_its_own_voxel_on_every_grid(name):
    grid = GRIDS[name]
    frame = frame_of(grid)
    rng = np.random.default_rng(1)
    for at in [tuple(int(rng.integers(n)) for n in grid.shape[::-1]) for _ in range(10)]:
        mask = np.zeros(grid.shape, bool)
        i, j, k = at
        around = tuple(slice(max(0, n - 4), n + 5) for n in (k, j, i))
        mask[around] = True  # large enough to outlive a resampling
        window = frame.around(at, 9, 32)
        taken = frame.take(mask, window)
        a, b, c = window.index(frame.place(at))
        assert taken[c, b, a], "the clicked voxel is marked where the network sees it"
        origin, back = frame.give(taken.astype(np.float32), window, at)
        where = tuple(p - o for p, o in zip((k, j, i), origin, strict=True))
        assert all(0 <= p < n for p, n in zip(where, back.shape, strict=True)), "it lies in what may change"
        assert back[where]


EXACT = [name for name, grid in FINE.items() if frame_of(grid).exact]


@pytest.mark.parametrize("name", EXACT)
def test_a_mask_goes_there_and_back_unchanged_where_pixels_are_of_the_trained_size(name):
    grid = FINE[name]
    frame = frame_of(grid)
    mask = np.random.default_rng(2).random(grid.shape) > 0.5
    at = tuple(n // 2 for n in grid.shape[::-1])
    window = frame.around(at, 9, 24)
    origin, back = frame.give(frame.take(mask, window).astype(np.float32), window, at)
    region = tuple(slice(o, o + n) for o, n in zip(origin, back.shape, strict=True))
    assert back.any()
    assert (back == mask[region]).all()


def test_those_grids_are_of_many_orientations():
    assert {"axial", "oblique", "flipped", "flipped slices"} <= set(EXACT)
    assert not any(frame_of(grid).exact for grid in GRIDS.values())


@pytest.mark.parametrize("name", ["axial", "oblique", "flipped", "permuted oblique"])
def test_a_resampled_mask_comes_back_as_itself_but_for_its_border(name):
    grid = GRIDS[name]
    frame = frame_of(grid)
    tumour = sample(grid) == TUMOUR
    k, j, i = (int(n) for n in np.argwhere(tumour).mean(axis=0).round())
    window = frame.around((i, j, k), 64, 256)
    origin, back = frame.give(frame.take(tumour, window).astype(np.float32), window, (i, j, k))
    region = tuple(slice(o, o + n) for o, n in zip(origin, back.shape, strict=True))
    assert 2 * (back & tumour[region]).sum() / (back.sum() + tumour.sum()) > 0.95


def test_a_window_over_the_edge_takes_nothing_from_the_other_side():
    grid = make_grid(np.eye(3), (0.9, 0.9, 5.0), (4, 40, 40))
    frame = frame_of(grid)
    taken = frame.take(np.ones(grid.shape, bool), frame.around((0, 0, 0), 9, 32))
    assert taken.shape == (4, 32, 32)
    assert 0 < taken.mean() < 0.5


def test_features_are_cut_where_they_are_and_are_0_outside():
    values = np.arange(2 * 1 * 4 * 4, dtype=np.float32).reshape(2, 1, 4, 4) + 1
    inside = cut(values, Window((0, 4, 0), (2, 4, 8)), 2)
    assert (inside == values[:, :, 2:4, 0:4]).all()
    over = cut(values, Window((1, -4, 4), (1, 8, 8)), 2)
    assert (over[0, 0, 2:, :2] == values[1, 0, :2, 2:]).all()
    assert over[0, 0, :2].sum() == 0
    assert over[0, 0, :, 2:].sum() == 0
    assert not cut(values, Window((0, 400, 0), (1, 8, 8)), 2).any()
