"""Models are loaded once and described once; how they are run is tested with the queue (inference/)."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

import tests.support
from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for
from tumorseg.adapters.engine import Engine
from tumorseg.adapters.inference.answer import centroids, encode
from tumorseg.adapters.models import ModelPool
from tumorseg.adapters.sources import FileSource
from tumorseg.adapters.wire import ResultFormat
from tumorseg.errors import InputError, NotFoundError, UnavailableError
from tumorseg.geometry import Grid
from tumorseg.types import Segmentation


def _together(count: int, work: object) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_first_requests_load_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built, build = [], tests.support.build_bright

    def slow_build(**kw: str) -> tests.support.ThresholdModel:
        time.sleep(0.1)
        built.append(kw["device"])
        return build()

    monkeypatch.setattr(tests.support, "build_bright", slow_build)
    pool = ModelPool(config_for(tmp_path, tmp_path, device="cpu"))
    _together(4, lambda: pool.get("threshold"))
    assert built == ["cpu"]
    with pytest.raises(NotFoundError, match="served: threshold"):
        pool.get("slow")


def test_a_model_that_cannot_be_loaded_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(**kw: str) -> None:
        raise UnavailableError("no weights")

    tests.support.build_none = fail  # type: ignore[attr-defined]
    extra = "threshold=tests.support:build_bright,none=tests.support:build_none"
    pool = ModelPool(config_for(tmp_path, tmp_path, models="threshold,none", extra_models=extra))
    assert list(pool.describe()) == list(pool.describe()) == ["threshold"]
    assert caplog.text.count("no weights") == 1


def test_warming_up_leaves_no_trace(tmp_path: Path) -> None:
    write_nifti(tmp_path / "studies" / "a.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]))
    config = config_for(tmp_path / "studies", tmp_path)
    engine = Engine(config, FileSource(tmp_path / "studies"))
    engine.warm_up()
    assert not (tmp_path / "cache").exists()
    assert engine.infer("threshold", "a", ResultFormat()).params["centroids"]["tumor"]


def test_centroids_by_hand() -> None:
    voxels = np.zeros((4, 5, 6), np.uint8)
    voxels[1, 2, 3] = voxels[3, 2, 5] = 1
    voxels[0, 0, 0] = 2
    segmentation = Segmentation(voxels, Grid((4, 5, 6), np.eye(4)), {"tumor": 1, "cyst": 2, "absent": 3})
    assert centroids(segmentation) == {"tumor": [4.0, 2.0, 2.0], "cyst": [0.0, 0.0, 0.0]}


def test_a_label_value_that_does_not_fit_is_refused() -> None:
    segmentation = Segmentation(np.zeros((1, 2, 2), np.uint16), Grid((1, 2, 2), np.eye(4)), {"organ": 300})
    with pytest.raises(InputError, match="300"):
        encode(segmentation, ResultFormat(dtype="uint8"))
    assert encode(segmentation, ResultFormat(dtype="uint16")).startswith(b"NRRD")
