"""Real scans, where they are at hand: set TUMORSEG_DATA to the folder that holds them."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tumorseg.dicom.headers import read_headers
from tumorseg.io import read_study

DATA = Path(os.environ.get("TUMORSEG_DATA", ""))
BRTUM, BTP = DATA / "nema_brtum", DATA / "btp"
needs_brtum = pytest.mark.skipif(
    "TUMORSEG_DATA" not in os.environ or not BRTUM.is_dir(), reason="TUMORSEG_DATA with nema_brtum/ is not there"
)
needs_btp = pytest.mark.skipif(
    "TUMORSEG_DATA" not in os.environ or not BTP.is_dir(), reason="TUMORSEG_DATA with btp/ is not there"
)


def neighbour_correlation(volume: np.ndarray) -> float:
    """The mean correlation of neighbouring slices, high only where the slices are in order."""
    flat = volume.reshape(len(volume), -1).astype(float)
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairwise(flat)]))


@needs_brtum
def test_the_sequences_of_a_real_study() -> None:
    image = read_study(BRTUM, channels=("T1", "FLAIR", "T1Gd"))
    assert image.channels == ("T1", "FLAIR", "T1Gd")
    assert [uid.split(".")[10] for uid in image.source["series_uids"]] == ["5", "3", "8"]
    assert image.grid.shape == (24, 256, 256)
    assert image.grid.spacing == pytest.approx((0.820312, 0.820312, 6.0), abs=1e-4)
    assert image.voxels.dtype == np.int16


@needs_brtum
def test_all_four_sequences_are_recognised() -> None:
    assert [header.kind for header in read_headers([BRTUM])] == ["FLAIR", "T2", "T1", "T1Gd"]


@needs_brtum
def test_interleaved_frames_are_sorted() -> None:
    """BRTUM003 holds every other slice first; a wrong order halves the likeness of neighbours."""
    image = read_study(BRTUM / "BRTUM003")
    order = [frame for _, frame in image.source["slices"]]
    assert order[:4] == [1, 13, 2, 14]
    sorted_likeness = neighbour_correlation(image.voxels[0])
    in_file = image.voxels[0][np.argsort(order)]
    assert sorted_likeness > neighbour_correlation(in_file) + 0.05


@needs_brtum
def test_sequences_show_the_same_head() -> None:
    """Heads overlap slice by slice in all channels: positions were understood alike."""
    image = read_study(BRTUM)
    heads = [channel > 0.15 * np.percentile(channel, 99) for channel in image.voxels]
    for head in heads[1:]:
        overlap = 2 * (head & heads[0]).sum() / (head.sum() + heads[0].sum())
        assert overlap > 0.85
        mirrored = head[::-1]
        assert overlap > 2 * (mirrored & heads[0]).sum() / (head.sum() + heads[0].sum())


@needs_brtum
@pytest.mark.parametrize(("name", "channel"), [("BRTUM003", "FLAIR"), ("BRTUM004", "T2"), ("BRTUM008", "T1Gd")])
def test_each_alone(name: str, channel: str) -> None:
    assert read_study(BRTUM / name, channels=("T1", "FLAIR", "T1Gd")).channels == (channel,)


@needs_btp
def test_real_nifti() -> None:
    """The same voxels as an independent reader gives, and the same places."""
    import SimpleITK as sitk

    for path in sorted(BTP.glob("*/*_Scan_T1.nii.gz")):
        image, expected = read_study(path), sitk.ReadImage(str(path))
        assert np.array_equal(image.voxels[0], sitk.GetArrayFromImage(expected).astype(np.float32))
        corner = [size - 1 for size in expected.GetSize()]
        assert np.allclose(image.grid.points(np.array([corner]))[0], expected.TransformIndexToPhysicalPoint(corner))
