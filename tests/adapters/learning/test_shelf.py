"""Pictures in files: what is put there comes back, what is broken does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tumorseg.adapters.learning.shelf import Shelf
from tumorseg.errors import StorageError
from tumorseg.training.data import SliceSampler, Volume, in_order


@pytest.fixture
def volume() -> Volume:
    rng = np.random.default_rng(0)
    image = rng.standard_normal((5, 3, 32, 48)).astype(np.float16)
    return Volume("p0", image, (image[:, 0] > 1).astype(np.uint8))


def test_what_is_put_there_comes_back_mapped(tmp_path: Path, volume: Volume) -> None:
    shelf = Shelf(tmp_path / "volumes", 0)
    assert shelf.get("one", "p0") is None
    for kept in (shelf.put("one", volume), shelf.get("one", "p0")):
        assert kept is not None
        assert kept.id == "p0"
        assert isinstance(kept.image, np.memmap)
        assert not kept.image.flags.writeable
        assert np.array_equal(kept.image, volume.image)
        assert np.array_equal(kept.mask, volume.mask)
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.filterwarnings("error")
def test_training_and_validation_read_it_as_any_other(tmp_path: Path, volume: Volume) -> None:
    kept = Shelf(tmp_path, 0).put("one", volume)
    for one, other in zip(in_order(kept, 3, 2), in_order(volume, 3, 2), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    samplers = [SliceSampler([each], 1, 0.5, np.random.default_rng(1)) for each in (kept, volume)]
    drawn = [sampler.draw(4) for sampler in samplers]
    assert all(np.array_equal(a, b) for a, b in zip(*drawn, strict=True))


@pytest.mark.parametrize("part", ["image", "mask"])
def test_a_file_that_was_cut_off_is_not_there(tmp_path: Path, volume: Volume, part: str) -> None:
    shelf = Shelf(tmp_path, 0)
    shelf.put("one", volume)
    path = tmp_path / f"one.{part}.npy"
    path.write_bytes(path.read_bytes()[:-10])
    assert shelf.get("one", "p0") is None
    shelf.put("one", volume)
    assert shelf.get("one", "p0") is not None


def test_no_space_is_said_before_anything_is_written(tmp_path: Path, volume: Volume) -> None:
    shelf = Shelf(tmp_path, shutil.disk_usage(tmp_path).total >> 20)
    with pytest.raises(StorageError, match="Make room") as said:
        shelf.put("one", volume)
    assert said.value.status == 507
    assert list(tmp_path.iterdir()) == []
