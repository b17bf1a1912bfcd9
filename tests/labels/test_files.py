"""Label files of every kind, whole, damaged and hostile; nothing that a file names is opened."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import nrrd
import numpy as np
import pytest
import SimpleITK as sitk

from tests.dicom.phantoms import GRIDS, write_nifti
from tests.serving import tumour_mask
from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.io.nrrd_write import seg_nrrd_bytes
from tumorseg.labels.checks import check_label
from tumorseg.labels.files import read_label
from tumorseg.types import Segmentation


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64, np.float32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_whole_numbers_of_every_type(kind: type, order: str, tmp_path: Path) -> None:
    grid = GRIDS["axial"]
    voxels = tumour_mask(grid).astype(np.dtype(kind).newbyteorder(order)) * 100
    header = {"space": "lps", "space directions": grid.affine[:3, :3].T, "space origin": grid.origin}
    nrrd.write(str(tmp_path / "a.nrrd"), voxels.T, header, index_order="F")
    label = read_label(tmp_path / "a.nrrd")
    assert np.array_equal(label.voxels[0], voxels)
    assert label.grid.same_as(grid)


HEADER = b"NRRD0005\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nspacings: 1 1 1\n"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.nrrd", HEADER + b"encoding: raw\ndata file: secret.raw\n\n", "another file"),
        ("a.nrrd", HEADER + b"encoding: raw\ndatafile: /etc/passwd\n\n", "another file"),
        ("a.nrrd", HEADER + b"encoding: raw\ndata file: LIST\na.raw\n\n", "another file|cannot be read"),
        ("a.nrrd", HEADER + b"encoding: raw\nbyte skip: 3\n\n" + bytes(8), "skips"),
        ("a.nrrd", HEADER + b"encoding: raw\n\n" + bytes(7), "cut off"),
        ("a.nrrd", HEADER + b"encoding: raw\n\n" + bytes(9), "more than"),
        ("a.nrrd", HEADER + b"encoding: gzip\n\n" + gzip.compress(bytes(9), mtime=0), "more than"),
        ("a.nrrd", HEADER + b"encoding: gzip\n\n" + gzip.compress(bytes(8), mtime=0)[:-6], "damaged|cut off"),
        ("a.nrrd", HEADER + b"encoding: gzip\n\nno gzip at all", "damaged"),
        ("a.nrrd", HEADER + b"encoding: bzip2\n\n" + bytes(8), "raw or gzip"),
        ("a.nrrd", HEADER.replace(b"uint8", b"block") + b"encoding: raw\n\n" + bytes(8), "whole numbers"),
        ("a.nrrd", HEADER.replace(b"2 2 2", b"0 2 2") + b"encoding: raw\n\n", "sizes"),
        ("a.nrrd", HEADER.replace(b"2 2 2", b"99999 99999 99999") + b"encoding: gzip\n\n" + bytes(8), "more than"),
        ("a.nrrd", HEADER + b"encoding: raw\nspace directions: (1,0,0) (0,1,0) (0,0,x)\n\n" + bytes(8), "read"),
        ("a.nrrd", b"", "0 bytes"),
        ("a.nrrd", b"PK\x03\x04", "no NRRD"),
        ("a.nii.gz", b"no image", "not NIfTI"),
        ("a.nii.gz", gzip.compress(b"short", mtime=0), "not NIfTI|cut off"),
        ("a.png", b"x", "expected a label"),
    ],
)
def test_damaged_and_hostile_files(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes(8))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_label(tmp_path / name)


def test_more_voxels_than_the_image_are_never_unpacked(tmp_path: Path) -> None:
    bomb = HEADER.replace(b"2 2 2", b"1000 1000 300") + b"encoding: gzip\n\n" + gzip.compress(bytes(300_000_000), 9)
    (tmp_path / "a.nrrd").write_bytes(bomb)
    began = time.process_time()
    with pytest.raises(InputError, match="at most 16777216 voxels"):
        check_label(tmp_path / "a.nrrd", Grid((2, 2, 2), np.eye(4)), {})
    assert time.process_time() - began < 0.1  # unpacking takes half a second


def test_colours_and_time_series_are_no_label_map(tmp_path: Path) -> None:
    colour = np.zeros((4, 5, 6), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match="channels"):
        read_label(write_nifti(tmp_path / "a.nii.gz", Grid((4, 5, 6), np.eye(4)), colour))
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 4, 5, 6), np.uint8), isVector=False), str(tmp_path / "b.nii"))
    with pytest.raises(InputError, match="one label map"):
        read_label(tmp_path / "b.nii")
    vector = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    sitk.WriteImage(vector, str(tmp_path / "c.nrrd"))
    with pytest.raises(InputError, match="without segments"):
        read_label(tmp_path / "c.nrrd")


@pytest.mark.parametrize("coding", ["utf-8", "latin-1"])
def test_names_of_segments_keep_letters_beyond_ascii(coding: str, tmp_path: Path) -> None:
    voxels = np.zeros((2, 3, 4), np.uint8)
    voxels[0, 0, :2] = 1, 2
    names = {"Läsion": 1, "Lösion": 2}  # the same where such letters are left out
    sent = seg_nrrd_bytes(Segmentation(voxels, Grid(voxels.shape, np.eye(4)), names), compress=False)
    head, end, body = sent.partition(b"\n\n")
    (tmp_path / "a.seg.nrrd").write_bytes(head.decode("utf-8").encode(coding) + end + body)
    label = read_label(tmp_path / "a.seg.nrrd")
    assert {segment.name: segment.value for segment in label.segments} == names
    assert np.array_equal(label.voxels[0], voxels)
