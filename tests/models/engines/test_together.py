"""Several studies in one run get what each gets alone; one that stops or fails leaves the others as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.support import settled_weights
from tumorseg.errors import InputError
from tumorseg.geometry import Grid
from tumorseg.models import resunet25d
from tumorseg.models.detection_options import DetectionOptions
from tumorseg.models.detector import DetectorModel, DetectorSpec
from tumorseg.models.engines.torch_engine import TorchEngine
from tumorseg.models.slicewise import SlicewiseModel
from tumorseg.networks.maskrcnn import build_maskrcnn
from tumorseg.types import StudyImage


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SlicewiseModel:
    torch.manual_seed(1)
    path = settled_weights(resunet25d.network(), 9, tmp_path_factory.mktemp("weights") / "w.safetensors")
    return SlicewiseModel(resunet25d.SPEC, path, "cpu")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> DetectorModel:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "d.safetensors"
    save_file(build_maskrcnn("lite0", 2, side=128).state_dict(), path, metadata={"backbone": "lite0"})
    return DetectorModel(DetectorSpec("any", "Random.", (("a", 1), ("b", 2)), side=128, mirror=False), path, "cpu")


def study(seed: int, slices: int = 1, height: int = 64, width: int = 64) -> StudyImage:
    voxels = np.random.default_rng(seed).integers(0, 255, (3, slices, height, width), dtype=np.uint8)
    return StudyImage(voxels, Grid((slices, height, width), np.eye(4)), ("T1", "FLAIR", "T1Gd"))


#: Single pictures, volumes and other sizes between them.
MIXED = [study(0), study(1), study(2, 5), study(3, 1, 96, 70), study(4, 3), study(5, 2, 96, 70), study(6)]


def together(model: Any, images: list[StudyImage], **kw: Any) -> list[Any]:
    started = [model.begin(image, **kw) for image in images]
    model.look(started)
    return [model.finish(one) for one in started]


def test_openvino_gives_bit_for_bit_what_it_gives_alone(model: SlicewiseModel) -> None:
    for answer, image in zip(together(model, MIXED), MIXED, strict=True):
        alone = model.predict(image).segmentation
        assert np.array_equal(answer.segmentation.probability, alone.probability)
        assert alone.probability is not None
        assert alone.probability.std() > 0


def test_pytorch_stacks_what_has_one_size_and_gives_the_same(model: SlicewiseModel) -> None:
    other = SlicewiseModel(model.spec, model.weights, "cpu")
    engine = TorchEngine(model.spec, model.weights, "cpu")
    other.__dict__["_engine"] = engine
    sizes: list[int] = []
    engine.placed.on(engine.ladder.rungs[0])[0].register_forward_pre_hook(lambda _, x: sizes.append(len(x[0])))
    answers = together(other, MIXED)
    assert sizes[::2] == [11, 3], "each is looked at twice, once mirrored"
    for answer, image in zip(answers, MIXED, strict=True):
        alone = other.predict(image).segmentation.probability
        assert np.allclose(answer.segmentation.probability, alone, atol=1e-5)


def test_one_that_is_given_up_leaves_its_neighbours_as_they_are(model: SlicewiseModel) -> None:
    class GoneError(Exception):
        pass

    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        if done == 2:
            raise GoneError

    images = [study(1, 3), study(2, 40), study(3, 3)]
    started = [model.begin(images[0]), model.begin(images[1], progress=stop), model.begin(images[2])]
    model.look(started)
    assert isinstance(started[1].error, GoneError)
    assert seen == [1, 2], "it goes no further than the next slice"
    with pytest.raises(GoneError):
        model.finish(started[1])
    for one in (0, 2):
        alone = model.predict(images[one]).segmentation.probability
        assert np.array_equal(model.finish(started[one]).segmentation.probability, alone)


def test_openvino_is_free_for_the_next_after_an_error_in_the_middle(model: SlicewiseModel) -> None:
    """The error keeps its frames alive; no request may still run, and no lock be held, in them."""
    bad = model.begin(study(1, 9))
    read, calls = bad.look.input, []

    def damaged(k: int) -> Any:
        calls.append(k)
        if k == 4:
            raise MemoryError("no room for this slice")
        return read(k)

    bad.look.input = damaged  # type: ignore[method-assign]
    with pytest.raises(MemoryError) as kept:
        model.look([model.begin(study(2)), bad])
    assert model.predict(study(3)).segmentation.voxels.shape == (1, 64, 64)
    assert kept.value is not None
    del bad.look.input
    model.look([bad])
    alone = model.predict(study(1, 9)).segmentation.probability
    assert np.array_equal(model.finish(bad).segmentation.probability, alone), "a second try starts anew"


def test_a_detector_finds_what_it_finds_alone_with_each_ones_thresholds(detector: DetectorModel) -> None:
    images = [study(0), study(1, 3), study(2)]
    options = [DetectionOptions(score=0.0, max_instances=n) for n in (2, 3, 5)]
    pairs = list(zip(images, options, strict=True))
    started = [detector.begin(image, options=wanted) for image, wanted in pairs]
    detector.look(started)
    for one, (image, wanted) in zip(started, pairs, strict=True):
        answer = detector.finish(one).detections
        alone = detector.predict(image, options=wanted).detections
        assert answer is not None
        assert alone is not None
        assert len(answer) == len(alone) > 0
        for found, expected in zip(answer.instances, alone.instances, strict=True):
            assert found.score == pytest.approx(expected.score, abs=1e-4)
            assert np.allclose(found.box, expected.box, atol=0.05)


def test_a_bad_image_is_refused_before_it_meets_the_others(model: SlicewiseModel) -> None:
    voxels = np.full((3, 1, 32, 32), np.nan, np.float32)
    with pytest.raises(InputError, match="not finite"):
        model.begin(StudyImage(voxels, Grid((1, 32, 32), np.eye(4)), ("T1", "FLAIR", "T1Gd")))
