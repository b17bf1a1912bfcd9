"""A GPU without memory left: smaller batches, half precision, the CPU, and back up. Real torch, a pretended limit.

No GPU is needed: the device is the CPU under another name (``cpu:0``), and a module of the network raises PyTorch's
own error where a card of that size would.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.support import settled_weights
from tumorseg.geometry import Grid
from tumorseg.models import gate, resunet
from tumorseg.models.cascade import Cascade
from tumorseg.models.detection_options import DetectionOptions
from tumorseg.models.detector import DetectorModel, DetectorSpec
from tumorseg.models.engines.detection_engine import DetectionEngine
from tumorseg.models.engines.ladder import STAY_S, Ladder
from tumorseg.models.engines.rung import Rung, rungs
from tumorseg.models.engines.torch_engine import Placed, TorchEngine, autocast
from tumorseg.models.slice_classifier import SlicewiseClassifier
from tumorseg.models.slicewise import SlicewiseModel
from tumorseg.networks.maskrcnn import build_maskrcnn
from tumorseg.training.checkpoint import save_weights
from tumorseg.types import StudyImage

CARD = torch.device("cpu:0")
NEVER = 0


class Card(nn.Module):
    """Lets a batch through that a card has memory for.

    Args:
        network: the real one.
        whole: slices that fit in full precision.
        half: slices that fit in half precision.
    """

    def __init__(self, network: nn.Module, whole: int, half: int) -> None:
        super().__init__()
        self.network, self.whole, self.half, self.card = network, whole, half, False
        self.out_channels = getattr(network, "out_channels", None)

    def forward(self, x: torch.Tensor) -> Any:
        fits = self.half if torch.is_autocast_enabled("cpu") else self.whole
        if self.card and len(x) > fits:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {len(x)} GiB")
        return self.network(x)


class OnCard(Placed[Any]):
    """Tells the network whether it lies on the card."""

    def on(self, rung: Rung) -> Any:
        network, device = super().on(rung)
        for module in network.modules():
            if isinstance(module, Card):
                module.card = not rung.cpu
        return network, device


def names(ladder: Ladder, items: int, fits: Any) -> list[tuple[str, int]]:
    """Walk ``items`` items and tell the rungs that worked, with the number of items of each step."""

    def attempt(part: Any, rung: Rung) -> None:
        if not fits(len(part), rung):
            raise torch.OutOfMemoryError("CUDA out of memory")

    return [(rung.name, len(part)) for part, _, rung in ladder.walk(range(items), attempt)]


def test_the_rungs_in_their_order() -> None:
    assert [(r.name, r.batch) for r in rungs(8)] == [
        ("full", 8),
        ("batch", 4),
        ("batch", 2),
        ("batch", 1),
        ("half", 1),
        ("cpu", 8),
    ]
    depths = [rung.depth for rung in rungs(8)]
    assert depths == sorted(depths)


def test_every_item_is_done_once_on_the_highest_rung_that_fits() -> None:
    assert names(Ladder("any", 8), 20, lambda n, rung: True) == [("full", 8), ("full", 8), ("full", 4)]
    assert names(Ladder("any", 8), 5, lambda n, rung: n <= 2) == [("batch", 2), ("batch", 2), ("batch", 1)]
    assert names(Ladder("any", 8), 2, lambda n, rung: rung.half or rung.cpu) == [("half", 1), ("half", 1)]
    assert names(Ladder("any", 8), 9, lambda n, rung: rung.cpu) == [("cpu", 8), ("cpu", 1)]


def test_memory_that_is_short_even_on_the_last_rung_is_an_error() -> None:
    ladder = Ladder("any", 4)
    with pytest.raises(torch.OutOfMemoryError):
        names(ladder, 1, lambda n, rung: False)
    assert ladder.falls == len(ladder.rungs) - 1


@pytest.mark.parametrize("said", ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"])
def test_what_the_libraries_of_a_gpu_say_counts_too(said: str) -> None:
    def attempt(part: Any, rung: Rung) -> str:
        if not rung.cpu:
            raise RuntimeError(said)
        return "done"

    assert [result for _, result, _ in Ladder("any", 2).walk([1], attempt)] == ["done"]


def test_an_error_of_another_kind_is_no_reason_to_step_down() -> None:
    def attempt(part: Any, rung: Rung) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    ladder = Ladder("any", 4)
    with pytest.raises(RuntimeError, match="shapes"):
        list(ladder.walk([1], attempt))
    assert ladder.falls == 0


def test_a_rung_that_worked_is_kept_for_a_while_then_the_one_above_is_tried() -> None:
    now = [0.0]
    ladder = Ladder("any", 4, clock=lambda: now[0])
    tried: list[str] = []
    roomy = [False]

    def fits(n: int, rung: Rung) -> bool:
        tried.append(f"{rung.name} {rung.batch}")
        return roomy[0] or rung.half or rung.cpu

    assert names(ladder, 1, fits) == [("half", 1)]
    assert tried == ["full 4", "batch 2", "batch 1", "half 1"]
    tried.clear()
    now[0] += STAY_S / 2
    names(ladder, 1, fits)
    assert tried == ["half 1"]
    tried.clear()
    now[0] += STAY_S
    names(ladder, 1, fits)
    assert tried == ["batch 1", "half 1"]
    tried.clear()
    names(ladder, 1, fits)
    assert tried == ["half 1"], "after a climb that failed it waits again"
    roomy[0] = True
    for expected in ("batch 1", "batch 2", "full 4", "full 4"):
        tried.clear()
        now[0] += STAY_S
        names(ladder, 1, fits)
        assert tried == [expected]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Any:
    torch.manual_seed(0)
    return settled_weights(resunet.network(), 3, tmp_path_factory.mktemp("weights") / "w.safetensors")


def model_on(card: tuple[int, int], weights: Any) -> SlicewiseModel:
    """The real model with its engine on a card that fits (whole, half) slices."""
    model = SlicewiseModel(replace(resunet.SPEC, mirror=True), weights, "cpu")
    engine = TorchEngine(model.spec, weights, "cpu")
    network = copy.deepcopy(engine.placed.on(rungs(1)[-1])[0])
    engine.placed = OnCard(Card(network, *card), CARD)
    model.__dict__["_engine"] = engine
    return model


def study(slices: int = 5) -> StudyImage:
    voxels = np.random.default_rng(0).integers(0, 255, (3, slices, 64, 64), dtype=np.uint8)
    return StudyImage(voxels, Grid((slices, 64, 64), np.eye(4)), ("T1", "FLAIR", "T1Gd"))


@pytest.mark.parametrize(
    ("card", "rung", "note", "tolerance"),
    [
        ((99, 99), "full", "", 1e-5),
        ((3, 3), "batch", "in batches of 2", 1e-5),
        ((NEVER, 1), "half", "batches of 1 and half precision", 0.05),
        ((NEVER, NEVER), "cpu", "on the CPU", 1e-5),
    ],
)
def test_a_segmentation_is_answered_whatever_fits_and_says_how(
    card: tuple[int, int], rung: str, note: str, tolerance: float, weights: Any, caplog: pytest.LogCaptureFixture
) -> None:
    expected = SlicewiseModel(replace(resunet.SPEC, mirror=True), weights, "cpu").predict(study())
    answer = model_on(card, weights).predict(study())
    assert answer.rung == rung
    assert any(note in said for said in answer.notes) if note else answer.notes == expected.notes
    assert ("no memory" in caplog.text) == (rung != "full")
    difference = np.abs(answer.segmentation.probability - expected.segmentation.probability)  # type: ignore[operator]
    assert expected.segmentation.probability.std() > 0.01  # type: ignore[union-attr]
    assert difference.max() < max(tolerance, 1e-3)


@pytest.mark.parametrize(("card", "rung"), [((2, 2), "batch"), ((NEVER, 1), "half"), ((NEVER, NEVER), "cpu")])
def test_a_detection_is_answered_whatever_fits_and_says_how(card: tuple[int, int], rung: str, tmp_path: Any) -> None:
    torch.manual_seed(0)
    path = tmp_path / "w.safetensors"
    save_weights(build_maskrcnn("lite0", 2, side=64).state_dict(), path, half=False, metadata={"backbone": "lite0"})
    spec = DetectorSpec("any", "Random.", (("a", 1), ("b", 2)), side=64, mirror=False)
    options = DetectionOptions(score=0.0, max_instances=3)
    reference, model = DetectorModel(spec, path, "cpu"), DetectorModel(spec, path, "cpu")
    network = build_maskrcnn("lite0", 2, side=64).eval()
    network.load_state_dict(load_file(path))
    reference.__dict__["_engine"] = DetectionEngine("any", copy.deepcopy(network), "cpu", mirror=False)
    engine = DetectionEngine("any", network, "cpu", mirror=False)
    network.backbone = Card(network.backbone, *card)
    engine.placed = OnCard(network, CARD)
    model.__dict__["_engine"] = engine
    answer, wanted = model.predict(study(), options=options), reference.predict(study(), options=options)
    assert answer.rung == rung
    assert any("no memory" in said for said in answer.notes)
    if rung != "half":
        pairs = zip(answer.detections.instances, wanted.detections.instances, strict=True)  # type: ignore[union-attr]
        assert all(np.allclose(one.box, other.box, atol=1e-3) for one, other in pairs)


def test_a_card_too_full_for_the_network_itself_leaves_it_to_the_cpu(weights: Any) -> None:
    model = model_on((99, 99), weights)

    class Full(OnCard):
        def on(self, rung: Rung) -> Any:
            if not rung.cpu:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().on(rung)

    engine: Any = model._engine
    engine.placed.__class__ = Full
    assert model.predict(study()).rung == "cpu"


def test_half_precision_is_one_that_cannot_overflow() -> None:
    with autocast(torch.device("cpu"), True):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with autocast(torch.device("cpu"), False):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_a_cascade_says_the_lower_rung_of_its_two_stages(weights: Any, tmp_path: Any) -> None:
    spec = gate.SPEC
    torch.manual_seed(0)
    save_weights(spec.network().state_dict(), tmp_path / "g.safetensors", half=False, metadata={"threshold": "0"})
    first = SlicewiseClassifier(spec, tmp_path / "g.safetensors", "cpu")
    engine = TorchEngine(spec, tmp_path / "g.safetensors", "cpu")
    engine.placed = OnCard(Card(copy.deepcopy(engine.placed.on(rungs(1)[-1])[0]), NEVER, NEVER), CARD)
    first.__dict__["_engine"] = engine
    answer = Cascade(first, model_on((99, 99), weights)).predict(study())
    assert answer.rung == "cpu"
    assert sum("on the CPU" in note for note in answer.notes) == 1
