"""An imported set served for real, asked by the wheel's own client: pictures, labels, a correction, and out again."""

from __future__ import annotations

import importlib
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from tests.annotations.sets import random_set
from tests.annotations.test_round_trips import write
from tests.serving import live, read_label
from tumorseg.adapters.transfer import export_pictures, import_pictures
from tumorseg.annotations import open_pictures


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="monailabel's client imports cgi, which Python 3.13 has not")
def test_pictures_and_labels_come_through_and_a_correction_comes_back(tmp_path: Path) -> None:
    made = write(random_set(tmp_path / "made", ["mask"], seed=9), "mask_folders", tmp_path / "set")
    import_pictures("mask_folders", tmp_path / "set", tmp_path / "store")
    library = importlib.import_module("monailabel.client.client")
    changed = next(picture for picture in made if len(picture.regions) == 1)
    with live(tmp_path / "store", tmp_path) as address:
        client = library.MONAILabelClient(address, tmpdir=str(tmp_path / "scratch"))
        (tmp_path / "scratch").mkdir()
        objects = client.datastore()["objects"]
        assert objects.keys() == {picture.id.replace("/", "__") for picture in made}
        for picture in made:
            name = picture.id.replace("/", "__")
            query = urllib.parse.urlencode({"image": name})
            with urllib.request.urlopen(f"{address}/datastore/image?{query}") as answer:
                assert answer.read() == picture.path.read_bytes()
            voxels, grid = read_label(Path(client.download_label(name, "final")))
            expected = np.zeros((picture.height, picture.width), np.uint8)
            for region in picture.regions:
                expected[region.bitmap(*expected.shape)] = made.labels.index(region.label) + 1
            np.testing.assert_array_equal(voxels[0], expected)
            np.testing.assert_array_equal(grid.affine, np.eye(4))
            # asked for here: a server that has just started takes over the labels behind its requests
            said = client.datastore()["objects"][name]["labels"]["final"]["info"]["label_info"]
            assert [item["name"] for item in said] == list(made.labels)
        drawn = np.zeros((1, changed.height, changed.width), np.uint8)
        drawn[0, 3:7, 2:9] = 1
        sitk.WriteImage(sitk.GetImageFromArray(drawn), str(tmp_path / "drawn.nrrd"))
        said = {"label_info": [{"name": changed.regions[0].label, "idx": 1}]}
        client.save_label(changed.id.replace("/", "__"), str(tmp_path / "drawn.nrrd"), "final", said)
    report = export_pictures("mask_folders", tmp_path / "store", tmp_path / "out")
    assert [problem.kind for problem in report.notes] == ["label_changed"]
    back = next(picture for picture in open_pictures(tmp_path / "out") if picture.id == changed.id)
    np.testing.assert_array_equal(back.regions[0].bitmap(changed.height, changed.width), drawn[0] > 0)
