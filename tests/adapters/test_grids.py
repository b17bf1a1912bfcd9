"""Where images lie is asked once, and again when their files change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tumorseg.adapters.grids import ImagePlaces
from tumorseg.adapters.sources import FileSource


class Counting(FileSource):
    """A folder of files that counts how often it decodes."""

    reads = 0

    def read(self, image_id: str, channels: Sequence[str] | None) -> Any:
        self.reads += 1
        return super().read(image_id, channels)


def test_an_image_is_decoded_once_until_it_changes(tmp_path: Path) -> None:
    write_nifti(tmp_path / "case.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    source = Counting(tmp_path)
    places = ImagePlaces(source)
    for _ in range(3):
        place = places.of("case")
        assert place is not None
        assert place.grid.same_as(GRIDS["axial"])
        assert place.placed
    assert source.reads == 1
    write_nifti(tmp_path / "case.nii.gz", GRIDS["sagittal"], sample(GRIDS["sagittal"]))
    changed = places.of("case")
    assert changed is not None
    assert changed.grid.same_as(GRIDS["sagittal"])
    assert source.reads == 2


def test_a_picture_has_no_place_in_the_patient(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "photo.png")
    place = ImagePlaces(FileSource(tmp_path)).of("photo")
    assert place is not None
    assert place.grid.shape == (1, 8, 9)
    assert not place.placed


def test_an_image_that_cannot_be_read_does_not_keep_a_label_from_being_kept(tmp_path: Path) -> None:
    (tmp_path / "case.nii.gz").write_text("damaged")
    assert ImagePlaces(FileSource(tmp_path)).of("case") is None
