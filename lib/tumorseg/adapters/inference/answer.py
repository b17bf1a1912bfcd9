"""A prediction in the forms that viewers ask for."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tumorseg.adapters.wire import DTYPES, MARKUPS, InferResult, ResultFormat
from tumorseg.errors import InputError
from tumorseg.interactive.instances import instance_id
from tumorseg.models.base import DetectionModel
from tumorseg.models.findings import as_json, as_markups

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tumorseg.models.base import Model
    from tumorseg.models.detection_options import DetectionOptions
    from tumorseg.models.lesions import Lesion
    from tumorseg.types import Prediction, Segmentation

# What may stand in a file name that a viewer stores; series UIDs and most file names pass unchanged.
_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-]+")


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model found, on the grid that is shown.

    Attributes:
        title: names the file.
        labels: of the model, name -> value.
        prediction: what it found.
        lesions: the single objects, measured, where it finds objects.
        options: the thresholds that were taken for that.
    """

    title: str
    labels: Mapping[str, int]
    prediction: Prediction
    lesions: tuple[Lesion, ...] = ()
    options: DetectionOptions | None = None

    def encoded(self, wanted: ResultFormat, steps: Mapping[str, float]) -> InferResult:
        """Return the answer as it is wanted.

        Args:
            wanted: the form.
            steps: seconds by step so far.
        """
        if self._leaves_out(wanted.leave_out):
            return self._without(wanted.leave_out).encoded(wanted, steps)
        begin = time.perf_counter()
        data, extension = self._file(wanted)
        taken = {**steps, "write": time.perf_counter() - begin}
        taken["total"] = sum(taken.values())
        taken |= {f"model_{step}": seconds for step, seconds in self.prediction.latencies.items()}
        latencies = {step: round(seconds, 4) for step, seconds in taken.items()}
        name = f"{_UNSAFE.sub('_', self.title)}{extension}"
        mask = None if self._sends_boxes(wanted) else replace(self.prediction.segmentation, probability=None)
        return InferResult(data, name, {**self._params, "latencies": latencies}, mask, self.prediction.detections)

    @cached_property
    def _ids(self) -> tuple[str, ...]:
        """By what each object is known when somebody decides about it."""
        found, model, version = self.prediction.detections, self.prediction.model, self.prediction.version
        return () if found is None else tuple(instance_id(one, model, version) for one in found.instances)

    def _leaves_out(self, ids: frozenset[str]) -> bool:
        return bool(ids) and not ids.isdisjoint(self._ids)

    def _without(self, ids: frozenset[str]) -> Answer:
        """Return the answer without some objects, in the label map too."""
        found = self.prediction.detections
        assert found is not None
        kept = [n for n, name in enumerate(self._ids) if name not in ids]
        left = replace(found, instances=tuple(found.instances[n] for n in kept))
        prediction = replace(self.prediction, detections=left, segmentation=left.label_map())
        return replace(self, prediction=prediction, lesions=tuple(self.lesions[n] for n in kept))

    def _file(self, wanted: ResultFormat) -> tuple[bytes, str]:
        """Return the content of a file, and the file's ending."""
        if self._sends_boxes(wanted):
            return as_markups(self.lesions), wanted.extension if wanted.extension in MARKUPS else MARKUPS[0]
        return encode(self.prediction.segmentation, wanted), wanted.extension

    def _sends_boxes(self, wanted: ResultFormat) -> bool:
        """Whether the file holds boxes; 3D Slicer takes markups without any box for a damaged file."""
        return wanted.extension in MARKUPS or (wanted.boxes and bool(self.lesions))

    @cached_property
    def _params(self) -> dict[str, Any]:
        """Say what the answer is, in the words that MONAI Label's clients look for, and what a reader should know."""
        prediction = self.prediction
        said: dict[str, Any] = {
            "label_names": dict(self.labels),
            "centroids": centroids(prediction.segmentation),
            "model": prediction.model,
            "version": prediction.version,
            "notes": list(prediction.notes),
            "rung": prediction.rung,
        }
        if prediction.stages:
            said["stages"] = [asdict(stage) for stage in prediction.stages]
        if self.options is not None:
            pairs = zip(self.lesions, self._ids, strict=True)
            said["detections"] = [{**as_json(lesion), "instance": name} for lesion, name in pairs]
            said["detection_options"] = asdict(self.options)
        return said


def detection_options(model: Model, wanted: ResultFormat) -> DetectionOptions | None:
    """Return the thresholds of a request to a model that finds objects, None for any other model.

    Raises:
        InputError: boxes are wanted of a model that has none, or a threshold is out of its range.
    """
    if isinstance(model, DetectionModel):
        return model.options.with_values(**wanted.thresholds)
    if wanted.extension in MARKUPS:
        raise InputError(
            f"{model.name} segments and finds no boxes: ask for a label map (.nrrd), not {wanted.extension}"
        )
    return None


def encode(segmentation: Segmentation, wanted: ResultFormat) -> bytes:
    """Return the label map as the content of a file of the wanted format.

    Raises:
        InputError: a label value does not fit the wanted type.
    """
    from tumorseg.io.nrrd_write import nrrd_bytes, seg_nrrd_bytes
    from tumorseg.io.write import nifti_bytes

    largest = max(segmentation.labels.values(), default=0)
    if largest > DTYPES[wanted.dtype]:
        raise InputError(f"label value {largest} does not fit result_dtype {wanted.dtype}: ask for uint16")
    if wanted.extension == ".nrrd":
        return nrrd_bytes(segmentation, compress=wanted.compress)
    if wanted.extension == ".seg.nrrd":
        return seg_nrrd_bytes(segmentation)
    return nifti_bytes(segmentation, compress=wanted.extension == ".nii.gz")


def centroids(segmentation: Segmentation) -> dict[str, list[float]]:
    """Return the centre of each label that is present, voxel index (i, j, k), from the sums along each axis."""
    found = {}
    for name, value in segmentation.labels.items():
        mask = segmentation.voxels == value
        total = int(mask.sum())
        if total:
            found[name] = [round(_mean_index(mask, axis, total), 2) for axis in (2, 1, 0)]
    return found


def _mean_index(mask: NDArray[np.bool_], axis: int, total: int) -> float:
    """Average index of the True voxels along one axis of ``(K, J, I)``."""
    import numpy as np

    profile = mask.sum(axis=tuple(other for other in range(3) if other != axis))
    return float((profile * np.arange(profile.size)).sum() / total)
