"""A model behind the queue: the answer is that of the model alone, whoever shares the run."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.adapters.inference.stand_in import PATIENCE_S, Probe, until
from tests.dicom.phantoms import GRIDS, sample, write_nifti
from tests.serving import config_for
from tests.support import settled_weights
from tumorseg.adapters.engine import Engine
from tumorseg.adapters.inference import JobReport, Subject
from tumorseg.adapters.inference.answer import encode
from tumorseg.adapters.inference.task import ModelTask
from tumorseg.adapters.sources import FileSource
from tumorseg.adapters.wire import ResultFormat
from tumorseg.errors import InputError, NotFoundError, UnavailableError
from tumorseg.geometry import Grid
from tumorseg.models import unet
from tumorseg.models.slicewise import SlicewiseModel
from tumorseg.types import StudyImage

WANTED = ResultFormat(compress=False)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    for name in ("axial", "sagittal"):
        write_nifti(tmp_path / "studies" / f"{name}.nii.gz", GRIDS[name], sample(GRIDS[name]))
    made = Engine(
        config_for(tmp_path / "studies", tmp_path, models="threshold,steps"), FileSource(tmp_path / "studies")
    )
    yield made
    made.close()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> SlicewiseModel:
    torch.manual_seed(0)
    path = settled_weights(unet.network(), 3, tmp_path_factory.mktemp("weights") / "w.safetensors")
    return SlicewiseModel(unet.SPEC, path, "cpu")


def picture(seed: int) -> StudyImage:
    voxels = np.random.default_rng(seed).integers(0, 255, (3, 1, 64, 64), dtype=np.uint8)
    return StudyImage(voxels, Grid((1, 64, 64), np.eye(4)), ("T1", "FLAIR", "T1Gd"))


def task_of(model: Any, image: StudyImage, key: str | None = None) -> ModelTask:
    return ModelTask(model.name, model, "cpu", Subject("picture", key, lambda _: (image, image.grid)))


def test_many_pictures_at_once_share_runs_and_get_the_masks_they_get_alone(
    engine: Engine, network: SlicewiseModel
) -> None:
    gate, images = threading.Event(), [picture(seed) for seed in range(12)]
    held = Probe("held", gate=gate)
    first = engine.queue.submit(held, None)
    assert held.started.wait(PATIENCE_S)
    tickets = [engine.queue.submit(task_of(network, image), WANTED) for image in images]
    until(lambda: engine.queue.stats().waiting == 12)
    gate.set()
    first.result(PATIENCE_S)
    for ticket, image in zip(tickets, images, strict=True):
        assert ticket.result(60).data == encode(network.predict(image).segmentation, WANTED)
    assert engine.queue.stats().batched > 0


def test_an_answer_says_how_long_each_step_took_and_on_which_rung(engine: Engine) -> None:
    params = engine.infer("threshold", "axial", WANTED).params
    assert set(params["latencies"]) == {"queued", "pre", "infer", "write", "total", "model_network"}
    assert params["rung"] == "full"
    json.dumps(params)


def test_what_is_asked_for_must_exist_and_fit(engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="served: threshold"):
        engine.infer("other", "axial", WANTED)
    with pytest.raises(NotFoundError):
        engine.infer("threshold", "../axial", WANTED)
    with pytest.raises(InputError, match="finds no boxes"):
        engine.infer("threshold", "axial", ResultFormat(extension=".json"))


def test_giving_up_waits_for_what_is_being_opened(engine: Engine) -> None:
    """Until then the files of a request cannot be taken away from the thread that looks at them."""
    opened, release, closed = threading.Event(), threading.Event(), []

    def opening() -> Subject:
        opened.set()
        assert release.wait(PATIENCE_S)
        closed.append("still there")
        return engine.of_source("axial")

    async def ask() -> None:
        asking = asyncio.ensure_future(engine.infer_async("threshold", opening, WANTED))
        await asyncio.to_thread(opened.wait, PATIENCE_S)
        asking.cancel()
        await asyncio.sleep(0.05)
        assert not asking.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert closed == ["still there"]

    asyncio.run(ask())
    assert engine.queue.stats().done == 0


def test_one_that_is_cancelled_stops_between_two_slices(engine: Engine) -> None:
    reports: list[JobReport] = []
    engine.queue.observer = reports.append

    async def ask() -> None:
        asking = asyncio.ensure_future(engine.infer_async("steps", lambda: engine.of_source("axial"), WANTED))
        while not engine.queue.stats().running:
            await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    asyncio.run(ask())
    until(lambda: len(reports) == 1)
    assert reports[0].outcome == "cancelled"
    assert reports[0].ran_s < 0.1 * GRIDS["axial"].shape[0]


def test_a_changed_file_is_another_subject(engine: Engine, tmp_path: Path) -> None:
    before = engine.of_source("axial").fingerprint
    assert engine.of_source("axial").fingerprint == before
    write_nifti(tmp_path / "studies" / "axial.nii.gz", GRIDS["axial"], sample(GRIDS["axial"]) * 0)
    assert engine.of_source("axial").fingerprint != before


def test_the_same_content_is_the_same_subject_whoever_sent_it(tmp_path: Path) -> None:
    for folder, content in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "upload.nii").write_bytes(content)
    a, b, c = (Subject.of_file(tmp_path / folder / "upload.nii").fingerprint for folder in "abc")
    assert a == b != c
    (tmp_path / "a" / "upload.nii").rename(tmp_path / "a" / "upload.nrrd")
    assert Subject.of_file(tmp_path / "a" / "upload.nrrd").fingerprint != b


def test_after_the_end_nothing_is_taken(engine: Engine) -> None:
    engine.close()
    with pytest.raises(UnavailableError, match="stopping"):
        engine.infer("threshold", "axial", WANTED)
    with pytest.raises(UnavailableError, match="stopping"):
        asyncio.run(engine.infer_async("threshold", lambda: engine.of_source("axial"), WANTED))


def test_warming_up_is_no_inference_of_anybody(engine: Engine) -> None:
    reports: list[JobReport] = []
    engine.queue.observer = reports.append
    engine.warm_up()
    assert reports == []
    assert engine.queue.stats().done == 0
