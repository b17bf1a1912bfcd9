"""Models that find objects: in a picture, or slice by slice in a volume, from any grid and back to exactly that grid.

The way of an image through :meth:`DetectorModel.predict`:

1. axes are permuted and flipped to the nearest axial orientation, an exact change (pictures stay as they are);
2. one sequence, or the luminance of a colour picture, becomes grey in [0, 1] (:mod:`tumorseg.models.grey`);
3. every slice is scaled onto the network's square without distortion (:mod:`tumorseg.transforms.letterbox`);
4. boxes, classes, scores and 28 x 28 masks come back (:mod:`tumorseg.models.engines.detection`) and are drawn on the
   slice's own pixels;
5. in a volume, detections of neighbouring slices are joined to lesions (:mod:`tumorseg.models.linking`);
6. boxes and masks are turned back onto the image's own axes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from tumorseg.errors import InputError
from tumorseg.geometry import Grid, Reorientation, to_axial
from tumorseg.models.base import Progress
from tumorseg.models.detection_options import DetectionOptions
from tumorseg.models.engines.detection_look import DetectionLook
from tumorseg.models.engines.rung import said
from tumorseg.models.grey import PREFERENCE, grey_slices
from tumorseg.models.linking import link_slices
from tumorseg.models.metadata import identify, read_metadata
from tumorseg.models.slicewise import WEIGHTS
from tumorseg.models.started import StartedStudy
from tumorseg.transforms.letterbox import Letterbox
from tumorseg.types import Detections, Instance, Prediction, StudyImage

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torchvision.models.detection import MaskRCNN

    from tumorseg.models.engines.detection import SliceDetections
    from tumorseg.models.engines.detection_engine import DetectionEngine

MASK_THRESHOLD = 0.5


@dataclass(frozen=True)
class DetectorSpec:
    """What distinguishes one detector from another.

    Attributes:
        name: registry name; also the stem of the shipped weights.
        description: one sentence for a viewer's list.
        labels: class name -> value, in the order of the network's classes.
        backbone: of :data:`tumorseg.networks.maskrcnn.BACKBONES`.
        modalities: DICOM modalities it may be shown; images that do not say theirs are taken.
        preference: sequences, the first that is there is looked at; ``("",)`` for a picture, which has none.
        side: pixels of the network's square input.
        mirror: whether the mirror image is looked at too.
        options: thresholds where a request names none.
    """

    name: str
    description: str
    labels: tuple[tuple[str, int], ...]
    backbone: str = "lite0"
    modalities: tuple[str, ...] = ("MR",)
    preference: tuple[str, ...] = PREFERENCE
    side: int = 256
    mirror: bool = True
    options: DetectionOptions = field(default_factory=DetectionOptions)

    @property
    def weights(self) -> Path:
        """Where the shipped weights lie."""
        return WEIGHTS / f"{self.name}.safetensors"


@dataclass(eq=False)
class StartedDetection(StartedStudy[DetectionLook]):
    """A study on its way through a detector.

    Attributes:
        turn: from the image's axes to the axial ones.
        notes: of the image and of the choice of what is grey.
    """

    turn: Reorientation
    notes: tuple[str, ...]


class DetectorModel:
    """A :class:`tumorseg.models.base.Model` that finds objects.

    Args:
        spec: which model.
        weights: safetensors file; the shipped one by default.
        device: ``"auto"`` (a GPU when there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
    """

    dimension = 2
    kind = "detection"

    def __init__(self, spec: DetectorSpec, weights: Path | None = None, device: str = "auto") -> None:
        self.spec, self.device = spec, device
        self.weights, self.version = identify(spec.name, weights, spec.weights)
        self.name, self.description, self.options = spec.name, spec.description, spec.options
        self.channels = spec.preference
        self.labels: Mapping[str, int] = dict(spec.labels)
        self._lock = Lock()

    @property
    def modalities(self) -> tuple[str, ...]:
        """DICOM modalities it may be shown."""
        return self.spec.modalities

    @cached_property
    def network(self) -> MaskRCNN:
        """The network in eval mode, loaded when the first image comes; with a GPU, what is copied onto it."""
        import torch

        from tumorseg.models.engines.torch_engine import pick_device
        from tumorseg.models.weights import load_into
        from tumorseg.networks.maskrcnn import build_maskrcnn

        backbone = read_metadata(self.weights).get("backbone", self.spec.backbone)
        network = build_maskrcnn(backbone, len(self.labels), side=self.spec.side)
        load_into(network, self.weights, self.name)
        network = network.eval().to(memory_format=torch.channels_last)
        if pick_device(self.device).type == "cpu":
            from tumorseg.models.engines.detection_openvino import OpenVinoPyramid

            network.backbone = OpenVinoPyramid(network, self.weights, self.spec.side)
        return network

    @cached_property
    def _engine(self) -> DetectionEngine:
        from tumorseg.models.engines.detection_engine import DetectionEngine

        return DetectionEngine(self.name, self.network, self.device, mirror=self.spec.mirror)

    def warm_up(self) -> None:
        """Load the network and look at one empty picture, so that the first request does not pay for it."""
        self.predict(StudyImage(np.zeros((1, 1, 256, 256), np.uint8), Grid((1, 256, 256), np.eye(4)), ("",)))

    def predict(
        self, image: StudyImage, *, progress: Progress | None = None, options: DetectionOptions | None = None
    ) -> Prediction:
        """Find objects in ``image``; boxes, masks and the label map lie on the image's own grid."""
        started = self.begin(image, progress=progress, options=options)
        self.look([started])
        return self.finish(started)

    def begin(
        self, image: StudyImage, *, progress: Progress | None = None, options: DetectionOptions | None = None
    ) -> StartedDetection:
        """First step: bring ``image`` to grey axial slices."""
        begin = time.perf_counter()
        if image.modality and image.modality not in self.spec.modalities:
            wanted = " or ".join(self.spec.modalities)
            raise InputError(f"{self.name} expects {wanted}, got modality {image.modality}; choose another image")
        turn = to_axial(image.grid)
        # Turned first: what is grey must not depend on the order in which the voxels happen to be stored.
        turned = replace(image, voxels=turn.apply(image.voxels), grid=turn.grid(image.grid))
        axial, notes = grey_slices(turned, self.spec.preference)
        look = DetectionLook(axial, self.spec.side, options or self.spec.options, progress)
        latencies = {"pre": time.perf_counter() - begin}
        return StartedDetection(image.grid, look, latencies, turn, image.notes + notes)

    def look(self, started: Sequence[StartedDetection]) -> None:
        """Second step: the network, over all of them in one go."""
        begin = time.perf_counter()
        with self._lock:  # one run at a time: two would only take the processor from each other
            self._engine.look([one.look for one in started])
        for one in started:
            one.latencies["network"] = time.perf_counter() - begin

    def finish(self, started: StartedDetection) -> Prediction:
        """Last step: draw the masks, join slices to lesions, turn them back onto the image's own axes."""
        if started.error is not None:
            raise started.error
        begin = time.perf_counter()
        look, turn, names = started.look, started.turn, list(self.labels)
        slices = [_instances(one, k, look.box, names) for k, one in enumerate(look.found)]
        lesions = link_slices(slices, iou=look.options.link, min_slices=look.options.min_slices)
        shape = turn.grid(started.grid).shape
        back = tuple(_turned_back(lesion, turn, shape) for lesion in lesions)
        detections = Detections(back, started.grid, self.labels)
        segmentation = detections.label_map()
        latencies = {**started.latencies, "post": time.perf_counter() - begin}
        name, notes = said(look.rung)
        return Prediction(
            segmentation, self.name, self.version, started.notes + notes, latencies, detections, rung=name
        )


def _instances(found: SliceDetections, k: int, box: Letterbox, names: list[str]) -> list[Instance]:
    """Draw the masks of one slice on its own pixels."""
    boxes = box.boxes_back(found.boxes)
    instances = []
    for corners, score, label, probability in zip(boxes, found.scores, found.classes, found.masks, strict=True):
        if (corners[2:] - corners[:2] < 1).any():
            continue  # it lay in the zeros around the slice
        mask, (row, column) = paste(probability, corners, (box.height, box.width))
        x0, y0, x1, y1 = _agreed(corners, mask, row, column)
        instances.append(
            Instance(
                label=names[int(label) - 1],
                score=float(min(score, 1.0)),
                box=np.array([x0, y0, k, x1, y1, k + 1], np.float64),
                mask=mask[None],
                origin=(k, row, column),
            )
        )
    return instances


def _agreed(corners: NDArray[np.float64], mask: NDArray[np.bool_], row: int, column: int) -> NDArray[np.float64]:
    """Halfway between the box that was regressed and the box around its mask: each errs its own way."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return corners
    around = [columns[0] + column, rows[0] + row, columns[-1] + 1 + column, rows[-1] + 1 + row]
    agreed: NDArray[np.float64] = (corners + around) / 2
    return agreed


def paste(
    probability: NDArray[np.float32], corners: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Draw a mask given over a box on pixels.

    Args:
        probability: ``(M, M)`` over the box.
        corners: ``(4,)`` x0, y0, x1, y1 pixel edges, inside the picture.
        shape: rows and columns of the picture.

    Returns:
        bool mask of the pixels whose centres lie in the box, and the row and column of its first pixel.
    """
    from scipy.ndimage import map_coordinates

    x0, y0, x1, y1 = corners
    columns = np.arange(max(0, int(np.floor(x0))), min(shape[1], int(np.ceil(x1))))
    rows = np.arange(max(0, int(np.floor(y0))), min(shape[0], int(np.ceil(y1))))
    size = len(probability)
    # Pixel centres in the mask's own pixels, whose centres are at whole numbers; a border of zeros ends the object.
    v = (rows + 0.5 - y0) / (y1 - y0) * size - 0.5
    u = (columns + 0.5 - x0) / (x1 - x0) * size - 0.5
    grid = np.meshgrid(v, u, indexing="ij")
    values = map_coordinates(probability, grid, order=1, mode="constant", cval=0.0)
    return values >= MASK_THRESHOLD, (int(rows[0]), int(columns[0]))


def _turned_back(instance: Instance, turn: Reorientation, shape: tuple[int, int, int]) -> Instance:
    """From the axial axes, of ``shape``, back to the image's own."""
    low, high = instance.box[2::-1].copy(), instance.box[:2:-1].copy()  # (k, j, i)
    start = np.array(instance.origin)
    stop = start + instance.mask.shape
    for axis, flip in enumerate(turn.flips):
        if flip:
            n = shape[axis]
            low[axis], high[axis] = n - high[axis], n - low[axis]
            start[axis], stop[axis] = n - stop[axis], n - start[axis]
    back = np.argsort(turn.order)
    return replace(
        instance,
        box=np.concatenate([low[back][::-1], high[back][::-1]]),
        mask=turn.invert(instance.mask),
        origin=(int(start[back[0]]), int(start[back[1]]), int(start[back[2]])),
    )
